//! `approve`: let a held version through.

use serde_json::json;

use super::deploy::AppVersion;
use super::{Session, output};
use crate::engine::decree::{self, Approved};
use crate::error::Result;

pub(super) fn run(session: &Session, options: &AppVersion) -> Result<u8> {
    let config = session.config()?;
    let (app, version) = options.resolve(&config)?;
    let ctx = session.context(&config)?;
    let approved = decree::approve(&ctx, app, &version)?;
    let recorded = matches!(approved, Approved::Recorded | Approved::Already);
    let held = decree::is_held(&ctx, app, &version);
    if recorded && !held {
        tracing::warn!(name: "approve.notHeld", "{version} was not among the held versions at the last look");
    }
    if session.global.json {
        output::json(&json!({
            "schema": 1, "app": app.name, "version": version, "approved": recorded,
            "changed": approved == Approved::Recorded, "held": held
        }))?;
    } else {
        output::line(&format!("{} {version} {}", app.name, words(&approved, held)))?;
    }
    Ok(0)
}

fn words(approved: &Approved, held: bool) -> String {
    let already = match approved {
        Approved::Recorded => "",
        Approved::Already => " already",
        Approved::Running => return "is what runs: there is nothing to approve".to_owned(),
        Approved::Passed(current) => {
            return format!("is older than {current}, which runs: nothing to approve");
        }
    };
    if held {
        format!("is approved{already}: the next converge takes it")
    } else {
        format!(
            "is approved{already}, but nothing listed it as held at the last look: it is taken once it is listed"
        )
    }
}
