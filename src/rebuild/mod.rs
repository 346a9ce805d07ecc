//! The system's own upgrade: build, compare, activate exactly what was built, judge, and go back if it failed.
//!
//! Two things are told apart. Until the new system is built nothing of the host is touched, and a failure is just that
//! (`attempt`). From then on a [`journal::Journal`] says before each step what it is about to do, and `drive` walks
//! its stages: one that finds a journal goes on where it stands.
//!
//! `switch-to-configuration` runs in the transient unit that `nixos-rebuild` uses as well, through [`runner`]: it goes on
//! when whoever began it is killed, which it may do itself by restarting the unit of the nightly run. Its result is
//! durable, so that whoever comes next finds it running ([`decide`]), or finds how it ended ([`verdict`]).

mod attempt;
pub mod closure;
pub mod decide;
mod drive;
pub mod flake;
mod folder;
pub mod journal;
pub mod report;
pub mod runner;
mod switcher;
mod system;
mod tell;
pub mod verdict;

use std::time::Duration;

use crate::config::model::{Rebuild, RebuildAction};
use crate::engine::Context;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::record::document::SCHEMA;
use crate::record::layout::Layout;
use crate::sys::{clock, lock};

use drive::Drive;
use folder::Folder;
use report::{Outcome, RebuildReport, RebuildRun};

/// How long a run of `switch-to-configuration` may take where the configuration does not say it any more.
const UNCONFIGURED: Duration = Duration::from_secs(1800);

/// What a person may ask for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Activate a flake that is older than the one that runs.
    pub allow_older: bool,
}

/// What to do about a switch that is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// Wait until it ends.
    Wait,
    /// Come back at once: it may itself be waiting for this process.
    None,
}

/// How far a rebuild got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// It is over.
    Done(Box<RebuildReport>),
    /// A switch of it is still running, in a unit of its own. Whoever comes next finishes it. The report says so much,
    /// with the outcome `busy`.
    Switching(Box<RebuildReport>),
}

impl Turn {
    /// What is to be reported now.
    pub fn into_report(self) -> RebuildReport {
        match self {
            Self::Done(report) | Self::Switching(report) => *report,
        }
    }
}

/// Rebuilds the system as `nightly.rebuild` says, after finishing what is left of a rebuild before: if there was one,
/// that is what is reported, and no other is begun. The host lock must be held alone.
///
/// A failure before anything of the host was touched is a report as well. An error: this is no NixOS, or what has to be
/// written down cannot be.
pub fn run(ctx: &Context<'_>, spec: &Rebuild, options: Options) -> Result<Turn> {
    if let Some(turn) = recover(ctx, Some(spec), Patience::Wait)? {
        return Ok(turn);
    }
    let folder = Folder::new(&ctx.layout);
    folder.create()?;
    attempt::run(ctx, spec, &folder, options)
}

/// Finishes a rebuild that was interrupted; `None`: there is none, or it had touched nothing and is forgotten.
/// The host lock must be held alone. That no rebuild is configured any more (no `spec`) takes nothing back of one that has
/// begun.
pub fn recover(ctx: &Context<'_>, spec: Option<&Rebuild>, patience: Patience) -> Result<Option<Turn>> {
    let folder = Folder::new(&ctx.layout);
    let Some(journal) = folder.journal()? else { return Ok(None) };
    if journal.stage == journal::Stage::Building {
        folder.forget()?;
        return Ok(None);
    }
    let mut journal = journal;
    journal.notes.push("this finishes a rebuild that was interrupted".into());
    let limit = spec.map_or(UNCONFIGURED, |spec| spec.switch_timeout);
    Drive::new(ctx, limit, &folder, journal, patience).resume().map(Some)
}

/// Whether a rebuild has touched the host and has not come to its end, as far as can be told: one of which the journal
/// cannot be read may have.
pub fn is_unfinished(layout: &Layout) -> bool {
    match Folder::new(layout).journal() {
        Ok(journal) => journal.is_some_and(|journal| journal.stage != journal::Stage::Building),
        Err(_) => true,
    }
}

/// The report of a rebuild that could not go on (an error of [`run`] or [`recover`]), for a night that goes on all the
/// same; a person is told.
pub fn given_up(ctx: &Context<'_>, spec: Option<&Rebuild>, error: &Error) -> RebuildReport {
    let report = tell::redacted(RebuildReport {
        cause: Some(error.chain()),
        remedy: error.hint().map(str::to_owned),
        ..RebuildReport::new(Outcome::Failed, asked(spec))
    });
    if let Err(e) = tell::alert(ctx, &report) {
        tracing::error!(name: "alert.notWritten", error = e.chain());
    }
    report
}

/// The same as a run of its own, which holds the host lock alone. Without a `spec` it only finishes what has begun.
pub fn run_alone(ctx: &Context<'_>, spec: Option<&Rebuild>, options: Options) -> Result<RebuildRun> {
    let started_at = clock::now();
    ctx.layout.create()?;
    let rebuild = match lock::exclusive(&ctx.layout.host_lock()) {
        Ok(_held) => match spec {
            Some(spec) => run(ctx, spec, options)?.into_report(),
            None => recover(ctx, None, Patience::Wait)?.map_or_else(nothing_left, Turn::into_report),
        },
        Err(e) if e.kind() == ErrorKind::Busy => RebuildReport {
            reason: Some("another run holds the host lock".into()),
            remedy: Some("try again when it has ended; `warmkeep status` shows what it does".into()),
            ..RebuildReport::new(Outcome::Busy, asked(spec))
        },
        Err(e) => return Err(e),
    };
    Ok(RebuildRun { schema: SCHEMA, run: ctx.run.clone(), started_at, finished_at: clock::now(), rebuild })
}

fn nothing_left() -> RebuildReport {
    let reason = Some("nothing was left to finish".into());
    RebuildReport { reason, ..RebuildReport::new(Outcome::Noop, asked(None)) }
}

fn asked(spec: Option<&Rebuild>) -> &'static str {
    word(spec.map_or(RebuildAction::Switch, |spec| spec.action))
}

/// The word that `switch-to-configuration`, the configuration and reports use.
pub(crate) fn word(action: RebuildAction) -> &'static str {
    match action {
        RebuildAction::Switch => "switch",
        RebuildAction::Boot => "boot",
        RebuildAction::Test => "test",
    }
}
