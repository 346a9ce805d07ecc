//! What is written down while sinks are told: shared by the threads that tell them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::pace::{self, Waiting};
use crate::alert::delivery::{Delivery, Tally};
use crate::alert::{Alert, name_of, open_files, seen};
use crate::config::model::Config;
use crate::error::Result;
use crate::id::RunId;
use crate::record::document::{self, SCHEMA};
use crate::record::layout::Layout;
use crate::sys::fault::{self, Side};

/// When each sink is tried again.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Sinks {
    schema: u64,
    sinks: BTreeMap<String, SinkState>,
}

/// What is remembered of a sink.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SinkState {
    /// How many runs in a row it took nothing.
    pub(super) failures: u32,
    /// Not before then again.
    pub(super) next_attempt: Option<Timestamp>,
    /// Why it did not take what it did not take last.
    pub(super) last_error: Option<String>,
}

/// An open alert.
struct Open {
    name: String,
    record: Delivery,
}

/// The records of one run.
pub(super) struct Desk<'a> {
    config: &'a Config,
    layout: &'a Layout,
    /// Held while records are read and written.
    sinks: Mutex<Sinks>,
    open: Vec<Open>,
    /// The files that nobody can read.
    pub(super) unreadable: Vec<String>,
}

impl<'a> Desk<'a> {
    /// Reads what is open and who was told of it.
    pub(super) fn open(config: &'a Config, layout: &'a Layout) -> Result<Self> {
        let mut unreadable = Vec::new();
        let mut ids: Vec<(RunId, String)> = Vec::new();
        for path in open_files(layout)? {
            match document::read::<Alert>(&path) {
                Ok(alert) => ids.extend(alert.map(|alert| (alert.id, name_of(&path)))),
                Err(e) => unreadable.push(e.chain()),
            }
        }
        ids.sort();
        let record = |(id, name): (RunId, String)| Open { record: Delivery::read(layout, &name, &id), name };
        let open = ids.into_iter().map(record).collect();
        Ok(Self { config, layout, sinks: Mutex::new(read_sinks(layout)), open, unreadable })
    }

    fn locked(&self) -> MutexGuard<'_, Sinks> {
        self.sinks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is remembered of a sink.
    pub(super) fn sink(&self, sink: &str) -> SinkState {
        self.locked().sinks.get(sink).cloned().unwrap_or_default()
    }

    /// Remembers it, if it is anything new. Sinks that are not declared any more are forgotten.
    pub(super) fn remember(&self, sink: &str, state: SinkState) -> Result<()> {
        let mut sinks = self.locked();
        if sinks.sinks.get(sink) == Some(&state) {
            return Ok(());
        }
        sinks.sinks.insert(sink.to_owned(), state);
        sinks.sinks.retain(|name, _| self.config.alerts.sinks.contains_key(name));
        crate::alert::write(self.layout, &self.layout.sinks(), &*sinks)
    }

    /// Puts away what nobody must be told of any more: a run before this one was killed before it could.
    pub(super) fn settle(&self) -> Result<usize> {
        let settled = self.open.iter().filter(|open| self.is_settled(&open.record));
        settled.map(|open| self.put_away(&open.name, &open.record.alert).map(usize::from)).sum()
    }

    fn is_settled(&self, record: &Delivery) -> bool {
        record.is_settled(self.config.alerts.sinks.keys())
    }

    fn put_away(&self, name: &str, id: &RunId) -> Result<bool> {
        let _turn = seen::turn(self.layout)?;
        seen::put_away(self.layout, name, id)
    }

    /// What waits for a sink, oldest first.
    pub(super) fn waiting(&self, sink: &str) -> Vec<Waiting> {
        self.missing(sink).map(|(name, tally)| Waiting { name, attempts: tally.attempts }).collect()
    }

    /// The same without what this sink refused not long ago.
    pub(super) fn due(&self, sink: &str, now: Timestamp) -> Vec<Waiting> {
        let due = self.missing(sink).filter(|(_, tally)| pace::is_due(tally.next_attempt, now));
        due.map(|(name, tally)| Waiting { name, attempts: tally.attempts }).collect()
    }

    fn missing(&self, sink: &str) -> impl Iterator<Item = (String, Tally)> {
        let missing =
            self.open.iter().filter(|open| !self.is_settled(&open.record) && !open.record.has(sink));
        missing.map(move |open| (open.name.clone(), open.record.sinks.get(sink).cloned().unwrap_or_default()))
    }

    /// The alert as it is now; `None`: it is not open any more, or nobody can read it any more.
    pub(super) fn alert(&self, name: &str) -> Option<Alert> {
        document::read(&self.path(name)).unwrap_or_else(|e| {
            tracing::warn!(name: "alert.unreadable", error = e.chain());
            None
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.layout.alerts().join(name)
    }

    /// Writes down that a sink has an alert; says whether that settled it.
    pub(super) fn delivered(&self, name: &str, id: &RunId, sink: &str, now: Timestamp) -> Result<bool> {
        fault::at_record(Side::Before);
        let tally =
            |tally: &Tally| Tally { delivered_at: Some(now), attempts: tally.attempts, ..Tally::default() };
        let record = self.change(name, id, sink, tally)?;
        fault::at_record(Side::After);
        if self.is_settled(&record) { self.put_away(name, id) } else { Ok(false) }
    }

    /// Writes down that a sink did not take an alert.
    pub(super) fn refused(
        &self,
        name: &str,
        id: &RunId,
        sink: &str,
        next: Timestamp,
        why: &str,
    ) -> Result<()> {
        let tally = |tally: &Tally| Tally {
            delivered_at: None,
            attempts: tally.attempts.saturating_add(1),
            next_attempt: Some(next),
            last_error: Some(why.to_owned()),
        };
        self.change(name, id, sink, tally).map(drop)
    }

    /// A person may take the alert away meanwhile: the record is read anew, and nobody else's turn it is until it is written.
    fn change(&self, name: &str, id: &RunId, sink: &str, to: impl Fn(&Tally) -> Tally) -> Result<Delivery> {
        let _threads = self.locked();
        let _turn = seen::turn(self.layout)?;
        let mut record = Delivery::read(self.layout, name, id);
        let tally = record.sinks.entry(sink.to_owned()).or_default();
        *tally = to(tally);
        record.write(self.layout, name)?;
        Ok(record)
    }
}

/// It only says when a sink is tried again: where nobody can read it, that is now.
fn read_sinks(layout: &Layout) -> Sinks {
    let sinks = document::read::<Sinks>(&layout.sinks()).unwrap_or_else(|e| {
        tracing::warn!(name: "sinks.unreadable", error = e.chain(), "every sink is tried");
        None
    });
    sinks.unwrap_or_else(|| Sinks { schema: SCHEMA, sinks: BTreeMap::new() })
}
