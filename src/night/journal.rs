//! The journal of a night, and what a night reports.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::id::RunId;
use crate::plan::night::Phase;
use crate::rebuild::report::RebuildReport;
use crate::record::document::{self, SCHEMA};
use crate::record::layout::Layout;
use crate::record::report::{RunReport, worse};
use crate::sys::files;

/// A night that has begun and not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unfinished {
    schema: u64,
    /// Its run.
    pub run: RunId,
    /// When it began.
    pub started_at: Timestamp,
    /// How far it has come.
    pub phase: Phase,
    /// How the rebuild ended; null before that, and where there is none.
    pub rebuild: Option<RebuildReport>,
}

impl Unfinished {
    /// A night that begins.
    pub fn new(run: RunId, started_at: Timestamp) -> Self {
        Self { schema: SCHEMA, run, started_at, phase: Phase::Rebuild, rebuild: None }
    }
}

/// What `nightly --json` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NightReport {
    /// The run and its apps.
    #[serde(flatten)]
    pub report: RunReport,
    /// The rebuild of the system; null where none is configured, or nothing was done.
    pub rebuild: Option<RebuildReport>,
}

impl NightReport {
    /// The night's exit code.
    pub fn exit_code(&self) -> u8 {
        let rebuild = self.rebuild.as_ref().map_or(0, |rebuild| rebuild.outcome.exit_code());
        worse(self.report.exit_code(), rebuild)
    }
}

/// The night that did not come to its end. A damaged journal is none: what each part of a night does is in a journal of
/// its own, so that to begin anew repeats nothing that matters.
pub fn read(layout: &Layout) -> Result<Option<Unfinished>> {
    match document::read_even_damaged(&layout.night())? {
        None => Ok(None),
        Some(Ok(night)) => Ok(Some(night)),
        Some(Err(e)) => {
            tracing::warn!(name: "night.journalUnreadable", error = e.chain());
            Ok(None)
        }
    }
}

/// Writes down how far a night has come.
pub fn write(layout: &Layout, night: &Unfinished) -> Result<()> {
    document::write(&layout.night(), night)
}

/// A night is over.
pub fn remove(layout: &Layout) -> Result<()> {
    files::remove_file(&layout.night())
}
