//! What a run says it did: the JSON that `converge` and `nightly` print.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::RunId;
use crate::version::Version;

/// How one app ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// Nothing was to be done.
    Noop,
    /// Deployed for the first time.
    Installed,
    /// On a newer version.
    Upgraded,
    /// Was down, is up on the same version.
    Repaired,
    /// A newer version is there and was refused by the safety gate.
    Held,
    /// A version failed; healthy on the old version and its data.
    RolledBack,
    /// An interrupted transaction was finished.
    Recovered,
    /// Given up; nothing of the old version or its data was changed.
    Failed,
    /// A rollback failed.
    Stuck,
    /// Another run is at work on it.
    Busy,
    /// Stopped and forgotten, because a person asked for it.
    Retired,
}

impl Outcome {
    /// The word that people and JSON read.
    pub fn word(self) -> &'static str {
        match self {
            Self::Noop => "noop",
            Self::Installed => "installed",
            Self::Upgraded => "upgraded",
            Self::Repaired => "repaired",
            Self::Held => "held",
            Self::RolledBack => "rolledBack",
            Self::Recovered => "recovered",
            Self::Failed => "failed",
            Self::Stuck => "stuck",
            Self::Busy => "busy",
            Self::Retired => "retired",
        }
    }

    /// The exit code of a run in which this was the worst.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Noop
            | Self::Installed
            | Self::Upgraded
            | Self::Repaired
            | Self::Held
            | Self::Recovered
            | Self::Retired => 0,
            Self::Failed => 1,
            Self::RolledBack => 4,
            Self::Stuck => 5,
            Self::Busy => 75,
        }
    }
}

/// The exit code over several apps: the worst wins.
pub fn worst(outcomes: impl IntoIterator<Item = Outcome>) -> u8 {
    outcomes.into_iter().map(Outcome::exit_code).fold(0, worse)
}

/// The worse of two exit codes, by the order 5, 4, 1, 75, 0.
pub fn worse(one: u8, other: u8) -> u8 {
    const RANK: [u8; 5] = [0, 75, 1, 4, 5];
    let rank = |code: u8| RANK.iter().position(|c| *c == code);
    if rank(other) > rank(one) { other } else { one }
}

/// One step as it is reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepReport {
    /// Its name.
    pub step: String,
    /// How long it took, in milliseconds.
    pub ms: u64,
    /// `ok`, `failed` or `interrupted`.
    pub result: String,
}

/// The two causes of a rollback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Causes {
    /// Why the target was given up.
    pub upgrade: String,
    /// How the way back went.
    pub rollback: String,
}

/// One app as it is reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppReport {
    /// The app.
    pub app: String,
    /// How it ended.
    pub outcome: Outcome,
    /// The version it was on.
    pub from: Option<Version>,
    /// The version that was wanted.
    pub to: Option<Version>,
    /// Why this was done, or not.
    pub reason: Option<String>,
    /// How long the app was down, in milliseconds; null where it was not, or is not up.
    pub downtime_ms: Option<u64>,
    /// The snapshot that was taken.
    pub snapshot: Option<String>,
    /// What went wrong; for a rollback both causes in one line.
    pub cause: Option<String>,
    /// The same, each on its own.
    pub causes: Option<Causes>,
    /// What a person can do about it.
    pub remedy: Option<String>,
    /// Refusals of the safety gate that a person overrode.
    pub overrides: Vec<String>,
    /// The steps, in the order they were tried.
    pub steps: Vec<StepReport>,
}

impl AppReport {
    /// A report with nothing in it but how it ended.
    pub fn new(app: &str, outcome: Outcome) -> Self {
        Self {
            app: app.to_owned(),
            outcome,
            from: None,
            to: None,
            reason: None,
            downtime_ms: None,
            snapshot: None,
            cause: None,
            causes: None,
            remedy: None,
            overrides: Vec::new(),
            steps: Vec::new(),
        }
    }
}

/// One run as it is reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunReport {
    /// Schema of the document.
    pub schema: u64,
    /// The run.
    pub run: RunId,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// Its apps, in the order of their names.
    pub apps: Vec<AppReport>,
}

impl RunReport {
    /// The run's exit code.
    pub fn exit_code(&self) -> u8 {
        worst(self.apps.iter().map(|app| app.outcome))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_outcome_decides_the_exit_code() {
        use Outcome::{Busy, Failed, Held, Noop, RolledBack, Stuck};
        assert_eq!(worst([Noop, Held]), 0);
        assert_eq!(worst([Noop, Busy]), 75);
        assert_eq!(worst([Busy, Failed]), 1);
        assert_eq!(worst([Failed, RolledBack, Busy]), 4);
        assert_eq!(worst([RolledBack, Stuck, Noop]), 5);
        assert_eq!(worst([]), 0);
        assert_eq!([worse(75, 1), worse(1, 75), worse(5, 1), worse(0, 75)], [1, 1, 5, 75]);
    }
}
