//! A file that has no name until it is complete.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufWriter, Write};

use rustix::fs::renameat;

use super::dir::{Dir, create};
use super::failed;
use crate::error::{Error, Result};

/// A file being written under a temporary name (`.NAME.tmp`, 0600). Dropped before it is published, it is removed.
#[derive(Debug)]
pub struct NewFile {
    folder: Dir,
    name: OsString,
    file: BufWriter<File>,
    published: bool,
}

impl NewFile {
    pub(super) fn begin(folder: Dir, name: &OsStr) -> Result<Self> {
        folder.remove(&temporary(name))?;
        let created = create(folder.fd(), temporary(name).as_os_str());
        let fd = created.map_err(|e| failed("create", &folder.path().join(name), e))?;
        let file = BufWriter::with_capacity(256 << 10, File::from(fd));
        Ok(Self { folder, name: name.to_owned(), file, published: false })
    }

    /// Makes it durable and gives it its name, in place of what had it before.
    pub fn publish(mut self) -> Result<()> {
        let path = self.folder.path().join(&self.name);
        let synced = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        synced.map_err(|e| Error::new(format!("cannot write {}", path.display())).because(e))?;
        let folder = self.folder.fd();
        renameat(folder, temporary(&self.name).as_os_str(), folder, self.name.as_os_str())
            .map_err(|e| failed("publish", &path, e))?;
        self.published = true;
        self.folder.sync()
    }
}

fn temporary(name: &OsStr) -> OsString {
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(".tmp");
    temporary
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.published {
            // What cannot be removed now is swept later: its name ends in .tmp.
            let _ = self.folder.remove(&temporary(&self.name));
        }
    }
}
