//! The journal of a night.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::document::{self, SCHEMA};
use super::layout::Layout;
use crate::error::Result;
use crate::id::RunId;
use crate::plan::night::{Begun, Phase};
use crate::sys::files;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema: u64,
    run: RunId,
    started_at: Timestamp,
    phase: Phase,
}

/// The night that did not come to its end. A damaged journal is none: what each part of a night does is in a journal of
/// its own, so that to begin anew repeats nothing that matters.
pub fn read(layout: &Layout) -> Result<Option<Begun>> {
    match document::read_even_damaged::<Document>(&layout.night())? {
        None => Ok(None),
        Some(Ok(found)) => {
            Ok(Some(Begun { run: found.run, started_at: found.started_at, phase: found.phase }))
        }
        Some(Err(e)) => {
            tracing::warn!(name: "night.journalUnreadable", error = e.chain());
            Ok(None)
        }
    }
}

/// Writes down how far a night has come.
pub fn write(layout: &Layout, night: &Begun) -> Result<()> {
    let Begun { run, started_at, phase } = night.clone();
    document::write(&layout.night(), &Document { schema: SCHEMA, run, started_at, phase })
}

/// A night is over.
pub fn remove(layout: &Layout) -> Result<()> {
    files::remove_file(&layout.night())
}
