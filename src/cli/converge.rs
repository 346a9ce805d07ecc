//! `converge`: bring apps to the state their specs ask for.

use clap::Args;

use super::session::unknown_app;
use super::{Session, output};
use crate::engine::schedule;
use crate::error::Result;
use crate::plan::order::Selection;
use crate::record::report::RunReport;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Only these apps. Those they come after are brought up as well, but not upgraded.
    #[arg(value_name = "APP")]
    apps: Vec<String>,
    /// How many apps are worked on at once.
    #[arg(long, value_name = "N", default_value_t = schedule::JOBS)]
    jobs: usize,
}

pub(super) fn run(session: &Session, options: &Options) -> Result<u8> {
    let config = session.config()?;
    let selection = Selection::of(&config.apps, &options.apps).map_err(|name| unknown_app(&config, &name))?;
    let ctx = session.context(&config)?;
    let report = schedule::run(&ctx, &selection, options.jobs)?;
    show(session, &report)
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
