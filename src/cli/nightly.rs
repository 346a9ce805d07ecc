//! `nightly`: the whole night, under the host lock.

use clap::Args;

use super::{FAILED, Session, converge, output};
use crate::engine::schedule;
use crate::error::Result;
use crate::plan::order::Selection;
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
    let ctx = session.context(&config)?;
    let everything = Selection { wanted: config.apps.keys().cloned().collect(), ..Selection::default() };
    let report = schedule::run_alone(&ctx, &everything, options.jobs)?;
    let code = converge::show(session, &report)?;
    // What was done was done and told: that its report cannot be kept must not hide how it went.
    Ok(runs::keep(&ctx.layout, &report).map_or_else(
        |e| {
            output::error(&e);
            worse(code, FAILED)
        },
        |()| code,
    ))
}
