//! What a transaction's end is called, in reports and alerts.

use super::Subject;
use crate::alert::{self, Kind as AlertKind, News};
use crate::error::Result;
use crate::plan::progress::{Fault, Progress, Tried, TurnedBack};
use crate::plan::transaction::{Kind, Leg, Reach, Step};
use crate::record::report::{AppReport, Causes, Outcome, StepReport};
use crate::version::Version;
use crate::versions::gate::{Choice, Hold};

/// The report of a transaction that has come to its end, or is about to.
pub(super) fn report(progress: &Progress) -> AppReport {
    let transaction = &progress.transaction;
    let causes = progress.turned_back.as_ref().map(|back| causes(progress, back));
    AppReport {
        from: transaction.from.clone(),
        to: Some(transaction.to.clone()),
        reason: Some(reason(progress)),
        remedy: progress.turned_back.as_ref().and_then(|back| back.remedy.clone()),
        downtime_ms: progress.downtime_ms(),
        snapshot: progress.snapshot.as_ref().map(ToString::to_string),
        cause: causes.as_ref().map(|causes| format!("{}; {}", causes.upgrade, causes.rollback)),
        causes,
        overrides: transaction.overrides.clone(),
        steps: progress.tried.iter().map(step).collect(),
        ..AppReport::new(&transaction.app, outcome(progress))
    }
}

fn reason(progress: &Progress) -> String {
    let transaction = &progress.transaction;
    match outcome(progress) {
        Outcome::Recovered => {
            let how = if progress.turned_back.is_some() { "undone" } else { "finished" };
            format!("an interrupted {} to {} was {how}", transaction.kind.word(), transaction.to)
        }
        _ => transaction.why.clone(),
    }
}

/// The report of a transaction that could not be brought to its end.
pub(super) fn unfinished(progress: &Progress, cause: &str, remedy: Option<&str>) -> AppReport {
    let finished = report(progress);
    let committed = progress.leg() == Leg::Forward && progress.has_ended(Leg::Forward, Step::Gate);
    let untouched = progress.reach() == Reach::Nothing;
    let outcome = if committed || untouched { Outcome::Failed } else { Outcome::Stuck };
    let upgrade = finished.causes.map(|causes| causes.upgrade);
    let rollback = if committed {
        format!("{} is up and healthy, but that could not be recorded: {cause}", progress.transaction.to)
    } else if untouched {
        format!("nothing was touched: {cause}")
    } else {
        format!("the way back failed: {cause}")
    };
    let line = upgrade.as_ref().map_or_else(|| rollback.clone(), |upgrade| format!("{upgrade}; {rollback}"));
    AppReport {
        outcome,
        cause: Some(line),
        causes: upgrade.map(|upgrade| Causes { upgrade, rollback }),
        remedy: remedy.map(str::to_owned).or(finished.remedy),
        downtime_ms: None,
        ..finished
    }
}

/// The report of a transaction that the host's shutdown cut short; nothing is judged.
pub(super) fn cut_short(progress: &Progress, cause: String) -> AppReport {
    let transaction = &progress.transaction;
    AppReport {
        from: transaction.from.clone(),
        to: Some(transaction.to.clone()),
        reason: Some(cause),
        ..AppReport::new(&transaction.app, Outcome::Busy)
    }
}

fn outcome(progress: &Progress) -> Outcome {
    match &progress.turned_back {
        None if progress.resumed => Outcome::Recovered,
        None => match progress.transaction.kind {
            Kind::Install => Outcome::Installed,
            Kind::Upgrade => Outcome::Upgraded,
            Kind::Repair => Outcome::Repaired,
            Kind::Rollback => Outcome::RolledBack,
        },
        Some(_) if progress.transaction.replaces.is_some() => Outcome::Stuck,
        Some(back) if back.fault == Fault::Interrupted => Outcome::Recovered,
        Some(_) if progress.reach() == Reach::Nothing => Outcome::Failed,
        Some(_) if matches!(progress.transaction.kind, Kind::Upgrade | Kind::Rollback) => Outcome::RolledBack,
        Some(_) => Outcome::Failed,
    }
}

fn causes(progress: &Progress, back: &TurnedBack) -> Causes {
    let to = &progress.transaction.to;
    let upgrade = match last_failure(progress) {
        Some(failed) if back.fault != Fault::Interrupted => {
            format!(
                "{} to {to} failed in the step {}: {}",
                progress.transaction.kind.word(),
                failed.step.name(),
                back.cause
            )
        }
        _ => back.cause.clone(),
    };
    Causes { upgrade, rollback: how_back(progress) }
}

fn last_failure(progress: &Progress) -> Option<&Tried> {
    progress.tried.iter().rfind(|tried| tried.leg == Leg::Forward && tried.error.is_some())
}

fn how_back(progress: &Progress) -> String {
    let restored = progress.has_ended(Leg::Back, Step::Restore);
    match (progress.transaction.returns_to(), progress.reach()) {
        (_, Reach::Nothing) => "nothing was touched".to_owned(),
        (_, _) if progress.transaction.kind == Kind::Repair => {
            "it was left as it is, for a person to look at".to_owned()
        }
        (None, _) if restored => "it was stopped again and its data put back as it was".to_owned(),
        (None, _) => "it was stopped again".to_owned(),
        (Some(from), _) if restored => format!("rolled back: {from} is healthy again on its own data"),
        (Some(from), _) => format!("rolled back: {from} is healthy again"),
    }
}

fn step(tried: &Tried) -> StepReport {
    let result = match (&tried.ms, &tried.error) {
        (None, _) => "interrupted",
        (_, Some(_)) => "failed",
        _ => "ok",
    };
    StepReport { step: tried.step.name().to_owned(), ms: tried.ms.unwrap_or(0), result: result.to_owned() }
}

fn failed_step(report: &AppReport) -> Option<&str> {
    report.steps.iter().find(|step| step.result == "failed").map(|step| step.step.as_str())
}

fn is_the_versions_fault(step: &str) -> bool {
    [Step::Deploy, Step::AfterDeploy, Step::Gate].iter().any(|at_fault| at_fault.name() == step)
}

impl Subject<'_> {
    /// Writes the alert that an outcome asks for, if any.
    pub(super) fn tell(&self, report: &AppReport) -> Result<()> {
        let Some(news) = self.news(report) else { return Ok(()) };
        alert::raise(&self.ctx.layout, news, self.ctx.config.alerts.dedupe).map(drop)
    }

    fn news(&self, report: &AppReport) -> Option<News> {
        let app = &report.app;
        let to = report.to.as_ref().map_or("?", |version| version.as_str());
        let (kind, title, command) = match report.outcome {
            Outcome::RolledBack if report.causes.is_some() => (
                AlertKind::Rollback,
                format!("{app} {to} failed and was rolled back"),
                format!("release {app} {to}"),
            ),
            Outcome::Stuck => (
                AlertKind::Stuck,
                format!("{app} is stuck: the way back from {to} failed"),
                format!("converge {app}"),
            ),
            // A first install that failed its gate is in quarantine.
            Outcome::Failed
                if report.from.is_none() && failed_step(report).is_some_and(is_the_versions_fault) =>
            {
                (
                    AlertKind::Failed,
                    format!("{app} {to} could not be installed"),
                    format!("release {app} {to}"),
                )
            }
            Outcome::Failed => {
                (AlertKind::Failed, format!("{app} could not be brought to {to}"), format!("plan {app}"))
            }
            Outcome::Recovered => (
                AlertKind::Recovered,
                format!("{app}: an interrupted transaction was finished"),
                format!("history {app}"),
            ),
            _ => return None,
        };
        Some(News {
            kind,
            app: Some(app.clone()),
            version: report.to.clone(),
            cause_key: failed_step(report).unwrap_or_default().to_owned(),
            title,
            body: self.story(report),
            command: Some(format!("warmkeep {command}")),
        })
    }

    fn story(&self, report: &AppReport) -> String {
        let mut story = report.cause.clone().or_else(|| report.reason.clone()).unwrap_or_default();
        if let Some(remedy) = &report.remedy {
            story.push_str("\nwhat helps: ");
            story.push_str(remedy);
        }
        if matches!(report.outcome, Outcome::Failed | Outcome::Stuck) {
            let lines = self.driver.recent_logs(20);
            if !lines.is_empty() {
                story.push_str("\nits last lines of output:\n");
                story.push_str(&lines.join("\n"));
            }
        }
        self.redact.clean(&story)
    }

    /// Tells a person of the newest version that is held, once.
    pub(super) fn tell_holds(&self, choice: &Choice) -> Result<()> {
        let Some(hold) = choice.held.first() else { return Ok(()) };
        let Some(command) = answer_to(&self.app.name, hold) else { return Ok(()) };
        let notes: Vec<String> = hold
            .notes
            .iter()
            .map(|(version, notes)| format!("notes of {version}:\n{}", notes.trim()))
            .collect();
        let news = News {
            kind: AlertKind::Hold,
            app: Some(self.app.name.clone()),
            version: Some(hold.version.clone()),
            cause_key: hold.refusal.word().to_owned(),
            title: format!("{} {} is held: {}", self.app.name, hold.version, hold.refusal.explain()),
            body: self.redact.clean(&[vec![hold.refusal.explain()], notes].concat().join("\n\n")),
            command: Some(format!("warmkeep {command}")),
        };
        alert::raise(&self.ctx.layout, news, self.ctx.config.alerts.dedupe).map(drop)
    }
}

impl Subject<'_> {
    /// Tells a person that a version is held because its snapshot has no room, once.
    pub(super) fn tell_no_room(&self, version: &Version, why: &str) -> Result<()> {
        let news = News {
            kind: AlertKind::Hold,
            app: Some(self.app.name.clone()),
            version: Some(version.clone()),
            cause_key: "noRoom".to_owned(),
            title: format!("{} {version} is held: {why}", self.app.name),
            body: format!(
                "{why}\nFree some space, or raise `snapshots.maxBytes`; the next converge tries again."
            ),
            command: Some(format!("warmkeep plan {}", self.app.name)),
        };
        alert::raise(&self.ctx.layout, news, self.ctx.config.alerts.dedupe).map(drop)
    }
}

/// The command that lets a held version through; `None`: its quarantine was told when it was rolled back.
fn answer_to(app: &str, hold: &Hold) -> Option<String> {
    use crate::versions::gate::Refusal;
    let version = &hold.version;
    match hold.refusal {
        Refusal::Quarantined => None,
        Refusal::Pinned { .. } | Refusal::Denied | Refusal::Downgrade { .. } => {
            Some(format!("deploy {app} {version}"))
        }
        _ => Some(format!("approve {app} {version}")),
    }
}
