//! Taking a snapshot.

use std::path::PathBuf;

use jiff::Timestamp;

use super::checks::{self, Volume};
use super::id::SnapshotId;
use super::model::{CopiedVolume, Phase, Request, Snapshot};
use super::root::{Root, SNAPSHOTS, expect_done};
use super::store::{RECORD, Store};
use super::wire::{copy_path, encode};
use crate::error::{Error, Result};
use crate::sys::tree::{Copied, Purpose, Rename, copy};
use crate::sys::{clock, files};

/// A snapshot in the making.
struct Draft<'a> {
    id: SnapshotId,
    seq: u64,
    taken_at: Timestamp,
    /// Its folder's name until it is published.
    partial: String,
    volumes: Vec<(Volume<'a>, Root)>,
}

impl Draft<'_> {
    /// The roots it is in, the store's own always among them.
    fn roots(&self, store: &Store) -> Vec<Root> {
        let mut roots: Vec<Root> = self.volumes.iter().map(|(_, root)| root.clone()).collect();
        roots.push(store.in_store());
        roots.sort();
        roots.dedup();
        roots
    }
}

impl Store {
    /// Takes a snapshot of volumes that nothing writes to: what changes while it is copied is an error. It is complete
    /// and durable when this returns, but unsealed. A failure leaves nothing of it behind; what an earlier attempt of
    /// the same transaction left unpublished is removed first.
    pub fn create(&self, request: &Request) -> Result<Snapshot> {
        checks::txn(&request.txn)?;
        let volumes = checks::all(&request.volumes, &self.app_dir)?;
        self.forget_pending()?;
        let draft = self.draft(&request.txn, volumes)?;
        self.clear(&draft)?;
        self.fill(&draft, request).inspect_err(|_| {
            if let Err(error) = self.clear(&draft) {
                tracing::warn!(error = error.chain(), "a partial snapshot could not be removed, sweep will");
            }
        })
    }

    fn draft<'a>(&self, txn: &str, volumes: Vec<Volume<'a>>) -> Result<Draft<'a>> {
        let known = self.list()?.snapshots.iter().map(|snapshot| snapshot.seq).max().unwrap_or(0);
        let mut seq = known.max(self.ledger()?.last_seq) + 1;
        let taken_at = clock::now();
        let mut id = SnapshotId::new(taken_at, seq);
        while self.is_published(&id) {
            seq += 1;
            id = SnapshotId::new(taken_at, seq);
        }
        let place = |volume: Volume<'a>| Ok((volume, self.place(&volume)?));
        let volumes = volumes.into_iter().map(place).collect::<Result<Vec<_>>>()?;
        self.note(|ledger| {
            ledger.last_seq = seq;
            if volumes.iter().any(|(_, root)| root.is_beside()) {
                ledger.pending.insert(id.clone());
            }
        })?;
        Ok(Draft { id, seq, taken_at, partial: partial(txn), volumes })
    }

    /// Removes what there is of a draft, unless it is published.
    fn clear(&self, draft: &Draft<'_>) -> Result<()> {
        let published = self.is_published(&draft.id);
        for root in draft.roots(self) {
            root.remove(SNAPSHOTS, &draft.partial)?;
            if root.is_beside() && !published {
                root.remove(SNAPSHOTS, draft.id.as_str())?;
            }
            root.tidy()?;
        }
        Ok(())
    }

    fn fill(&self, draft: &Draft<'_>, request: &Request) -> Result<Snapshot> {
        let roots = draft.roots(self);
        for root in &roots {
            Self::prepare(root)?;
        }
        self.in_store().make(&partial_path(draft))?;
        let mut meter = self.meter(Phase::Copying);
        let mut volumes = Vec::new();
        for (number, (volume, root)) in draft.volumes.iter().enumerate() {
            let target = root.make(&copy_path(&draft.partial, number))?;
            let copied = copy(&volume.open()?, &target, Purpose::Data, &mut |bytes, entries| {
                meter.add(bytes, entries);
            });
            let failed =
                |e| Error::new(format!("cannot copy the volume {}", volume.path.display())).because(e);
            volumes.push(copied_volume((draft, number), (volume, root), copied.map_err(failed)?));
        }
        let snapshot = Snapshot {
            id: draft.id.clone(),
            seq: draft.seq,
            app: self.app.clone(),
            version: request.version.clone(),
            txn: request.txn.clone(),
            taken_at: draft.taken_at,
            reason: request.reason.clone(),
            volumes,
            sealed: false,
            verified_at: None,
        };
        self.publish(draft, &roots, &snapshot)?;
        Ok(snapshot)
    }

    /// The copies first, the index last: what has an index is complete.
    fn publish(&self, draft: &Draft<'_>, roots: &[Root], snapshot: &Snapshot) -> Result<()> {
        let record = self.in_store().path(&partial_path(draft)).join(RECORD);
        files::write_atomic(&record, &encode(snapshot)?)?;
        for root in roots {
            root.need(SNAPSHOTS)?.sync_file_system()?;
        }
        let (index, beside): (Vec<_>, Vec<_>) = roots.iter().partition(|root| !root.is_beside());
        for root in beside.into_iter().chain(index) {
            let folder = root.need(SNAPSHOTS)?;
            let goal = (&folder, draft.id.as_str().as_ref());
            expect_done(folder.rename(draft.partial.as_ref(), goal, Rename::New)?, &folder)?;
            folder.sync()?;
        }
        Ok(())
    }

    /// Removes what an interrupted publication or removal left beside volumes: copies whose index is not, or no more,
    /// there.
    pub(super) fn forget_pending(&self) -> Result<()> {
        let pending = self.ledger()?.pending;
        if pending.is_empty() {
            return Ok(());
        }
        let roots = self.roots()?;
        for id in pending.iter().filter(|id| !self.is_published(id)) {
            for root in roots.iter().filter(|root| root.is_beside()) {
                root.trash(SNAPSHOTS, id.as_str())?;
                root.tidy()?;
            }
        }
        self.note(|ledger| ledger.pending.clear())
    }
}

fn copied_volume(
    (draft, number): (&Draft<'_>, usize),
    (volume, root): (&Volume<'_>, &Root),
    copied: Copied,
) -> CopiedVolume {
    CopiedVolume {
        path: volume.path.to_owned(),
        location: location(root, &draft.id, number),
        bytes: copied.bytes,
        entries: copied.entries,
        root_digest: None,
        root: root.clone(),
    }
}

fn location(root: &Root, id: &SnapshotId, number: usize) -> PathBuf {
    root.path(&copy_path(id.as_str(), number))
}

/// The name of a transaction's snapshot while it is being made.
pub(super) fn partial(txn: &str) -> String {
    format!(".partial-{txn}")
}

fn partial_path(draft: &Draft<'_>) -> String {
    format!("{SNAPSHOTS}/{}", draft.partial)
}
