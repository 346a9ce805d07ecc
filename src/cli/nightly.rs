//! `nightly`: the whole night, under the host lock.

use clap::Args;

use super::{FAILED, Session, converge, output, rebuild};
use crate::engine::schedule;
use crate::error::Result;
use crate::night::journal::NightReport;
use crate::night::{self, Ended};
use crate::record::layout::Layout;
use crate::record::report::worse;
use crate::record::runs;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// How many apps are worked on at once.
    #[arg(long, value_name = "N", default_value_t = schedule::JOBS)]
    jobs: usize,
}

pub(super) fn run(session: &Session, options: &Options) -> Result<u8> {
    let config = session.config()?;
    let night = match night::run(&config, &session.global.config, &session.progress, options.jobs)? {
        Ended::Over(night) => night,
        Ended::Elsewhere { unit, report } => {
            if session.global.json {
                output::json(&*report)?;
            }
            tracing::info!(name: "night.goesOn", unit, "a switch is running: the night goes on in {unit}");
            return Ok(0);
        }
    };
    show(session, &night)?;
    // What was done was done and told: that its report cannot be kept must not hide how it went.
    Ok(runs::keep(&Layout::new(&config.host), &night.report.run, &night).map_or_else(
        |e| {
            output::error(&e);
            worse(night.exit_code(), FAILED)
        },
        |()| night.exit_code(),
    ))
}

fn show(session: &Session, night: &NightReport) -> Result<()> {
    if session.global.json {
        return output::json(night);
    }
    if let Some(report) = &night.rebuild {
        rebuild::show(report)?;
    }
    converge::show(session, &night.report).map(drop)
}
