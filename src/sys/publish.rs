//! Several files at once, for others to read.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::files;
use crate::error::{Error, Result};

/// A folder that this process alone writes to, until it is dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    _held: File,
}

impl Folder {
    /// Makes the folder if it is not there, and takes it; `Kind::Busy` where another process has it.
    pub fn take(path: &Path) -> Result<Self> {
        fs::create_dir_all(path)
            .map_err(|e| Error::new(format!("cannot create {}", path.display())).because(e))?;
        let held =
            File::open(path).map_err(|e| Error::new(format!("cannot open {}", path.display())).because(e))?;
        match held.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _held: held }),
            Err(fs::TryLockError::WouldBlock) => {
                Err(Error::busy(format!("another run is writing to {}", path.display())))
            }
            Err(fs::TryLockError::Error(e)) => {
                Err(Error::new(format!("cannot lock {}", path.display())).because(e))
            }
        }
    }

    /// Writes all files (0644), each as a whole: they are written aside, made durable together, and only then renamed.
    pub fn write(&self, all: &[(&str, &str)]) -> Result<()> {
        if all.is_empty() {
            return Ok(());
        }
        let written = all.iter().try_for_each(|(name, text)| write_aside(&self.aside(name), text));
        let written = written.and_then(|()| files::sync_filesystem(&self.path));
        if let Err(e) = written {
            // The error that matters is the first one; what is left over is taken over by the next run.
            for (name, _) in all {
                let _ = fs::remove_file(self.aside(name));
            }
            return Err(e);
        }
        all.iter().try_for_each(|(name, _)| files::rename(&self.aside(name), &self.path.join(name)))?;
        files::sync_dir(&self.path)
    }

    /// Removes what runs that were killed have left of files with such names.
    pub fn tidy(&self, written_here: impl Fn(&str) -> bool) -> Result<()> {
        let left = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str());
            let name = name.and_then(|name| name.strip_prefix('.')?.strip_suffix(".tmp"));
            name.is_some_and(&written_here) && !files::is_dir(path)
        };
        files::list(&self.path)?.into_iter().filter(left).try_for_each(|path| files::remove_file(&path))
    }

    fn aside(&self, name: &str) -> PathBuf {
        self.path.join(format!(".{name}.tmp"))
    }
}

/// Never into what is there already: behind a link it would be somebody else's file, and a fifo would wait for a reader.
fn write_aside(path: &Path, text: &str) -> Result<()> {
    let open = || OpenOptions::new().write(true).create_new(true).mode(0o644).open(path);
    let opened = match open() {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {
            files::remove_file(path)?;
            open()
        }
        other => other,
    };
    opened
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|e| Error::new(format!("cannot write {}", path.display())).because(e))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::error::Kind;

    #[test]
    fn files_are_replaced_and_nothing_is_left_beside_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("x"), "old").unwrap();
        Folder::take(&path).unwrap().write(&[("x", "new"), ("y", "")]).unwrap();
        assert_eq!(fs::read_to_string(path.join("x")).unwrap(), "new");
        assert_eq!(files::list(&path).unwrap().len(), 2);
        assert_eq!(fs::metadata(path.join("y")).unwrap().permissions().mode() & 0o600, 0o600);
    }

    #[test]
    fn where_one_cannot_be_written_none_is() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::take(dir.path()).unwrap();
        fs::create_dir(dir.path().join(".y.tmp")).unwrap();
        assert!(folder.write(&[("x", "new"), ("y", "new")]).is_err());
        assert!(!dir.path().join("x").exists() && !dir.path().join(".x.tmp").exists());
    }

    #[test]
    fn a_link_or_a_fifo_in_the_place_aside_is_replaced_and_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::take(dir.path()).unwrap();
        fs::write(dir.path().join("precious"), "kept").unwrap();
        std::os::unix::fs::symlink("precious", dir.path().join(".x.tmp")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, dir.path().join(".y.tmp"), 0o600.into()).unwrap();
        folder.write(&[("x", "new"), ("y", "new")]).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("precious")).unwrap(), "kept");
        assert!(fs::symlink_metadata(dir.path().join("x")).unwrap().is_file());
        assert_eq!(fs::read_to_string(dir.path().join("y")).unwrap(), "new");
    }

    #[test]
    fn what_a_killed_run_left_aside_goes_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        for name in [".a.nix.tmp", ".b.tmp", "a.nix", ".a.nix"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let ours = |name: &str| Path::new(name).extension().is_some_and(|suffix| suffix == "nix");
        Folder::take(dir.path()).unwrap().tidy(ours).unwrap();
        let left = files::list(dir.path()).unwrap();
        let left: Vec<_> = left.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(left, [".a.nix", ".b.tmp", "a.nix"]);
    }

    #[test]
    fn a_folder_has_one_writer() {
        let dir = tempfile::tempdir().unwrap();
        let held = Folder::take(dir.path()).unwrap();
        assert_eq!(Folder::take(dir.path()).unwrap_err().kind(), Kind::Busy);
        drop(held);
        Folder::take(dir.path()).unwrap();
    }
}
