//! What goes to stdout and stderr, and how tables look.

use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Table, presets};
use serde::Serialize;
use serde_json::json;

use crate::config::Invalid;
use crate::error::{Error, Result};
use crate::record::report::{AppReport, Outcome};
use crate::sys::env;

/// Whether this invocation has printed its JSON document.
static SAID: AtomicBool = AtomicBool::new(false);

/// Prints one JSON document.
pub(super) fn json(document: &impl Serialize) -> Result<()> {
    SAID.store(true, Ordering::Relaxed);
    let text = serde_json::to_string_pretty(document)
        .map_err(|e| Error::new("a report cannot be written as JSON").because(e))?;
    line(&text)
}

/// Prints one JSON document where something worse is about to be told anyway.
pub(super) fn json_or_nothing(document: &impl Serialize) {
    if let Err(e) = json(document) {
        tracing::debug!(name: "output.closed", error = e.chain());
    }
}

/// Prints the JSON document of an invocation that failed before it could print the one of its verb.
pub(super) fn json_error(message: &str, remedy: Option<&str>, kind: &str) {
    if !SAID.load(Ordering::Relaxed) {
        let error = json!({ "message": message, "remedy": remedy, "kind": kind });
        json_or_nothing(&json!({ "schema": 1, "error": error }));
    }
}

/// Prints a line. A reader that went away (a closed pipe) is no failure.
pub(super) fn line(text: &str) -> Result<()> {
    match writeln!(anstream::stdout(), "{text}") {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Error::new("cannot write to stdout").because(e))
        }
        _ => Ok(()),
    }
}

/// Prints an error once: what, why, and what helps.
pub(super) fn error(error: &Error) {
    let red = anstyle::AnsiColor::Red.on_default().bold();
    let cyan = anstyle::AnsiColor::Cyan.on_default().bold();
    let mut stderr = anstream::stderr();
    // With stderr closed there is nobody to tell.
    let _ = writeln!(stderr, "{red}error:{red:#} {}", error.chain());
    if let Some(hint) = error.hint() {
        let _ = writeln!(stderr, " {cyan}help:{cyan:#} {hint}");
    }
}

/// Prints all that is wrong with a configuration.
pub(super) fn report_invalid(invalid: &Invalid) {
    let text = invalid.render(std::io::stderr().is_terminal() && !no_color());
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Whether the user asked for no colour.
pub(super) fn no_color() -> bool {
    env::var("NO_COLOR").is_some()
}

/// An empty table in the house's style.
pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(header.iter().map(|title| Cell::new(title).add_attribute(Attribute::Bold)));
    // Without colour, a terminal is still only so wide.
    let columns = || env::var("COLUMNS")?.to_str()?.parse().ok();
    if let Some(width) = table.width().or_else(columns) {
        table.set_width(width);
    }
    if no_color() {
        table.force_no_tty();
    }
    table
}

/// A table as text; its columns at these places are never broken: a time, or a command that is to be copied.
pub(super) fn unbroken(mut table: Table, columns: &[usize]) -> String {
    for column in columns {
        if let Some(column) = table.column_mut(*column) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    table.to_string()
}

/// A time as a table shows it: to the second.
pub(super) fn time(at: jiff::Timestamp) -> Cell {
    Cell::new(jiff::Timestamp::from_second(at.as_second()).unwrap_or(at))
}

/// A cell for an outcome: a sign, a word, and a colour that only repeats them.
pub(super) fn outcome(outcome: Outcome) -> Cell {
    let (sign, color) = match outcome {
        Outcome::Noop => ("·", Color::Reset),
        Outcome::Installed | Outcome::Upgraded | Outcome::Repaired | Outcome::Recovered => {
            ("✓", Color::Green)
        }
        Outcome::Held | Outcome::Retired => ("‖", Color::Cyan),
        Outcome::RolledBack => ("↩", Color::Yellow),
        Outcome::Busy => ("…", Color::Yellow),
        Outcome::Failed => ("✗", Color::Red),
        Outcome::Stuck => ("‼", Color::Red),
    };
    Cell::new(format!("{sign} {}", outcome.word())).fg(color)
}

/// A table of reports, and below it what went wrong, each with what helps.
pub(super) fn reports(reports: &[AppReport]) -> Result<()> {
    let mut table = table(&["app", "outcome", "version", "down for", "why"]);
    for report in reports {
        table.add_row([
            Cell::new(&report.app),
            outcome(report.outcome),
            Cell::new(versions(report)),
            Cell::new(report.downtime_ms.map(duration).unwrap_or_default()),
            Cell::new(report.reason.as_deref().unwrap_or_default()),
        ]);
    }
    line(&table.to_string())?;
    for report in reports.iter().filter(|report| report.cause.is_some()) {
        line(&trouble(report))?;
    }
    Ok(())
}

/// From which version to which.
pub(super) fn versions(report: &AppReport) -> String {
    match (&report.from, &report.to) {
        (Some(from), Some(to)) if from == to => to.to_string(),
        (Some(from), Some(to)) => format!("{from} → {to}"),
        (None, Some(to)) => format!("→ {to}"),
        (Some(from), None) => from.to_string(),
        (None, None) => String::new(),
    }
}

fn trouble(report: &AppReport) -> String {
    let bold = anstyle::Style::new().bold();
    let mut text = format!("\n{bold}{}{bold:#}", report.app);
    match (&report.causes, &report.cause) {
        (Some(causes), _) => {
            text += &["\n  why:  ", &causes.upgrade, "\n  then: ", &causes.rollback].concat();
        }
        (None, Some(cause)) => text += &["\n  why:  ", cause].concat(),
        (None, None) => {}
    }
    if let Some(remedy) = &report.remedy {
        text += &["\n  help: ", remedy].concat();
    }
    text
}

/// Milliseconds as a person reads them.
pub(super) fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
    }
}

/// Bytes as a person reads them.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut whole = bytes;
    let mut tenth = 0;
    while whole >= 1024 && unit + 1 < UNITS.len() {
        tenth = whole % 1024 * 10 / 1024;
        whole /= 1024;
        unit += 1;
    }
    if unit == 0 { format!("{whole} B") } else { format!("{whole}.{tenth} {}", UNITS[unit]) }
}

/// Seconds as an age.
pub(super) fn age(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{} s ago", seconds.max(0)),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..172_800 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_ages_read_well() {
        assert_eq!([duration(812), duration(1_250), duration(61_000)], ["812 ms", "1.2 s", "1 min 1 s"]);
        assert_eq!(
            [age(5), age(120), age(7_200), age(864_000)],
            ["5 s ago", "2 min ago", "2 h ago", "10 d ago"]
        );
    }
}
