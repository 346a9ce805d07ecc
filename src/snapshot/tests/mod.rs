mod forgetting;
mod restoring;
mod taking;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::*;
use crate::error::Result;
use crate::sys::files;
use crate::sys::tree::portrait::{Portrait, portrait};
use crate::version::Version;

/// A volume with some data, and a store, on one file system.
struct Scene {
    dir: tempfile::TempDir,
    store: Store,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new("notes", &dir.path().join("state/apps/notes"));
        let scene = Self { dir, store };
        files::create_dir_private(&scene.volume().join("sub")).unwrap();
        scene.write("a", "alpha");
        scene.write("sub/b", "beta");
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn volume(&self) -> PathBuf {
        self.path("srv/data")
    }

    fn write(&self, name: &str, text: &str) {
        files::write_cache(&self.volume().join(name), text.as_bytes()).unwrap();
    }

    fn request(&self, txn: &str) -> Request {
        Request {
            version: Version::new("1.2.0").unwrap(),
            reason: "upgrade".into(),
            volumes: vec![self.volume()],
            txn: txn.into(),
        }
    }

    fn create(&self, txn: &str) -> Snapshot {
        self.store.create(&self.request(txn)).unwrap()
    }

    fn sealed(&self, txn: &str) -> Snapshot {
        let snapshot = self.create(txn);
        self.store.seal(&snapshot.id).unwrap()
    }

    fn live(&self) -> BTreeMap<PathBuf, Portrait> {
        portrait(&self.volume())
    }

    /// What lies beside the volume, its own name left out.
    fn beside(&self) -> Vec<PathBuf> {
        let all = files::list(&self.path("srv")).unwrap();
        all.into_iter().filter(|path| *path != self.volume()).collect()
    }

    fn index(&self, snapshot: &Snapshot) -> PathBuf {
        self.store.index(&snapshot.id)
    }
}

fn flip_bit(path: &Path, at: usize) {
    let mut bytes = files::read(path, 1 << 20).unwrap();
    bytes[at] ^= 1;
    files::write_cache(path, &bytes).unwrap();
}

fn text(path: &Path) -> String {
    String::from_utf8(files::read(path, 1 << 20).unwrap()).unwrap()
}

fn complaint<T: std::fmt::Debug>(outcome: Result<T>) -> String {
    outcome.unwrap_err().chain()
}
