//! Clearing up after a crash.

use std::path::PathBuf;

use super::create::partial;
use super::root::{Root, SNAPSHOTS, TRASH};
use super::store::{PROBE, Store};
use crate::error::Result;

/// What a sweep did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// What was removed.
    pub removed: Vec<PathBuf>,
    /// What could not be, with why; the next sweep tries again.
    pub left: Vec<(PathBuf, String)>,
}

impl Store {
    /// Removes what a crash left: clones that were staged, snapshots not published, things half thrown away, temporary
    /// files. Never a published snapshot, and never live data that had been exchanged out, which moves to `failed`.
    /// One thing that cannot be removed does not stop the rest. Not while a transaction of this app is unfinished:
    /// its staged clones would go.
    pub fn sweep(&self) -> Result<Swept> {
        let mut swept = Swept::default();
        for root in self.roots()? {
            swept.take(root.path("staging"), self.settle_staging(&root).map(|()| false));
            self.sweep_root(&root, &mut swept);
        }
        swept.take(self.in_store().path(SNAPSHOTS), self.forget_pending().map(|()| false));
        for root in self.roots()? {
            swept.take(root.path(""), root.tidy().map(|()| false));
        }
        Ok(swept)
    }

    fn sweep_root(&self, root: &Root, swept: &mut Swept) {
        sweep_names(root, "", swept, |name| name == PROBE);
        sweep_names(root, TRASH, swept, |_| true);
        sweep_names(root, SNAPSHOTS, swept, |name| name.starts_with(&partial("")) || is_temporary(name));
        if root.is_beside() {
            return;
        }
        let listed = self.list().map_or_else(|_| Vec::new(), |listing| listing.snapshots);
        for snapshot in listed {
            sweep_names(root, &format!("{SNAPSHOTS}/{}", snapshot.id), swept, is_temporary);
        }
    }
}

/// The names that atomic writes use until they are done.
fn is_temporary(name: &str) -> bool {
    name.strip_suffix(".tmp").is_some_and(|rest| rest.starts_with('.'))
}

fn sweep_names(root: &Root, folder: &str, swept: &mut Swept, leftover: impl Fn(&str) -> bool) {
    let names = root.find(folder).and_then(|found| found.map_or(Ok(Vec::new()), |folder| folder.names()));
    let names = match names {
        Ok(names) => names,
        Err(error) => return swept.left.push((root.path(folder), error.chain())),
    };
    for name in names.iter().filter_map(|name| name.to_str()).filter(|name| leftover(name)) {
        let removed = root.remove(folder, name).map(|()| true);
        swept.take(root.path(folder).join(name), removed);
    }
}

impl Swept {
    fn take(&mut self, path: PathBuf, removed: Result<bool>) {
        match removed {
            Ok(true) => self.removed.push(path),
            Ok(false) => {}
            Err(error) => self.left.push((path, error.chain())),
        }
    }
}
