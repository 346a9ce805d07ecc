//! Kernel locks (`flock`): a holder that dies frees its lock, so none is ever left behind.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use super::clock::{Deadline, sleep};
use crate::error::{Error, Kind, Result};

/// A held lock; dropping it, or dying, frees it.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// A lock that this open file holds already.
    pub(super) fn held(file: File) -> Self {
        Self { file }
    }

    /// The same lock by another handle: it is free only when both are gone.
    pub(super) fn handle(&self) -> Result<File> {
        self.file.try_clone().map_err(|e| Error::new("cannot pass a lock on").because(e))
    }
}

/// Takes the lock alone, or says at once that it is held (`Kind::Busy`).
pub fn exclusive(path: &Path) -> Result<Lock> {
    take(path, File::try_lock)
}

/// Takes the lock alone, waiting at most `limit` while others hold it: for what is held for moments only.
pub fn exclusive_within(path: &Path, limit: Duration) -> Result<Lock> {
    let deadline = Deadline::after(limit);
    loop {
        match exclusive(path) {
            Err(e) if e.kind() == Kind::Busy && !deadline.passed() => sleep(Duration::from_millis(2)),
            other => return other,
        }
    }
}

/// Takes the lock together with other sharers, or says at once that somebody holds it alone.
pub fn shared(path: &Path) -> Result<Lock> {
    take(path, File::try_lock_shared)
}

fn take(path: &Path, attempt: impl Fn(&File) -> std::result::Result<(), TryLockError>) -> Result<Lock> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|e| Error::new(format!("cannot open the lock {}", path.display())).because(e))?;
    match attempt(&file) {
        Ok(()) => Ok(Lock::held(file)),
        Err(TryLockError::WouldBlock) => {
            Err(Error::busy(format!("{} is held by another run", path.display())))
        }
        Err(TryLockError::Error(e)) => Err(Error::new(format!("cannot lock {}", path.display())).because(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_at_once_and_a_dropped_lock_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = exclusive(&path).unwrap();
        assert_eq!(exclusive(&path).unwrap_err().kind(), Kind::Busy);
        assert_eq!(shared(&path).unwrap_err().kind(), Kind::Busy);
        drop(held);
        let _one = shared(&path).unwrap();
        let _two = shared(&path).unwrap();
    }

    #[test]
    fn a_lock_that_is_soon_free_is_waited_for_and_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = exclusive(&path).unwrap();
        assert_eq!(exclusive_within(&path, Duration::from_millis(20)).unwrap_err().kind(), Kind::Busy);
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || exclusive_within(&path, Duration::from_secs(10)).is_ok()
        });
        drop(held);
        assert!(waiting.join().unwrap());
    }
}
