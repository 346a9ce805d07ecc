//! Owner, extended attributes (with them ACLs and capabilities), mode and times.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::buffer::spare_capacity;
use rustix::fs::{
    AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat, fchmod, fchown, fgetxattr,
    flistxattr, fremovexattr, fsetxattr, futimens, lgetxattr, llistxattr, lremovexattr, lsetxattr, utimensat,
};
use rustix::io::Errno;

use super::entry::{Kind, Meta, Time, stat, stat_open};

/// Extended attributes, by name.
pub type Xattrs = BTreeMap<Vec<u8>, Vec<u8>>;

/// The kernel's bound on one value, and on the list of names.
const LARGEST: usize = 64 << 10;

/// What went wrong, as words before a path, and why.
pub(super) type Problem = (String, Errno);

/// The thing whose attributes are meant.
#[derive(Debug, Clone, Copy)]
pub(super) enum Object<'a> {
    /// An open file or folder.
    Open(BorrowedFd<'a>),
    /// What cannot be opened (a link, a pipe, a device), by its name in a folder.
    Named(BorrowedFd<'a>, &'a CStr),
}

impl Object<'_> {
    /// There is no `getxattrat` on older kernels; the folder's own link in /proc is followed, the name is not.
    fn path(folder: BorrowedFd<'_>, name: &CStr) -> Result<CString, Errno> {
        let mut path = format!("/proc/self/fd/{}/", folder.as_raw_fd()).into_bytes();
        path.extend_from_slice(name.to_bytes());
        CString::new(path).map_err(|_| Errno::INVAL)
    }

    fn list(&self) -> Result<Vec<u8>, Errno> {
        let mut names = Vec::with_capacity(LARGEST);
        let listed = match self {
            Self::Open(fd) => flistxattr(fd, spare_capacity(&mut names)),
            Self::Named(folder, name) => {
                llistxattr(Self::path(*folder, name)?.as_c_str(), spare_capacity(&mut names))
            }
        };
        match listed {
            Ok(_) => Ok(names),
            Err(Errno::OPNOTSUPP) => Ok(Vec::new()),
            Err(errno) => Err(errno),
        }
    }

    fn get(&self, attribute: &[u8]) -> Result<Vec<u8>, Errno> {
        let mut value = Vec::with_capacity(LARGEST);
        match self {
            Self::Open(fd) => fgetxattr(fd, attribute, spare_capacity(&mut value))?,
            Self::Named(folder, name) => {
                let path = Self::path(*folder, name)?;
                lgetxattr(path.as_c_str(), attribute, spare_capacity(&mut value))?
            }
        };
        value.shrink_to_fit();
        Ok(value)
    }

    fn set(&self, attribute: &[u8], value: &[u8]) -> Result<(), Errno> {
        match self {
            Self::Open(fd) => fsetxattr(fd, attribute, value, XattrFlags::empty()),
            Self::Named(folder, name) => {
                lsetxattr(Self::path(*folder, name)?.as_c_str(), attribute, value, XattrFlags::empty())
            }
        }
    }

    fn unset(&self, attribute: &[u8]) -> Result<(), Errno> {
        match self {
            Self::Open(fd) => fremovexattr(fd, attribute),
            Self::Named(folder, name) => lremovexattr(Self::path(*folder, name)?.as_c_str(), attribute),
        }
    }

    fn meta(&self) -> Result<Meta, Errno> {
        match self {
            Self::Open(fd) => stat_open(*fd),
            Self::Named(folder, name) => stat(*folder, *name),
        }
    }

    /// All extended attributes that this process may see.
    pub(super) fn xattrs(&self) -> Result<Xattrs, Problem> {
        let names = self.list().map_err(|e| ("list the extended attributes of".to_owned(), e))?;
        let mut found = Xattrs::new();
        for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
            match self.get(name) {
                Ok(value) => drop(found.insert(name.to_owned(), value)),
                Err(Errno::NODATA) => {}
                Err(errno) => return Err((about("read", name), errno)),
            }
        }
        Ok(found)
    }

    /// Gives it the attributes that another entry has. The order matters: a chown drops setuid and capabilities, an
    /// ACL changes the mode, and everything moves times.
    pub(super) fn become_like(&self, meta: &Meta, xattrs: &Xattrs) -> Result<(), Problem> {
        self.set_owner(meta)?;
        self.set_xattrs(xattrs)?;
        if meta.kind != Kind::Symlink {
            self.set_mode(meta.mode).map_err(|e| (format!("set the mode {:o} of", meta.mode), e))?;
        }
        self.set_times(meta.accessed, meta.modified).map_err(|e| ("set the times of".to_owned(), e))
    }

    fn set_owner(&self, meta: &Meta) -> Result<(), Problem> {
        let now = self.meta().map_err(|e| ("look at".to_owned(), e))?;
        if (now.uid, now.gid) == (meta.uid, meta.gid) {
            return Ok(());
        }
        let uid = (now.uid != meta.uid).then(|| Uid::from_raw(meta.uid));
        let gid = (now.gid != meta.gid).then(|| Gid::from_raw(meta.gid));
        match self {
            Self::Open(fd) => fchown(fd, uid, gid),
            Self::Named(folder, name) => chownat(folder, *name, uid, gid, AtFlags::SYMLINK_NOFOLLOW),
        }
        .map_err(|e| (format!("keep the owner {}:{} of", meta.uid, meta.gid), e))
    }

    fn set_xattrs(&self, wanted: &Xattrs) -> Result<(), Problem> {
        let present = self.xattrs()?;
        // A folder above may have a default ACL, which everything new in it inherits.
        for name in present.keys().filter(|name| !wanted.contains_key(*name)) {
            self.unset(name).map_err(|e| (about("remove", name), e))?;
        }
        for (name, value) in wanted.iter().filter(|(name, value)| present.get(*name) != Some(*value)) {
            self.set(name, value).map_err(|e| (about("keep", name), e))?;
        }
        Ok(())
    }

    fn set_mode(&self, mode: u32) -> Result<(), Errno> {
        let mode = Mode::from_raw_mode(mode);
        match self {
            Self::Open(fd) => fchmod(fd, mode),
            Self::Named(folder, name) => chmodat(folder, *name, mode, AtFlags::empty()),
        }
    }

    /// Sets both times.
    pub(super) fn set_times(&self, accessed: Time, modified: Time) -> Result<(), Errno> {
        let times = Timestamps { last_access: timespec(accessed), last_modification: timespec(modified) };
        match self {
            Self::Open(fd) => futimens(fd, &times),
            Self::Named(folder, name) => utimensat(folder, *name, &times, AtFlags::SYMLINK_NOFOLLOW),
        }
    }
}

fn about(verb: &str, name: &[u8]) -> String {
    format!("{verb} the extended attribute {} of", String::from_utf8_lossy(name))
}

fn timespec(time: Time) -> Timespec {
    Timespec { tv_sec: time.seconds, tv_nsec: time.nanos.into() }
}
