//! Who was told of an alert: a document beside it, so that the alert itself is written once.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::id::RunId;
use crate::record::document::{self, SCHEMA};
use crate::record::layout::Layout;

/// Who was told of one alert, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// Schema of the document.
    pub schema: u64,
    /// The alert; one with another id under the same name was not told.
    pub alert: RunId,
    /// When a person took it away.
    pub acknowledged_at: Option<Timestamp>,
    /// What came of telling each sink, by its name.
    pub sinks: BTreeMap<String, Tally>,
}

/// What came of telling one sink of one alert.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tally {
    /// When the sink had it; null: it has it not.
    pub delivered_at: Option<Timestamp>,
    /// How often it was tried in vain.
    pub attempts: u32,
    /// Not before then again.
    pub next_attempt: Option<Timestamp>,
    /// Why it did not work the last time.
    pub last_error: Option<String>,
}

impl Delivery {
    /// Nobody was told.
    fn none(alert: &RunId) -> Self {
        Self { schema: SCHEMA, alert: alert.clone(), acknowledged_at: None, sinks: BTreeMap::new() }
    }

    /// Where the record of an alert is, by the name of the alert's file.
    pub(super) fn path(layout: &Layout, name: &str) -> PathBuf {
        layout.deliveries().join(name)
    }

    /// Reads the record of an alert. One that nobody can read is none: a sink that hears twice is better than a person
    /// who never hears.
    pub(super) fn read(layout: &Layout, name: &str, alert: &RunId) -> Self {
        let record = document::read::<Self>(&Self::path(layout, name)).unwrap_or_else(|e| {
            tracing::warn!(name: "delivery.unreadable", error = e.chain(), "its alert counts as not told");
            None
        });
        record.filter(|record| record.alert == *alert).unwrap_or_else(|| Self::none(alert))
    }

    /// Keeps the record durably.
    pub(super) fn write(&self, layout: &Layout, name: &str) -> Result<()> {
        super::write(layout, &Self::path(layout, name), self)
    }

    /// Whether a sink has it.
    pub(super) fn has(&self, sink: &str) -> bool {
        self.sinks.get(sink).is_some_and(|tally| tally.delivered_at.is_some())
    }

    /// Whether it needs nobody any more: all of these sinks have it, or a person took it away.
    pub(super) fn is_settled<'s>(&self, mut sinks: impl Iterator<Item = &'s String>) -> bool {
        self.acknowledged_at.is_some() || sinks.all(|sink| self.has(sink))
    }
}
