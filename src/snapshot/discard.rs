//! Forgetting a snapshot.

use std::collections::BTreeSet;

use super::id::SnapshotId;
use super::root::{Root, SNAPSHOTS};
use super::store::Store;
use crate::error::Result;

impl Store {
    /// Removes a snapshot: it is whole or gone, whatever dies. One that is gone already is fine; one that cannot be
    /// read is an error and stays.
    pub fn discard(&self, id: &SnapshotId) -> Result<()> {
        if !self.is_published(id) {
            return self.forget_pending();
        }
        let snapshot = self.load(id)?;
        let beside: BTreeSet<Root> =
            snapshot.volumes.into_iter().map(|volume| volume.root).filter(Root::is_beside).collect();
        if !beside.is_empty() {
            // From here on a copy without an index is a leftover.
            self.note(|ledger| ledger.pending.extend([id.clone()]))?;
        }
        self.in_store().trash(SNAPSHOTS, id.as_str())?;
        if beside.is_empty() { Ok(()) } else { self.forget_pending() }
    }
}
