//! An open folder, and what is done to the things in it by name.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    Access, AtFlags, CWD, Mode, OFlags, RenameFlags, accessat, fsync, ioctl_ficlone, mkdirat, openat,
    renameat, renameat_with, syncfs, unlinkat,
};
use rustix::io::Errno;

use super::entry::{Meta, open_file, open_folder, stat, stat_open};
use super::{NewFile, failed, remove, walk};
use crate::error::{Error, Result};

/// An open folder, with the path it was opened by.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

/// What a file system without reflinks, or without room to try one, says.
const NO_REFLINK: [Errno; 8] = [
    Errno::OPNOTSUPP,
    Errno::XDEV,
    Errno::INVAL,
    Errno::NOSYS,
    Errno::NOTTY,
    Errno::PERM,
    Errno::NOSPC,
    Errno::DQUOT,
];

/// How a rename treats what is at its goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rename {
    /// Nothing may be there.
    New,
    /// The two change places in one step.
    Exchange,
}

/// How a rename went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renamed {
    /// It is done.
    Done,
    /// The two places are not on the same mounted file system.
    Apart,
    /// This file system has no such rename.
    Unsupported,
}

impl Dir {
    /// Opens a folder by its path, which is trusted: links in it are followed.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_raw(path).map_err(|e| failed("open the folder", path, e))
    }

    /// The same; `None` where there is nothing.
    pub fn open_if_exists(path: &Path) -> Result<Option<Self>> {
        match Self::open_raw(path) {
            Ok(dir) => Ok(Some(dir)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(failed("open the folder", path, errno)),
        }
    }

    fn open_raw(path: &Path) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { fd: openat(CWD, path, flags, Mode::empty())?, path: path.to_owned() })
    }

    pub(super) fn adopt(fd: OwnedFd, path: PathBuf) -> Self {
        Self { fd, path }
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// What the folder itself is.
    pub fn meta(&self) -> Result<Meta> {
        stat_open(self.fd()).map_err(|e| failed("look at", &self.path, e))
    }

    /// What `name` in it is, a link not followed; `None`: nothing.
    pub fn look(&self, name: &OsStr) -> Result<Option<Meta>> {
        match stat(self.fd(), name) {
            Ok(meta) => Ok(Some(meta)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(failed("look at", &self.path.join(name), errno)),
        }
    }

    /// The names in it, sorted.
    pub fn names(&self) -> Result<Vec<OsString>> {
        let listed = open_folder(self.fd(), c".").and_then(|fd| walk::names(fd.as_fd()));
        let names = listed.map_err(|e| failed("list", &self.path, e))?;
        Ok(names.into_iter().rev().map(|name| OsString::from_vec(name.into_bytes())).collect())
    }

    /// A folder below it; `None` where there is none. Links and other mounts on the way are errors.
    pub fn beneath(&self, relative: &Path) -> Result<Option<Self>> {
        let mut here = self.again()?;
        for name in components(relative)? {
            match open_folder(here.fd(), name) {
                Ok(fd) => here = Self { fd, path: here.path.join(name) },
                Err(Errno::NOENT) => return Ok(None),
                Err(errno) => return Err(failed("open the folder", &here.path.join(name), errno)),
            }
        }
        Ok(Some(here))
    }

    /// A folder below it, made (0700) with those on the way where missing. Whatever is there already must be ours
    /// alone: nobody else may own it or write to it.
    pub fn make(&self, relative: &Path) -> Result<Self> {
        let mut here = self.again()?;
        for name in components(relative)? {
            here = here.make_one(name)?;
        }
        Ok(here)
    }

    fn make_one(&self, name: &OsStr) -> Result<Self> {
        let path = self.path.join(name);
        let made = match mkdirat(self.fd(), name, Mode::RWXU) {
            Ok(()) => walk::unlock(self.fd(), name).and_then(|()| open_folder(self.fd(), name)),
            Err(Errno::EXIST) => open_folder(self.fd(), name),
            Err(errno) => return Err(failed("create the folder", &path, errno)),
        };
        let dir = Self { fd: made.map_err(|e| failed("open the folder", &path, e))?, path };
        let meta = dir.meta()?;
        if meta.uid != rustix::process::geteuid().as_raw() || meta.mode & 0o022 != 0 {
            return Err(Error::new(format!("{} belongs to somebody else", dir.path.display()))
                .remedy("remove it: it must be a folder that only warmkeep's own user can write to"));
        }
        Ok(dir)
    }

    /// A folder in it that must not be there yet.
    pub fn make_new(&self, name: &OsStr) -> Result<Self> {
        let path = self.path.join(name);
        let made = mkdirat(self.fd(), name, Mode::RWXU).and_then(|()| walk::unlock(self.fd(), name));
        let made = made.and_then(|()| open_folder(self.fd(), name));
        Ok(Self { fd: made.map_err(|e| failed("create the folder", &path, e))?, path })
    }

    fn again(&self) -> Result<Self> {
        let fd = self.fd.try_clone();
        let fd = fd.map_err(|e| Error::new(format!("cannot use {}", self.path.display())).because(e))?;
        Ok(Self { fd, path: self.path.clone() })
    }

    /// Whether this process may change what is in it.
    pub fn writable(&self) -> Result<()> {
        accessat(self.fd(), c".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)
            .map_err(|e| failed("write to", &self.path, e))
    }

    /// Makes the names in it durable.
    pub fn sync(&self) -> Result<()> {
        fsync(&self.fd).map_err(|e| failed("sync", &self.path, e))
    }

    /// Makes everything on its file system durable.
    pub fn sync_file_system(&self) -> Result<()> {
        syncfs(&self.fd).map_err(|e| failed("sync the file system of", &self.path, e))
    }

    /// Removes `name` and all below it; nothing there is fine.
    pub fn remove(&self, name: &OsStr) -> Result<()> {
        remove::tree(self, name)
    }

    /// Removes all that is in it.
    pub fn clear(&self) -> Result<()> {
        remove::contents(self)
    }

    /// Removes the folder `name` if it is empty; says whether it is gone.
    pub fn remove_if_empty(&self, name: &OsStr) -> Result<bool> {
        match unlinkat(self.fd(), name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(true),
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => Ok(false),
            Err(errno) => Err(failed("remove", &self.path.join(name), errno)),
        }
    }

    /// Renames `name` to `goal` in another (or the same) folder.
    pub fn rename(&self, name: &OsStr, (to, goal): (&Self, &OsStr), how: Rename) -> Result<Renamed> {
        let flags = match how {
            Rename::New => RenameFlags::NOREPLACE,
            Rename::Exchange => RenameFlags::EXCHANGE,
        };
        let renamed = match renameat_with(self.fd(), name, to.fd(), goal, flags) {
            Err(Errno::INVAL | Errno::NOSYS) if how == Rename::New && to.look(goal)?.is_none() => {
                renameat(self.fd(), name, to.fd(), goal)
            }
            outcome => outcome,
        };
        match renamed {
            Ok(()) => Ok(Renamed::Done),
            Err(Errno::XDEV) => Ok(Renamed::Apart),
            Err(Errno::INVAL | Errno::NOSYS) => Ok(Renamed::Unsupported),
            Err(errno) => {
                let (from, to) = (self.path.join(name), to.path.join(goal));
                Err(Error::new(format!("cannot rename {} to {}", from.display(), to.display()))
                    .because(std::io::Error::from(errno)))
            }
        }
    }

    /// Begins a file that gets its name when it is complete.
    pub fn new_file(&self, name: &OsStr) -> Result<NewFile> {
        NewFile::begin(self.again()?, name)
    }

    /// Reads a file in it, piece by piece; `None`: there is none.
    pub fn reader(&self, name: &OsStr) -> Result<Option<BufReader<File>>> {
        match open_file(self.fd(), name) {
            Ok(file) => Ok(Some(BufReader::with_capacity(256 << 10, file))),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(failed("open", &self.path.join(name), errno)),
        }
    }

    /// Reads a whole file in it, of at most `limit` bytes; `None`: there is none.
    pub fn read(&self, name: &OsStr, limit: u64) -> Result<Option<Vec<u8>>> {
        let Some(file) = self.reader(name)? else { return Ok(None) };
        let path = self.path.join(name);
        let mut bytes = Vec::new();
        let read = file.take(limit.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|e| Error::new(format!("cannot read {}", path.display())).because(e))?;
        if bytes.len() as u64 > limit {
            return Err(Error::new(format!("{} is larger than {limit} bytes", path.display())));
        }
        Ok(Some(bytes))
    }

    /// Whether files in it can share their blocks: tried for real, on two files that are removed again. A disk too
    /// full to try counts as no.
    pub fn can_reflink(&self) -> Result<bool> {
        let [one, two] = ["reflink-one", "reflink-two"].map(OsStr::new);
        let tried = self.try_reflink(one, two);
        self.remove(one)?;
        self.remove(two)?;
        match tried {
            Ok(()) => Ok(true),
            Err(errno) if NO_REFLINK.contains(&errno) => Ok(false),
            Err(errno) => Err(failed("try out reflinks in", &self.path, errno)),
        }
    }

    fn try_reflink(&self, one: &OsStr, two: &OsStr) -> Result<(), Errno> {
        let mut source = File::from(create(self.fd(), one)?);
        let block = vec![1; 64 << 10];
        source.write_all(&block).map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
        ioctl_ficlone(create(self.fd(), two)?, &source)
    }
}

/// Creates a file (0600) that must not be there yet.
pub(super) fn create(folder: BorrowedFd<'_>, name: impl rustix::path::Arg) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(folder, name, flags, Mode::RUSR | Mode::WUSR)
}

fn components(relative: &Path) -> Result<Vec<&OsStr>> {
    let bytes = relative.as_os_str().as_bytes();
    let normal = |part| match part {
        Component::Normal(name) => Some(name),
        _ => None,
    };
    let names: Option<Vec<_>> = relative.components().map(normal).collect();
    match names {
        Some(names) if !bytes.contains(&0) => Ok(names),
        _ => Err(Error::new(format!("{} is no path inside a folder", relative.display()))),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_planted_link_on_the_way_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("outside")).unwrap();
        symlink("outside", dir.path().join("link")).unwrap();
        let here = Dir::open(dir.path()).unwrap();
        let error = here.make(Path::new("link/below")).unwrap_err();
        assert!(error.hint().unwrap().contains("link"), "{}", error.chain());
        assert!(here.beneath(Path::new("link")).is_err());
        assert_eq!(fs::read_dir(dir.path().join("outside")).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_others_may_write_to_is_not_taken_as_ours() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("theirs")).unwrap();
        fs::set_permissions(dir.path().join("theirs"), fs::Permissions::from_mode(0o777)).unwrap();
        let here = Dir::open(dir.path()).unwrap();
        assert!(here.make(Path::new("theirs/ours")).unwrap_err().to_string().contains("somebody else"));
    }

    #[test]
    fn a_path_that_climbs_out_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let here = Dir::open(dir.path()).unwrap();
        assert!(here.make(Path::new("a/../../b")).is_err());
        assert!(here.make(Path::new("/etc")).is_err());
    }

    #[test]
    fn a_new_rename_never_replaces() {
        let dir = tempfile::tempdir().unwrap();
        let here = Dir::open(dir.path()).unwrap();
        here.make(Path::new("a")).unwrap();
        here.make(Path::new("b")).unwrap();
        assert!(here.rename(OsStr::new("a"), (&here, OsStr::new("b")), Rename::New).is_err());
        assert_eq!(here.names().unwrap(), ["a", "b"]);
    }
}
