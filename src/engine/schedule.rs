//! Several apps: dependencies first, independent ones at once, none stopped by another's failure.

use jiff::Timestamp;

use super::app::converge;
use super::events::Event;
use super::pool::{self, Reports, work_through};
use super::{Context, Subject};
use crate::alert::redact::Redactor;
use crate::config::model::App;
use crate::error::{Kind, Result};
use crate::plan::converge::Intent;
use crate::plan::order::{Ready, Selection};
use crate::record::document::SCHEMA;
use crate::record::report::{AppReport, Outcome, RunReport};
use crate::sys::signals::{self, asked_to_end};
use crate::sys::{clock, lock};

/// How many apps are worked on at once, unless said otherwise.
pub const JOBS: usize = 8;

/// Converges a selection of apps, at most `jobs` at once. The host lock is shared with every other run but a nightly
/// one, which holds it alone.
pub fn run(ctx: &Context<'_>, selection: &Selection, jobs: usize) -> Result<RunReport> {
    ctx.layout.create()?;
    let taken = lock::shared(&ctx.layout.host_lock());
    unless_busy(ctx, taken, selection.all(), || run_locked(ctx, selection, jobs))
}

/// The same for a caller that holds the host lock.
pub fn run_locked(ctx: &Context<'_>, selection: &Selection, jobs: usize) -> Result<RunReport> {
    let started_at = clock::now();
    signals::listen()?;
    ctx.events.happened(&Event::Planned { apps: selection.len() });
    let ready = Ready::new(&ctx.config.apps, selection);
    let jobs = jobs.clamp(1, selection.len().max(1));
    let reports = work_through(ready, jobs, &|name, before| one(ctx, selection, name, before));
    Ok(report(ctx, started_at, reports.into_values().collect()))
}

/// Works while the host lock is held. Where somebody else has it, each app is reported as busy.
fn unless_busy<'n>(
    ctx: &Context<'_>,
    taken: Result<lock::Lock>,
    apps: impl Iterator<Item = &'n String>,
    work: impl FnOnce() -> Result<RunReport>,
) -> Result<RunReport> {
    match taken {
        Ok(_held) => work(),
        Err(e) if e.kind() == Kind::Busy => Ok(all_busy(ctx, apps)),
        Err(e) => Err(e),
    }
}

/// The report of a run that did nothing, because somebody else has the host lock.
pub fn all_busy<'n>(ctx: &Context<'_>, apps: impl Iterator<Item = &'n String>) -> RunReport {
    report(ctx, clock::now(), apps.map(|name| busy(name)).collect())
}

fn busy(name: &str) -> AppReport {
    AppReport {
        reason: Some("another run holds the host lock".into()),
        remedy: Some("try again when it has ended; `warmkeep status` shows what it does".into()),
        ..AppReport::new(name, Outcome::Busy)
    }
}

fn report(ctx: &Context<'_>, started_at: Timestamp, mut apps: Vec<AppReport>) -> RunReport {
    apps.sort_by(|a, b| a.app.cmp(&b.app));
    RunReport { schema: SCHEMA, run: ctx.run.clone(), started_at, finished_at: clock::now(), apps }
}

/// One app of several, unless something stands against it.
fn one(ctx: &Context<'_>, selection: &Selection, name: &str, before: &Reports) -> AppReport {
    let Some(app) = ctx.config.apps.get(name) else { return skipped(ctx, name, "it is not declared".into()) };
    if let Some(why) = dependency_down(ctx, app, before) {
        return skipped(ctx, name, why);
    }
    if asked_to_end() {
        return skipped(ctx, name, "skipped: warmkeep was asked to end".into());
    }
    guarded(ctx, app, || converge(ctx, app, intent(selection, name)))
}

/// A fault of warmkeep itself ends the work on this app alone, and a person is told.
fn guarded(ctx: &Context<'_>, app: &App, work: impl FnOnce() -> AppReport) -> AppReport {
    pool::caught(work).unwrap_or_else(|why| {
        let report = pool::broken(&app.name, &Redactor::of(app).clean(&why));
        let layout = ctx.layout.app(&app.name);
        if let Err(e) = Subject::new(ctx, app, &layout).and_then(|subject| subject.tell(&report)) {
            tracing::error!(name: "alert.notWritten", app = app.name, error = e.chain());
        }
        ctx.events.happened(&Event::Done { report: &report });
        report
    })
}

fn intent(selection: &Selection, name: &str) -> Intent {
    if selection.wanted.contains(name) { Intent::Latest } else { Intent::Up }
}

fn dependency_down(ctx: &Context<'_>, app: &App, reports: &Reports) -> Option<String> {
    app.after.iter().find_map(|name| {
        let report = reports.get(name)?;
        let down = match report.outcome {
            Outcome::Stuck => true,
            Outcome::Failed | Outcome::Busy => !is_healthy(ctx, name),
            Outcome::Held => report.from.is_none(),
            _ => false,
        };
        down.then(|| {
            format!("skipped: {name}, which it comes after, is not healthy ({})", report.outcome.word())
        })
    })
}

/// A dependency that failed to be upgraded may still serve.
fn is_healthy(ctx: &Context<'_>, name: &str) -> bool {
    let Some(app) = ctx.config.apps.get(name) else { return false };
    let layout = ctx.layout.app(name);
    let look = || -> Result<bool> {
        let subject = Subject::new(ctx, app, &layout)?;
        let observed = subject.observe(&subject.state()?)?;
        Ok(observed.current.is_some() && observed.trouble.is_none())
    };
    look().unwrap_or(false)
}

fn skipped(ctx: &Context<'_>, name: &str, why: String) -> AppReport {
    let report =
        AppReport { reason: Some(why.clone()), cause: Some(why), ..AppReport::new(name, Outcome::Failed) };
    ctx.events.happened(&Event::Done { report: &report });
    report
}

/// Work on one app, asked for by name, as a run of its own.
pub fn single(ctx: &Context<'_>, app: &App, work: impl FnOnce() -> AppReport) -> Result<RunReport> {
    let started_at = clock::now();
    signals::listen()?;
    ctx.layout.create()?;
    let taken = lock::shared(&ctx.layout.host_lock());
    unless_busy(ctx, taken, std::iter::once(&app.name), || {
        Ok(report(ctx, started_at, vec![guarded(ctx, app, work)]))
    })
}
