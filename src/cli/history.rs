//! `history`: what happened.

use clap::Args;
use comfy_table::Cell;
use serde_json::json;

use super::session::unknown_app;
use super::{Session, output};
use crate::config::model::Config;
use crate::error::Result;
use crate::record::history::{Entry, read};
use crate::record::layout::Layout;
use crate::sys::files;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Only this app.
    #[arg(value_name = "APP")]
    app: Option<String>,
    /// At most so many, the newest.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
    lines: usize,
}

pub(super) fn run(session: &Session, options: &Options) -> Result<u8> {
    let config = session.config()?;
    let (mut entries, unreadable) = collect(&config, options.app.as_deref())?;
    entries.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
    entries.drain(..entries.len().saturating_sub(options.lines));
    if unreadable > 0 {
        tracing::warn!(name: "history.unreadable", lines = unreadable, "some lines of history cannot be read");
    }
    if session.global.json {
        output::json(&json!({ "schema": 1, "entries": entries, "unreadable": unreadable }))?;
    } else {
        show(&entries)?;
    }
    Ok(0)
}

fn collect(config: &Config, app: Option<&str>) -> Result<(Vec<Entry>, usize)> {
    let layout = Layout::new(&config.host);
    let names: Vec<String> = match app {
        Some(name) if config.apps.contains_key(name) || files::exists(&layout.app(name).history()) => {
            vec![name.into()]
        }
        Some(name) => return Err(unknown_app(config, name)),
        None => files::list(&layout.apps())?
            .iter()
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .collect(),
    };
    let mut all = (Vec::new(), 0);
    for name in names {
        let (entries, unreadable) = read(&layout.app(&name).history())?;
        all.0.extend(entries);
        all.1 += unreadable;
    }
    Ok(all)
}

fn show(entries: &[Entry]) -> Result<()> {
    if entries.is_empty() {
        return output::line("nothing has happened yet");
    }
    let mut table = output::table(&["when", "app", "outcome", "version", "why"]);
    for entry in entries {
        let report = &entry.report;
        let why = report.causes.as_ref().map(|causes| &causes.upgrade);
        let why = why.or(report.cause.as_ref()).or(report.reason.as_ref());
        table.add_row([
            output::time(entry.at),
            Cell::new(&report.app),
            output::outcome(report.outcome),
            Cell::new(output::versions(report)),
            Cell::new(why.map_or("", String::as_str)),
        ]);
    }
    output::line(&output::unbroken(table, &[0, 2]))
}
