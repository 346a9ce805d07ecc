//! Sealing a snapshot with its manifest, and proving it by that.

use super::id::SnapshotId;
use super::manifest;
use super::model::{CopiedVolume, Phase, Snapshot, Verified};
use super::root::SNAPSHOTS;
use super::store::Store;
use super::wire::copy_path;
use crate::error::{Error, Result};
use crate::sys::clock;
use crate::sys::tree::Dir;

impl Store {
    /// Computes the manifest of each copy, and a digest over each manifest. Sealed already: nothing to do.
    pub fn seal(&self, id: &SnapshotId) -> Result<Snapshot> {
        let mut snapshot = self.load(id)?;
        if snapshot.sealed {
            return Ok(snapshot);
        }
        let index = self.index_dir(id)?;
        let mut meter = self.meter(Phase::Hashing);
        for number in 0..snapshot.volumes.len() {
            let volume = &mut snapshot.volumes[number];
            let tree = copy_of(volume, id, number)?;
            let file = index.new_file(manifest::name(number).as_ref())?;
            let written = manifest::write(&tree, file, &mut meter)?;
            if written.entries != volume.entries {
                return Err(damaged(id, &volume.path.display().to_string()).because(Error::new(format!(
                    "{} entries were copied, {} are there",
                    volume.entries, written.entries
                ))));
            }
            volume.root_digest = Some(written.digest);
        }
        snapshot.sealed = true;
        self.record(&snapshot)?;
        Ok(snapshot)
    }

    /// Proves a sealed snapshot bit by bit, and records when. The error names the first few entries that are not what
    /// they were.
    pub fn verify(&self, id: &SnapshotId) -> Result<Verified> {
        let mut snapshot = self.load(id)?;
        let checked = self.check(&snapshot);
        let verified_at = checked.as_ref().ok().map(|verified| verified.at);
        if checked.is_ok() || snapshot.verified_at.is_some() {
            snapshot.verified_at = verified_at;
            let recorded = self.record(&snapshot);
            // That it is damaged is the graver news.
            return checked.and_then(|verified| recorded.map(|()| verified));
        }
        checked
    }

    /// The same without recording it, so that a full disk does not stop a restore.
    pub(super) fn check(&self, snapshot: &Snapshot) -> Result<Verified> {
        for number in 0..snapshot.volumes.len() {
            let tree = copy_of(&snapshot.volumes[number], &snapshot.id, number)?;
            self.check_tree(snapshot, number, &tree)?;
        }
        Ok(Verified { id: snapshot.id.clone(), entries: snapshot.entries(), at: clock::now() })
    }

    /// Compares a tree, the copy itself or a clone of it, with the manifest of a volume.
    pub(super) fn check_tree(&self, snapshot: &Snapshot, number: usize, tree: &Dir) -> Result<()> {
        let volume = &snapshot.volumes[number];
        let unsealed = || {
            Error::new(format!("snapshot {} is not sealed", snapshot.id))
                .remedy("seal it first: until then nothing says what it should be")
        };
        let digest = volume.root_digest.as_deref().filter(|_| snapshot.sealed).ok_or_else(unsealed)?;
        let path = volume.path.display().to_string();
        let name = manifest::name(number);
        let manifest = self.index_dir(&snapshot.id)?.reader(name.as_ref())?;
        let missing = || damaged(&snapshot.id, &path).because(Error::new(format!("{name} is missing")));
        let mut meter = self.meter(Phase::Hashing);
        let differences = manifest::compare(tree, manifest.ok_or_else(missing)?, digest, &mut meter)?;
        if differences.is_empty() {
            return Ok(());
        }
        let told = Error::new(format!("in {}: {}", tree.path().display(), differences.join("; ")));
        Err(damaged(&snapshot.id, &path).because(told))
    }

    fn index_dir(&self, id: &SnapshotId) -> Result<Dir> {
        self.in_store().need(&format!("{SNAPSHOTS}/{id}"))
    }
}

/// Opens a volume's copy in a snapshot.
pub(super) fn copy_of(volume: &CopiedVolume, id: &SnapshotId, number: usize) -> Result<Dir> {
    volume.root.need(&copy_path(id.as_str(), number))
}

fn damaged(id: &SnapshotId, volume: &str) -> Error {
    Error::new(format!("snapshot {id} is damaged: its copy of {volume} is not what it was"))
        .remedy("check the disk, and restore another snapshot; this one is kept for you to look at")
}
