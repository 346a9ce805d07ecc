//! `approve`: let a held version through.

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
    /// The held version.
    #[arg(value_name = "VERSION")]
    version: String,
}

pub(super) fn run(session: &Session, options: &Options) -> Result<u8> {
    let config = session.config()?;
    let app = Session::app(&config, &options.app)?;
    let version = version(&options.version)?;
    let ctx = session.context(&config)?;
    let new = decree::approve(&ctx, app, &version)?;
    if !decree::is_held(&ctx, app, &version)? {
        tracing::warn!(name: "approve.notHeld", "{version} was not among the held versions at the last look");
    }
    if session.global.json {
        output::json(
            &json!({ "schema": 1, "app": app.name, "version": version, "approved": true, "changed": new }),
        )?;
    } else {
        let already = if new { "" } else { " already" };
        output::line(&format!("{} {version} is approved{already}: the next converge takes it", app.name))?;
    }
    Ok(0)
}
