//! The nightly run, under the host lock.
//!
//! A night that was cut short is carried on by the next one that begins before its deadline: the same run, from the phase
//! that its journal names.

use std::time::Duration;

use super::Context;
use super::events::Events;
use super::schedule::{all_busy, run_locked};
use crate::config::model::Config;
use crate::error::{Kind, Result};
use crate::plan::night::{self, Begun, Phase};
use crate::plan::order::Selection;
use crate::record::night as journal;
use crate::record::report::RunReport;
use crate::sys::lock::{self, Lock};
use crate::sys::{clock, proc, successor};

/// The unit in which a night goes on that had to leave its own.
const CONTINUED: &str = "warmkeep-nightly-continued.service";

/// How long such a night waits for the host lock: the one that left is about to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a night: every app is converged, at most `jobs` at once.
pub fn run(config: &Config, events: &dyn Events, jobs: usize) -> Result<RunReport> {
    let ctx = Context::new(config, events)?;
    ctx.layout.create()?;
    match take_host(&ctx) {
        Ok(_held) => Night::begin(ctx)?.run(jobs),
        Err(e) if e.kind() == Kind::Busy => Ok(all_busy(&ctx, config.apps.keys())),
        Err(e) => Err(e),
    }
}

/// The host lock, alone: handed over by the night that this one carries on, or else taken.
fn take_host(ctx: &Context<'_>) -> Result<Lock> {
    let path = ctx.layout.host_lock();
    if let Some(inherited) = successor::inherited(&path)? {
        return Ok(inherited);
    }
    let mut taken = lock::exclusive(&path);
    let is_held = |taken: &Result<Lock>| matches!(taken, Err(e) if e.kind() == Kind::Busy);
    if is_held(&taken) && successor::own_service().is_some_and(|unit| unit == CONTINUED) {
        proc::wait_until(PATIENCE, || {
            taken = lock::exclusive(&path);
            !is_held(&taken)
        });
    }
    taken
}

/// A night at work.
struct Night<'a> {
    ctx: Context<'a>,
    begun: Begun,
}

impl<'a> Night<'a> {
    /// The unfinished night, or else a new one.
    fn begin(mut ctx: Context<'a>) -> Result<Self> {
        let now = clock::now();
        let unfinished = night::carry_on(journal::read(&ctx.layout)?, now, ctx.config.nightly.deadline);
        let begun = unfinished.unwrap_or_else(|| Begun {
            run: ctx.run.clone(),
            started_at: now,
            phase: Phase::Rebuild,
        });
        ctx.run = begun.run.clone();
        Ok(Self { ctx, begun })
    }

    fn run(mut self, jobs: usize) -> Result<RunReport> {
        self.enter(Phase::Converge);
        let apps = self.ctx.config.apps.keys().cloned().collect();
        let report = run_locked(&self.ctx, &Selection { wanted: apps, ..Selection::default() }, jobs)?;
        self.note(journal::remove(&self.ctx.layout));
        Ok(RunReport { started_at: self.begun.started_at, ..report })
    }

    fn enter(&mut self, phase: Phase) {
        self.begun.phase = phase;
        self.note(journal::write(&self.ctx.layout, &self.begun));
    }

    /// A night goes on without its journal (the disk is full): it only saves a later one from doing the same again.
    fn note(&self, written: Result<()>) {
        if let Err(e) = written {
            tracing::warn!(name: "night.notJournaled", run = self.begun.run.as_str(), error = e.chain());
        }
    }
}
