//! A folder that the store keeps things in: the app's own, or `.warmkeep/<app>` beside a volume.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::sys::files;
use crate::sys::tree::{Dir, Rename, Renamed};

/// Published copies, and those being made.
pub(super) const SNAPSHOTS: &str = "snapshots";
/// Clones that wait to be exchanged with the live folders.
pub(super) const STAGING: &str = "staging";
/// Data of a version that failed.
pub(super) const FAILED: &str = "failed";
/// What is being removed.
pub(super) const TRASH: &str = ".trash";
/// The folder beside a volume.
const BESIDE: &str = ".warmkeep";

/// See the module. What is on the way from `base` inwards is opened without following links.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Root {
    base: PathBuf,
    inner: PathBuf,
}

impl Root {
    /// The app's own folder.
    pub(super) fn in_store(app_dir: &Path) -> Self {
        Self { base: app_dir.to_owned(), inner: PathBuf::new() }
    }

    /// The folder beside volumes with this parent.
    pub(super) fn beside(parent: &Path, app: &str) -> Self {
        Self { base: parent.to_owned(), inner: Path::new(BESIDE).join(app) }
    }

    /// Whether it is beside a volume.
    pub(super) fn is_beside(&self) -> bool {
        !self.inner.as_os_str().is_empty()
    }

    /// Where something in it is.
    pub(super) fn path(&self, relative: &str) -> PathBuf {
        self.base.join(&self.inner).join(relative)
    }

    /// What `path` is called in it; `None`: it is not in it.
    pub(super) fn relative<'a>(&self, path: &'a Path) -> Option<&'a str> {
        path.strip_prefix(self.base.join(&self.inner)).ok()?.to_str()
    }

    /// Opens a folder in it; `None` where there is none.
    pub(super) fn find(&self, relative: &str) -> Result<Option<Dir>> {
        match Dir::open_if_exists(&self.base)? {
            Some(base) => base.beneath(&self.inner.join(relative)),
            None => Ok(None),
        }
    }

    /// Opens a folder in it that must be there.
    pub(super) fn need(&self, relative: &str) -> Result<Dir> {
        self.find(relative)?.ok_or_else(|| {
            Error::new(format!("{} is missing", self.path(relative).display()))
                .remedy("mount the file system it is on, if it is not")
        })
    }

    /// Opens a folder in it, made where missing.
    pub(super) fn make(&self, relative: &str) -> Result<Dir> {
        if !self.is_beside() {
            files::create_dir_private(&self.base)?;
        }
        Dir::open(&self.base)?.make(&self.inner.join(relative))
    }

    /// Removes something that nobody relies on.
    pub(super) fn remove(&self, folder: &str, name: &str) -> Result<()> {
        match self.find(folder)? {
            Some(folder) => folder.remove(OsStr::new(name)),
            None => Ok(()),
        }
    }

    /// Removes something so that it is whole or gone, never half there, under its name. Says whether it was there.
    pub(super) fn trash(&self, folder: &str, name: &str) -> Result<bool> {
        let Some(from) = self.find(folder)? else { return Ok(false) };
        if from.look(OsStr::new(name))?.is_none() {
            return Ok(false);
        }
        let trash = self.make(TRASH)?;
        let goal = free_name(&trash, name)?;
        expect_done(from.rename(OsStr::new(name), (&trash, &goal), Rename::New)?, &trash)?;
        from.sync()?;
        trash.sync()?;
        trash.remove(&goal)?;
        Ok(true)
    }

    /// Removes its folders that are empty. Beside a volume nothing stays but what is needed; elsewhere the trash
    /// stays, so that a full disk does not stop anything from being thrown away.
    pub(super) fn tidy(&self) -> Result<()> {
        let Some(here) = self.find("")? else { return Ok(()) };
        here.remove_if_empty(OsStr::new(STAGING))?;
        here.remove_if_empty(OsStr::new(FAILED))?;
        if !self.is_beside() || !here.remove_if_empty(OsStr::new(SNAPSHOTS))? {
            return Ok(());
        }
        here.remove_if_empty(OsStr::new(TRASH))?;
        let Some(base) = Dir::open_if_exists(&self.base)? else { return Ok(()) };
        if let (Some(all), Some(app)) = (base.beneath(Path::new(BESIDE))?, self.inner.file_name()) {
            all.remove_if_empty(app)?;
        }
        base.remove_if_empty(OsStr::new(BESIDE)).map(drop)
    }
}

fn free_name(trash: &Dir, name: &str) -> Result<OsString> {
    let mut goal = OsString::from(name);
    let mut number = 0_u64;
    while trash.look(&goal)?.is_some() {
        number += 1;
        goal = OsString::from(format!("{name}.{number}"));
    }
    Ok(goal)
}

/// Takes anything but a rename that was done as an error.
pub(super) fn expect_done(renamed: Renamed, to: &Dir) -> Result<()> {
    match renamed {
        Renamed::Done => Ok(()),
        Renamed::Apart | Renamed::Unsupported => {
            Err(Error::new(format!("nothing can be renamed into {}", to.path().display()))
                .remedy("it must be on the same mounted file system, one that supports renaming folders"))
        }
    }
}
