//! Giving a snapshot back: a verified clone beside each live folder, then an exchange.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::checks::{self, Volume};
use super::id::SnapshotId;
use super::model::{Phase, Snapshot};
use super::root::{Root, STAGING, expect_done};
use super::seal::copy_of;
use super::store::Store;
use super::survey::{Load, Shortfall, file_systems, reflinks};
use crate::error::{Error, Result};
use crate::sys::tree::{Dir, Purpose, Rename, Renamed, copy};

/// A clone that waits to change places with a live folder. The caller journals it before it acts on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Exchange {
    /// The live folder.
    pub volume: PathBuf,
    /// The clone, beside it.
    pub staged: PathBuf,
    /// The live folder's inode before; `None`: there was none.
    pub live_inode: Option<u64>,
    /// The clone's inode.
    pub staged_inode: u64,
}

/// What an exchange still has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Move {
    /// The clone is live.
    Nothing,
    /// The two change places.
    Swap,
    /// The live folder is gone: the clone takes its place.
    Place,
}

impl Exchange {
    /// Decides by inodes alone.
    fn next_move(&self, live: Option<u64>, staged: Option<u64>) -> Result<Move> {
        if live == Some(self.staged_inode) {
            return Ok(Move::Nothing);
        }
        let unclear = |what: String| {
            Error::new(format!(
                "cannot tell how far the exchange of {} has come: {what}",
                self.volume.display()
            ))
            .remedy("nothing was touched: look at both folders, then restore the snapshot again")
        };
        if staged != Some(self.staged_inode) {
            return Err(unclear(format!("{} is not the clone that was staged", self.staged.display())));
        }
        match live {
            None => Ok(Move::Place),
            Some(_) if live == self.live_inode => Ok(Move::Swap),
            Some(_) => Err(unclear("another folder has taken its place since".to_owned())),
        }
    }
}

/// The folders around an exchange.
pub(super) struct Seat<'a> {
    pub(super) volume: Volume<'a>,
    pub(super) root: Root,
    parent: Dir,
    /// The folder of the clone; `None` once it was tidied away.
    pub(super) staging: Option<Dir>,
    /// The path of that folder inside the root.
    pub(super) folder: String,
    /// The clone's name in it.
    pub(super) name: String,
}

impl Seat<'_> {
    pub(super) fn staged_inode(&self) -> Result<Option<u64>> {
        let Some(staging) = &self.staging else { return Ok(None) };
        inode(staging, self.name.as_ref())
    }

    /// Whether the live folder was moved out and nothing has its place in the staging folder yet.
    pub(super) fn is_half_done(&self) -> Result<bool> {
        let Some(staging) = &self.staging else { return Ok(false) };
        Ok(inode(staging, &self.old())?.is_some())
    }

    /// What the live folder is called while a file system without an exchange makes do with two renames.
    fn old(&self) -> OsString {
        OsString::from(format!("{}.old", self.name))
    }
}

fn inode(folder: &Dir, name: &OsStr) -> Result<Option<u64>> {
    Ok(folder.look(name)?.map(|meta| meta.id.inode))
}

impl Store {
    /// Clones each volume's copy in a sealed snapshot beside its live folder. The snapshot is verified first, and each
    /// clone after; all is durable when this returns. Leftovers of earlier attempts go: clones are removed, live data
    /// that had been exchanged out moves to `failed`. The live folders are not touched, nor is the snapshot.
    pub fn stage(&self, id: &SnapshotId, txn: &str) -> Result<Vec<Exchange>> {
        self.stage_if(id, txn, enough_room)
    }

    /// The same where no estimate of the room there is may refuse it: on a full disk, once everything else was given up.
    pub fn stage_regardless(&self, id: &SnapshotId, txn: &str) -> Result<Vec<Exchange>> {
        self.stage_if(id, txn, |_, _, _| Ok(()))
    }

    fn stage_if(
        &self,
        id: &SnapshotId,
        txn: &str,
        fits: impl FnOnce(&Snapshot, &[Volume<'_>], &Self) -> Result<()>,
    ) -> Result<Vec<Exchange>> {
        checks::txn(txn)?;
        let snapshot = self.load(id)?;
        let paths = snapshot.volumes.iter().map(|volume| checks::volume(&volume.path));
        let volumes = paths.collect::<Result<Vec<_>>>()?;
        for volume in &volumes {
            checks::goal(volume)?;
        }
        self.check(&snapshot)?;
        let roots: BTreeSet<Root> =
            volumes.iter().map(|volume| self.known_beside(volume)).collect::<Result<_>>()?;
        for root in &roots {
            self.settle_staging(root)?;
        }
        let staged = fits(&snapshot, &volumes, self)
            .and_then(|()| self.clone_all(&snapshot, &volumes, txn))
            .and_then(|()| self.exchanges(&volumes, txn));
        staged.inspect_err(|_| unstage(&roots, txn))
    }

    fn clone_all(&self, snapshot: &Snapshot, volumes: &[Volume<'_>], txn: &str) -> Result<()> {
        let mut meter = self.meter(Phase::Copying);
        for (number, volume) in volumes.iter().enumerate() {
            let source = copy_of(&snapshot.volumes[number], &snapshot.id, number)?;
            let folder = self.beside(volume).make(&staging(txn))?;
            let target = folder.make_new(number.to_string().as_ref())?;
            copy(&source, &target, Purpose::Copy, &mut |bytes, entries| meter.add(bytes, entries))?;
            self.check_tree(snapshot, number, &target)?;
            if volumes[number + 1..].iter().all(|later| later.parent != volume.parent) {
                folder.sync_file_system()?;
            }
        }
        Ok(())
    }

    /// Notes beside each clone what it is to be exchanged with: that tells a clone from live data later.
    fn exchanges(&self, volumes: &[Volume<'_>], txn: &str) -> Result<Vec<Exchange>> {
        let exchange = |(number, volume): (usize, &Volume<'_>)| {
            let root = self.beside(volume);
            let folder = root.need(&staging(txn))?;
            let name = number.to_string();
            let staged_inode = inode(&folder, name.as_ref())?
                .ok_or_else(|| Error::new(format!("the clone of {} has vanished", volume.path.display())))?;
            let exchange = Exchange {
                volume: volume.path.to_owned(),
                staged: root.path(&staging(txn)).join(&name),
                live_inode: inode(&Dir::open(volume.parent)?, volume.name)?,
                staged_inode,
            };
            super::aside::note_exchange(&folder, &name, &exchange)?;
            Ok(exchange)
        };
        volumes.iter().enumerate().map(exchange).collect()
    }

    /// Exchanges a live folder and its clone, in one step where the file system can. Decided by inode, so that doing it
    /// again does nothing more; where the inodes are not those of the exchange, nothing is touched. Durable when this
    /// returns.
    pub fn exchange(&self, exchange: &Exchange) -> Result<()> {
        let seat = self.seat(exchange)?;
        let live = inode(&seat.parent, seat.volume.name)?;
        let next = exchange.next_move(live, seat.staged_inode()?)?;
        let Some(staging) = &seat.staging else { return seat.parent.sync() };
        match next {
            Move::Nothing => {}
            Move::Swap => swap(&seat, staging)?,
            Move::Place => place(&seat, staging)?,
        }
        if seat.is_half_done()? {
            let goal = (staging, seat.name.as_ref());
            expect_done(staging.rename(&seat.old(), goal, Rename::New)?, staging)?;
        }
        seat.parent.sync()?;
        staging.sync()
    }

    pub(super) fn seat<'a>(&self, exchange: &'a Exchange) -> Result<Seat<'a>> {
        let volume = checks::volume(&exchange.volume)?;
        let root = self.beside(&volume);
        let parts = root.relative(&exchange.staged).and_then(|staged| staged.rsplit_once('/'));
        let (folder, name) = parts.filter(|(folder, _)| folder.starts_with(STAGING)).ok_or_else(|| {
            Error::new(format!("{} is no clone of {}", exchange.staged.display(), exchange.volume.display()))
                .remedy("restore the snapshot again")
        })?;
        let staging = root.find(folder)?;
        let parent = Dir::open(volume.parent)?;
        Ok(Seat { volume, root, parent, staging, folder: folder.to_owned(), name: name.to_owned() })
    }

    /// Empties a live folder, to make room on a full disk for the restore of a snapshot that holds it. Only after that
    /// snapshot has been proven, in this very call, bit by bit. Until it is restored the live data is gone: journal
    /// the intent first, and restore right after.
    pub fn discard_live(&self, id: &SnapshotId, volume: &std::path::Path) -> Result<()> {
        let snapshot = self.load(id)?;
        if !snapshot.volumes.iter().any(|copied| copied.path == volume) {
            return Err(Error::new(format!("snapshot {id} has no copy of {}", volume.display()))
                .remedy("nothing was removed: choose a snapshot that holds this volume"));
        }
        let volume = checks::volume(volume)?;
        checks::goal(&volume)?;
        self.check(&snapshot)?;
        volume.open()?.clear()
    }
}

fn unstage(roots: &BTreeSet<Root>, txn: &str) {
    for root in roots {
        let removed = root.remove(STAGING, txn).and_then(|()| root.tidy());
        if let Err(error) = removed {
            tracing::warn!(error = error.chain(), "a partial clone could not be removed, sweep will");
        }
    }
}

pub(super) fn staging(txn: &str) -> String {
    format!("{STAGING}/{txn}")
}

fn swap(seat: &Seat<'_>, staging: &Dir) -> Result<()> {
    let live = (&seat.parent, seat.volume.name);
    match staging.rename(seat.name.as_ref(), live, Rename::Exchange)? {
        Renamed::Unsupported => {
            // Killed in between, the live folder is gone and the clone takes its place.
            let old = seat.old();
            expect_done(seat.parent.rename(seat.volume.name, (staging, &old), Rename::New)?, staging)?;
            staging.sync()?;
            place(seat, staging)
        }
        renamed => expect_done(renamed, &seat.parent),
    }
}

fn place(seat: &Seat<'_>, staging: &Dir) -> Result<()> {
    let live = (&seat.parent, seat.volume.name);
    expect_done(staging.rename(seat.name.as_ref(), live, Rename::New)?, &seat.parent)
}

/// A disk without room is told before anything is copied to it.
fn enough_room(snapshot: &Snapshot, volumes: &[Volume<'_>], store: &Store) -> Result<()> {
    let load = |(number, volume): (usize, &Volume<'_>)| {
        let copied = &snapshot.volumes[number];
        let reflink = reflinks(&store.beside(volume))?;
        Ok((volume.parent.to_owned(), Load { bytes: copied.bytes, entries: copied.entries, reflink }))
    };
    let loads = volumes.iter().enumerate().map(load).collect::<Result<Vec<_>>>()?;
    let survey = super::survey::Survey { volumes: Vec::new(), file_systems: file_systems(&loads)? };
    survey.shortfall().map_or(Ok(()), |short: Shortfall| Err(short.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(live_inode: Option<u64>) -> Exchange {
        let staged = "/srv/.warmkeep/app/staging/t/0".into();
        Exchange { volume: "/srv/data".into(), staged, live_inode, staged_inode: 20 }
    }

    #[test]
    fn an_exchange_is_decided_by_inodes_alone() {
        let wanted = exchange(Some(10));
        assert_eq!(wanted.next_move(Some(10), Some(20)).unwrap(), Move::Swap);
        assert_eq!(wanted.next_move(Some(20), Some(10)).unwrap(), Move::Nothing);
        assert_eq!(wanted.next_move(Some(20), None).unwrap(), Move::Nothing);
        assert_eq!(wanted.next_move(None, Some(20)).unwrap(), Move::Place);
        assert_eq!(exchange(None).next_move(None, Some(20)).unwrap(), Move::Place);
    }

    #[test]
    fn an_exchange_that_fits_neither_state_is_never_guessed() {
        for (live, staged) in [(Some(11), Some(20)), (Some(10), Some(21)), (Some(10), None), (None, None)] {
            assert!(exchange(Some(10)).next_move(live, staged).is_err(), "{live:?} {staged:?}");
        }
        assert!(exchange(None).next_move(Some(10), Some(20)).is_err());
    }

    #[test]
    fn an_exchange_is_journaled_in_camel_case() {
        let text = serde_json::to_string(&exchange(Some(10))).unwrap();
        insta::assert_snapshot!(text, @r#"{"volume":"/srv/data","staged":"/srv/.warmkeep/app/staging/t/0","liveInode":10,"stagedInode":20}"#);
    }
}
