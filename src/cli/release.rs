//! `release`: clear a quarantine.

use serde_json::json;

use super::deploy::AppVersion;
use super::{Session, output};
use crate::engine::decree;
use crate::error::Result;

pub(super) fn run(session: &Session, options: &AppVersion) -> Result<u8> {
    let config = session.config()?;
    let (app, version) = options.resolve(&config)?;
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
