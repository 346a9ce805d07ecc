//! `converge`: bring apps to the state their specs ask for.

use clap::Args;

use super::session::unknown_app;
use super::{Session, output};
use crate::config::model::Config;
use crate::engine::schedule;
use crate::error::Result;
use crate::plan::order::Selection;
use crate::record::report::{Outcome, RunReport, worst};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Only these apps. Those they come after are brought up as well, but not upgraded.
    #[arg(value_name = "APP")]
    apps: Vec<String>,
    /// How many apps are worked on at once.
    #[arg(long, value_name = "N", default_value_t = schedule::JOBS)]
    jobs: usize,
    /// Only bring up what is down, at its last-good version: what a boot does. Exactly the named apps, or all; where
    /// another run is at work on them already, there is nothing to do.
    #[arg(long)]
    up: bool,
}

pub(super) fn run(session: &Session, options: &Options) -> Result<u8> {
    let config = session.config()?;
    let selection = selection(&config, options).map_err(|name| unknown_app(&config, &name))?;
    let ctx = session.context(&config)?;
    let report = schedule::run(&ctx, &selection, options.jobs)?;
    let code = show(session, &report)?;
    Ok(if options.up { worst_but_busy(&report) } else { code })
}

fn selection(config: &Config, options: &Options) -> std::result::Result<Selection, String> {
    if options.up {
        Selection::up(&config.apps, &options.apps)
    } else {
        Selection::of(&config.apps, &options.apps)
    }
}

/// A switch of the system waits for the units that bring apps up, and the run that it belongs to works on the apps
/// itself: to wait for that run, or to fail because of it, would be wrong.
fn worst_but_busy(report: &RunReport) -> u8 {
    worst(report.apps.iter().map(|app| app.outcome).filter(|outcome| *outcome != Outcome::Busy))
}

/// Prints a run's report; its exit code.
pub(super) fn show(session: &Session, report: &RunReport) -> Result<u8> {
    if session.global.json {
        output::json(report)?;
    } else if report.apps.is_empty() {
        output::line("no app is declared")?;
    } else {
        output::reports(&report.apps)?;
    }
    Ok(report.exit_code())
}
