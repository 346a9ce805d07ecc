//! How large a snapshot would be, and whether there is room for it.

use std::fmt;
use std::path::PathBuf;

use super::checks::{self, Volume};
use super::root::Root;
use super::store::{PROBE, Store};
use crate::error::{Error, Result};
use crate::sys::files;
use crate::sys::tree::{Dir, Id, measure};

/// Room for an entry's name and inode where its data is shared.
const BYTES_PER_ENTRY: u64 = 1024;
/// Inodes for the snapshot's own folders and files.
const OWN_INODES: u64 = 16;

/// What a snapshot would need, and what there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// Each volume.
    pub volumes: Vec<SurveyedVolume>,
    /// Each file system that copies would go to.
    pub file_systems: Vec<FileSystem>,
}

/// How large a volume is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SurveyedVolume {
    /// The live folder.
    pub path: PathBuf,
    /// Bytes allocated.
    pub allocated_bytes: u64,
    /// Bytes that the sizes of its files say.
    pub apparent_bytes: u64,
    /// Entries, the folder itself included.
    pub entries: u64,
    /// The folder that its copy will be below.
    pub place: PathBuf,
    /// Whether files share their blocks there, so that a copy takes up next to nothing.
    pub reflink: bool,
}

/// Room on one file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSystem {
    /// A folder on it.
    pub path: PathBuf,
    /// Bytes free.
    pub free_bytes: u64,
    /// Inodes free; `None` where there are always more.
    pub free_inodes: Option<u64>,
    /// Bytes that the snapshot needs, with a margin.
    pub needed_bytes: u64,
    /// Inodes that it needs.
    pub needed_inodes: u64,
    id: (u32, u32),
}

/// What is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortfall {
    /// Each file system that lacks room.
    pub lacks: Vec<Lack>,
}

/// What is missing on one file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// A folder on it.
    pub path: PathBuf,
    /// Bytes missing.
    pub bytes: u64,
    /// Inodes missing.
    pub inodes: u64,
}

impl Survey {
    /// What is missing; `None`: there is room.
    pub fn shortfall(&self) -> Option<Shortfall> {
        let lacks: Vec<Lack> = self.file_systems.iter().filter_map(FileSystem::lack).collect();
        (!lacks.is_empty()).then_some(Shortfall { lacks })
    }

    /// Bytes allocated, over all volumes.
    pub fn allocated_bytes(&self) -> u64 {
        self.volumes.iter().map(|volume| volume.allocated_bytes).sum()
    }
}

impl FileSystem {
    fn lack(&self) -> Option<Lack> {
        let bytes = self.needed_bytes.saturating_sub(self.free_bytes);
        let inodes = self.free_inodes.map_or(0, |free| self.needed_inodes.saturating_sub(free));
        (bytes > 0 || inodes > 0).then(|| Lack { path: self.path.clone(), bytes, inodes })
    }
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, lack) in self.lacks.iter().enumerate() {
            let comma = if at > 0 { "; " } else { "" };
            write!(f, "{comma}the file system of {} lacks", lack.path.display())?;
            match (lack.bytes, lack.inodes) {
                (bytes, 0) => write!(f, " {} KiB", bytes.div_ceil(1024))?,
                (0, inodes) => write!(f, " {inodes} inodes")?,
                (bytes, inodes) => write!(f, " {} KiB and {inodes} inodes", bytes.div_ceil(1024))?,
            }
        }
        Ok(())
    }
}

impl From<Shortfall> for Error {
    fn from(shortfall: Shortfall) -> Self {
        Error::new(format!("there is not enough room: {shortfall}"))
            .because(std::io::Error::from(std::io::ErrorKind::StorageFull))
            .remedy("free some space (`warmkeep gc`, `warmkeep snapshot prune`), then try again")
    }
}

/// What is to be put on a file system.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    pub(super) bytes: u64,
    pub(super) entries: u64,
    pub(super) reflink: bool,
}

/// A margin for what comes between measuring and writing.
fn with_margin(bytes: u64) -> u64 {
    bytes + (bytes / 50).max(1 << 20)
}

impl Load {
    fn bytes(self) -> u64 {
        if self.reflink { self.entries * BYTES_PER_ENTRY } else { self.bytes }
    }
}

/// Adds loads up by file system. `place` need not be there yet, its nearest parent that is there is measured.
pub(super) fn file_systems(loads: &[(PathBuf, Load)]) -> Result<Vec<FileSystem>> {
    let mut all: Vec<FileSystem> = Vec::new();
    for (place, load) in loads {
        let path = place.ancestors().find(|path| files::is_dir(path)).unwrap_or(place);
        let Id { device, .. } = Dir::open(&files::canonical(path)?)?.meta()?.id;
        if !all.iter().any(|known| known.id == device) {
            all.push(empty(path.to_owned(), device)?);
        }
        for known in all.iter_mut().filter(|known| known.id == device) {
            known.needed_bytes += load.bytes();
            known.needed_inodes += load.entries + OWN_INODES;
        }
    }
    for one in &mut all {
        one.needed_bytes = with_margin(one.needed_bytes);
    }
    Ok(all)
}

fn empty(path: PathBuf, id: (u32, u32)) -> Result<FileSystem> {
    let space = files::space(&path)?;
    Ok(FileSystem {
        path,
        free_bytes: space.free_bytes,
        free_inodes: space.free_inodes,
        needed_bytes: 0,
        needed_inodes: 0,
        id,
    })
}

impl Store {
    /// Measures volumes, which may be in use, and what a snapshot of them would need. Leaves nothing behind. An error
    /// names a volume that no snapshot can be taken of, and the remedy: one that is missing, is no folder, is or holds
    /// a mount point, cannot be read, or has a parent that cannot be written to.
    pub fn survey(&self, volumes: &[PathBuf]) -> Result<Survey> {
        self.survey_by(volumes, |volume| {
            let root = self.place(volume)?;
            let reflink = reflinks(&root)?;
            Ok((root, reflink))
        })
    }

    /// The same without trying anything out: not a file is touched. Where copies would go, and whether blocks would be
    /// shared there, is read from devices and file systems, which is right but for file systems in odd settings.
    pub fn estimate(&self, volumes: &[PathBuf]) -> Result<Survey> {
        self.survey_by(volumes, |volume| {
            let root = if self.is_on_the_device_of(volume)? { self.in_store() } else { self.beside(volume) };
            Ok((root, files::may_share_blocks(volume.parent)?))
        })
    }

    fn is_on_the_device_of(&self, volume: &Volume<'_>) -> Result<bool> {
        let there = self.app_dir.ancestors().find(|path| files::is_dir(path)).unwrap_or(&self.app_dir);
        let device = |path| Ok::<_, Error>(Dir::open(&files::canonical(path)?)?.meta()?.id.device);
        Ok(device(there)? == device(volume.parent)?)
    }

    fn survey_by(
        &self,
        volumes: &[PathBuf],
        placed: impl Fn(&Volume<'_>) -> Result<(Root, bool)>,
    ) -> Result<Survey> {
        let checked = checks::all(volumes, &self.app_dir)?;
        let mut surveyed = Vec::new();
        let mut loads = Vec::new();
        for volume in &checked {
            let (root, reflink) = placed(volume)?;
            let totals = measure(&volume.open()?)?;
            let load = Load { bytes: totals.allocated, entries: totals.inodes, reflink };
            loads.push((root.path(""), load));
            surveyed.push(SurveyedVolume {
                path: volume.path.to_owned(),
                allocated_bytes: totals.allocated,
                apparent_bytes: totals.apparent,
                entries: totals.entries,
                place: root.path(""),
                reflink,
            });
        }
        Ok(Survey { volumes: surveyed, file_systems: file_systems(&loads)? })
    }
}

/// Whether files share their blocks in a root: tried for real, in a folder that is removed again.
pub(super) fn reflinks(root: &Root) -> Result<bool> {
    let tried = root.make(PROBE).and_then(|folder| folder.can_reflink());
    root.remove("", PROBE)?;
    root.tidy()?;
    tried
}

#[cfg(test)]
mod tests {
    use super::*;

    fn survey(free_bytes: u64, free_inodes: Option<u64>, load: Load) -> Survey {
        let needed_bytes = with_margin(load.bytes());
        let path = PathBuf::from("/data");
        let needed_inodes = load.entries;
        let only = FileSystem { path, free_bytes, free_inodes, needed_bytes, needed_inodes, id: (0, 0) };
        Survey { volumes: Vec::new(), file_systems: vec![only] }
    }

    #[test]
    fn room_for_the_data_and_two_percent_is_enough_and_a_byte_less_is_not() {
        let load = Load { bytes: 100 << 20, entries: 3, reflink: false };
        assert_eq!(survey(102 << 20, Some(3), load).shortfall(), None);
        let short = survey((102 << 20) - 1, Some(3), load).shortfall().unwrap();
        insta::assert_snapshot!(short, @"the file system of /data lacks 1 KiB");
        assert_eq!(Error::from(short).kind(), crate::error::Kind::DiskFull);
    }

    #[test]
    fn shared_blocks_need_next_to_nothing() {
        let load = Load { bytes: 1 << 40, entries: 3, reflink: true };
        assert_eq!(survey(2 << 20, None, load).shortfall(), None);
    }

    #[test]
    fn inodes_count_too() {
        let load = Load { bytes: 0, entries: 10, reflink: false };
        let short = survey(1 << 30, Some(7), load).shortfall().unwrap();
        insta::assert_snapshot!(short, @"the file system of /data lacks 3 inodes");
    }
}
