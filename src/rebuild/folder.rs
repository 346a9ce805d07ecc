//! What a rebuild writes down, in `stateDir/rebuild/`.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::flake::Flake;
use super::journal::{Before, Journal};
use crate::error::{Kind as ErrorKind, Result};
use crate::record::document;
use crate::record::layout::Layout;
use crate::sys::fault::{self, Side};
use crate::sys::files::{self, Room};

/// Room for the journal, the result of a switch, and an alert or two.
const RESERVE: Room = Room { bytes: 1 << 20, inodes: 8 };

/// What was activated last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Last {
    /// Schema of the document.
    pub(super) schema: u64,
    /// The store path.
    pub(super) path: PathBuf,
    /// What it was built from.
    pub(super) flake: Flake,
    /// When.
    pub(super) at: Timestamp,
    /// Whether it runs only after a reboot.
    pub(super) needs_reboot: bool,
}

impl Last {
    /// Whether it is what was found: what runs, or what is to run after a reboot.
    pub(super) fn is_of(&self, found: &Before) -> bool {
        self.path == found.running || (self.needs_reboot && Some(&self.path) == found.profile.as_ref())
    }
}

/// The folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Folder {
    dir: PathBuf,
    layout: Layout,
}

impl Folder {
    pub(super) fn new(layout: &Layout) -> Self {
        Self { dir: layout.rebuild(), layout: layout.clone() }
    }

    /// Makes it, with the room that recording needs on a disk that a build has filled.
    pub(super) fn create(&self) -> Result<()> {
        files::create_dir_private(&self.dir)?;
        files::reserve(&self.dir.join("reserve"), RESERVE)
    }

    /// The link that keeps what was built from being collected.
    pub(super) fn new_root(&self) -> PathBuf {
        self.dir.join("new")
    }

    /// The link that keeps what ran before from being collected.
    pub(super) fn previous_root(&self) -> PathBuf {
        self.dir.join("previous")
    }

    /// How the last switch ended.
    pub(super) fn result(&self) -> PathBuf {
        self.dir.join("result.json")
    }

    fn journal_file(&self) -> PathBuf {
        self.dir.join("journal.json")
    }

    fn last_file(&self) -> PathBuf {
        self.dir.join("last.json")
    }

    /// The unfinished rebuild, if there is one.
    pub(super) fn journal(&self) -> Result<Option<Journal>> {
        document::read(&self.journal_file())
    }

    /// Writes the journal; it is durable when this returns.
    pub(super) fn keep(&self, journal: &Journal) -> Result<()> {
        fault::at_record(Side::Before);
        self.write(&self.journal_file(), journal)?;
        fault::at_record(Side::After);
        Ok(())
    }

    /// What was activated last, if warmkeep did it.
    pub(super) fn last(&self) -> Result<Option<Last>> {
        document::read(&self.last_file())
    }

    /// Records what was activated last.
    pub(super) fn keep_last(&self, last: &Last) -> Result<()> {
        self.write(&self.last_file(), last)
    }

    /// Writes on a full disk as well: the room that was set aside is for this.
    fn write(&self, path: &Path, document: &impl Serialize) -> Result<()> {
        match document::write(path, document) {
            Err(e) if e.kind() == ErrorKind::DiskFull => {
                files::give_up(&self.dir.join("reserve"))?;
                self.layout.give_up_spare()?;
                document::write(path, document)
            }
            other => other,
        }
    }

    /// Removes all that an unfinished rebuild needs. The journal goes last: as long as it is there, the rest is needed.
    pub(super) fn forget(&self) -> Result<()> {
        for path in [self.new_root(), self.previous_root(), self.result()] {
            files::remove_file(&path)?;
        }
        files::give_up(&self.dir.join("reserve"))?;
        files::remove_file(&self.journal_file())?;
        files::sync_dir(&self.dir)
    }
}
