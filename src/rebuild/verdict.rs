//! What an end of `switch-to-configuration` means. Its exit code alone does not say: 4 stands for any unit that failed,
//! one that has nothing to do with the new system too, and hides an activation script that failed (2).

use std::collections::BTreeSet;

use crate::config::model::RebuildAction;

/// What the activation script of NixOS, or what runs it, says where a part of it failed.
const ACTIVATION_FAILED: [&str; 2] = ["Failed to run activate script", "Activation script snippet "];
/// What `switch-to-configuration` says where another one runs.
const LOCKED: &str = "Could not acquire lock";

/// How a run of `switch-to-configuration` ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// With this exit code.
    Code(i32),
    /// Not within its time.
    TimedOut,
    /// It could not be started, or was ended by somebody.
    Broken(String),
}

/// What there is to judge by.
#[derive(Debug, Clone)]
pub struct Evidence<'a> {
    /// What it was asked to do.
    pub action: RebuildAction,
    /// How it ended.
    pub end: &'a End,
    /// The end of what it printed.
    pub output: &'a str,
    /// The units that had failed before.
    pub before: &'a BTreeSet<String>,
    /// The units that have failed now.
    pub after: &'a BTreeSet<String>,
    /// Whether the running system is the one that it was to make.
    pub is_running: bool,
}

/// What it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It did what it was asked, with this to be noted.
    Good(Option<String>),
    /// It will do so at the next boot; nothing was activated.
    RebootNeeded,
    /// Another switch held NixOS's own lock; nothing was activated.
    Busy,
    /// It failed.
    Bad(String),
}

/// Judges.
pub fn judge(evidence: &Evidence<'_>) -> Verdict {
    match evidence.end {
        End::Code(0) => arrived(evidence, None),
        End::Code(4) => some_unit_failed(evidence),
        End::Code(100) if evidence.action == RebuildAction::Test => Verdict::Bad(
            "its init cannot take over from the running one (exit code 100): it needs a reboot, which a test cannot have"
                .into(),
        ),
        End::Code(100) => Verdict::RebootNeeded,
        // Of the exit code, which is that of the failed call, nothing is sure.
        End::Code(_) if evidence.output.lines().any(|line| line.trim() == LOCKED) => Verdict::Busy,
        End::Code(code) => Verdict::Bad(format!("switch-to-configuration ended with exit code {code}: {}", meaning(*code))),
        End::TimedOut => Verdict::Bad("switch-to-configuration did not end within `switchTimeout`, and was ended".into()),
        End::Broken(why) => Verdict::Bad(why.clone()),
    }
}

fn meaning(code: i32) -> &'static str {
    match code {
        1 => "a check before it, or the boot loader, failed",
        2 => "the activation script failed",
        3 => "units could not be reloaded",
        129.. => "a signal ended it",
        _ => "no meaning of it is known",
    }
}

/// It says that all went well. Whether it did shows in what runs.
fn arrived(evidence: &Evidence<'_>, note: Option<String>) -> Verdict {
    if evidence.is_running || evidence.action == RebuildAction::Boot {
        return Verdict::Good(note);
    }
    Verdict::Bad(
        "switch-to-configuration is content, but /run/current-system is not what it was to become".into(),
    )
}

fn some_unit_failed(evidence: &Evidence<'_>) -> Verdict {
    if let Some(said) =
        evidence.output.lines().find(|line| ACTIVATION_FAILED.iter().any(|mark| line.contains(mark)))
    {
        return Verdict::Bad(format!("the activation script failed: {}", said.trim()));
    }
    let failed: BTreeSet<String> = evidence.after.union(&named(evidence.output)).cloned().collect();
    let new = newly_failed(evidence.before, &failed);
    if !new.is_empty() {
        return Verdict::Bad(format!("units failed that had not before: {}", new.join(", ")));
    }
    if failed.is_empty() {
        return Verdict::Bad("some unit failed (exit code 4), and which one cannot be told".into());
    }
    let old: Vec<String> = failed.into_iter().collect();
    arrived(
        evidence,
        Some(format!("units have failed that had failed before it as well: {}", old.join(", "))),
    )
}

/// The units that failed and had not before.
pub fn newly_failed(before: &BTreeSet<String>, after: &BTreeSet<String>) -> Vec<String> {
    after.difference(before).cloned().collect()
}

/// The units that `switch-to-configuration` itself names as failed: a unit that is restarted again and again may look
/// healthy at the moment in which it is looked at.
pub fn named(output: &str) -> BTreeSet<String> {
    output.lines().flat_map(|line| list(line).into_iter().chain(single(line))).collect()
}

fn list(line: &str) -> Vec<String> {
    let units = line.split_once("the following units failed: ").map_or("", |(_, units)| units);
    units.split(',').map(str::trim).filter(|unit| is_unit(unit)).map(str::to_owned).collect()
}

/// `Failed to restart a.service: …`
fn single(line: &str) -> Option<String> {
    let (verb, rest) = line.trim().strip_prefix("Failed to ")?.split_once(' ')?;
    let unit = rest.split_whitespace().next()?.trim_end_matches(':');
    (verb.chars().all(char::is_alphabetic) && is_unit(unit)).then(|| unit.to_owned())
}

fn is_unit(word: &str) -> bool {
    const TYPES: [&str; 11] = [
        "service",
        "socket",
        "device",
        "mount",
        "automount",
        "swap",
        "target",
        "path",
        "timer",
        "slice",
        "scope",
    ];
    let kind = word.rsplit_once('.').filter(|(name, _)| !name.is_empty()).map(|(_, kind)| kind);
    !word.contains(char::is_whitespace) && kind.is_some_and(|kind| TYPES.contains(&kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(units: &[&str]) -> BTreeSet<String> {
        units.iter().map(ToString::to_string).collect()
    }

    struct Case {
        action: RebuildAction,
        end: End,
        output: &'static str,
        before: &'static [&'static str],
        after: &'static [&'static str],
        is_running: bool,
    }

    fn case(code: i32) -> Case {
        let (action, end) = (RebuildAction::Switch, End::Code(code));
        Case { action, end, output: "", before: &[], after: &[], is_running: true }
    }

    fn judged(case: &Case) -> Verdict {
        judge(&Evidence {
            action: case.action,
            end: &case.end,
            output: case.output,
            before: &set(case.before),
            after: &set(case.after),
            is_running: case.is_running,
        })
    }

    fn bad(case: &Case) -> String {
        match judged(case) {
            Verdict::Bad(why) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_switch_is_good_when_it_says_so_and_the_system_runs() {
        assert_eq!(judged(&case(0)), Verdict::Good(None));
        assert!(bad(&Case { is_running: false, ..case(0) }).contains("/run/current-system"));
    }

    #[test]
    fn a_generation_for_the_next_boot_does_not_run_yet() {
        let boot = Case { action: RebuildAction::Boot, is_running: false, ..case(0) };
        assert_eq!(judged(&boot), Verdict::Good(None));
    }

    #[test]
    fn a_unit_that_had_failed_before_is_only_noted() {
        let old = Case { before: &["old.service", "gone.service"], after: &["old.service"], ..case(4) };
        assert!(matches!(judged(&old), Verdict::Good(Some(note)) if note.ends_with(": old.service")));
    }

    #[test]
    fn a_unit_that_had_not_is_the_new_systems_fault() {
        let new = Case { before: &["old.service"], after: &["new.service", "old.service"], ..case(4) };
        assert_eq!(bad(&new), "units failed that had not before: new.service");
    }

    #[test]
    fn a_unit_that_looks_healthy_for_a_moment_was_named_by_the_switch() {
        let named = "warning: the following units failed: flapping.service, old.service\n";
        let flapping = Case { output: named, before: &["old.service"], after: &["old.service"], ..case(4) };
        assert_eq!(bad(&flapping), "units failed that had not before: flapping.service");
        let reload = Case { output: "Failed to reload web.service: no such method\n", ..case(4) };
        assert_eq!(bad(&reload), "units failed that had not before: web.service");
    }

    #[test]
    fn a_unit_that_nobody_can_name_is_no_reason_for_trust() {
        assert!(bad(&case(4)).contains("which one cannot be told"));
    }

    #[test]
    fn an_activation_that_failed_does_not_hide_behind_an_old_failed_unit() {
        for output in ["Failed to run activate script", "Activation script snippet 'users' failed (1)"] {
            let hidden = Case { output, before: &["old.service"], after: &["old.service"], ..case(4) };
            assert!(bad(&hidden).starts_with("the activation script failed"));
        }
    }

    #[test]
    fn a_system_that_needs_a_reboot_is_set_for_it_unless_it_is_only_tested() {
        assert_eq!(judged(&Case { is_running: false, ..case(100) }), Verdict::RebootNeeded);
        let test = Case { action: RebuildAction::Test, is_running: false, ..case(100) };
        assert!(bad(&test).contains("a reboot"));
    }

    #[test]
    fn another_switch_that_holds_the_lock_is_no_failure_of_this_one() {
        for code in [1, 11] {
            assert_eq!(judged(&Case { output: "Could not acquire lock\n", ..case(code) }), Verdict::Busy);
        }
        assert!(bad(&Case { output: "Could not open lock", ..case(1) }).contains("exit code 1"));
    }

    #[test]
    fn everything_else_failed() {
        for code in [1, 2, 3, 5, 99, 101, 137] {
            assert!(bad(&case(code)).contains(&format!("exit code {code}")));
        }
        assert!(bad(&Case { end: End::TimedOut, ..case(0) }).contains("switchTimeout"));
        assert_eq!(bad(&Case { end: End::Broken("it is gone".into()), ..case(0) }), "it is gone");
    }

    #[test]
    fn only_names_of_units_are_taken_from_what_is_printed() {
        let output = "Failed to start a@b.service\nwarning: the following units failed: c.mount, \nFailed to run activate script\n\
                      Failed to restart d.timer: x\nFailed to connect: e.service\n";
        assert_eq!(named(output), set(&["a@b.service", "c.mount", "d.timer"]));
    }
}
