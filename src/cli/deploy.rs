//! `deploy`: exactly this version, now.

use clap::Args;

use super::{Session, converge};
use crate::engine::{by_hand, schedule};
use crate::error::{Error, Result};
use crate::version::Version;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The app.
    #[arg(value_name = "APP")]
    app: String,
    /// The version, as its source spells it. What the safety gate would have refused is recorded as overridden.
    #[arg(value_name = "VERSION")]
    version: String,
}

pub(super) fn run(session: &Session, options: &Options) -> Result<u8> {
    let config = session.config()?;
    let app = Session::app(&config, &options.app)?;
    let version = version(&options.version)?;
    let ctx = session.context(&config)?;
    let report = schedule::single(&ctx, app, || by_hand::deploy(&ctx, app, &version))?;
    converge::show(session, &report)
}

/// A version that was typed.
pub(super) fn version(text: &str) -> Result<Version> {
    Version::new(text)
        .map_err(|e| Error::usage(format!("`{}` is no version", text.escape_default())).because(e))
}
