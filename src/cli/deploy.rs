//! `deploy`: exactly this version, now.

use clap::Args;

use super::{Session, converge};
use crate::config::model::{App, Config};
use crate::engine::{by_hand, schedule};
use crate::error::{Error, Result};
use crate::version::Version;

/// An app and one of its versions.
#[derive(Debug, Args)]
pub(super) struct AppVersion {
    /// The app.
    #[arg(value_name = "APP")]
    app: String,
    /// The version, as its source spells it.
    #[arg(value_name = "VERSION")]
    version: String,
}

impl AppVersion {
    /// Both, where the app is declared and the version is one.
    pub(super) fn resolve<'a>(&self, config: &'a Config) -> Result<(&'a App, Version)> {
        Ok((Session::app(config, &self.app)?, version(&self.version)?))
    }
}

pub(super) fn run(session: &Session, options: &AppVersion) -> Result<u8> {
    let config = session.config()?;
    let (app, version) = options.resolve(&config)?;
    let ctx = session.context(&config)?;
    let report = schedule::single(&ctx, app, || by_hand::deploy(&ctx, app, &version))?;
    converge::show(session, &report)
}

/// A version that was typed.
fn version(text: &str) -> Result<Version> {
    Version::new(text)
        .map_err(|e| Error::usage(format!("`{}` is no version", text.escape_default())).because(e))
}
