//! A path of open folders that keeps only the deepest ones open, so that no tree is too deep.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;

use super::entry::{Id, stat_open};

/// How many of the deepest folders stay open.
const OPEN: usize = 32;

#[derive(Debug)]
struct Level {
    fd: Option<OwnedFd>,
    id: Id,
}

/// The folders from the root of a tree down to where we are.
#[derive(Debug, Default)]
pub(super) struct Levels(Vec<Level>);

impl Levels {
    /// Goes down into an open folder.
    pub(super) fn push(&mut self, fd: OwnedFd) -> Result<(), Errno> {
        let id = stat_open(fd.as_fd())?.id;
        if let Some(high) = self.0.len().checked_sub(OPEN) {
            self.0[high].fd = None;
        }
        self.0.push(Level { fd: Some(fd), id });
        Ok(())
    }

    /// Goes up. The folder above may have been closed: it is found again by `..`, and must be the one it was.
    pub(super) fn pop(&mut self) -> Result<(), Errno> {
        if self.0.len() > 1 {
            self.parent()?;
        }
        self.0.pop();
        Ok(())
    }

    /// The deepest folder.
    pub(super) fn here(&self) -> Result<BorrowedFd<'_>, Errno> {
        let fd = self.0.last().and_then(|level| level.fd.as_ref());
        fd.map(AsFd::as_fd).ok_or(Errno::BADF)
    }

    /// The folder above the deepest one.
    pub(super) fn parent(&mut self) -> Result<BorrowedFd<'_>, Errno> {
        let above = self.0.len().checked_sub(2).ok_or(Errno::BADF)?;
        if self.0[above].fd.is_none() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let fd = openat(self.here()?, c"..", flags, Mode::empty())?;
            if stat_open(fd.as_fd())?.id != self.0[above].id {
                return Err(Errno::STALE);
            }
            self.0[above].fd = Some(fd);
        }
        self.0[above].fd.as_ref().map(AsFd::as_fd).ok_or(Errno::BADF)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn descend(root: &std::path::Path, depth: usize) -> Levels {
        let mut levels = Levels::default();
        levels.push(fs::File::open(root).unwrap().into()).unwrap();
        for _ in 0..depth {
            rustix::fs::mkdirat(levels.here().unwrap(), c"d", Mode::RWXU).unwrap();
            let child = super::super::entry::open_folder(levels.here().unwrap(), c"d").unwrap();
            levels.push(child).unwrap();
        }
        levels
    }

    #[test]
    fn only_the_deepest_folders_stay_open_and_the_way_back_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let mut levels = descend(dir.path(), 100);
        assert_eq!(levels.0.iter().filter(|level| level.fd.is_some()).count(), OPEN);
        let root = levels.0[0].id;
        for _ in 0..100 {
            levels.pop().unwrap();
        }
        assert_eq!(stat_open(levels.here().unwrap()).unwrap().id, root);
    }

    #[test]
    fn a_folder_moved_elsewhere_meanwhile_is_not_mistaken() {
        let dir = tempfile::tempdir().unwrap();
        let mut levels = descend(dir.path(), OPEN + 1);
        fs::create_dir(dir.path().join("elsewhere")).unwrap();
        fs::rename(dir.path().join("d/d"), dir.path().join("elsewhere/d")).unwrap();
        let outcome = (0..OPEN).try_for_each(|_| levels.pop());
        assert_eq!(outcome.unwrap_err(), Errno::STALE);
    }
}
