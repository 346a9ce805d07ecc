//! Removing trees, never through a link and never into another mount.

use std::ffi::OsStr;

use rustix::fs::{AtFlags, unlinkat};
use rustix::io::Errno;

use super::dir::Dir;
use super::entry::{Kind, open_folder};
use super::failed;
use super::walk::{Event, Purpose, Walk, unlock};
use crate::error::Result;

pub(super) fn tree(folder: &Dir, name: &OsStr) -> Result<()> {
    let path = folder.path().join(name);
    let Some(meta) = folder.look(name)? else { return Ok(()) };
    if meta.kind != Kind::Folder {
        return gone(unlinkat(folder.fd(), name, AtFlags::empty())).map_err(|e| failed("remove", &path, e));
    }
    if meta.mode & 0o700 != 0o700 {
        unlock(folder.fd(), name).map_err(|e| failed("open up", &path, e))?;
    }
    let root = open_folder(folder.fd(), name).map_err(|e| failed("open", &path, e))?;
    contents(&Dir::adopt(root, path.clone()))?;
    gone(unlinkat(folder.fd(), name, AtFlags::REMOVEDIR)).map_err(|e| failed("remove", &path, e))
}

pub(super) fn contents(root: &Dir) -> Result<()> {
    let mut walk = Walk::new(root, Purpose::Remove)?;
    while let Some(event) = walk.step()? {
        let removed = match event {
            Event::Enter(_) => Ok(()),
            Event::Leave(folder) if folder.name.is_empty() => Ok(()),
            Event::Leave(folder) => unlinkat(walk.above()?, folder.name.as_c_str(), AtFlags::REMOVEDIR),
            Event::Leaf(leaf) => unlinkat(walk.here()?, leaf.name.as_c_str(), AtFlags::empty()),
        };
        gone(removed).map_err(|e| walk.failed("remove", e))?;
    }
    Ok(())
}

fn gone(removed: Result<(), Errno>) -> Result<(), Errno> {
    match removed {
        Err(Errno::NOENT) => Ok(()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;

    #[test]
    fn what_a_link_points_at_survives() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("outside/kept")).unwrap();
        fs::create_dir_all(dir.path().join("tree/sub")).unwrap();
        symlink("../../outside", dir.path().join("tree/sub/link")).unwrap();
        Dir::open(dir.path()).unwrap().remove(OsStr::new("tree")).unwrap();
        assert!(dir.path().join("outside/kept").exists());
        assert!(!dir.path().join("tree").exists());
    }

    #[test]
    fn a_tree_deeper_than_any_path_goes_away() {
        let dir = tempfile::tempdir().unwrap();
        let root = Dir::open(dir.path()).unwrap();
        let mut here = root.make(Path::new("deep")).unwrap();
        let name = "n".repeat(250);
        for _ in 0..300 {
            here = here.make(Path::new(&name)).unwrap();
        }
        root.remove(OsStr::new("deep")).unwrap();
        assert_eq!(root.names().unwrap().len(), 0);
    }

    #[test]
    fn nothing_there_is_fine() {
        let dir = tempfile::tempdir().unwrap();
        Dir::open(dir.path()).unwrap().remove(OsStr::new("nothing")).unwrap();
    }
}
