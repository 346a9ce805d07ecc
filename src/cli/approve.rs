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
    let held = decree::is_held(&ctx, app, &version);
    if session.global.json {
        output::json(
            &json!({ "schema": 1, "app": app.name, "version": version, "approved": true, "changed": new, "held": held }),
        )?;
    } else {
        let already = if new { "" } else { " already" };
        let next = if held {
            "the next converge takes it"
        } else {
            "it was not held at the last look, so nothing may come of it"
        };
        output::line(&format!("{} {version} is approved{already}: {next}", app.name))?;
    }
    Ok(0)
}
