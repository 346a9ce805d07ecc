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

/// How long such a night waits for the host lock: the one that left is about to end, but what the switch starts meanwhile
/// may bring apps up.
const PATIENCE: Duration = Duration::from_secs(900);

/// How long the new system's warmkeep may take to look at the configuration.
const CHECK: Duration = Duration::from_secs(60);

/// The warmkeep of the running system.
const INSTALLED: &str = "/run/current-system/sw/bin/warmkeep";

/// How a night ended, here.
#[derive(Debug)]
pub enum Ended {
    /// It is over.
    Over(Box<NightReport>),
    /// It goes on in another unit of systemd: a switch was waiting for this process to end.
    Elsewhere {
        /// The unit.
        unit: &'static str,
        /// What can be said so far.
        report: Box<NightReport>,
    },
}

/// Runs a night: the system is rebuilt where that is configured, then every app converged, at most `jobs` at once.
/// `settings` is where the configuration was read from.
pub fn run(config: &Config, settings: &Path, events: &dyn Events, jobs: usize) -> Result<Ended> {
    signals::listen()?;
    let ctx = Context::new(config, events)?;
    ctx.layout.create()?;
    match take_host(&ctx) {
        Ok(lock) => Night::begin(ctx, lock, settings)?.run(jobs),
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
    settings: &'a Path,
    state: Unfinished,
}

impl<'a> Night<'a> {
    /// The unfinished night, or else a new one.
    fn begin(mut ctx: Context<'a>, lock: Lock, settings: &'a Path) -> Result<Self> {
        let now = clock::now();
        let unfinished = journal::read(&ctx.layout)?
            .filter(|night| is_carried_on(night.started_at, now, ctx.config.nightly.deadline));
        let state = unfinished.unwrap_or_else(|| Unfinished::new(ctx.run.clone(), now));
        ctx.run = state.run.clone();
        Ok(Self { ctx, lock, settings, state })
    }

    fn run(mut self, jobs: usize) -> Result<Ended> {
        let spec = self.ctx.config.nightly.rebuild.as_ref();
        if self.state.phase == Phase::Rebuild && (spec.is_some() || rebuild::is_unfinished(&self.ctx.layout))
        {
            self.write();
            match self.rebuild(spec) {
                Some(Turn::Done(report)) => self.state.rebuild = Some(*report),
                Some(Turn::Switching(report)) if !asked_to_end() => return self.leave(*report),
                Some(Turn::Switching(report)) => return Ok(over(self.cut_short(*report))),
                None => {}
            }
        }
        self.enter_converge();
        self.converge(jobs)
    }

    /// What is left of a rebuild, or else a new one, where one is configured. That it could not even begin is no reason to
    /// leave the apps alone.
    fn rebuild(&self, spec: Option<&Rebuild>) -> Option<Turn> {
        let patience = if may_be_waited_for() { Patience::None } else { Patience::Wait };
        let turn = rebuild::recover(&self.ctx, spec, patience).and_then(|left| match (left, spec) {
            (None, Some(spec)) => rebuild::run(&self.ctx, spec, rebuild::Options::default()).map(Some),
            (left, _) => Ok(left),
        });
        turn.unwrap_or_else(|e| Some(Turn::Done(Box::new(rebuild::given_up(&self.ctx, spec, &e)))))
    }

    /// A switch that is running may be waiting for this very unit to have started: this process ends, and a unit that
    /// nobody waits for carries the night on.
    fn leave(self, rebuild: RebuildReport) -> Result<Ended> {
        let config = self.ctx.config;
        successor::start_in_unit(CONTINUED, time_to_end(config), config.nightly.deadline)?;
        let reason = Some(format!("its switch is still running; the night goes on in {CONTINUED}"));
        let report = self.cut_short(RebuildReport { reason, ..rebuild });
        Ok(Ended::Elsewhere { unit: CONTINUED, report: Box::new(report) })
    }

    /// Somebody asked this process to end while a switch is running. The next night carries on.
    fn cut_short(self, rebuild: RebuildReport) -> NightReport {
        NightReport { report: all_busy(&self.ctx, std::iter::empty()), rebuild: Some(rebuild) }
    }

    fn enter_converge(&mut self) {
        let first_time = self.state.phase != Phase::Converge;
        self.state.phase = Phase::Converge;
        // A newer binary that could not read how the rebuild ended would tell nobody, and one that does not know that this
        // process was asked to end would not end.
        let may_hand_over = self.write() && !asked_to_end();
        let switched = self.state.rebuild.as_ref().is_some_and(|report| report.outcome == Outcome::Switched);
        if first_time
            && switched
            && may_hand_over
            && let Some(newer) = newer_binary(self.settings)
        {
            tracing::info!(name: "night.reexecuted", run = self.state.run.as_str(), binary = %newer.display());
            let e = successor::become_newer(&newer, &self.lock);
            tracing::warn!(name: "night.notReexecuted", run = self.state.run.as_str(), error = e.chain());
        }
    }

    fn converge(self, jobs: usize) -> Result<Ended> {
        let apps = self.ctx.config.apps.keys().cloned().collect();
        // On a system that nobody understands, nothing is upgraded.
        let selection = if rebuild::is_unfinished(&self.ctx.layout) {
            Selection { needed: apps, ..Selection::default() }
        } else {
            Selection { wanted: apps, ..Selection::default() }
        };
        let mut report = run_locked(&self.ctx, &selection, jobs)?;
        report.started_at = self.state.started_at;
        self.note(&journal::remove(&self.ctx.layout));
        Ok(over(NightReport { report, rebuild: self.state.rebuild }))
    }

    fn write(&self) -> bool {
        self.note(&journal::write(&self.ctx.layout, &self.state))
    }

    /// A night goes on without its journal (the disk is full): it only saves a later one from doing the same again.
    fn note(&self, written: &Result<()>) -> bool {
        if let Err(e) = written {
            tracing::warn!(name: "night.notJournaled", run = self.state.run.as_str(), error = e.chain());
        }
        written.is_ok()
    }
}

/// Whether a switch could wait for this process: it restarts units, and waits until they have started.
fn may_be_waited_for() -> bool {
    successor::own_service().is_some_and(|unit| unit != CONTINUED)
}

/// The warmkeep that the new system has, where it is another than this one, and runs. A package may wrap its binary, so
/// that packages are compared by their folders.
///
/// One that refuses this configuration would end here, and nobody would hear of the night.
fn newer_binary(settings: &Path) -> Option<PathBuf> {
    let installed = Path::new(INSTALLED);
    let theirs = files::canonical(installed).ok()?;
    let own = env::own_binary_path()?;
    if theirs.parent() == own.parent() {
        return None;
    }
    let settings = settings.to_string_lossy();
    let checks = Program::new([INSTALLED, "--config", &settings, "check"]).timeout(CHECK).run_ok();
    match checks {
        Ok(_) => Some(installed.to_owned()),
        Err(e) => {
            let e = Error::new("the new system's warmkeep does not run with this configuration").because(e);
            tracing::warn!(name: "night.notReexecuted", error = e.chain());
            None
        }
    }
}
