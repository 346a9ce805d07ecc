//! The scenes, in order. Each builds on the one before.

use super::stage::{APP, Stage};
use crate::error::Result;
use crate::record::report::{AppReport, Outcome};

/// What a scene saw.
pub(super) struct Seen {
    pub(super) outcome: String,
    pub(super) detail: String,
    pub(super) ok: bool,
}

/// One scene.
pub(super) struct Scene {
    pub(super) title: &'static str,
    pub(super) play: fn(&Stage) -> Result<Seen>,
}

/// All of them.
pub(super) const ALL: &[Scene] = &[
    Scene { title: "install 1.0.0, and write a note", play: install },
    Scene { title: "upgrade to 1.1.0, with its data", play: upgrade },
    Scene { title: "1.2.0 rewrites the data and comes up sick", play: sick },
    Scene { title: "1.3.0 does not even start", play: broken },
    Scene { title: "2.0.0 is a major step: held, and told once", play: major },
    Scene { title: "a person approves 2.0.0", play: approved },
    Scene { title: "kill -9 in the middle of the upgrade to 2.1.0", play: killed },
    Scene { title: "the app itself is killed", play: down },
    Scene { title: "nothing to do: nothing is touched", play: noop },
];

const NOTE: &str = "buy milk";

fn install(stage: &Stage) -> Result<Seen> {
    stage.release("1.0.0", "")?;
    let report = stage.run(&["converge"])?;
    stage.write_note(NOTE)?;
    let ok = report.outcome == Outcome::Installed && stage.notes()?.contains(NOTE);
    seen(stage, &report, ok, "it serves, and keeps the note")
}

fn upgrade(stage: &Stage) -> Result<Seen> {
    stage.release("1.1.0", "")?;
    let report = stage.run(&["converge"])?;
    let ok =
        report.outcome == Outcome::Upgraded && stage.version()? == "1.1.0" && stage.notes()?.contains(NOTE);
    seen(stage, &report, ok, "the note is still there")
}

fn sick(stage: &Stage) -> Result<Seen> {
    let before = stage.data()?;
    stage.release("1.2.0", "rewrites sick")?;
    let report = stage.run(&["converge"])?;
    let same = stage.data()? == before;
    let ok = report.outcome == Outcome::RolledBack && stage.version()? == "1.1.0" && same;
    seen(stage, &report, ok, "1.1.0 serves again, its data byte for byte the same")
}

fn broken(stage: &Stage) -> Result<Seen> {
    let before = stage.data()?;
    stage.release("1.3.0", "crashes")?;
    let report = stage.run(&["converge"])?;
    let ok = report.outcome == Outcome::RolledBack && stage.version()? == "1.1.0" && stage.data()? == before;
    seen(stage, &report, ok, "1.1.0 serves again; 1.3.0 is in quarantine")
}

fn major(stage: &Stage) -> Result<Seen> {
    stage.release("2.0.0", "")?;
    let report = stage.run(&["converge"])?;
    let ok = report.outcome == Outcome::Held && stage.version()? == "1.1.0";
    seen(stage, &report, ok, "`warmkeep approve notes 2.0.0` would let it through")
}

fn approved(stage: &Stage) -> Result<Seen> {
    stage.tell(&["approve", APP, "2.0.0"])?;
    let report = stage.run(&["converge"])?;
    let ok =
        report.outcome == Outcome::Upgraded && stage.version()? == "2.0.0" && stage.notes()?.contains(NOTE);
    seen(stage, &report, ok, "the approval is used up, the note still there")
}

fn killed(stage: &Stage) -> Result<Seen> {
    let before = stage.data()?;
    stage.release("2.1.0", "slow")?;
    let mut converge = stage.converge_in_background()?;
    let reached = stage.wait_for_step("gate");
    converge.kill()?;
    let report = stage.run(&["converge"])?;
    let ok = reached
        && report.outcome == Outcome::Recovered
        && stage.version()? == "2.1.0"
        && stage.data()? == before;
    seen(stage, &report, ok, "the next converge finished what the dead one began")
}

fn down(stage: &Stage) -> Result<Seen> {
    stage.kill_app()?;
    let report = stage.run(&["converge"])?;
    let ok = report.outcome == Outcome::Repaired && stage.notes()?.contains(NOTE);
    seen(stage, &report, ok, "last-good is up again")
}

fn noop(stage: &Stage) -> Result<Seen> {
    let report = stage.run(&["converge"])?;
    let ok = report.outcome == Outcome::Noop && stage.version()? == "2.1.0";
    seen(stage, &report, ok, "one probe, no restart")
}

fn seen(stage: &Stage, report: &AppReport, ok: bool, detail: &str) -> Result<Seen> {
    let downtime = report.downtime_ms.map(|ms| format!(" (down for {ms} ms)")).unwrap_or_default();
    let detail = if ok {
        format!("{detail}{downtime}")
    } else {
        let cause = report.cause.clone().or_else(|| report.reason.clone()).unwrap_or_default();
        format!("NOT as it should be: {} serves {}; {cause}", APP, stage.version()?)
    };
    Ok(Seen { outcome: report.outcome.word().to_owned(), detail, ok })
}
