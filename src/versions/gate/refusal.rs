//! Why a version may not be taken unattended, as it is recorded and as a person reads it.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::version::{Step, Version};

/// Why the safety gate refuses a version. The variants stand in the order in which they are looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Refusal {
    /// The configuration names another version as the only one.
    Pinned {
        /// That version.
        to: String,
    },
    /// The configuration denies it.
    Denied,
    /// It failed the health gate before.
    Quarantined,
    /// It is older than the current one.
    Downgrade {
        /// The current one.
        from: Version,
    },
    /// Either part of it is a pre-release.
    PreRelease,
    /// The step to it is larger than the policy allows.
    Policy {
        /// The policy's word in the configuration.
        policy: String,
        /// How large the step is, where both versions can be read.
        step: Option<Step>,
    },
    /// It is not of the form that can be ordered.
    Opaque,
    /// The current version is not listed, or cannot be ordered, so that nothing is known to be newer.
    Unordered {
        /// The current version.
        current: Version,
    },
    /// The notes of a version on the way speak of manual work.
    ManualMigration {
        /// The version whose notes they are.
        version: Version,
        /// The line that says so.
        line: String,
    },
    /// It was not out for long enough.
    MinAge {
        /// Its age in seconds; absent where nobody knows.
        age_seconds: Option<u64>,
        /// The least age in seconds.
        min_seconds: u64,
        /// When it will be old enough.
        ready_at: Option<Timestamp>,
    },
}

impl Refusal {
    /// The word that names the reason in records and reports.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Pinned { .. } => "pinned",
            Self::Denied => "denied",
            Self::Quarantined => "quarantined",
            Self::Downgrade { .. } => "downgrade",
            Self::PreRelease => "preRelease",
            Self::Policy { .. } => "policy",
            Self::Opaque => "opaque",
            Self::Unordered { .. } => "unordered",
            Self::ManualMigration { .. } => "manualMigration",
            Self::MinAge { .. } => "minAge",
        }
    }

    /// One line for a person.
    pub fn explain(&self) -> String {
        self.to_string()
    }

    /// Whether `approve` lets the version through.
    pub fn can_be_approved(&self) -> bool {
        !matches!(self, Self::Pinned { .. } | Self::Denied | Self::Quarantined | Self::Downgrade { .. })
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pinned { to } => write!(f, "the configuration pins {to}"),
            Self::Denied => f.write_str("the configuration denies it"),
            Self::Quarantined => f.write_str("it failed the health gate before and is in quarantine"),
            Self::Downgrade { from } => write!(f, "it is older than the current version {from}"),
            Self::PreRelease => f.write_str("it is a pre-release"),
            Self::Policy { policy, step: Some(step) } if policy != "none" => {
                write!(f, "it is a {} step, and the policy is {policy}", step.word())
            }
            Self::Policy { policy, .. } => write!(f, "the policy is {policy}"),
            Self::Opaque => f.write_str("it is not of the form x.y.z, so it cannot be called newer"),
            Self::Unordered { current } => {
                write!(f, "the current version {current} is not among those that can be ordered")
            }
            Self::ManualMigration { version, line } => write!(f, "the notes of {version} say: {line}"),
            Self::MinAge { age_seconds: None, min_seconds, .. } => {
                write!(f, "its age is unknown, and it must be {} old", human(*min_seconds))
            }
            Self::MinAge { age_seconds: Some(age), min_seconds, ready_at } => {
                write!(f, "it is {} old and must be {} old", human(*age), human(*min_seconds))?;
                ready_at.map_or(Ok(()), |at| write!(f, " (at {at})"))
            }
        }
    }
}

/// Seconds in the two largest units that say something: `3d 4h`, `90s` as `1m 30s`.
fn human(seconds: u64) -> String {
    let units = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    let mut rest = seconds;
    let parts = units.map(|(unit, size)| {
        let count = rest / size;
        rest %= size;
        (count, unit)
    });
    let said = parts.iter().skip_while(|(count, _)| *count == 0).take(2).filter(|(count, _)| *count > 0);
    let said: Vec<String> = said.map(|(count, unit)| format!("{count}{unit}")).collect();
    if said.is_empty() { "0s".to_owned() } else { said.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::new(text).unwrap()
    }

    #[test]
    fn every_refusal_is_one_readable_line() {
        let ready_at = Some("2026-11-24T03:00:00Z".parse().unwrap());
        let all = [
            Refusal::Pinned { to: "1.2.0".to_owned() },
            Refusal::Denied,
            Refusal::Quarantined,
            Refusal::Downgrade { from: version("1.3.0") },
            Refusal::PreRelease,
            Refusal::Policy { policy: "minor".to_owned(), step: Some(Step::Major) },
            Refusal::Policy { policy: "none".to_owned(), step: Some(Step::Patch) },
            Refusal::Opaque,
            Refusal::Unordered { current: version("abc") },
            Refusal::ManualMigration { version: version("1.3.0"), line: "a manual migration".to_owned() },
            Refusal::MinAge { age_seconds: None, min_seconds: 259_200, ready_at: None },
            Refusal::MinAge { age_seconds: Some(7_290), min_seconds: 259_200, ready_at },
        ];
        let lines: Vec<String> = all.iter().map(|r| format!("{}: {}", r.word(), r.explain())).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        pinned: the configuration pins 1.2.0
        denied: the configuration denies it
        quarantined: it failed the health gate before and is in quarantine
        downgrade: it is older than the current version 1.3.0
        preRelease: it is a pre-release
        policy: it is a major step, and the policy is minor
        policy: the policy is none
        opaque: it is not of the form x.y.z, so it cannot be called newer
        unordered: the current version abc is not among those that can be ordered
        manualMigration: the notes of 1.3.0 say: a manual migration
        minAge: its age is unknown, and it must be 3d old
        minAge: it is 2h 1m old and must be 3d old (at 2026-11-24T03:00:00Z)
        ");
    }

    #[test]
    fn a_refusal_is_read_back_as_it_was_written() {
        let refusal = Refusal::MinAge { age_seconds: Some(5), min_seconds: 60, ready_at: None };
        let text = serde_json::to_string(&refusal).unwrap();
        assert_eq!(text, r#"{"kind":"minAge","ageSeconds":5,"minSeconds":60,"readyAt":null}"#);
        assert_eq!(serde_json::from_str::<Refusal>(&text).unwrap(), refusal);
    }

    #[test]
    fn the_kind_that_is_written_is_the_word() {
        for refusal in [Refusal::PreRelease, Refusal::Opaque, Refusal::Downgrade { from: version("1.0.0") }] {
            assert_eq!(serde_json::to_value(&refusal).unwrap()["kind"], refusal.word());
        }
    }
}
