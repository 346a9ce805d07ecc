//! Snapshots of an app's data: taking, sealing, proving, restoring and forgetting them.
//!
//! A [`Store`] keeps one app's snapshots. Its index is under the app's state folder; each copy lies on its volume's own
//! file system, there too where a rename from beside the volume reaches it, else in `.warmkeep` beside the volume.
//!
//! What holds at any moment, whatever dies:
//! - what has its final name is complete and durable: the file system is synced before the rename that publishes;
//! - a snapshot is never consumed: what is exchanged with the live folder is a verified clone of it;
//! - an exchange, being a toggle, is decided by inode alone;
//! - live data that was exchanged out is never removed as a leftover, only moved to `failed`;
//! - only what the store itself put somewhere is removed, by its own names, never through a link.
//!
//! The caller holds the app's lock: a store has one writer.

mod aside;
mod checks;
mod create;
mod discard;
mod id;
mod ledger;
mod lines;
mod manifest;
mod meter;
mod model;
mod restore;
pub mod retention;
mod root;
mod seal;
mod store;
mod survey;
mod sweep;
#[cfg(test)]
mod tests;
mod wire;

pub use aside::{KeptData, KeptVolume};
pub use id::{InvalidId, SnapshotId};
pub use model::{CopiedVolume, Listing, Phase, Progress, Request, Snapshot, Verified};
pub use restore::Exchange;
pub use store::Store;
pub use survey::{FileSystem, Lack, Shortfall, Survey, SurveyedVolume};
pub use sweep::Swept;
