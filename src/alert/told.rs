//! What was told and is no longer kept whole: enough of it that nothing is told twice.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::is_fresh;
use crate::error::Result;
use crate::record::document::{self, SCHEMA};
use crate::record::layout::Layout;

/// The alerts that were told, by the names of their files.
#[derive(Debug, Serialize, Deserialize)]
struct Ledger {
    schema: u64,
    told: BTreeMap<String, Told>,
}

/// When an alert was told, and whether that was once for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Told {
    pub(super) at: Timestamp,
    pub(super) once: bool,
}

impl Told {
    fn counts(self, now: Timestamp, dedupe: Duration) -> bool {
        self.once || is_fresh(self.at.as_second(), now, dedupe)
    }
}

/// Whether an alert was told and is not to be told again. A ledger that nobody can read silences nothing.
pub(super) fn remembers(layout: &Layout, name: &str, now: Timestamp, dedupe: Duration) -> bool {
    let ledger = document::read::<Ledger>(&layout.told()).unwrap_or_else(|e| {
        tracing::warn!(name: "alert.unreadable", error = e.chain());
        None
    });
    ledger.and_then(|ledger| ledger.told.get(name).copied()).is_some_and(|told| told.counts(now, dedupe))
}

/// Remembers alerts that are about to go, and forgets what may be told again by now.
pub(super) fn remember(
    layout: &Layout,
    gone: impl IntoIterator<Item = (String, Told)>,
    now: Timestamp,
    dedupe: Duration,
) -> Result<()> {
    let path = layout.told();
    let mut ledger =
        document::read::<Ledger>(&path)?.unwrap_or_else(|| Ledger { schema: SCHEMA, told: BTreeMap::new() });
    ledger.told.extend(gone);
    ledger.told.retain(|_, told| told.counts(now, dedupe));
    document::write(&path, &ledger)
}
