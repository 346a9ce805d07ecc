//! The nightly run: the system is rebuilt, then every app is converged, under the host lock.
//!
//! A night that was cut short is carried on by the next one that begins before its deadline: the same run, from the phase
//! that its journal names. A switch may also replace this very binary. Then the new one carries on, in this process: it
//! takes over the lock, and reads the rest in the journal.

pub mod journal;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::model::{Config, Rebuild};
use crate::engine::Context;
use crate::engine::events::Events;
use crate::engine::schedule::{all_busy, run_locked};
use crate::error::{Error, Kind, Result};
use crate::plan::night::{Phase, is_carried_on};
use crate::plan::order::Selection;
use crate::rebuild::report::{Outcome, RebuildReport};
use crate::rebuild::{self, Patience, Turn};
use crate::sys::lock::{self, Lock};
use crate::sys::process::Program;
use crate::sys::signals::{self, asked_to_end};
use crate::sys::{clock, env, files, proc, successor};
use crate::units::time_to_end;

use journal::{NightReport, Unfinished};

/// The unit in which a night goes on that had to leave its own.
const CONTINUED: &str = "warmkeep-nightly-continued.service";

/// How long such a night waits for the host lock: the one that left is about to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// The warmkeep of the running system.
const INSTALLED: &str = "/run/current-system/sw/bin/warmkeep";

/// How a night ended, here.
#[derive(Debug)]
pub enum Ended {
    /// It is over.
    Over(Box<NightReport>),
    /// It goes on in this unit of systemd: a switch was waiting for this process to end.
    Elsewhere(&'static str),
}

/// Runs a night: the system is rebuilt where that is configured, then every app converged, at most `jobs` at once.
pub fn run(config: &Config, events: &dyn Events, jobs: usize) -> Result<Ended> {
    signals::listen()?;
    let ctx = Context::new(config, events)?;
    ctx.layout.create()?;
    match take_host(&ctx) {
        Ok(lock) => Night::begin(ctx, lock)?.run(jobs),
        Err(e) if e.kind() == Kind::Busy => {
            Ok(over(NightReport { report: all_busy(&ctx, config.apps.keys()), rebuild: None }))
        }
        Err(e) => Err(e),
    }
}

fn over(report: NightReport) -> Ended {
    Ended::Over(Box::new(report))
}

/// The host lock, alone: handed over by the night that this one carries on, or else taken.
fn take_host(ctx: &Context<'_>) -> Result<Lock> {
    let path = ctx.layout.host_lock();
    if let Some(inherited) = successor::inherited(&path)? {
        return Ok(inherited);
    }
    let mut taken = lock::exclusive(&path);
    let is_held = |taken: &Result<Lock>| matches!(taken, Err(e) if e.kind() == Kind::Busy);
    if is_held(&taken) && is_in(CONTINUED) {
        proc::wait_until(PATIENCE, || {
            taken = lock::exclusive(&path);
            !is_held(&taken)
        });
    }
    taken
}

fn is_in(unit: &str) -> bool {
    successor::own_service().is_some_and(|own| own == unit)
}

/// A night at work.
struct Night<'a> {
    ctx: Context<'a>,
    lock: Lock,
    state: Unfinished,
}

impl<'a> Night<'a> {
    /// The unfinished night, or else a new one.
    fn begin(mut ctx: Context<'a>, lock: Lock) -> Result<Self> {
        let now = clock::now();
        let unfinished = journal::read(&ctx.layout)?
            .filter(|night| is_carried_on(night.started_at, now, ctx.config.nightly.deadline));
        let state = unfinished.unwrap_or_else(|| Unfinished::new(ctx.run.clone(), now));
        ctx.run = state.run.clone();
        Ok(Self { ctx, lock, state })
    }

    fn run(mut self, jobs: usize) -> Result<Ended> {
        if self.state.phase == Phase::Rebuild
            && let Some(spec) = &self.ctx.config.nightly.rebuild
        {
            self.write();
            match self.rebuild(spec) {
                Turn::Done(report) => self.state.rebuild = Some(*report),
                Turn::Switching(_) if !asked_to_end() => return self.leave(),
                Turn::Switching(report) => return Ok(over(self.cut_short(*report))),
            }
        }
        self.enter_converge();
        self.converge(jobs)
    }

    /// What is left of a rebuild, or else a new one. That it could not even begin is no reason to leave the apps alone.
    fn rebuild(&self, spec: &Rebuild) -> Turn {
        let patience = if may_be_waited_for() { Patience::None } else { Patience::Wait };
        let turn = rebuild::recover(&self.ctx, spec, patience).and_then(|left| match left {
            Some(turn) => Ok(turn),
            None => rebuild::run(&self.ctx, spec, rebuild::Options::default()),
        });
        turn.unwrap_or_else(|e| Turn::Done(Box::new(rebuild::given_up(&self.ctx, spec, &e))))
    }

    /// A switch that is running may be waiting for this very unit to have started: this process ends, and a unit that
    /// nobody waits for carries the night on.
    fn leave(self) -> Result<Ended> {
        let config = self.ctx.config;
        successor::start_in_unit(CONTINUED, time_to_end(config), config.nightly.deadline)?;
        Ok(Ended::Elsewhere(CONTINUED))
    }

    /// Somebody asked this process to end while a switch is running. The next night carries on.
    fn cut_short(self, rebuild: RebuildReport) -> NightReport {
        NightReport { report: all_busy(&self.ctx, std::iter::empty()), rebuild: Some(rebuild) }
    }

    fn enter_converge(&mut self) {
        let first_time = self.state.phase != Phase::Converge;
        self.state.phase = Phase::Converge;
        self.write();
        let switched = self.state.rebuild.as_ref().is_some_and(|report| report.outcome == Outcome::Switched);
        // The newer one would not know that somebody asked this process to end.
        if first_time
            && switched
            && !asked_to_end()
            && let Some(newer) = newer_binary()
        {
            tracing::info!(name: "night.reexecuted", run = self.state.run.as_str(), binary = %newer.display());
            let e = successor::become_newer(&newer, &self.lock);
            tracing::warn!(name: "night.notReexecuted", run = self.state.run.as_str(), error = e.chain());
        }
    }

    fn converge(self, jobs: usize) -> Result<Ended> {
        let apps = self.ctx.config.apps.keys().cloned().collect();
        // On a system that nobody understands, nothing is upgraded.
        let stuck = self.state.rebuild.as_ref().is_some_and(|report| report.outcome == Outcome::Stuck);
        let selection = if stuck {
            Selection { needed: apps, ..Selection::default() }
        } else {
            Selection { wanted: apps, ..Selection::default() }
        };
        let mut report = run_locked(&self.ctx, &selection, jobs)?;
        report.started_at = self.state.started_at;
        self.note(journal::remove(&self.ctx.layout));
        Ok(over(NightReport { report, rebuild: self.state.rebuild }))
    }

    fn write(&self) {
        self.note(journal::write(&self.ctx.layout, &self.state));
    }

    /// A night goes on without its journal (the disk is full): it only saves a later one from doing the same again.
    fn note(&self, written: Result<()>) {
        if let Err(e) = written {
            tracing::warn!(name: "night.notJournaled", run = self.state.run.as_str(), error = e.chain());
        }
    }
}

/// Whether a switch could wait for this process: it restarts units, and waits until they have started.
fn may_be_waited_for() -> bool {
    successor::own_service().is_some_and(|unit| unit != CONTINUED)
}

/// The warmkeep that the new system has, where it is another than this one, and runs. A package may wrap its binary, so
/// that packages are compared by their folders.
fn newer_binary() -> Option<PathBuf> {
    let installed = Path::new(INSTALLED);
    let theirs = files::canonical(installed).ok()?;
    let own = env::own_binary_path()?;
    if theirs.parent() == own.parent() {
        return None;
    }
    let answers = Program::new([INSTALLED, "--version"]).timeout(Duration::from_secs(10)).run_ok();
    match answers {
        Ok(_) => Some(installed.to_owned()),
        Err(e) => {
            let e = Error::new("the new system's warmkeep does not run").because(e);
            tracing::warn!(name: "night.notReexecuted", error = e.chain());
            None
        }
    }
}
