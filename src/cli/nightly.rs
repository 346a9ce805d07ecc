//! `nightly`: the whole night, under the host lock.

use clap::Args;

use super::{FAILED, Session, converge, output};
use crate::engine::{night, schedule};
use crate::error::Result;
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
    let report = night::run(&config, &session.progress, options.jobs)?;
    let code = converge::show(session, &report)?;
    // What was done was done and told: that its report cannot be kept must not hide how it went.
    Ok(runs::keep(&Layout::new(&config.host), &report).map_or_else(
        |e| {
            output::error(&e);
            worse(code, FAILED)
        },
        |()| code,
    ))
}
