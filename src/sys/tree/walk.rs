//! Walking a tree: depth first, names in byte order, on an explicit stack.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rustix::fs::{Access, AtFlags, Mode, RawDir, accessat, chmodat, readlinkat};
use rustix::io::Errno;
use rustix::path::Arg;

use super::attributes::{Object, Xattrs};
use super::content::Content;
use super::dir::Dir;
use super::entry::{Kind, Meta, open_file, open_folder, stat, stat_open};
use super::levels::Levels;
use super::{changed, failed};
use crate::error::Result;

/// What a tree is walked for; decides what to do about surprises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Reading an app's data: nothing may change meanwhile.
    Data,
    /// Reading our own copy: as above, and links keep their access times.
    Copy,
    /// Measuring data in use: what vanishes meanwhile is passed over.
    Measure,
    /// Removing everything: what is gone is gone, and folders closed to us are opened.
    Remove,
}

/// One entry met on the way.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its name in its folder; empty for the root of the tree.
    pub name: CString,
    /// What it is.
    pub meta: Meta,
}

/// What happens on the way.
#[derive(Debug, Clone)]
pub enum Event {
    /// A folder was entered; `Walk::here` is that folder.
    Enter(Entry),
    /// Anything that is no folder, in `Walk::here`.
    Leaf(Entry),
    /// All of a folder was seen; `Walk::here` still is that folder.
    Leave(Entry),
}

#[derive(Debug)]
struct Folder {
    entry: Entry,
    path_length: usize,
    /// Names still to come, the next one last.
    pending: Vec<CString>,
}

/// A walk through a tree.
#[derive(Debug)]
pub struct Walk {
    root: PathBuf,
    purpose: Purpose,
    levels: Levels,
    folders: Vec<Folder>,
    path: Vec<u8>,
    first: Option<OwnedFd>,
    leaving: bool,
}

impl Walk {
    /// Begins at an open folder, which is the first entry.
    pub fn new(root: &Dir, purpose: Purpose) -> Result<Self> {
        let path = root.path().to_owned();
        let first = open_folder(root.fd(), c".").map_err(|e| failed("open", &path, e))?;
        let (levels, folders) = (Levels::default(), Vec::new());
        Ok(Self {
            root: path,
            purpose,
            levels,
            folders,
            path: Vec::new(),
            first: Some(first),
            leaving: false,
        })
    }

    /// The next event; `None` at the end.
    pub fn step(&mut self) -> Result<Option<Event>> {
        if let Some(first) = self.first.take() {
            return self.enter(first, CString::default()).map(Some);
        }
        if std::mem::take(&mut self.leaving) {
            self.levels.pop().map_err(|e| self.failed("go back up from", e))?;
            self.folders.pop();
        }
        loop {
            let Some(folder) = self.folders.last_mut() else { return Ok(None) };
            self.path.truncate(folder.path_length);
            let Some(name) = folder.pending.pop() else { return self.leave().map(Some) };
            if let Some(event) = self.visit(name)? {
                return Ok(Some(event));
            }
        }
    }

    /// The path of the last entry, from the root of the tree; empty for the root.
    pub fn relative(&self) -> &[u8] {
        &self.path
    }

    /// The same as a path that a person can find.
    pub fn full_path(&self) -> PathBuf {
        if self.path.is_empty() { self.root.clone() } else { self.root.join(OsStr::from_bytes(&self.path)) }
    }

    /// The folder the walk is in.
    pub(super) fn here(&self) -> Result<BorrowedFd<'_>> {
        self.levels.here().map_err(|e| failed("use", &self.root, e))
    }

    /// The folder above that.
    pub(super) fn above(&mut self) -> Result<BorrowedFd<'_>> {
        let path = self.full_path();
        self.levels.parent().map_err(|e| failed("go back up from", &path, e))
    }

    pub(super) fn failed(&self, what: &str, errno: Errno) -> crate::error::Error {
        match errno {
            Errno::STALE => changed(&self.full_path()),
            _ => failed(what, &self.full_path(), errno),
        }
    }

    /// The extended attributes of the folder just entered or about to be left.
    pub fn folder_xattrs(&self) -> Result<Xattrs> {
        Object::Open(self.here()?).xattrs().map_err(|(what, errno)| self.failed(&what, errno))
    }

    /// The extended attributes of a leaf that is no regular file.
    pub fn leaf_xattrs(&self, leaf: &Entry) -> Result<Xattrs> {
        Object::Named(self.here()?, &leaf.name).xattrs().map_err(|(what, errno)| self.failed(&what, errno))
    }

    /// Opens a leaf that is a regular file, and makes sure that it is the one that was seen.
    pub fn open(&self, leaf: &Entry) -> Result<Content> {
        let file = open_file(self.here()?, leaf.name.as_c_str()).map_err(|e| self.failed("open", e))?;
        let meta = stat_open(file.as_fd()).map_err(|e| self.failed("look at", e))?;
        if !leaf.meta.same_state(&meta) {
            return Err(changed(&self.full_path()));
        }
        Ok(Content { file, path: self.full_path(), meta })
    }

    /// Where a leaf that is a symbolic link points.
    pub fn target(&self, leaf: &Entry) -> Result<CString> {
        let here = self.here()?;
        let name = leaf.name.as_c_str();
        let target = readlinkat(here, name, Vec::new()).map_err(|e| self.failed("read the link", e))?;
        let moved = |meta: Meta| meta.accessed != leaf.meta.accessed;
        if self.purpose == Purpose::Copy && stat(here, name).is_ok_and(moved) {
            // On a file system mounted read-only the time cannot have moved, so a refusal is an error.
            let times = Object::Named(here, name).set_times(leaf.meta.accessed, leaf.meta.modified);
            times.map_err(|e| self.failed("set the times of", e))?;
        }
        Ok(target)
    }

    fn visit(&mut self, name: CString) -> Result<Option<Event>> {
        if !self.path.is_empty() {
            self.path.push(b'/');
        }
        self.path.extend_from_slice(name.as_bytes());
        match self.look(name) {
            Err((_, Errno::NOENT)) if matches!(self.purpose, Purpose::Measure | Purpose::Remove) => Ok(None),
            Err((what, errno)) => Err(match errno {
                Errno::NOENT => changed(&self.full_path()),
                _ => self.failed(what, errno),
            }),
            Ok(Found::Leaf(entry)) => Ok(Some(Event::Leaf(entry))),
            Ok(Found::Folder(fd, name)) => self.enter(fd, name).map(Some),
        }
    }

    fn look(&self, name: CString) -> Result<Found, (&'static str, Errno)> {
        let here = self.levels.here().map_err(|e| ("use the folder of", e))?;
        let meta = stat(here, name.as_c_str()).map_err(|e| ("look at", e))?;
        if meta.kind != Kind::Folder {
            return Ok(Found::Leaf(Entry { name, meta }));
        }
        if self.purpose == Purpose::Remove && meta.mode & 0o700 != 0o700 {
            unlock(here, name.as_c_str()).map_err(|e| ("open up", e))?;
        }
        open_folder(here, name.as_c_str()).map(|fd| Found::Folder(fd, name)).map_err(|e| ("open", e))
    }

    fn enter(&mut self, fd: OwnedFd, name: CString) -> Result<Event> {
        let meta = stat_open(fd.as_fd()).map_err(|e| self.failed("look at", e))?;
        let pending = names(fd.as_fd()).map_err(|e| self.failed("list", e))?;
        self.levels.push(fd).map_err(|e| self.failed("enter", e))?;
        let entry = Entry { name, meta };
        self.folders.push(Folder { entry: entry.clone(), path_length: self.path.len(), pending });
        Ok(Event::Enter(entry))
    }

    fn leave(&mut self) -> Result<Event> {
        self.leaving = true;
        let here = self.here()?;
        let now = stat_open(here).map_err(|e| self.failed("look at", e))?;
        let Some(folder) = self.folders.last() else { return Err(changed(&self.root)) };
        let fixed = matches!(self.purpose, Purpose::Data | Purpose::Copy);
        if fixed && !folder.entry.meta.same_state(&now) {
            return Err(changed(&self.full_path()));
        }
        Ok(Event::Leave(folder.entry.clone()))
    }
}

enum Found {
    Leaf(Entry),
    Folder(OwnedFd, CString),
}

/// Gives ourselves every right to a folder: it may have none for its owner, or have inherited so few. Root needs no
/// permission, and so never has to follow a name here.
pub(super) fn unlock(folder: BorrowedFd<'_>, name: impl Arg) -> Result<(), Errno> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    chmodat(folder, name, Mode::RWXU, AtFlags::empty())
}

/// The names in an open folder, last one first.
pub(super) fn names(folder: BorrowedFd<'_>) -> Result<Vec<CString>, Errno> {
    let mut buffer = Vec::<u8>::with_capacity(32 << 10);
    let mut entries = RawDir::new(folder, buffer.spare_capacity_mut());
    let mut names = Vec::new();
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable_by(|a, b| b.cmp(a));
    Ok(names)
}

/// What a tree amounts to. A file with several names counts once in bytes and inodes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Bytes allocated.
    pub allocated: u64,
    /// Bytes that the sizes of the files say.
    pub apparent: u64,
    /// Entries, the root included, sockets not.
    pub entries: u64,
    /// Inodes among them.
    pub inodes: u64,
}

/// Adds up a tree that may be in use. An error names the first entry that cannot be read.
pub fn measure(root: &Dir) -> Result<Totals> {
    let mut walk = Walk::new(root, Purpose::Measure)?;
    let mut totals = Totals::default();
    let mut seen = std::collections::HashSet::new();
    while let Some(event) = walk.step()? {
        let (Event::Enter(entry) | Event::Leaf(entry)) = event else { continue };
        let meta = entry.meta;
        if matches!(meta.kind, Kind::Socket) {
            continue;
        }
        readable(&walk, &entry)?;
        totals.entries += 1;
        if meta.kind != Kind::Folder && meta.links > 1 && !seen.insert(meta.id) {
            continue;
        }
        totals.inodes += 1;
        totals.allocated += meta.allocated;
        totals.apparent += if meta.kind == Kind::File { meta.size } else { 0 };
    }
    Ok(totals)
}

fn readable(walk: &Walk, entry: &Entry) -> Result<()> {
    if entry.meta.kind != Kind::File || rustix::process::geteuid().is_root() {
        return Ok(());
    }
    match accessat(walk.here()?, entry.name.as_c_str(), Access::READ_OK, AtFlags::EACCESS) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(errno) => {
            Err(walk.failed("read", errno).remedy("run warmkeep as root, or give it the right to read"))
        }
    }
}
