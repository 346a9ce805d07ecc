//! Files: small reads, atomic writes, folders, space. Every error names its path.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

fn failed(what: &str, path: &Path, source: std::io::Error) -> Error {
    Error::new(format!("cannot {what} {}", path.display())).because(source)
}

/// Reads a whole file of at most `limit` bytes; `None` where there is none.
pub fn read_if_exists(path: &Path, limit: u64) -> Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(e) => return Err(failed("open", path, e)),
    };
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|e| failed("read", path, e))?;
    if bytes.len() as u64 > limit {
        return Err(Error::new(format!("{} is larger than {limit} bytes", path.display())));
    }
    Ok(Some(bytes))
}

/// Reads a whole file of at most `limit` bytes.
pub fn read(path: &Path, limit: u64) -> Result<Vec<u8>> {
    read_if_exists(path, limit)?.ok_or_else(|| failed("open", path, ErrorKind::NotFound.into()))
}

/// The first `limit` bytes of a regular file, links followed, lossily as text; `None` where there is none.
pub fn read_head(path: &Path, limit: u64) -> Result<Option<String>> {
    // A fifo would block the reader for ever.
    if !facts_followed(path)?.is_some_and(|facts| facts.is_file) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit).read_to_end(&mut bytes))
        .map_err(|e| failed("read", path, e))?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// The last `limit` bytes of a file, lossily as text; empty where there is none.
pub fn read_tail(path: &Path, limit: u64) -> String {
    use std::io::{Seek, SeekFrom};
    let Ok(mut file) = File::open(path) else { return String::new() };
    let length = file.metadata().map_or(0, |m| m.len());
    let mut bytes = Vec::new();
    if file.seek(SeekFrom::Start(length.saturating_sub(limit))).is_err()
        || file.read_to_end(&mut bytes).is_err()
    {
        return String::new();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Replaces a file so that a reader, and a power cut, sees the old one or the new one: temporary file, fsync, rename,
/// fsync of the folder. Mode 0600.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, bytes, true)
}

/// As [`write_atomic`] without the fsyncs: for caches that the next probe writes anew.
pub fn write_cache(path: &Path, bytes: &[u8]) -> Result<()> {
    replace(path, bytes, false)
}

fn replace(path: &Path, bytes: &[u8], durable: bool) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let name = path.file_name().map_or_else(Default::default, |n| n.to_string_lossy().into_owned());
    // Always the same name: what a writer that was killed left is taken over by the next one. Two at once cannot be,
    // because whoever writes a file holds the lock of what it belongs to.
    let aside = folder.join(format!(".{name}.tmp"));
    let written = write_new(&aside, bytes, durable).and_then(|()| {
        fs::rename(&aside, path).map_err(|e| failed("replace", path, e))?;
        if durable { sync_dir(folder) } else { Ok(()) }
    });
    if written.is_err() {
        // The error that matters is the first one; a leftover is taken over by the next writer.
        let _ = fs::remove_file(&aside);
    }
    written
}

fn write_new(path: &Path, bytes: &[u8], durable: bool) -> Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(|e| failed("create", path, e))?;
    file.write_all(bytes).map_err(|e| failed("write", path, e))?;
    if durable { file.sync_all().map_err(|e| failed("sync", path, e)) } else { Ok(()) }
}

/// Makes the folder's entries durable.
pub fn sync_dir(path: &Path) -> Result<()> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(|e| failed("sync", path, e))
}

/// Writes out everything that the file system of `path` still holds in memory.
pub fn sync_filesystem(path: &Path) -> Result<()> {
    let file = File::open(path).map_err(|e| failed("open", path, e))?;
    rustix::fs::syncfs(&file).map_err(|e| failed("sync the file system of", path, e.into()))
}

/// Makes a folder and its parents, 0700 where it makes them.
pub fn create_dir_private(path: &Path) -> Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| failed("create", path, e))
}

/// The names in a folder, sorted; empty where there is no folder.
pub fn list(path: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed("list", path, e)),
    };
    let mut paths = entries
        .map(|entry| entry.map(|e| e.path()).map_err(|e| failed("list", path, e)))
        .collect::<Result<Vec<_>>>()?;
    // All are in one folder: their bytes tell the order, and faster than their components would.
    paths.sort_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
    Ok(paths)
}

/// How many names in a folder end so; none where there is no folder. It looks at nothing but the names.
pub fn count(path: &Path, ending: &str) -> Result<usize> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(0),
        Err(e) => return Err(failed("list", path, e)),
    };
    let counts = |entry: fs::DirEntry| entry.file_name().as_encoded_bytes().ends_with(ending.as_bytes());
    entries.map(|entry| entry.map(|e| usize::from(counts(e))).map_err(|e| failed("list", path, e))).sum()
}

/// A folder for temporary files, removed with all in it when it is dropped.
pub fn temporary_dir(prefix: &str) -> Result<tempfile::TempDir> {
    tempfile::Builder::new()
        .prefix(prefix)
        .tempdir()
        .map_err(|e| Error::new("cannot make a temporary folder").because(e))
}

/// Gives a file a second name.
pub fn link(from: &Path, to: &Path) -> Result<()> {
    fs::hard_link(from, to)
        .map_err(|e| Error::new(format!("cannot link {} to {}", from.display(), to.display())).because(e))
}

/// Renames within one file system.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to)
        .map_err(|e| Error::new(format!("cannot rename {} to {}", from.display(), to.display())).because(e))
}

/// Removes one file; no file is fine.
pub fn remove_file(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(failed("remove", path, e)),
        _ => Ok(()),
    }
}

/// Removes a folder and all below it without following links; nothing there is fine.
pub fn remove_tree(path: &Path) -> Result<()> {
    let outcome = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(e) => Err(e),
    };
    match outcome {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(failed("remove", path, e)),
        _ => Ok(()),
    }
}

/// Removes a folder if it is empty; says whether it is gone.
pub fn remove_dir_if_empty(path: &Path) -> bool {
    match fs::remove_dir(path) {
        Ok(()) => true,
        Err(e) => e.kind() == ErrorKind::NotFound,
    }
}

/// What is at a path, links not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// A folder.
    pub is_dir: bool,
    /// A regular file.
    pub is_file: bool,
    /// Device number.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Permission bits.
    pub mode: u32,
    /// Size in bytes.
    pub size: u64,
    /// Seconds since the epoch.
    pub mtime: i64,
}

impl From<fs::Metadata> for Facts {
    fn from(meta: fs::Metadata) -> Self {
        Self {
            is_dir: meta.is_dir(),
            is_file: meta.is_file(),
            dev: meta.dev(),
            ino: meta.ino(),
            mode: meta.mode(),
            size: meta.len(),
            mtime: meta.mtime(),
        }
    }
}

/// What is at a path, a link itself included; `None`: nothing.
pub fn facts(path: &Path) -> Result<Option<Facts>> {
    optional(fs::symlink_metadata(path), path)
}

/// What is at a path, links followed; `None`: nothing.
pub fn facts_followed(path: &Path) -> Result<Option<Facts>> {
    optional(fs::metadata(path), path)
}

fn optional(meta: std::io::Result<fs::Metadata>, path: &Path) -> Result<Option<Facts>> {
    match meta {
        Ok(meta) => Ok(Some(meta.into())),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(failed("look at", path, e)),
    }
}

/// What a link says, as it stands there; `None`: there is none.
pub fn read_link(path: &Path) -> Result<Option<PathBuf>> {
    match fs::read_link(path) {
        Ok(target) => Ok(Some(target)),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(e) => Err(failed("read the link", path, e)),
    }
}

/// Whether anything is there.
pub fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Whether a folder is there, links followed.
pub fn is_dir(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|m| m.is_dir())
}

/// The path from the root on, links as they are; it need not be there.
pub fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|e| failed("make absolute", path, e))
}

/// The path with every link resolved.
pub fn canonical(path: &Path) -> Result<PathBuf> {
    fs::canonicalize(path).map_err(|e| failed("resolve", path, e))
}

/// Room on a file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that may still be written.
    pub free_bytes: u64,
    /// Size of the file system.
    pub total_bytes: u64,
    /// Inodes left; `None` where the file system makes them as it needs them.
    pub free_inodes: Option<u64>,
}

/// The room on the file system that holds `path`.
pub fn space(path: &Path) -> Result<Space> {
    let stat = rustix::fs::statvfs(path).map_err(|e| failed("measure", path, e.into()))?;
    Ok(Space {
        free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
        free_inodes: (stat.f_files > 0).then_some(stat.f_favail),
    })
}

/// Whether the file system that holds `path` is of a kind whose files can share blocks. Only trying it tells for sure.
pub fn may_share_blocks(path: &Path) -> Result<bool> {
    /// btrfs, xfs, bcachefs, zfs.
    const MAGIC: [u64; 4] = [0x9123_683e, 0x5846_5342, 0xca45_1a4e, 0x2fc1_2fc1];
    let stat = rustix::fs::statfs(path).map_err(|e| failed("measure", path, e.into()))?;
    Ok(MAGIC.iter().any(|magic| u64::try_from(stat.f_type).is_ok_and(|kind| kind == *magic)))
}

/// An append-only file whose every line is durable before `append` returns.
#[derive(Debug)]
pub struct Appender {
    file: File,
    path: PathBuf,
}

impl Appender {
    /// Opens, or makes (0600), the file with `reserve` bytes set aside, so that appending does not fail when the disk
    /// fills up. Where the file system cannot set space aside, none is.
    pub fn open(path: &Path, reserve: u64) -> Result<Self> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .map_err(|e| failed("open", path, e))?;
        let appender = Self { file, path: path.to_owned() };
        appender.set_aside(reserve).map(|()| appender)
    }

    fn set_aside(&self, reserve: u64) -> Result<()> {
        match rustix::fs::fallocate(&self.file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, reserve.max(1)) {
            Err(e) if e == rustix::io::Errno::NOSPC => {
                self.leave_nothing();
                Err(failed("reserve space for", &self.path, e.into()))
            }
            _ => Ok(()),
        }
    }

    /// What was set aside before space ran out goes with the file, if nothing was ever written to it.
    fn leave_nothing(&self) {
        if self.file.metadata().is_ok_and(|meta| meta.len() == 0) {
            // An empty file that stays is one that the next run removes.
            let _ = fs::remove_file(&self.path);
        }
    }

    /// Appends bytes and makes them durable.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all(bytes)
            .and_then(|()| self.file.sync_data())
            .map_err(|e| failed("append to", &self.path, e))
    }

    /// Cuts the file to `length` bytes: a torn tail is taken off before anything is appended.
    pub fn truncate(&mut self, length: u64) -> Result<()> {
        self.file
            .set_len(length)
            .and_then(|()| self.file.sync_data())
            .map_err(|e| failed("cut", &self.path, e))
    }
}

/// Room to set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes.
    pub bytes: u64,
    /// Files and folders.
    pub inodes: u32,
}

/// Sets real room aside in a folder, to be given up when the disk is full and something must still be written. Without
/// so much room, nothing is left there.
pub fn reserve(path: &Path, room: Room) -> Result<()> {
    let set_aside = fill_reserve(path, room).map_err(|e| failed("set room aside in", path, e));
    if set_aside.is_err() {
        // The error that matters is the first one; what is left over is removed by the next run.
        let _ = give_up(path);
    }
    set_aside
}

fn fill_reserve(path: &Path, room: Room) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let place = |name: &str| {
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path.join(name))
    };
    allocate(&place("bytes")?, room.bytes)?;
    // The folder and the file above are two of them.
    (2..room.inodes).try_for_each(|number| place(&format!("inode-{number}")).map(drop))
}

/// Gives up room that was set aside; none is fine.
pub fn give_up(reserve: &Path) -> Result<()> {
    remove_tree(reserve)
}

/// Where the file system cannot set space aside, it is written to.
fn allocate(mut file: &File, bytes: u64) -> std::io::Result<()> {
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
        Err(rustix::io::Errno::OPNOTSUPP) => {
            std::io::copy(&mut std::io::repeat(0).take(bytes), &mut file)?;
            file.sync_data()
        }
        other => Ok(other?),
    }
}
