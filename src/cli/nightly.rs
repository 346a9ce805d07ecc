//! `nightly`: the whole night, under the host lock.

use std::path::Path;

use clap::Args;

use super::{FAILED, Session, converge, output};
use crate::engine::schedule;
use crate::error::{Error, Result};
use crate::plan::order::Selection;
use crate::record::document;
use crate::sys::files;

/// How many reports of nights are kept.
const NIGHTS: usize = 100;

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
    let kept = document::write(&ctx.layout.runs().join(format!("{}.json", report.run)), &report)
        .and_then(|()| prune(&ctx.layout.runs()));
    if let Err(e) = kept {
        output::error(&Error::new("the report of this night could not be kept").because(e));
        return Ok(if code == 0 { FAILED } else { code });
    }
    Ok(code)
}

/// Ids sort by time: the first ones are the oldest.
fn prune(runs: &Path) -> Result<()> {
    let reports = files::list(runs)?;
    let beyond = reports.len().saturating_sub(NIGHTS);
    reports.iter().take(beyond).try_for_each(|report| files::remove_file(report))
}
