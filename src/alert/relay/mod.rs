//! Open alerts are told to every declared sink, once each, and put away when all of them have it.
//!
//! What a sink took is written down after it took it: whoever is killed in between tells that one alert twice. Each
//! delivery carries the alert's id (`Idempotency-Key`, and `id` in the JSON), so that a receiver can tell.
//!
//! A run tells all sinks at the same time, each oldest first (`pace`). It never begins what could outlast it, so that a
//! sink that hangs delays neither another sink nor whoever started the run.

mod desk;
mod form;
mod pace;
mod sink;
mod teller;
mod trial;

use std::thread::Builder;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

pub use trial::{Answer, send_test};

use self::desk::Desk;
use self::teller::Teller;
use super::seen;
use crate::config::model::{Config, Sink};
use crate::error::{Error, Kind, Result};
use crate::record::document::SCHEMA;
use crate::record::layout::Layout;
use crate::sys::clock::{self, Deadline};
use crate::sys::{env, lock};

/// How long a run tells, unless one delivery alone may take longer.
const RUN: Duration = Duration::from_secs(120);

/// What a run of the relay did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RelayReport {
    /// Schema of the document.
    pub schema: u64,
    /// Whether it told anybody.
    pub outcome: Outcome,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// The sinks, by name.
    pub sinks: Vec<SinkReport>,
    /// How many alerts were put away, because every sink has them.
    pub settled: usize,
    /// The files of alerts that nobody can read; they stay.
    pub unreadable: Vec<String>,
    /// What could not be written down or cleared away.
    pub trouble: Vec<String>,
}

/// Whether a run told anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// The sinks were told, or there was nothing to tell.
    Relayed,
    /// No sink is declared: nothing moves.
    NoSinks,
    /// Another relay is at work.
    Busy,
}

/// How one sink fared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SinkReport {
    /// Its name.
    pub sink: String,
    /// Where alerts go: a webhook's scheme and host, or a program.
    pub to: String,
    /// How many alerts it took.
    pub delivered: usize,
    /// How many it has not yet.
    pub waiting: usize,
    /// Not before then again.
    pub next_attempt: Option<Timestamp>,
    /// Why it did not take what it did not take last.
    pub error: Option<String>,
}

impl SinkReport {
    fn new(name: &str, sink: &Sink, waiting: usize) -> Self {
        let to = sink::place(sink);
        Self { sink: name.to_owned(), to, delivered: 0, waiting, next_attempt: None, error: None }
    }
}

impl RelayReport {
    fn idle(outcome: Outcome, started_at: Timestamp) -> Self {
        Self {
            schema: SCHEMA,
            outcome,
            started_at,
            finished_at: clock::now(),
            sinks: Vec::new(),
            settled: 0,
            unreadable: Vec::new(),
            trouble: Vec::new(),
        }
    }

    /// Whether nothing is left to be done by a later run, or by a person.
    pub fn is_done(&self) -> bool {
        self.sinks.iter().all(|sink| sink.waiting == 0)
            && self.unreadable.is_empty()
            && self.trouble.is_empty()
    }
}

/// Which sinks are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Those whose time has come.
    Due,
    /// All.
    Now,
}

/// Tells the sinks whose time has come.
///
/// # Errors
/// Nothing can be read or written at all; that a sink takes nothing is in the report.
pub fn run(config: &Config, layout: &Layout) -> Result<RelayReport> {
    run_when(config, layout, When::Due)
}

/// Tells the sinks whose time has come, or all.
///
/// # Errors
/// As for [`run`].
pub fn run_when(config: &Config, layout: &Layout, when: When) -> Result<RelayReport> {
    let started_at = clock::now();
    if config.alerts.sinks.is_empty() {
        return Ok(RelayReport::idle(Outcome::NoSinks, started_at));
    }
    layout.create_alerts()?;
    let _alone = match lock::exclusive(&layout.relay_lock()) {
        Err(e) if e.kind() == Kind::Busy => return Ok(RelayReport::idle(Outcome::Busy, started_at)),
        taken => taken?,
    };
    let desk = Desk::open(config, layout)?;
    let mut report = RelayReport::idle(Outcome::Relayed, started_at);
    report.note(desk.settle());
    tell_all(&desk, config, when, &mut report);
    if let Err(e) = seen::prune(layout, config.alerts.dedupe) {
        report.trouble.push(e.chain());
    }
    report.unreadable = desk.unreadable;
    report.finished_at = clock::now();
    Ok(report)
}

impl RelayReport {
    fn note(&mut self, settled: Result<usize>) {
        match settled {
            Ok(settled) => self.settled += settled,
            Err(e) => self.trouble.push(e.chain()),
        }
    }
}

fn tell_all(desk: &Desk<'_>, config: &Config, when: When, report: &mut RelayReport) {
    let sinks: Vec<_> = config.alerts.sinks.iter().collect();
    let longest = config.alerts.sinks.values().map(sink::timeout).max().unwrap_or_default();
    let (deadline, host) = (Deadline::after(longest.max(RUN)), env::host_name());
    let tell = |name: &str, sink: &Sink| Teller { desk, name, sink, when, deadline, host: &host }.tell();
    for ((name, sink), told) in sinks.iter().zip(side_by_side(&sinks, tell)) {
        let (told, settled) = told.unwrap_or_else(|| {
            let bug = Error::new(format!("a bug in warmkeep: telling {name} panicked"));
            (SinkReport::new(name, sink, desk.waiting(name).len()), Err(bug))
        });
        report.sinks.push(told);
        report.note(settled);
    }
}

/// Works on all sinks at the same time; `None`: the work panicked, or no thread could be started for it.
fn side_by_side<T: Send>(
    sinks: &[(&String, &Sink)],
    work: impl Fn(&str, &Sink) -> T + Sync,
) -> Vec<Option<T>> {
    std::thread::scope(|scope| {
        // All are started before the first one is waited for.
        let mut threads = Vec::new();
        for (name, sink) in sinks {
            threads.push(Builder::new().spawn_scoped(scope, || work(name, sink)));
        }
        threads.into_iter().map(|thread| thread.ok()?.join().ok()).collect()
    })
}
