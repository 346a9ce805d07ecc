//! The store: what is where, and what is there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checks::Volume;
use super::id::SnapshotId;
use super::ledger::Ledger;
use super::meter::Meter;
use super::model::{Listing, Phase, Progress, Snapshot};
use super::root::{FAILED, Root, SNAPSHOTS, TRASH, expect_done};
use super::wire::{Layout, decode, encode};
use crate::error::{Error, Result};
use crate::sys::files;
use crate::sys::tree::{Rename, Renamed};

/// The record of a snapshot, inside its folder.
pub(super) const RECORD: &str = "snapshot.json";
/// Larger than any record.
const RECORD_LIMIT: u64 = 4 << 20;
/// What is renamed to learn whether a rename works.
pub(super) const PROBE: &str = ".probe";

type Listener = Arc<dyn Fn(Progress) + Send + Sync>;

/// One app's snapshots. It has one writer: the caller holds the app's lock.
#[derive(Clone)]
pub struct Store {
    pub(super) app: String,
    pub(super) app_dir: PathBuf,
    listener: Option<Listener>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("app", &self.app)
            .field("app_dir", &self.app_dir)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// The store of `app`, whose folder of state is `app_dir`. Touches nothing.
    pub fn new(app: &str, app_dir: &Path) -> Self {
        Self { app: app.to_owned(), app_dir: app_dir.to_owned(), listener: None }
    }

    /// Tells `listener` how far `create`, `seal`, `verify` and `stage` have come, every now and then.
    #[must_use]
    pub fn with_progress(mut self, listener: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.listener = Some(Arc::new(listener));
        self
    }

    pub(super) fn meter(&self, phase: Phase) -> Meter<'_> {
        Meter::new(self.listener.as_deref(), phase)
    }

    /// All snapshots, the oldest first. What cannot be read is listed apart, with why.
    pub fn list(&self) -> Result<Listing> {
        let mut listing = Listing::default();
        for path in files::list(&self.app_dir.join(SNAPSHOTS))? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.starts_with('.') {
                continue;
            }
            let read = SnapshotId::parse(name)
                .map_err(|e| Error::new("it is not named as a snapshot").because(e))
                .and_then(|id| self.read(&id));
            match read {
                Ok(Some(snapshot)) => listing.snapshots.push(snapshot),
                Ok(None) => listing.unreadable.push((path, format!("it has no {RECORD}"))),
                Err(error) => listing.unreadable.push((path, error.chain())),
            }
        }
        listing.snapshots.sort_by_key(|snapshot| snapshot.seq);
        Ok(listing)
    }

    /// One snapshot. An error: there is none of that name, it is damaged, or it is from a newer warmkeep.
    pub fn load(&self, id: &SnapshotId) -> Result<Snapshot> {
        let remedy = format!("`warmkeep snapshot list {}` shows those that are there", self.app);
        match self.read(id) {
            Ok(Some(snapshot)) => Ok(snapshot),
            Ok(None) => Err(Error::new(format!("{} has no snapshot {id}", self.app)).remedy(remedy)),
            Err(error) => {
                let remedy = error.hint().map_or(remedy, str::to_owned);
                Err(Error::new(format!("snapshot {id} of {} cannot be read", self.app))
                    .because(error)
                    .remedy(remedy))
            }
        }
    }

    fn read(&self, id: &SnapshotId) -> Result<Option<Snapshot>> {
        let path = self.index(id).join(RECORD);
        let Some(bytes) = files::read_if_exists(&path, RECORD_LIMIT)? else { return Ok(None) };
        let snapshot = decode(&bytes, &Layout { app: &self.app, app_dir: &self.app_dir })?;
        if snapshot.id == *id {
            Ok(Some(snapshot))
        } else {
            Err(Error::new(format!("it says that it is {}", snapshot.id)))
        }
    }

    /// Replaces the record of a published snapshot.
    pub(super) fn record(&self, snapshot: &Snapshot) -> Result<()> {
        files::write_atomic(&self.index(&snapshot.id).join(RECORD), &encode(snapshot)?)
    }

    /// The folder with a snapshot's record and manifests.
    pub(super) fn index(&self, id: &SnapshotId) -> PathBuf {
        self.app_dir.join(SNAPSHOTS).join(id.as_str())
    }

    pub(super) fn is_published(&self, id: &SnapshotId) -> bool {
        files::exists(&self.index(id))
    }

    fn ledger_path(&self) -> PathBuf {
        self.app_dir.join(SNAPSHOTS).join(".ledger.json")
    }

    pub(super) fn ledger(&self) -> Result<Ledger> {
        Ledger::load(&self.ledger_path())
    }

    /// Changes the ledger, durably; does not write where nothing changes.
    pub(super) fn note(&self, change: impl FnOnce(&mut Ledger)) -> Result<()> {
        let before = self.ledger()?;
        let mut after = before.clone();
        change(&mut after);
        if after == before {
            return Ok(());
        }
        self.in_store().make(SNAPSHOTS)?;
        after.save(&self.ledger_path())
    }

    pub(super) fn in_store(&self) -> Root {
        Root::in_store(&self.app_dir)
    }

    pub(super) fn beside(&self, volume: &Volume<'_>) -> Root {
        Root::beside(volume.parent, &self.app)
    }

    /// The root beside a volume, remembered before anything is put there.
    pub(super) fn known_beside(&self, volume: &Volume<'_>) -> Result<Root> {
        self.note(|ledger| ledger.places.extend([volume.parent.to_owned()]))?;
        Ok(self.beside(volume))
    }

    /// Every root that may hold something of this app.
    pub(super) fn roots(&self) -> Result<Vec<Root>> {
        let places = self.ledger()?.places;
        let beside = places.iter().map(|parent| Root::beside(parent, &self.app));
        Ok(std::iter::once(self.in_store()).chain(beside).collect())
    }

    /// Where copies of a volume are kept: in the store if a folder can be renamed there from beside the volume, which is
    /// tried for real (the same device number does not prove it), else beside the volume.
    pub(super) fn place(&self, volume: &Volume<'_>) -> Result<Root> {
        let beside = self.known_beside(volume)?;
        let store = self.in_store().make("")?;
        let probed = beside.make("").and_then(|side| {
            if side.meta()?.id.device != store.meta()?.id.device {
                return Ok(Renamed::Apart);
            }
            side.remove(PROBE.as_ref())?;
            store.remove(PROBE.as_ref())?;
            side.make_new(PROBE.as_ref())?;
            let renamed = side.rename(PROBE.as_ref(), (&store, PROBE.as_ref()), Rename::New);
            side.remove(PROBE.as_ref())?;
            store.remove(PROBE.as_ref())?;
            renamed
        });
        beside.tidy()?;
        match probed? {
            Renamed::Done => Ok(self.in_store()),
            Renamed::Apart => Ok(beside),
            Renamed::Unsupported => expect_done(Renamed::Unsupported, &store).map(|()| beside),
        }
    }

    /// Makes the folders that later steps must not lack room for.
    pub(super) fn prepare(root: &Root) -> Result<()> {
        root.make(SNAPSHOTS)?;
        root.make(TRASH).map(drop)
    }

    pub(super) fn failed_dir(&self) -> PathBuf {
        self.app_dir.join(FAILED)
    }
}
