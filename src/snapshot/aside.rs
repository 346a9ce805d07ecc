//! The data of a version that failed, kept for a person to study.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::checks;
use super::restore::{Exchange, Seat, staging};
use super::root::{FAILED, Root, STAGING, expect_done};
use super::store::Store;
use crate::error::{Error, Result};
use crate::sys::tree::{Dir, Rename};
use crate::sys::{clock, files};

const RECORD: &str = "kept.json";
const SCHEMA: u32 = 1;
/// Larger than any record here.
const LIMIT: u64 = 4 << 20;

/// Data that was live when a transaction rolled back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptData {
    /// The transaction.
    pub txn: String,
    /// When it was put aside.
    pub kept_at: Timestamp,
    /// The folders.
    pub volumes: Vec<KeptVolume>,
}

/// One folder of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptVolume {
    /// Where it was live.
    pub path: PathBuf,
    /// Where it is now.
    pub location: PathBuf,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct KeptWire {
    schema: u32,
    txn: String,
    kept_at: Timestamp,
    volumes: Vec<KeptVolumeWire>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct KeptVolumeWire {
    name: String,
    path: PathBuf,
    place: Place,
}

/// The location follows from this: nothing is deleted by a path out of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Place {
    Store,
    BesideVolume,
}

fn failed(txn: &str) -> String {
    format!("{FAILED}/{txn}")
}

impl Store {
    /// Moves what was live before these exchanges to `failed/<txn>`, and drops what an earlier transaction had kept
    /// there. Doing it again does nothing more. `None`: nothing was live. An error: an exchange has not been made.
    pub fn keep_aside(&self, exchanges: &[Exchange], txn: &str) -> Result<Option<KeptData>> {
        checks::txn(txn)?;
        let mut moves = Vec::new();
        let mut roots = Vec::new();
        for exchange in exchanges {
            let seat = self.seat(exchange)?;
            roots.push(seat.root.clone());
            if was_live(&seat, exchange)? {
                let root = self.place(&seat.volume)?;
                moves.push((seat, root));
            }
        }
        let kept = self.keep(&moves, txn)?;
        for root in roots {
            root.remove(STAGING, txn)?;
            root.tidy()?;
        }
        if kept.is_some() {
            self.drop_older_than(txn);
        }
        Ok(kept)
    }

    /// The record first: a move that is recorded and not made yet is made when this is done again.
    fn keep(&self, moves: &[(Seat<'_>, Root)], txn: &str) -> Result<Option<KeptData>> {
        let known = self.read_kept(txn)?;
        if moves.is_empty() {
            return known.map(|wire| self.kept(&wire)).transpose();
        }
        let mut wire = known.unwrap_or(KeptWire {
            schema: SCHEMA,
            txn: txn.to_owned(),
            kept_at: clock::now(),
            volumes: vec![],
        });
        for (seat, root) in moves {
            let place = if root.is_beside() { Place::BesideVolume } else { Place::Store };
            let volume = KeptVolumeWire { name: seat.name.clone(), path: seat.volume.path.into(), place };
            if !wire.volumes.iter().any(|known| known.name == volume.name) {
                wire.volumes.push(volume);
            }
        }
        let folder = self.in_store().make(&failed(txn))?;
        let bytes = serde_json::to_vec_pretty(&wire).map_err(|e| self.bad_record(txn).because(e))?;
        files::write_atomic(&folder.path().join(RECORD), &bytes)?;
        for (seat, root) in moves {
            move_aside(seat, root, txn)?;
        }
        self.kept(&wire).map(Some)
    }

    /// Data of failed versions that is kept, the oldest first. There is more than one only after a crash.
    pub fn failed(&self) -> Result<Vec<KeptData>> {
        let mut all = Vec::new();
        for path in files::list(&self.failed_dir())? {
            let Some(txn) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if let Some(wire) = self.read_kept(txn)? {
                all.push(self.kept(&wire)?);
            }
        }
        all.sort_by(|a: &KeptData, b| (a.kept_at, &a.txn).cmp(&(b.kept_at, &b.txn)));
        Ok(all)
    }

    /// Removes all data of failed versions.
    pub fn drop_failed(&self) -> Result<()> {
        for kept in self.failed()? {
            self.drop_kept(&kept.txn)?;
        }
        Ok(())
    }

    /// A rollback is not failed by what an older one left.
    fn drop_older_than(&self, txn: &str) {
        let dropped = self.failed().and_then(|all| {
            let mut older = all.iter().filter(|kept| kept.txn != txn);
            older.try_for_each(|kept| self.drop_kept(&kept.txn))
        });
        if let Err(error) = dropped {
            tracing::warn!(error = error.chain(), "older data of a failed version could not be removed");
        }
    }

    /// The record goes last, so that this is finished when it is done again.
    fn drop_kept(&self, txn: &str) -> Result<()> {
        for volume in self.read_kept(txn)?.map_or_else(Vec::new, |wire| wire.volumes) {
            let root = self.kept_root(&volume)?;
            if root.is_beside() {
                root.trash(FAILED, txn)?;
                root.tidy()?;
            }
        }
        self.in_store().trash(FAILED, txn)?;
        self.in_store().tidy()
    }

    fn read_kept(&self, txn: &str) -> Result<Option<KeptWire>> {
        let Some(folder) = self.in_store().find(&failed(txn))? else { return Ok(None) };
        let Some(bytes) = folder.read(RECORD.as_ref(), LIMIT)? else { return Ok(None) };
        let wire: KeptWire = serde_json::from_slice(&bytes).map_err(|e| self.bad_record(txn).because(e))?;
        if wire.schema == SCHEMA && wire.txn == txn { Ok(Some(wire)) } else { Err(self.bad_record(txn)) }
    }

    fn bad_record(&self, txn: &str) -> Error {
        let path = self.in_store().path(&failed(txn)).join(RECORD);
        Error::new(format!("{} is damaged, or from another warmkeep", path.display()))
            .remedy("look at that folder, then move it away")
    }

    fn kept_root(&self, volume: &KeptVolumeWire) -> Result<Root> {
        match volume.place {
            Place::Store => Ok(self.in_store()),
            Place::BesideVolume => Ok(self.beside(&checks::volume(&volume.path)?)),
        }
    }

    /// Only what is really there is told.
    fn kept(&self, wire: &KeptWire) -> Result<KeptData> {
        let mut volumes = Vec::new();
        for volume in &wire.volumes {
            let root = self.kept_root(volume)?;
            let location = root.path(&failed(&wire.txn)).join(&volume.name);
            if files::exists(&location) {
                volumes.push(KeptVolume { path: volume.path.clone(), location });
            }
        }
        Ok(KeptData { txn: wire.txn.clone(), kept_at: wire.kept_at, volumes })
    }

    /// Clears the staging folders beside volumes after a crash: clones are removed, live data that had been exchanged
    /// out is kept aside.
    pub(super) fn settle_staging(&self, root: &Root) -> Result<()> {
        let Some(all) = root.find(STAGING)? else { return Ok(()) };
        for txn in all.names()? {
            let txn = txn.to_string_lossy().into_owned();
            let Some(folder) = root.find(&staging(&txn))? else { continue };
            let exchanged = exchanged_out(&folder)?;
            if !exchanged.is_empty() {
                self.keep_aside(&exchanged, &txn)?;
            }
            root.remove(STAGING, &txn)?;
        }
        root.tidy()
    }
}

/// Whether what lies at the clone's place is the folder that was live.
fn was_live(seat: &Seat<'_>, exchange: &Exchange) -> Result<bool> {
    match seat.staged_inode()? {
        None if !seat.is_half_done()? => return Ok(false),
        Some(inode) if Some(inode) == exchange.live_inode => return Ok(true),
        _ => {}
    }
    Err(Error::new(format!("{} has not been exchanged", exchange.volume.display()))
        .remedy("make the exchange first; nothing was moved"))
}

fn move_aside(seat: &Seat<'_>, root: &Root, txn: &str) -> Result<()> {
    let Some(from) = &seat.staging else { return Ok(()) };
    let to = root.make(&failed(txn))?;
    if to.look(seat.name.as_ref())?.is_some() {
        // The same transaction kept the failed version's data before it began again: that is the one to study.
        return seat.root.trash(&seat.folder, &seat.name).map(drop);
    }
    expect_done(from.rename(seat.name.as_ref(), (&to, seat.name.as_ref()), Rename::New)?, &to)?;
    to.sync()?;
    from.sync()
}

/// Writes down beside a clone what it is to be exchanged with.
pub(super) fn note_exchange(folder: &Dir, name: &str, exchange: &Exchange) -> Result<()> {
    use std::io::Write;
    let failed = |e| Error::new(format!("cannot write in {}", folder.path().display())).because(e);
    let bytes = serde_json::to_vec(exchange).map_err(|e| failed(e.into()))?;
    let mut file = folder.new_file(format!("{name}.json").as_ref())?;
    file.write_all(&bytes).map_err(failed)?;
    file.publish()
}

/// The exchanges noted in a staging folder that were made: live data lies in the clone's place.
fn exchanged_out(folder: &Dir) -> Result<Vec<Exchange>> {
    let inode = |name: &str| Ok::<_, Error>(folder.look(name.as_ref())?.map(|meta| meta.id.inode));
    let mut exchanged = Vec::new();
    for note in folder.names()? {
        let Some(name) = note.to_str().and_then(|note| note.strip_suffix(".json")) else { continue };
        let Some(bytes) = folder.read(&note, LIMIT)? else { continue };
        let exchange: Exchange = serde_json::from_slice(&bytes).map_err(|e| {
            Error::new(format!("{} is damaged", folder.path().join(&note).display()))
                .because(e)
                .remedy("what lies beside it may be live data: look at it, then move it away")
        })?;
        let old = format!("{name}.old");
        if inode(&old)?.is_some() {
            // Killed between two renames: the clone is not needed any more, the live data is.
            folder.remove(name.as_ref())?;
            expect_done(folder.rename(old.as_ref(), (folder, name.as_ref()), Rename::New)?, folder)?;
        }
        if inode(name)?.is_some_and(|found| Some(found) == exchange.live_inode) {
            exchanged.push(exchange);
        }
    }
    Ok(exchanged)
}
