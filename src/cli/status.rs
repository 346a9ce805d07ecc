//! `status`: how every app is, at a glance.

use comfy_table::{Cell, Color};

use super::{Session, output};
use crate::error::Result;
use crate::record::layout::Layout;
use crate::status::Health;
use crate::status::view::{AppStatus, Status, compose};

pub(super) fn run(session: &Session) -> Result<u8> {
    let config = session.config()?;
    let status = compose(&config, &Layout::new(&config.host))?;
    if session.global.json {
        output::json(&status)?;
    } else {
        show(&status)?;
    }
    Ok(0)
}

fn show(status: &Status) -> Result<()> {
    if status.apps.is_empty() {
        return output::line("no app is declared, and none is known");
    }
    let mut table = output::table(&["app", "health", "version", "seen", "last outcome", "to know"]);
    for app in &status.apps {
        table.add_row([
            Cell::new(&app.app),
            health(app.health),
            Cell::new(app.version.as_ref().map_or("–", |version| version.as_str())),
            seen(app),
            last(app),
            Cell::new(notes(app).join("; ")),
        ]);
    }
    output::line(&table.to_string())?;
    output::line(&footer(status))
}

fn seen(app: &AppStatus) -> Cell {
    let age = app.last_probe_age_s.map_or_else(|| "never".to_owned(), output::age);
    if app.is_stale() { Cell::new(format!("{age} (stale)")).fg(Color::Yellow) } else { Cell::new(age) }
}

fn health(health: Health) -> Cell {
    let (text, color) = match health {
        Health::Healthy => ("● healthy", Color::Green),
        Health::Degraded => ("◐ degraded", Color::Yellow),
        Health::Unhealthy => ("○ unhealthy", Color::Red),
        Health::Down => ("✗ down", Color::Red),
        Health::Unknown => ("? unknown", Color::Reset),
    };
    Cell::new(text).fg(color)
}

fn last(app: &AppStatus) -> Cell {
    match &app.last_outcome {
        None => Cell::new("–"),
        Some(last) => output::outcome(last.outcome),
    }
}

fn notes(app: &AppStatus) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(error) = &app.error {
        notes.push(error.clone());
    }
    if !app.declared {
        notes.push(format!("not declared any more: `warmkeep retire {}`", app.app));
    }
    if let Some(stuck) = &app.stuck {
        notes.push(format!("stuck: {stuck}"));
    } else if app.unfinished {
        notes.push("a transaction is unfinished".to_owned());
    }
    if let Some(error) = &app.last_error {
        notes.push(error.clone());
    }
    notes.extend(app.held.first().map(|held| format!("{} held: {}", held.version, held.why)));
    notes.extend(app.quarantined.iter().map(|q| format!("{} in quarantine", q.version)));
    notes.extend(app.approved.iter().map(|version| format!("{version} approved")));
    notes
}

fn footer(status: &Status) -> String {
    let alerts = match status.open_alerts {
        0 => "no open alerts".to_owned(),
        1 => "1 open alert: `warmkeep alerts list`".to_owned(),
        more => format!("{more} open alerts: `warmkeep alerts list`"),
    };
    let disk = status.disk.map_or_else(String::new, |disk| {
        format!(" · disk {} % used, {} free", disk.used_percent, output::size(disk.free_bytes))
    });
    format!("{alerts}{disk}")
}
