//! What one entry is, and opening it safely.

use std::fs::File;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, Statx, StatxFlags, StatxTimestamp, openat, openat2, statx,
};
use rustix::io::Errno;
use rustix::path::Arg;

/// What sort of entry it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Folder,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A character device.
    Character,
    /// A block device.
    Block,
    /// A socket.
    Socket,
    /// Something this kernel knows and we do not.
    Unknown,
}

/// A point in time as file systems keep it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time {
    /// Seconds since the epoch.
    pub seconds: i64,
    /// Nanoseconds within the second.
    pub nanos: u32,
}

impl From<StatxTimestamp> for Time {
    fn from(stamp: StatxTimestamp) -> Self {
        Self { seconds: stamp.tv_sec, nanos: stamp.tv_nsec }
    }
}

/// Which inode, on which device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id {
    /// Device, major and minor.
    pub device: (u32, u32),
    /// Inode number.
    pub inode: u64,
}

/// What the file system says about one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// Its sort.
    pub kind: Kind,
    /// Permission bits with setuid, setgid and sticky.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size in bytes.
    pub size: u64,
    /// Allocated, in bytes.
    pub allocated: u64,
    /// How many names it has.
    pub links: u32,
    /// Which inode it is.
    pub id: Id,
    /// For a device: which one, major and minor.
    pub device: (u32, u32),
    /// Last access.
    pub accessed: Time,
    /// Last change of its content.
    pub modified: Time,
    /// Last change of anything.
    pub changed: Time,
}

impl Meta {
    /// Whether `later`, read from the same entry, says that nothing was written in between.
    pub fn same_state(&self, later: &Self) -> bool {
        let state = |meta: &Self| (meta.id, meta.kind, meta.size, meta.modified, meta.changed);
        state(self) == state(later)
    }
}

impl From<Statx> for Meta {
    fn from(stat: Statx) -> Self {
        let mode = u32::from(stat.stx_mode);
        Self {
            kind: kind(FileType::from_raw_mode(mode)),
            mode: mode & 0o7777,
            uid: stat.stx_uid,
            gid: stat.stx_gid,
            size: stat.stx_size,
            allocated: stat.stx_blocks.saturating_mul(512),
            links: stat.stx_nlink,
            id: Id { device: (stat.stx_dev_major, stat.stx_dev_minor), inode: stat.stx_ino },
            device: (stat.stx_rdev_major, stat.stx_rdev_minor),
            accessed: stat.stx_atime.into(),
            modified: stat.stx_mtime.into(),
            changed: stat.stx_ctime.into(),
        }
    }
}

fn kind(file_type: FileType) -> Kind {
    match file_type {
        FileType::Directory => Kind::Folder,
        FileType::RegularFile => Kind::File,
        FileType::Symlink => Kind::Symlink,
        FileType::Fifo => Kind::Fifo,
        FileType::CharacterDevice => Kind::Character,
        FileType::BlockDevice => Kind::Block,
        FileType::Socket => Kind::Socket,
        FileType::Unknown => Kind::Unknown,
    }
}

/// What `name` in `folder` is; a link is looked at, not followed.
pub(super) fn stat(folder: BorrowedFd<'_>, name: impl Arg) -> Result<Meta, Errno> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    statx(folder, name, flags, StatxFlags::BASIC_STATS).map(Meta::from)
}

/// What an open file or folder is.
pub(super) fn stat_open(fd: BorrowedFd<'_>) -> Result<Meta, Errno> {
    statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS).map(Meta::from)
}

/// Opens the folder `name` in `folder`: never through a link, never into another mount.
pub(super) fn open_folder(folder: BorrowedFd<'_>, name: impl Arg + Copy) -> Result<OwnedFd, Errno> {
    open_child(folder, name, OFlags::RDONLY | OFlags::DIRECTORY)
}

/// Opens the file `name` in `folder` for reading. A pipe that stands in its place does not block.
pub(super) fn open_file(folder: BorrowedFd<'_>, name: impl Arg + Copy) -> Result<File, Errno> {
    open_child(folder, name, OFlags::RDONLY | OFlags::NONBLOCK).map(File::from)
}

fn open_child(folder: BorrowedFd<'_>, name: impl Arg + Copy, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NOCTTY;
    // Reading must not move access times; only the owner and root may ask for that.
    match open_beneath(folder, name, flags | OFlags::NOATIME) {
        Err(Errno::PERM) => open_beneath(folder, name, flags),
        outcome => outcome,
    }
}

fn open_beneath(folder: BorrowedFd<'_>, name: impl Arg + Copy, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    match openat2(folder, name, flags, Mode::empty(), resolve) {
        // Names are single components, so without openat2 only the check for mounts is lost, which is made up front.
        Err(Errno::NOSYS) => openat(folder, name, flags, Mode::empty()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_link_in_place_of_a_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc", dir.path().join("link")).unwrap();
        let here = File::open(dir.path()).unwrap();
        assert!(open_folder(here.as_fd(), c"link").is_err());
    }

    #[test]
    fn a_link_in_place_of_a_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link")).unwrap();
        let here = File::open(dir.path()).unwrap();
        assert_eq!(open_file(here.as_fd(), c"link").unwrap_err(), Errno::LOOP);
    }

    #[test]
    fn names_that_climb_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let here = File::open(dir.path()).unwrap();
        assert_eq!(open_folder(here.as_fd(), c"..").unwrap_err(), Errno::XDEV);
        assert_eq!(open_folder(here.as_fd(), c"/etc").unwrap_err(), Errno::XDEV);
    }

    #[test]
    fn a_pipe_in_place_of_a_file_does_not_block() {
        let dir = tempfile::tempdir().unwrap();
        let here = File::open(dir.path()).unwrap();
        rustix::fs::mkfifoat(&here, c"pipe", Mode::from_raw_mode(0o600)).unwrap();
        let opened = open_file(here.as_fd(), c"pipe").unwrap();
        assert_eq!(stat_open(opened.as_fd()).unwrap().kind, Kind::Fifo);
    }
}
