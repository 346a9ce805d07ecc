//! What is looked at before anything is touched: is this a volume that can be copied and given back?

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use crate::error::{Error, Result};
use crate::sys::tree::{Dir, Kind};
use crate::sys::{files, mounts};

/// A volume by its parent and its name there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Volume<'a> {
    pub(super) path: &'a Path,
    pub(super) parent: &'a Path,
    pub(super) name: &'a OsStr,
}

impl Volume<'_> {
    /// Opens the live folder, if it is one.
    pub(super) fn open(&self) -> Result<Dir> {
        let folder = Dir::open(self.parent)?.beneath(Path::new(self.name))?;
        folder.ok_or_else(|| self.missing())
    }

    fn missing(&self) -> Error {
        Error::new(format!("the volume {} is missing", self.path.display()))
            .remedy("correct data.paths, or start the app once so that it makes the folder")
    }
}

/// Takes a path as a volume.
pub(super) fn volume(path: &Path) -> Result<Volume<'_>> {
    let plain = |part| matches!(part, Component::RootDir | Component::Normal(_));
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name))
            if path.is_absolute() && path.components().all(plain) && path.to_str().is_some() =>
        {
            Ok(Volume { path, parent, name })
        }
        _ => Err(Error::new(format!("{} cannot be a volume", path.display()))
            .remedy("name the folder by its absolute path, in UTF-8, without `..`; the root is no volume")),
    }
}

/// Refuses volumes that cannot be copied.
pub(super) fn all<'a>(paths: &'a [PathBuf], app_dir: &Path) -> Result<Vec<Volume<'a>>> {
    if paths.is_empty() {
        return Err(Error::new("there is no volume to take a snapshot of")
            .remedy("declare data.paths, or leave data out if the app keeps none"));
    }
    let volumes = paths.iter().map(|path| volume(path)).collect::<Result<Vec<_>>>()?;
    let mounted = mounts::points()?;
    let real = volumes.iter().map(|volume| source(volume, &mounted)).collect::<Result<Vec<_>>>()?;
    apart(&real, app_dir)?;
    Ok(volumes)
}

/// `paths`: with all links resolved. A volume that held the store would be copied into itself without end.
fn apart(paths: &[PathBuf], app_dir: &Path) -> Result<()> {
    let there = app_dir.ancestors().find(|path| files::is_dir(path)).unwrap_or(app_dir);
    let app_dir = files::canonical(there)?;
    for (at, path) in paths.iter().enumerate() {
        if app_dir.starts_with(path) {
            return Err(Error::new(format!("{} holds warmkeep's own state", path.display()))
                .remedy("choose a stateDir outside of the data"));
        }
        let others = paths.iter().enumerate().filter(|(other, _)| *other != at);
        if let Some((_, inner)) = others.into_iter().find(|(_, other)| other.starts_with(path)) {
            return Err(Error::new(format!("{} is inside {}", inner.display(), path.display()))
                .remedy("name each folder of data once"));
        }
    }
    Ok(())
}

/// Returns the volume's path with all links resolved.
fn source(volume: &Volume<'_>, mounted: &[PathBuf]) -> Result<PathBuf> {
    let missing = || volume.missing();
    if !files::is_dir(volume.parent) {
        return Err(missing());
    }
    let parent = Dir::open(&files::canonical(volume.parent)?)?;
    match parent.look(volume.name)?.map(|meta| meta.kind) {
        None => return Err(missing()),
        Some(Kind::Folder) => {}
        Some(other) => return Err(no_folder(volume.path, other)),
    }
    not_mounted(volume, parent.path(), mounted)?;
    let unreadable = |e| {
        Error::new(format!("the volume {} cannot be read", volume.path.display()))
            .because(e)
            .remedy("run warmkeep as root, or give it the right to read the data")
    };
    parent.beneath(Path::new(volume.name)).map_err(unreadable)?.ok_or_else(missing)?;
    can_write_beside(volume, &parent)?;
    Ok(parent.path().join(volume.name))
}

fn no_folder(path: &Path, kind: Kind) -> Error {
    let (what, remedy) = match kind {
        Kind::Symlink => ("is a symbolic link", "name the folder that it points to"),
        _ => ("is not a folder", "a volume is a folder: name the one it is in"),
    };
    Error::new(format!("the volume {} {what}", path.display())).remedy(remedy)
}

/// `parent`: with all links resolved, as the kernel's table has it.
fn not_mounted(volume: &Volume<'_>, parent: &Path, mounted: &[PathBuf]) -> Result<()> {
    let path = parent.join(volume.name);
    if mounted.contains(&path) {
        return Err(Error::new(format!("the volume {} is itself a mount point", volume.path.display()))
            .remedy("a mount point cannot be exchanged for a copy: keep the data in a folder below it"));
    }
    let inside: Vec<String> = mounted
        .iter()
        .filter(|point| point.starts_with(&path))
        .map(|point| point.display().to_string())
        .collect();
    if inside.is_empty() {
        return Ok(());
    }
    Err(Error::new(format!(
        "the volume {} has other file systems mounted inside: {}",
        volume.path.display(),
        inside.join(", ")
    ))
    .remedy("name the folders that are on one file system each as volumes of their own, or unmount them"))
}

fn can_write_beside(volume: &Volume<'_>, parent: &Dir) -> Result<()> {
    parent.writable().map_err(|e| {
        Error::new(format!("nothing can be put beside the volume {}", volume.path.display()))
            .because(e)
            .remedy(
                "a restore exchanges the folder for its copy: warmkeep must be able to write to its parent",
            )
    })
}

/// Refuses to restore where that cannot work; the volume itself may be gone. Returns its parent.
pub(super) fn goal(volume: &Volume<'_>) -> Result<Dir> {
    let parent = Dir::open(volume.parent)?;
    match parent.look(volume.name)?.map(|meta| meta.kind) {
        None | Some(Kind::Folder) => {}
        Some(other) => return Err(no_folder(volume.path, other)),
    }
    not_mounted(volume, &files::canonical(volume.parent)?, &mounts::points()?)?;
    can_write_beside(volume, &parent)?;
    Ok(parent)
}

/// Refuses a transaction's name that is no file name.
pub(super) fn txn(name: &str) -> Result<()> {
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if (1..=100).contains(&name.len()) && name.chars().all(safe) && !name.starts_with('.') {
        return Ok(());
    }
    Err(Error::new(format!("{name:?} cannot name a transaction"))
        .remedy("use at most 100 letters, digits, `-`, `_` and `.`, not beginning with a dot"))
}
