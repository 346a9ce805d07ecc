//! Proving an app's snapshots bit by bit, because a person asked for it.

use super::Context;
use super::app::lock_app;
use crate::error::{Error, Result};
use crate::record::layout::AppLayout;
use crate::snapshot::{SnapshotId, Store, Verified};

/// One snapshot, and what was found.
#[derive(Debug)]
pub struct Proof {
    /// Its name; of one that cannot be read, that of its folder.
    pub snapshot: String,
    /// What was compared, or why it is not proven.
    pub result: Result<Verified>,
}

/// Proves one snapshot of an app, or all that it has, the oldest first. The app need not be declared any more.
///
/// # Errors
/// Somebody else is at work on the app, or it has no snapshot at all.
pub fn verify(ctx: &Context<'_>, app: &str, only: Option<&SnapshotId>) -> Result<Vec<Proof>> {
    let layout = ctx.layout.app(app);
    ctx.layout.create()?;
    layout.create()?;
    let _held = lock_app(&layout.lock(), app)?;
    let store = Store::new(app, layout.dir());
    match only {
        Some(id) => Ok(vec![prove(&store, id)]),
        None => all(&store, app, &layout),
    }
}

fn all(store: &Store, app: &str, layout: &AppLayout) -> Result<Vec<Proof>> {
    let listing = store.list()?;
    let readable = listing.snapshots.iter().map(|snapshot| prove(store, &snapshot.id));
    let unreadable = listing.unreadable.iter().map(|(path, why)| Proof {
        snapshot: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        result: Err(Error::new(format!("it cannot be read: {why}"))
            .remedy(format!("{} is kept for you to look at", path.display()))),
    });
    let proofs: Vec<Proof> = readable.chain(unreadable).collect();
    if proofs.is_empty() {
        return Err(Error::new(format!("{app} has no snapshot to verify")).remedy(format!(
            "snapshots are taken before an upgrade, and kept in {}",
            layout.dir().display()
        )));
    }
    Ok(proofs)
}

fn prove(store: &Store, id: &SnapshotId) -> Proof {
    Proof { snapshot: id.to_string(), result: store.verify(id) }
}
