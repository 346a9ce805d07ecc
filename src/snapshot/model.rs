//! What the store speaks of.

use std::path::PathBuf;

use jiff::Timestamp;

use super::id::SnapshotId;
use super::root::Root;
use crate::version::Version;

/// A published snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its name.
    pub id: SnapshotId,
    /// Its place in the order of all snapshots this app ever had. Never derived from a clock, never used twice.
    pub seq: u64,
    /// The app it is of.
    pub app: String,
    /// The version whose data it is.
    pub version: Version,
    /// The transaction that took it.
    pub txn: String,
    /// When it was taken, by the clock of that moment.
    pub taken_at: Timestamp,
    /// Why, in the caller's word.
    pub reason: String,
    /// The copies.
    pub volumes: Vec<CopiedVolume>,
    /// Whether its manifest has been made: only then can it be verified and restored.
    pub sealed: bool,
    /// When it was last found to be what its manifest says; `None`: never, or it was found damaged.
    pub verified_at: Option<Timestamp>,
}

impl Snapshot {
    /// The bytes that its volumes had allocated. Where blocks are shared it takes up less.
    pub fn bytes(&self) -> u64 {
        self.volumes.iter().map(|volume| volume.bytes).sum()
    }

    /// Its entries, over all volumes.
    pub fn entries(&self) -> u64 {
        self.volumes.iter().map(|volume| volume.entries).sum()
    }
}

/// One volume in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedVolume {
    /// The live folder it is a copy of.
    pub path: PathBuf,
    /// The copy.
    pub location: PathBuf,
    /// Bytes that the original had allocated.
    pub bytes: u64,
    /// Entries, the folder itself included.
    pub entries: u64,
    /// The SHA-256 of its manifest, in hex; `None` until it is sealed.
    pub root_digest: Option<String>,
    /// The folder of the store that the copy is in.
    pub(super) root: Root,
}

/// What a snapshot is to be taken of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The version whose data it is.
    pub version: Version,
    /// Why, in one word: `upgrade`, `manual`…
    pub reason: String,
    /// The live folders, absolute.
    pub volumes: Vec<PathBuf>,
    /// The transaction it belongs to; safe as a file name.
    pub txn: String,
}

/// All snapshots of an app.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Those that can be read, the oldest first.
    pub snapshots: Vec<Snapshot>,
    /// Those that cannot, with why: damaged, or made by a newer warmkeep. Never guessed at, never deleted.
    pub unreadable: Vec<(PathBuf, String)>,
}

/// A snapshot that is bit for bit what its manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Which one.
    pub id: SnapshotId,
    /// Entries compared.
    pub entries: u64,
    /// When.
    pub at: Timestamp,
}

/// How far a long operation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is going on.
    pub phase: Phase,
    /// Bytes done in this phase. Shared blocks cost nothing and are not counted.
    pub bytes: u64,
    /// Entries done in this phase.
    pub entries: u64,
}

/// What a long operation is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Copying a volume, or a snapshot's copy beside one.
    Copying,
    /// Reading a copy to compute or compare digests.
    Hashing,
}
