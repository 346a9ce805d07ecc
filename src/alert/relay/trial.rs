//! A test alert, straight to the sinks; nothing is kept of it.

use serde::Serialize;

use super::{side_by_side, sink};
use crate::alert::{Alert, Kind};
use crate::config::model::{Config, Sink};
use crate::error::{Error, Result};
use crate::id::RunId;
use crate::record::document::SCHEMA;
use crate::sys::clock::{self, Stopwatch};
use crate::sys::env;

/// How one sink answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The sink.
    pub sink: String,
    /// Where alerts go: a webhook's scheme and host, or a program.
    pub to: String,
    /// Whether it took the alert.
    pub ok: bool,
    /// What it answered, or why it did not.
    pub answer: String,
    /// How long that took, in milliseconds.
    pub ms: u64,
}

/// Sends a test alert to all sinks, or to the one of this name, and waits for every answer.
pub fn send_test(config: &Config, only: Option<&str>) -> Result<Vec<Answer>> {
    let sinks: Vec<_> = config
        .alerts
        .sinks
        .iter()
        .filter(|(name, _)| only.is_none_or(|only| only == name.as_str()))
        .collect();
    if sinks.is_empty() {
        return Err(nobody(config, only));
    }
    let host = env::host_name();
    let alert = alert(&host)?;
    let answers = side_by_side(&sinks, |name, sink| ask(name, sink, &alert, &host));
    let answers = sinks.iter().zip(answers);
    Ok(answers.map(|((name, sink), answer)| answer.unwrap_or_else(|| broken(name, sink))).collect())
}

fn nobody(config: &Config, only: Option<&str>) -> Error {
    let Some(only) = only else {
        return Error::new("no sink is declared, so that nobody is told of anything")
            .remedy("declare one in `alerts.sinks`; docs/configuration.md has them all");
    };
    let names: Vec<&str> = config.alerts.sinks.keys().map(String::as_str).collect();
    let known = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    Error::usage(format!("there is no sink `{}`", only.escape_default()))
        .remedy(format!("declared are: {known}"))
}

fn ask(name: &str, sink: &Sink, alert: &Alert, host: &str) -> Answer {
    let watch = Stopwatch::start();
    let (ok, answer) = match sink::deliver(sink, alert, host) {
        Ok(answer) => (true, answer),
        Err(refusal) => (false, refusal.why),
    };
    Answer { sink: name.to_owned(), to: sink::place(sink), ok, answer, ms: watch.ms() }
}

fn broken(name: &str, sink: &Sink) -> Answer {
    let answer = "a bug in warmkeep: the delivery panicked".to_owned();
    Answer { sink: name.to_owned(), to: sink::place(sink), ok: false, answer, ms: 0 }
}

/// The alert that is sent.
pub(super) fn alert(host: &str) -> Result<Alert> {
    let id = RunId::new()?;
    Ok(Alert {
        schema: SCHEMA,
        at: clock::now(),
        kind: Kind::Test,
        severity: Kind::Test.severity(),
        app: None,
        version: None,
        title: "a test alert".to_owned(),
        body: format!("Somebody on {host} wants to know whether alerts arrive. This one did."),
        command: None,
        dedupe_key: format!("test/warmkeep/-/{id}"),
        id,
    })
}
