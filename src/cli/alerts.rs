//! `alerts`: what a person should know.

use clap::Subcommand;
use comfy_table::Cell;
use serde_json::json;

use super::{Session, output};
use crate::alert;
use crate::error::Result;
use crate::record::layout::Layout;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// The open alerts, oldest first, each with the command that answers it.
    List,
}

pub(super) fn run(session: &Session, verb: &Verb) -> Result<u8> {
    match verb {
        Verb::List => list(session),
    }
}

fn list(session: &Session) -> Result<u8> {
    let config = session.config()?;
    let (alerts, unreadable) = alert::list(&Layout::new(&config.host))?;
    for why in &unreadable {
        tracing::warn!(name: "alert.unreadable", error = why);
    }
    if session.global.json {
        output::json(&json!({ "schema": 1, "alerts": alerts, "unreadable": unreadable }))?;
        return Ok(0);
    }
    if alerts.is_empty() {
        output::line("no open alerts")?;
        return Ok(0);
    }
    let mut table = output::table(&["when", "kind", "what", "answer"]);
    for alert in &alerts {
        let answer = alert.command.as_deref().unwrap_or("–");
        table.add_row([
            output::time(alert.at),
            Cell::new(alert.kind.word()),
            Cell::new(&alert.title),
            Cell::new(answer),
        ]);
    }
    output::line(&output::unbroken(table, &[0, 3]))?;
    Ok(0)
}
