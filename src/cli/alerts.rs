//! `alerts`: what a person should know, and how they are told.

use clap::{Args, Subcommand};
use comfy_table::{Cell, Color};
use serde_json::json;

use super::{BUSY, FAILED, Session, output};
use crate::alert::ack::{self, Wanted};
use crate::alert::relay::{self, Answer, Outcome, RelayReport, SinkReport, When};
use crate::alert::{self, Alert};
use crate::error::{Error, Result};
use crate::record::layout::Layout;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// The open alerts, oldest first, each with the command that answers it.
    List,
    /// Tell the open alerts to the declared sinks; what every sink has is put away.
    Relay(RelayOptions),
    /// Take alerts away that a person has read.
    Ack(AckOptions),
    /// Send a test alert straight to the sinks, and show how each answered.
    SendTest(TestOptions),
}

#[derive(Debug, Args)]
pub(super) struct RelayOptions {
    /// Try every sink, also one that failed and whose time has not come.
    #[arg(long)]
    now: bool,
}

#[derive(Debug, Args)]
pub(super) struct AckOptions {
    /// The id of an alert (eight characters of it, or more), or an app for all of its alerts.
    #[arg(value_name = "ID|APP", required_unless_present = "all", conflicts_with = "all")]
    wanted: Vec<String>,
    /// All open alerts.
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Args)]
pub(super) struct TestOptions {
    /// Only this sink.
    #[arg(long, value_name = "NAME")]
    sink: Option<String>,
}

pub(super) fn run(session: &Session, verb: &Verb) -> Result<u8> {
    match verb {
        Verb::List => list(session),
        Verb::Relay(options) => relay(session, options),
        Verb::Ack(options) => acknowledge(session, options),
        Verb::SendTest(options) => send_test(session, options),
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
    for alert in alerts.iter().take(SHOWN) {
        let answer = alert.command.as_deref().unwrap_or("–");
        table.add_row([
            output::time(alert.at),
            Cell::new(alert.kind.word()),
            Cell::new(&alert.title),
            Cell::new(answer),
        ]);
    }
    output::line(&output::unbroken(table, &[0, 3]))?;
    if alerts.len() > SHOWN {
        let more = alerts.len() - SHOWN;
        output::line(&format!("and {more} more: `warmkeep alerts list --json` has them all"))?;
    }
    Ok(0)
}

/// Nobody reads more rows than these.
const SHOWN: usize = 500;

fn relay(session: &Session, options: &RelayOptions) -> Result<u8> {
    let config = session.config()?;
    let when = if options.now { When::Now } else { When::Due };
    let report = relay::run_when(&config, &Layout::new(&config.host), when)?;
    if session.global.json {
        output::json(&report)?;
    } else {
        show(&report)?;
    }
    for trouble in &report.trouble {
        output::error(&Error::new(trouble));
    }
    Ok(match report.outcome {
        // Nobody knows yet what the other one leaves: whoever started this run must come again.
        Outcome::Busy => BUSY,
        _ if report.is_done() => 0,
        _ => FAILED,
    })
}

fn show(report: &RelayReport) -> Result<()> {
    match report.outcome {
        Outcome::NoSinks => {
            return output::line("no sink is declared in `alerts.sinks`: nothing was sent, nothing moved");
        }
        Outcome::Busy => return output::line("another relay is at work"),
        Outcome::Relayed => {}
    }
    let mut table = output::table(&["sink", "to", "delivered", "waiting", "how it is"]);
    for sink in &report.sinks {
        table.add_row([
            Cell::new(&sink.sink),
            Cell::new(&sink.to),
            Cell::new(sink.delivered),
            Cell::new(sink.waiting),
            state(sink),
        ]);
    }
    output::line(&table.to_string())?;
    for unreadable in &report.unreadable {
        output::error(&Error::new(unreadable));
    }
    Ok(())
}

fn state(sink: &SinkReport) -> Cell {
    let next = sink.next_attempt.map(|at| jiff::Timestamp::from_second(at.as_second()).unwrap_or(at));
    let next = next.map(|at| format!("next attempt after {at}"));
    match (&sink.error, sink.waiting) {
        (Some(error), 1..) => {
            let text = [Some(format!("✗ {error}")), next].into_iter().flatten().collect::<Vec<_>>();
            Cell::new(text.join("; ")).fg(Color::Red)
        }
        (None, 1..) => {
            Cell::new(format!("… {}", next.unwrap_or_else(|| "at the next run".to_owned()))).fg(Color::Yellow)
        }
        (_, 0) => Cell::new("✓ has all").fg(Color::Green),
    }
}

fn acknowledge(session: &Session, options: &AckOptions) -> Result<u8> {
    let config = session.config()?;
    let layout = Layout::new(&config.host);
    let wanted = if options.all { Wanted::All } else { Wanted::Of(&options.wanted) };
    let (open, _) = alert::list(&layout)?;
    if let Some(lost) = wanted.unmatched(&open).into_iter().find(|word| !config.apps.contains_key(*word)) {
        return Err(Error::usage(format!(
            "no open alert has the id `{0}` or is of an app `{0}`",
            lost.escape_default()
        ))
        .remedy("`warmkeep alerts list --json` has all ids"));
    }
    let taken = ack::acknowledge(&layout, wanted, config.alerts.dedupe)?;
    if session.global.json {
        output::json(&json!({ "schema": 1, "acknowledged": taken }))?;
        return Ok(0);
    }
    tell_taken(&taken)?;
    Ok(0)
}

fn tell_taken(taken: &[Alert]) -> Result<()> {
    if taken.is_empty() {
        return output::line("no open alert is among these");
    }
    taken.iter().try_for_each(|alert| output::line(&format!("acknowledged: {}", alert.title)))
}

fn send_test(session: &Session, options: &TestOptions) -> Result<u8> {
    let config = session.config()?;
    let answers = relay::send_test(&config, options.sink.as_deref())?;
    if session.global.json {
        output::json(&json!({ "schema": 1, "sinks": answers }))?;
    } else {
        output::line(&table_of(&answers))?;
    }
    Ok(if answers.iter().all(|answer| answer.ok) { 0 } else { FAILED })
}

fn table_of(answers: &[Answer]) -> String {
    let mut table = output::table(&["sink", "to", "took", "answer"]);
    for answer in answers {
        let (sign, color) = if answer.ok { ("✓", Color::Green) } else { ("✗", Color::Red) };
        table.add_row([
            Cell::new(&answer.sink),
            Cell::new(&answer.to),
            Cell::new(output::duration(answer.ms)),
            Cell::new(format!("{sign} {}", answer.answer)).fg(color),
        ]);
    }
    table.to_string()
}
