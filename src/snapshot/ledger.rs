//! What the store must remember even when all snapshots are gone.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::id::SnapshotId;
use crate::error::{Error, Result};
use crate::sys::files;

const SCHEMA: u32 = 1;

/// The ledger, as it is in `snapshots/.ledger.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Ledger {
    schema: u32,
    /// The highest sequence number ever given.
    pub(super) last_seq: u64,
    /// The parents of all volumes there ever were: something of ours may lie beside any of them.
    pub(super) places: BTreeSet<PathBuf>,
    /// Snapshots whose copies beside volumes came or went last: without an index, theirs are leftovers.
    pub(super) pending: BTreeSet<SnapshotId>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { schema: SCHEMA, last_seq: 0, places: BTreeSet::new(), pending: BTreeSet::new() }
    }
}

#[derive(Deserialize)]
struct Schema {
    schema: u32,
}

impl Ledger {
    pub(super) fn load(path: &Path) -> Result<Self> {
        let Some(bytes) = files::read_if_exists(path, 16 << 20)? else { return Ok(Self::default()) };
        let damaged = |e: serde_json::Error| {
            Error::new(format!("{} is damaged", path.display()))
                .because(e)
                .remedy("move it away: it is made anew from the snapshots that are there")
        };
        let Schema { schema } = serde_json::from_slice(&bytes).map_err(damaged)?;
        if schema != SCHEMA {
            return Err(Error::new(format!("{} has schema {schema}, not {SCHEMA}", path.display()))
                .remedy("use the newer warmkeep that wrote it"));
        }
        serde_json::from_slice(&bytes).map_err(damaged)
    }

    pub(super) fn save(&self, path: &Path) -> Result<()> {
        let bytes = serde_json::to_vec_pretty(self)
            .map_err(|e| Error::new(format!("cannot write {}", path.display())).because(e))?;
        files::write_atomic(path, &bytes)
    }
}
