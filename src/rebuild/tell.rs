//! What a rebuild is called, in reports and alerts.

use std::collections::BTreeSet;

use super::journal::Journal;
use super::report::{FailedUnits, Generations, Outcome, RebuildReport};
use super::verdict::newly_failed;
use super::word;
use crate::alert::redact::Redactor;
use crate::alert::{self, Kind, News};
use crate::engine::Context;
use crate::error::Result;
use crate::record::report::Causes;

/// How many of the last lines of a program's output are told.
const LINES: usize = 20;

/// A cause with the last lines that a program printed.
pub(super) fn with_output(cause: &str, output: &str) -> String {
    let lines: Vec<&str> = output.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() {
        return cause.to_owned();
    }
    format!("{cause}\nits last lines of output:\n{}", lines[lines.len().saturating_sub(LINES)..].join("\n"))
}

/// The report of a rebuild that has come to its end, or is stuck.
pub(super) fn report(journal: &Journal, generation: Option<u64>) -> RebuildReport {
    let outcome = outcome(journal);
    let causes = causes(journal);
    let settled = journal.settled.as_ref();
    let after = settled.map_or(&journal.before.failed_units, |settled| &settled.failed_units);
    let alone = left(journal).map(str::to_owned);
    let cause = causes.as_ref().map(|causes| format!("{}; {}", causes.upgrade, causes.rollback)).or(alone);
    redacted(RebuildReport {
        generation: Generations { before: journal.before.generation, after: generation },
        failed_units: failed_units(&journal.before.failed_units, after),
        remedy: remedy(journal, outcome),
        cause,
        causes,
        reason: Some(reason(journal, outcome)),
        ..draft(journal, outcome)
    })
}

/// The report of a rebuild whose switch runs on.
pub(super) fn running_on(journal: &Journal) -> RebuildReport {
    RebuildReport {
        reason: Some(
            "its switch is still running, in a unit of its own, or was interrupted; the next run finishes it"
                .into(),
        ),
        remedy: Some("`warmkeep rebuild` waits for it and reports how it ended".into()),
        ..draft(journal, Outcome::Busy)
    }
}

fn draft(journal: &Journal, outcome: Outcome) -> RebuildReport {
    RebuildReport {
        from: Some(journal.before.running.clone()),
        to: journal.to.clone(),
        generation: Generations { before: journal.before.generation, after: None },
        flake: Some(journal.flake.clone()),
        diff: journal.diff.clone(),
        notes: journal.notes.clone(),
        steps: journal.steps.clone(),
        ..RebuildReport::new(outcome, word(journal.action))
    }
}

fn outcome(journal: &Journal) -> Outcome {
    match (&journal.stuck, &journal.settled) {
        (Some(_), _) | (None, None) => Outcome::Stuck,
        (None, Some(settled)) => settled.outcome,
    }
}

/// Why a rebuild was given up where it stood: the host is somebody else's.
fn left(journal: &Journal) -> Option<&str> {
    journal.settled.as_ref()?.cause.as_deref()
}

fn reason(journal: &Journal, outcome: Outcome) -> String {
    match outcome {
        Outcome::Failed if left(journal).is_some() => "what runs is what somebody else has activated".into(),
        Outcome::Switched => "the new system runs".into(),
        Outcome::RebootNeeded if word(journal.action) == "boot" => {
            "the new system is set for the next boot".into()
        }
        Outcome::RebootNeeded => {
            "the new system cannot take over from the running one: it is set for the next boot".into()
        }
        Outcome::RolledBack => "the new system failed, and the one before runs again".into(),
        Outcome::Stuck => "the new system failed, and so did going back".into(),
        Outcome::Busy => "another switch was running: nothing was activated".into(),
        Outcome::Failed | Outcome::Noop => "nothing was activated".into(),
    }
}

fn causes(journal: &Journal) -> Option<Causes> {
    let back = journal.turned_back.as_ref()?;
    let rollback = match (&journal.stuck, left(journal)) {
        (Some(cause), _) => format!("the way back failed: {cause}"),
        (None, Some(left)) => left.to_owned(),
        (None, None) if back.outcome == Outcome::RolledBack => {
            format!("rolled back: {} runs again", journal.before.running.display())
        }
        (None, None) => "nothing had been activated; the profile is what it was".into(),
    };
    Some(Causes { upgrade: back.cause.clone(), rollback })
}

fn remedy(journal: &Journal, outcome: Outcome) -> Option<String> {
    Some(match outcome {
        Outcome::RolledBack => {
            "change the configuration so that it can be activated; the next run tries again".into()
        }
        Outcome::Stuck => format!(
            "`warmkeep rebuild` tries the way back again; by hand it is `{}/bin/switch-to-configuration switch`",
            journal.before.running.display()
        ),
        Outcome::RebootNeeded => "reboot when it suits".into(),
        Outcome::Busy => "try again when the other switch has ended".into(),
        Outcome::Failed => {
            "see that nobody else switches this system, then run `warmkeep rebuild` again".into()
        }
        Outcome::Noop | Outcome::Switched => return None,
    })
}

/// What failed before and now.
pub(super) fn failed_units(before: &BTreeSet<String>, after: &BTreeSet<String>) -> FailedUnits {
    FailedUnits {
        before: before.iter().cloned().collect(),
        after: after.iter().cloned().collect(),
        new: newly_failed(before, after),
    }
}

/// Takes secrets out of all that programs have said.
pub(super) fn redacted(report: RebuildReport) -> RebuildReport {
    let redactor = Redactor::default();
    let clean = |text: String| redactor.clean(&text);
    RebuildReport {
        cause: report.cause.map(clean),
        causes: report
            .causes
            .map(|causes| Causes { upgrade: clean(causes.upgrade), rollback: clean(causes.rollback) }),
        notes: report.notes.into_iter().map(clean).collect(),
        ..report
    }
}

/// Writes the alert that an outcome asks for, if any.
pub(super) fn alert(ctx: &Context<'_>, report: &RebuildReport) -> Result<()> {
    let Some(news) = news(report) else { return Ok(()) };
    alert::raise(&ctx.layout, news, ctx.config.alerts.dedupe).map(drop)
}

fn news(report: &RebuildReport) -> Option<News> {
    let (kind, title, command) = match report.outcome {
        Outcome::RolledBack => {
            (Kind::Rollback, "the new system failed and was rolled back", Some("warmkeep rebuild"))
        }
        Outcome::Stuck => (
            Kind::Stuck,
            "the system is stuck: the new one failed, and so did going back",
            Some("warmkeep rebuild"),
        ),
        Outcome::Failed => (Kind::Failed, "the system could not be rebuilt", Some("warmkeep rebuild")),
        Outcome::RebootNeeded => (
            Kind::RebootNeeded,
            "a reboot is needed: the new system is set for the next boot",
            Some("reboot"),
        ),
        Outcome::Noop | Outcome::Switched | Outcome::Busy => return None,
    };
    let system = report.to.as_ref().map(|path| path.to_string_lossy().into_owned());
    let failed = report.steps.iter().find(|step| step.result == "failed").map(|step| step.step.clone());
    Some(News {
        kind,
        app: None,
        version: None,
        cause_key: ["rebuild".to_owned(), system.or(failed).unwrap_or_default()].join("/"),
        title: title.to_owned(),
        body: story(report),
        command: command.map(str::to_owned),
    })
}

fn story(report: &RebuildReport) -> String {
    let mut story = report.cause.clone().or_else(|| report.reason.clone()).unwrap_or_default();
    let system = report.to.as_ref().map(|to| format!("\nthe new system: {}", to.display()));
    let flake = report.flake.as_ref().map(|flake| format!("\nbuilt from: {}", flake.url));
    let remedy = report.remedy.as_ref().map(|remedy| format!("\nwhat helps: {remedy}"));
    story.extend([system, flake, remedy].into_iter().flatten());
    story
}

#[cfg(test)]
mod tests {
    use super::super::journal::{Settled, Stage, TurnedBack, tests::journal};
    use super::*;
    use crate::config::model::RebuildAction;

    fn settled(outcome: Outcome) -> Journal {
        let mut journal = journal(RebuildAction::Switch, Stage::Closing);
        journal.settled = Some(Settled { outcome, cause: None, failed_units: BTreeSet::new() });
        journal
    }

    fn back(outcome: Outcome) -> Journal {
        let mut journal = settled(outcome);
        journal.turned_back = Some(TurnedBack { cause: "exit code 2".into(), outcome });
        journal
    }

    #[test]
    fn a_rollback_carries_both_causes_and_is_no_success() {
        let report = report(&back(Outcome::RolledBack), Some(7));
        assert_eq!(report.outcome.exit_code(), 4);
        assert_eq!(report.cause.as_deref(), Some("exit code 2; rolled back: /nix/store/old runs again"));
        assert!(
            news(&report)
                .is_some_and(|news| news.kind == Kind::Rollback && news.body.contains("exit code 2"))
        );
    }

    #[test]
    fn a_way_back_that_met_somebody_elses_system_does_not_say_that_the_old_one_runs_again() {
        let mut journal = back(Outcome::RolledBack);
        let left = "/nix/store/theirs runs now".to_owned();
        journal.settled =
            Some(Settled { outcome: Outcome::Failed, cause: Some(left), failed_units: BTreeSet::new() });
        let report = report(&journal, None);
        assert_eq!(report.cause.as_deref(), Some("exit code 2; /nix/store/theirs runs now"));
        assert_eq!(report.outcome.exit_code(), 1);
        assert!(!report.reason.is_some_and(|reason| reason.contains("nothing was activated")));
    }

    #[test]
    fn a_way_back_that_failed_is_stuck_and_names_the_command_that_is_left() {
        let mut journal = back(Outcome::RolledBack);
        journal.settled = None;
        journal.stuck = Some("exit code 3".into());
        let report = report(&journal, None);
        assert_eq!((report.outcome, report.outcome.exit_code()), (Outcome::Stuck, 5));
        assert!(
            report
                .cause
                .is_some_and(|cause| cause.ends_with("exit code 2; the way back failed: exit code 3"))
        );
        assert!(
            report
                .remedy
                .is_some_and(|remedy| remedy.contains("/nix/store/old/bin/switch-to-configuration switch"))
        );
    }

    #[test]
    fn a_success_is_told_to_nobody_and_a_reboot_once_for_each_system() {
        assert_eq!(news(&report(&settled(Outcome::Switched), None)), None);
        let news = news(&report(&settled(Outcome::RebootNeeded), None)).unwrap();
        assert_eq!((news.cause_key.as_str(), news.app), ("rebuild//nix/store/new", None));
    }

    #[test]
    fn of_what_a_program_printed_the_last_lines_are_told() {
        let output: Vec<String> = (0..100).map(|line| format!("line {line}\n\n")).collect();
        let told = with_output("it failed", &output.concat());
        assert!(told.starts_with("it failed\n") && told.ends_with("line 98\nline 99"), "{told}");
        assert_eq!(told.lines().count(), LINES + 2);
        assert_eq!(with_output("it failed", " \n"), "it failed");
    }

    #[test]
    fn the_password_of_an_address_is_told_to_nobody() {
        let mut journal = back(Outcome::RolledBack);
        journal.turned_back = Some(TurnedBack {
            cause: "cannot fetch https://ada:hunter22@git.example".into(),
            outcome: Outcome::RolledBack,
        });
        let text = serde_json::to_string(&report(&journal, None)).unwrap();
        assert!(!text.contains("hunter22"), "{text}");
    }
}
