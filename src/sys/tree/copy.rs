//! Copying a tree with everything a file system keeps about it.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, linkat, makedev, mkdirat, mknodat, symlinkat};
use rustix::io::Errno;

use super::attributes::{Object, Problem, Xattrs};
use super::content::Means;
use super::dir::{Dir, create};
use super::entry::{Id, Kind, Meta, open_folder};
use super::failed;
use super::levels::Levels;
use super::walk::{Entry, Event, Purpose, Walk, unlock};
use crate::error::{Error, Result};

/// What a copy amounted to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    /// Bytes the original has allocated; a file with several names counts once.
    pub bytes: u64,
    /// Entries, the root included, sockets not.
    pub entries: u64,
}

/// Copies a tree into an empty folder, which becomes like the tree's root. `progress` is told of bytes and entries as
/// they are added. Sockets are left out. What was copied when an error came is left to the caller to remove.
pub fn copy(
    source: &Dir,
    target: &Dir,
    purpose: Purpose,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Copied> {
    let walk = Walk::new(source, purpose)?;
    let means = Means { reflink: true, kernel: true };
    let levels = Levels::default();
    let mut copy =
        Copy { walk, target, levels, means, seen: HashMap::new(), done: Copied::default(), progress };
    while let Some(event) = copy.walk.step()? {
        match event {
            Event::Enter(folder) => copy.enter(&folder)?,
            Event::Leaf(leaf) => copy.leaf(&leaf)?,
            Event::Leave(folder) => copy.leave(&folder)?,
        }
    }
    Ok(copy.done)
}

/// A file with several names: where the first one went, and how many are still to come.
struct Seen {
    path: Vec<u8>,
    left: u32,
}

struct Copy<'a> {
    walk: Walk,
    target: &'a Dir,
    levels: Levels,
    means: Means,
    seen: HashMap<Id, Seen>,
    done: Copied,
    progress: &'a mut dyn FnMut(u64, u64),
}

impl Copy<'_> {
    fn enter(&mut self, folder: &Entry) -> Result<()> {
        let made = if folder.name.is_empty() {
            open_folder(self.target.fd(), c".")
        } else {
            let here = self.here()?;
            let name = folder.name.as_c_str();
            let made = mkdirat(here, name, Mode::RWXU).and_then(|()| unlock(here, name));
            made.and_then(|()| open_folder(here, name))
        };
        let fd = made.map_err(|e| self.failed("create the folder", e))?;
        self.levels.push(fd).map_err(|e| self.failed("enter", e))?;
        self.count(folder.meta.allocated);
        Ok(())
    }

    /// A folder gets its attributes last, when nothing in it changes its times any more.
    fn leave(&mut self, folder: &Entry) -> Result<()> {
        let xattrs = self.walk.folder_xattrs()?;
        if !folder.name.is_empty() {
            // While the folder may still be searched.
            self.levels.parent().map(drop).map_err(|e| failed("go back up from", &self.goal(), e))?;
        }
        self.dress(Object::Open(self.here()?), &folder.meta, &xattrs)?;
        self.levels.pop().map_err(|e| self.failed("leave", e))
    }

    fn leaf(&mut self, leaf: &Entry) -> Result<()> {
        if leaf.meta.kind == Kind::Socket {
            return Ok(());
        }
        if leaf.meta.links > 1 && self.link_to_first(leaf)? {
            (self.progress)(0, 1);
            self.done.entries += 1;
            return Ok(());
        }
        match leaf.meta.kind {
            Kind::File => self.file(leaf)?,
            _ => self.special(leaf)?,
        }
        self.count(leaf.meta.allocated);
        Ok(())
    }

    /// Whether it was another name of a file that has been copied, and is one now.
    fn link_to_first(&mut self, leaf: &Entry) -> Result<bool> {
        let id = leaf.meta.id;
        let Some(first) = self.seen.get_mut(&id) else {
            let seen = Seen { path: self.walk.relative().to_owned(), left: leaf.meta.links - 1 };
            self.seen.insert(id, seen);
            return Ok(false);
        };
        first.left = first.left.saturating_sub(1);
        let spent = first.left == 0;
        let path = Path::new(OsStr::from_bytes(&first.path)).to_owned();
        let folder = self.target.beneath(path.parent().unwrap_or(Path::new("")))?;
        let name = path.file_name().unwrap_or_default();
        let linked = match folder {
            Some(folder) => linkat(folder.fd(), name, self.here()?, leaf.name.as_c_str(), AtFlags::empty()),
            None => Err(Errno::NOENT),
        };
        linked.map_err(|e| self.failed("link", e))?;
        if spent {
            self.seen.remove(&id);
        }
        Ok(true)
    }

    fn file(&mut self, leaf: &Entry) -> Result<()> {
        let source = self.walk.open(leaf)?;
        let created = create(self.here()?, leaf.name.as_c_str());
        let target = File::from(created.map_err(|e| self.failed("create", e))?);
        let progress = &mut *self.progress;
        let copied = source.copy_to(&target, &mut self.means, &mut |bytes| progress(bytes, 0));
        copied.map_err(|e| self.walk.failed("copy", e))?;
        self.dress(Object::Open(target.as_fd()), &leaf.meta, &source.xattrs()?)?;
        source.still_the_same()
    }

    fn special(&mut self, leaf: &Entry) -> Result<()> {
        let xattrs = self.walk.leaf_xattrs(leaf)?;
        let here = self.here()?;
        let name = leaf.name.as_c_str();
        match file_type(leaf.meta.kind) {
            Some(file_type) => {
                let device = makedev(leaf.meta.device.0, leaf.meta.device.1);
                mknodat(here, name, file_type, Mode::RUSR | Mode::WUSR, device)
            }
            None if leaf.meta.kind == Kind::Symlink => {
                symlinkat(self.walk.target(leaf)?.as_c_str(), here, name)
            }
            None => return Err(unknown(&self.goal())),
        }
        .map_err(|e| self.failed("create", e))?;
        self.dress(Object::Named(here, name), &leaf.meta, &xattrs)
    }

    fn count(&mut self, bytes: u64) {
        self.done.bytes += bytes;
        self.done.entries += 1;
        (self.progress)(0, 1);
    }

    fn here(&self) -> Result<BorrowedFd<'_>> {
        self.levels.here().map_err(|e| failed("use", self.target.path(), e))
    }

    fn dress(&self, object: Object<'_>, meta: &Meta, xattrs: &Xattrs) -> Result<()> {
        object.become_like(meta, xattrs).map_err(|(what, errno): Problem| self.failed(&what, errno))
    }

    fn goal(&self) -> std::path::PathBuf {
        self.target.path().join(OsStr::from_bytes(self.walk.relative()))
    }

    fn failed(&self, what: &str, errno: Errno) -> Error {
        let error = failed(what, &self.goal(), errno);
        match errno {
            Errno::PERM => {
                error.remedy("run warmkeep as root: only root can copy owners, devices and capabilities")
            }
            _ => error,
        }
    }
}

/// What `mknod` makes, as far as it does.
fn file_type(kind: Kind) -> Option<FileType> {
    match kind {
        Kind::Fifo => Some(FileType::Fifo),
        Kind::Character => Some(FileType::CharacterDevice),
        Kind::Block => Some(FileType::BlockDevice),
        _ => None,
    }
}

fn unknown(path: &Path) -> Error {
    Error::new(format!("{} is of a sort that cannot be copied", path.display()))
        .remedy("move it out of the data, or exclude that volume")
}
