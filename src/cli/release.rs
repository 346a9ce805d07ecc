//! `release`: clear a quarantine.

use clap::Args;
use serde_json::json;

use super::deploy::version;
use super::{Session, output};
use crate::engine::decree;
use crate::error::Result;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The app.
    #[arg(value_name = "APP")]
    app: String,
    /// The version in quarantine.
    #[arg(value_name = "VERSION")]
    version: String,
}

pub(super) fn run(session: &Session, options: &Options) -> Result<u8> {
    let config = session.config()?;
    let app = Session::app(&config, &options.app)?;
    let version = version(&options.version)?;
    let ctx = session.context(&config)?;
    decree::release(&ctx, app, &version)?;
    if session.global.json {
        output::json(&json!({ "schema": 1, "app": app.name, "version": version, "released": true }))?;
    } else {
        output::line(&format!(
            "{} {version} is out of quarantine: the next converge may try it again",
            app.name
        ))?;
    }
    Ok(0)
}
