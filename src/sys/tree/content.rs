//! What is in a regular file: reading it, and copying it without its holes.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom as From};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use rustix::fs::{SeekFrom, copy_file_range, ftruncate, ioctl_ficlone, seek};
use rustix::io::Errno;

use super::attributes::{Object, Xattrs};
use super::entry::{Meta, stat_open};
use super::{changed, failed};
use crate::error::Result;

/// How much is read at once.
const CHUNK: usize = 256 << 10;

/// How much the kernel copies at once, so that progress shows.
const RANGE: u64 = 64 << 20;

/// An open regular file of a tree.
#[derive(Debug)]
pub struct Content {
    pub(super) file: File,
    pub(super) path: PathBuf,
    pub(super) meta: Meta,
}

/// How far copying can be left to the file system; learned from the first file that it refuses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Means {
    /// Share the blocks (`FICLONE`).
    pub(super) reflink: bool,
    /// Copy inside the kernel (`copy_file_range`).
    pub(super) kernel: bool,
}

impl Content {
    /// Its extended attributes.
    pub fn xattrs(&self) -> Result<Xattrs> {
        let read = Object::Open(self.file.as_fd()).xattrs();
        read.map_err(|(what, errno)| failed(&what, &self.path, errno))
    }

    /// Hands the whole content, holes as zeros, to `sink`, in pieces.
    pub fn read(&mut self, sink: &mut dyn FnMut(&[u8])) -> Result<()> {
        let mut buffer = vec![0; CHUNK];
        self.file.seek(From::Start(0)).map_err(|e| failed("read", &self.path, raw(&e)))?;
        loop {
            match self.file.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => sink(&buffer[..count]),
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(failed("read", &self.path, raw(&e))),
            }
        }
    }

    /// An error where the file was written to since it was opened.
    pub(super) fn still_the_same(&self) -> Result<()> {
        let now = stat_open(self.file.as_fd()).map_err(|e| failed("look at", &self.path, e))?;
        if self.meta.same_state(&now) { Ok(()) } else { Err(changed(&self.path)) }
    }

    /// Copies the content into an empty file; `copied` is told of each piece.
    pub(super) fn copy_to(
        &self,
        target: &File,
        means: &mut Means,
        copied: &mut dyn FnMut(u64),
    ) -> Result<(), Errno> {
        if self.meta.size == 0 {
            return Ok(());
        }
        if means.reflink {
            match ioctl_ficlone(target, &self.file) {
                Ok(()) => return Ok(()),
                Err(errno @ (Errno::NOSPC | Errno::DQUOT | Errno::IO)) => return Err(errno),
                // This one file cannot be shared (say, it has no checksums); others may.
                Err(Errno::INVAL | Errno::TXTBSY | Errno::PERM) => {}
                Err(_) => means.reflink = false,
            }
        }
        ftruncate(target, self.meta.size)?;
        self.copy_segments(target, means, copied)
    }

    fn copy_segments(
        &self,
        target: &File,
        means: &mut Means,
        copied: &mut dyn FnMut(u64),
    ) -> Result<(), Errno> {
        let mut from = 0;
        while let Some((start, end)) = self.next_data(from)? {
            let mut at = start;
            while at < end {
                let piece = (end - at).min(RANGE);
                self.copy_piece(target, means, (at, piece))?;
                copied(piece);
                at += piece;
            }
            from = end;
        }
        Ok(())
    }

    /// The next stretch that is no hole, at or after `from`.
    fn next_data(&self, from: u64) -> Result<Option<(u64, u64)>, Errno> {
        let size = self.meta.size;
        if from >= size {
            return Ok(None);
        }
        let start = match seek(&self.file, SeekFrom::Data(from)) {
            Ok(start) => start,
            Err(Errno::NXIO) => return Ok(None),
            // This file system does not tell holes.
            Err(Errno::INVAL) => return Ok(Some((from, size))),
            Err(errno) => return Err(errno),
        };
        let end = seek(&self.file, SeekFrom::Hole(start))?.min(size);
        Ok((start < end).then_some((start, end)))
    }

    fn copy_piece(&self, target: &File, means: &mut Means, (at, length): (u64, u64)) -> Result<(), Errno> {
        let (mut from, mut to, end) = (at, at, at + length);
        while from < end && means.kernel {
            let left = usize::try_from(end - from).unwrap_or(usize::MAX);
            match copy_file_range(&self.file, Some(&mut from), target, Some(&mut to), left) {
                Ok(0) => return Err(Errno::STALE),
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::XDEV | Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => {
                    means.kernel = false;
                }
                Err(errno) => return Err(errno),
            }
        }
        self.copy_by_hand(target, (from, end))
    }

    fn copy_by_hand(&self, target: &File, (mut at, end): (u64, u64)) -> Result<(), Errno> {
        let mut buffer = vec![0; if at < end { CHUNK } else { 0 }];
        while at < end {
            let left = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
            let count = self.file.read_at(&mut buffer[..left], at).map_err(|e| raw(&e))?;
            if count == 0 {
                return Err(Errno::STALE);
            }
            target.write_all_at(&buffer[..count], at).map_err(|e| raw(&e))?;
            at += count as u64;
        }
        Ok(())
    }
}

fn raw(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn content(path: &std::path::Path) -> Content {
        let file = File::open(path).unwrap();
        let meta = stat_open(file.as_fd()).unwrap();
        Content { file, path: path.to_owned(), meta }
    }

    #[test]
    fn each_way_of_copying_gives_the_same_bytes_and_the_same_holes() {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("sparse");
        let file = File::create(&source).unwrap();
        file.set_len(4 << 20).unwrap();
        file.write_all_at(&[7; 5000], 1 << 20).unwrap();
        file.sync_all().unwrap();
        for (reflink, kernel) in [(true, true), (false, true), (false, false)] {
            let path = dir.path().join(format!("copy-{reflink}-{kernel}"));
            let target = File::options().write(true).create_new(true).open(&path).unwrap();
            let source = content(&source);
            source.copy_to(&target, &mut Means { reflink, kernel }, &mut |_| {}).unwrap();
            target.sync_all().unwrap();
            let copy = stat_open(target.as_fd()).unwrap();
            assert_eq!(copy.allocated, source.meta.allocated);
            assert_eq!(fs::read(&path).unwrap(), fs::read(&source.path).unwrap());
        }
    }

    #[test]
    fn a_file_written_to_meanwhile_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "before").unwrap();
        let content = content(&path);
        content.still_the_same().unwrap();
        fs::write(&path, "and after").unwrap();
        assert!(content.still_the_same().unwrap_err().hint().unwrap().contains("stop"));
    }

    #[test]
    fn a_file_that_shrinks_under_the_copy_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, vec![1; 100_000]).unwrap();
        let content = content(&path);
        File::options().write(true).open(&path).unwrap().set_len(10).unwrap();
        let target = File::create(dir.path().join("copy")).unwrap();
        assert_eq!(content.copy_by_hand(&target, (0, 100_000)).unwrap_err(), Errno::STALE);
    }
}
