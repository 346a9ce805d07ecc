//! `rollback`: back to an earlier version and its data.

use clap::Args;

use super::{Session, converge};
use crate::engine::{by_hand, schedule};
use crate::error::Result;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The app.
    #[arg(value_name = "APP")]
    app: String,
    /// The version or the snapshot to go back to; without it, the newest snapshot of another version.
    #[arg(long, value_name = "VERSION|SNAPSHOT")]
    to: Option<String>,
}

pub(super) fn run(session: &Session, options: &Options) -> Result<u8> {
    let config = session.config()?;
    let app = Session::app(&config, &options.app)?;
    let ctx = session.context(&config)?;
    let report = schedule::single(&ctx, app, || by_hand::roll_back(&ctx, app, options.to.as_deref()))?;
    converge::show(session, &report)
}
