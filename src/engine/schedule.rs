//! Several apps: dependencies first, independent ones at once, none stopped by another's failure.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::app::converge;
use super::events::Event;
use super::{Context, Subject};
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

struct Board {
    ready: Ready,
    reports: BTreeMap<String, AppReport>,
}

/// Converges a selection of apps, at most `jobs` at once. The host lock is shared with every other run but a nightly
/// one, which holds it alone.
pub fn run(ctx: &Context<'_>, selection: &Selection, jobs: usize) -> Result<RunReport> {
    ctx.layout.create()?;
    let taken = lock::shared(&ctx.layout.host_lock());
    unless_busy(ctx, taken, selection.all(), || run_locked(ctx, selection, jobs))
}

/// The same as the nightly run, which holds the host lock alone.
pub fn run_alone(ctx: &Context<'_>, selection: &Selection, jobs: usize) -> Result<RunReport> {
    ctx.layout.create()?;
    let taken = lock::exclusive(&ctx.layout.host_lock());
    unless_busy(ctx, taken, selection.all(), || run_locked(ctx, selection, jobs))
}

fn run_locked(ctx: &Context<'_>, selection: &Selection, jobs: usize) -> Result<RunReport> {
    let started_at = clock::now();
    signals::listen()?;
    ctx.events.happened(&Event::Planned { apps: selection.len() });
    let board =
        Mutex::new(Board { ready: Ready::new(&ctx.config.apps, selection), reports: BTreeMap::new() });
    let changed = Condvar::new();
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, selection.len().max(1)) {
            scope.spawn(|| work(ctx, selection, &board, &changed));
        }
    });
    let board = board.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(report(ctx, started_at, board.reports.into_values().collect()))
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
        Err(e) if e.kind() == Kind::Busy => {
            Ok(report(ctx, clock::now(), apps.map(|name| busy(name)).collect()))
        }
        Err(e) => Err(e),
    }
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

fn locked(board: &Mutex<Board>) -> MutexGuard<'_, Board> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

fn work(ctx: &Context<'_>, selection: &Selection, board: &Mutex<Board>, changed: &Condvar) {
    while let Some((name, verdict)) = next(ctx, board, changed) {
        let report = match (ctx.config.apps.get(&name), verdict) {
            (Some(app), None) => converge(ctx, app, intent(selection, &name)),
            (_, Some(why)) => skipped(ctx, &name, why),
            (None, None) => skipped(ctx, &name, "it is not declared".into()),
        };
        let mut board = locked(board);
        board.reports.insert(name.clone(), report);
        board.ready.done(&name);
        changed.notify_all();
    }
}

fn intent(selection: &Selection, name: &str) -> Intent {
    if selection.wanted.contains(name) { Intent::Latest } else { Intent::Up }
}

/// Waits for an app that can begin; with why it must be skipped, if a dependency is not up.
fn next(ctx: &Context<'_>, board: &Mutex<Board>, changed: &Condvar) -> Option<(String, Option<String>)> {
    let mut held = locked(board);
    loop {
        if let Some(name) = held.ready.take() {
            let why = ctx.config.apps.get(&name).and_then(|app| dependency_down(ctx, app, &held.reports));
            let why = why.or_else(|| asked_to_end().then(|| "skipped: warmkeep was asked to end".to_owned()));
            return Some((name, why));
        }
        if held.ready.is_finished() {
            changed.notify_all();
            return None;
        }
        held = changed.wait(held).unwrap_or_else(PoisonError::into_inner);
    }
}

fn dependency_down(ctx: &Context<'_>, app: &App, reports: &BTreeMap<String, AppReport>) -> Option<String> {
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
    unless_busy(ctx, taken, std::iter::once(&app.name), || Ok(report(ctx, started_at, vec![work()])))
}
