//! For tests: everything about a tree that a copy must keep, read by other means than the code under test.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io::Read;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Everything about one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Portrait {
    mode: u32,
    owner: (u32, u32),
    accessed: (i64, i64),
    modified: (i64, i64),
    size: Option<u64>,
    device: u64,
    allocated: Option<u64>,
    target: Option<PathBuf>,
    content: Option<Vec<u8>>,
    xattrs: BTreeMap<OsString, Vec<u8>>,
    /// All names of the same inode inside the tree, where it has several.
    names: Vec<PathBuf>,
}

/// A portrait of each entry, by its path inside the tree. Sockets are left out.
pub(crate) fn portrait(root: &Path) -> BTreeMap<PathBuf, Portrait> {
    let mut found = BTreeMap::new();
    let mut inodes: BTreeMap<(u64, u64), Vec<PathBuf>> = BTreeMap::new();
    let mut todo = vec![root.to_owned()];
    while let Some(path) = todo.pop() {
        let meta = fs::symlink_metadata(&path).unwrap();
        if meta.file_type().is_socket() {
            continue;
        }
        let name = path.strip_prefix(root).unwrap().to_owned();
        if !meta.is_dir() {
            inodes.entry((meta.dev(), meta.ino())).or_default().push(name.clone());
        }
        found.insert(name, one(&path, &meta));
        if meta.is_dir() {
            todo.extend(children(&path));
        }
    }
    for mut names in inodes.into_values().filter(|names| names.len() > 1) {
        names.sort();
        for name in &names {
            found.get_mut(name).unwrap().names.clone_from(&names);
        }
    }
    found
}

fn one(path: &Path, meta: &Metadata) -> Portrait {
    let kind = meta.file_type();
    Portrait {
        mode: meta.mode(),
        owner: (meta.uid(), meta.gid()),
        accessed: (meta.atime(), meta.atime_nsec()),
        modified: (meta.mtime(), meta.mtime_nsec()),
        size: (!meta.is_dir()).then(|| meta.size()),
        device: if kind.is_char_device() || kind.is_block_device() { meta.rdev() } else { 0 },
        allocated: meta.is_file().then(|| meta.blocks()),
        target: kind.is_symlink().then(|| fs::read_link(path).unwrap()),
        content: meta.is_file().then(|| content(path)),
        xattrs: xattrs(path),
        names: Vec::new(),
    }
}

/// Opened so that looking does not move the access time.
fn quietly(path: &Path) -> fs::File {
    let flags = i32::try_from(rustix::fs::OFlags::NOATIME.bits()).unwrap();
    fs::OpenOptions::new().read(true).custom_flags(flags).open(path).unwrap()
}

fn children(path: &Path) -> Vec<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    let names = rustix::fs::Dir::new(quietly(path)).unwrap().map(|entry| entry.unwrap());
    let names = names.map(|entry| std::ffi::OsStr::from_bytes(entry.file_name().to_bytes()).to_owned());
    names.filter(|name| name != "." && name != "..").map(|name| path.join(name)).collect()
}

fn content(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    quietly(path).read_to_end(&mut bytes).unwrap();
    bytes
}

fn xattrs(path: &Path) -> BTreeMap<OsString, Vec<u8>> {
    use std::os::unix::ffi::OsStringExt;
    let mut names = vec![0; 64 << 10];
    let length = rustix::fs::llistxattr(path, &mut names).unwrap_or(0);
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names
        .map(|name| {
            let mut value = vec![0; 64 << 10];
            let length = rustix::fs::lgetxattr(path, name, &mut value).unwrap();
            value.truncate(length);
            (OsString::from_vec(name.to_owned()), value)
        })
        .collect()
}
