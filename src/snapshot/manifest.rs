//! A manifest: made from a tree, and compared with one, line by line, so that the size of the tree does not matter.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::io::{BufRead, Write};

use ring::digest::{Context, SHA256};

use super::lines::{Line, Sort, hex, spell, xattrs_digest};
use super::meter::Meter;
use crate::error::{Error, Result};
use crate::sys::tree::{Dir, Entry, Event, Id, NewFile, Purpose, Walk};

/// How many differences are told before comparing stops.
const TOLD: usize = 5;

/// The name of the manifest of a snapshot's volume.
pub(super) fn name(number: usize) -> String {
    format!("manifest-{number}.jsonl")
}

/// A manifest that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) digest: String,
    pub(super) entries: u64,
}

/// Writes the manifest of a tree into a new file, and publishes that.
pub(super) fn write(tree: &Dir, mut file: NewFile, meter: &mut Meter<'_>) -> Result<Written> {
    let mut reading = Reading::new(tree, meter)?;
    let mut root = Context::new(&SHA256);
    let mut entries = 0;
    while let Some(line) = reading.next()? {
        let failed = |e: std::io::Error| {
            Error::new(format!("cannot write the manifest of {}", tree.path().display())).because(e)
        };
        let mut text = serde_json::to_vec(&line).map_err(|e| failed(e.into()))?;
        text.push(b'\n');
        root.update(&text);
        file.write_all(&text).map_err(failed)?;
        entries += 1;
    }
    file.publish()?;
    Ok(Written { digest: hex(root.finish().as_ref()), entries })
}

/// Compares a tree with its manifest, and the manifest with its digest. Says the first few differences; none: it is
/// bit for bit the same.
pub(super) fn compare(
    tree: &Dir,
    manifest: impl BufRead,
    digest: &str,
    meter: &mut Meter<'_>,
) -> Result<Vec<String>> {
    let mut said = Said { manifest, root: Context::new(&SHA256), line: 0 };
    let mut reading = Reading::new(tree, meter)?;
    let mut differences = Vec::new();
    let (mut expected, mut found) = (said.next(), reading.next()?);
    while differences.len() < TOLD {
        let order = match (&expected, &found) {
            (Err(damage), _) => {
                differences.push(damage.clone());
                return Ok(differences);
            }
            (Ok(None), None) => break,
            (Ok(Some(_)), None) => Ordering::Less,
            (Ok(None), Some(_)) => Ordering::Greater,
            (Ok(Some(expected)), Some(found)) => expected.order(found),
        };
        differences.extend(difference(
            expected.as_ref().ok().and_then(Option::as_ref),
            found.as_ref(),
            order,
        ));
        if order != Ordering::Greater {
            expected = said.next();
        }
        if order != Ordering::Less {
            found = reading.next()?;
        }
    }
    if differences.is_empty() && hex(said.root.finish().as_ref()) != digest {
        differences.push("the manifest is not the one that was made: its digest differs".to_owned());
    }
    Ok(differences)
}

fn difference(expected: Option<&Line>, found: Option<&Line>, order: Ordering) -> Option<String> {
    match (expected, found, order) {
        (Some(expected), _, Ordering::Less) => Some(format!("{}: missing", shown(expected))),
        (_, Some(found), Ordering::Greater) => Some(format!("{}: not in the manifest", shown(found))),
        (Some(expected), Some(found), Ordering::Equal) if expected != found => {
            Some(format!("{}: {}", shown(expected), expected.differences(found)))
        }
        _ => None,
    }
}

fn shown(line: &Line) -> String {
    if line.path.is_empty() { "the folder itself".to_owned() } else { format!("{:?}", line.path) }
}

/// A manifest being read back.
struct Said<R> {
    manifest: R,
    root: Context,
    line: u64,
}

impl<R: BufRead> Said<R> {
    /// The next line; an error tells how the manifest is damaged.
    fn next(&mut self) -> Result<Option<Line>, String> {
        let mut text = Vec::new();
        self.line += 1;
        let damaged =
            |why: &dyn std::fmt::Display| format!("line {} of the manifest is damaged: {why}", self.line);
        match self.manifest.read_until(b'\n', &mut text) {
            Ok(0) => return Ok(None),
            Ok(_) => self.root.update(&text),
            Err(error) => return Err(damaged(&error)),
        }
        serde_json::from_slice(&text).map(Some).map_err(|error| damaged(&error))
    }
}

/// A tree being read as manifest lines.
struct Reading<'a, 'b> {
    walk: Walk,
    /// Inodes with several names: their number, and how many names are still to come.
    groups: HashMap<Id, (u64, u32)>,
    next_group: u64,
    meter: &'a mut Meter<'b>,
}

impl<'a, 'b> Reading<'a, 'b> {
    fn new(tree: &Dir, meter: &'a mut Meter<'b>) -> Result<Self> {
        let walk = Walk::new(tree, Purpose::Copy)?;
        Ok(Self { walk, groups: HashMap::new(), next_group: 0, meter })
    }

    fn next(&mut self) -> Result<Option<Line>> {
        while let Some(event) = self.walk.step()? {
            let line = match event {
                Event::Leave(_) => continue,
                Event::Enter(folder) => {
                    let mut line = self.line(&folder)?;
                    line.xattrs = xattrs_digest(&self.walk.folder_xattrs()?);
                    line
                }
                Event::Leaf(leaf) => self.leaf(&leaf)?,
            };
            self.meter.add(0, 1);
            return Ok(Some(line));
        }
        Ok(None)
    }

    fn line(&self, entry: &Entry) -> Result<Line> {
        let path = self.walk.relative();
        let sort = Sort::of(entry.meta.kind).ok_or_else(|| {
            Error::new(format!("{} is nothing a snapshot holds", self.walk.full_path().display()))
                .remedy("somebody put it there: remove it")
        })?;
        Ok(Line::new(path, sort, &entry.meta))
    }

    fn leaf(&mut self, leaf: &Entry) -> Result<Line> {
        let mut line = self.line(leaf)?;
        let first = self.group(leaf, &mut line);
        if line.kind != Sort::File {
            line.xattrs = xattrs_digest(&self.walk.leaf_xattrs(leaf)?);
            if line.kind == Sort::Symlink {
                line.target = Some(spell(self.walk.target(leaf)?.as_bytes()));
            }
        } else if first {
            let mut content = self.walk.open(leaf)?;
            line.xattrs = xattrs_digest(&content.xattrs()?);
            let mut digest = Context::new(&SHA256);
            content.read(&mut |piece| {
                digest.update(piece);
                self.meter.add(piece.len() as u64, 0);
            })?;
            line.sha256 = Some(hex(digest.finish().as_ref()));
        }
        Ok(line)
    }

    /// Numbers entries with several names; whether this is the first, or only, name.
    fn group(&mut self, leaf: &Entry, line: &mut Line) -> bool {
        if leaf.meta.links < 2 {
            return true;
        }
        let next = &mut self.next_group;
        let (number, left) = self.groups.entry(leaf.meta.id).or_insert_with(|| {
            *next += 1;
            (*next, leaf.meta.links)
        });
        line.link = Some(*number);
        let first = *left == leaf.meta.links;
        *left -= 1;
        if *left == 0 {
            self.groups.remove(&leaf.meta.id);
        }
        first
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::path::Path;

    use super::super::model::Phase;
    use super::*;
    use crate::sys::files;

    struct Scene {
        dir: tempfile::TempDir,
        written: Written,
    }

    impl Scene {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let tree = dir.path().join("tree");
            files::create_dir_private(&tree.join("sub")).unwrap();
            for (name, text) in [("a", "alpha"), ("sub/b", "beta"), ("sub.c", "gamma"), ("z", "zeta")] {
                files::write_cache(&tree.join(name), text.as_bytes()).unwrap();
            }
            let folder = Dir::open(dir.path()).unwrap();
            let file = folder.new_file(OsStr::new("manifest")).unwrap();
            let mut meter = Meter::new(None, Phase::Hashing);
            let written = write(&Dir::open(&tree).unwrap(), file, &mut meter).unwrap();
            Self { dir, written }
        }

        fn tree(&self, name: &str) -> std::path::PathBuf {
            self.dir.path().join("tree").join(name)
        }

        fn manifest(&self) -> Vec<u8> {
            files::read(&self.dir.path().join("manifest"), 1 << 20).unwrap()
        }

        fn compared(&self, manifest: &[u8]) -> Vec<String> {
            let tree = Dir::open(Path::new(&self.tree(""))).unwrap();
            let mut meter = Meter::new(None, Phase::Hashing);
            compare(&tree, manifest, &self.written.digest, &mut meter).unwrap()
        }
    }

    #[test]
    fn a_tree_is_like_its_own_manifest() {
        let scene = Scene::new();
        assert_eq!(scene.written.entries, 6);
        assert_eq!(scene.compared(&scene.manifest()), Vec::<String>::new());
    }

    #[test]
    fn the_content_digest_is_the_known_one_of_sha_256() {
        let manifest = String::from_utf8(Scene::new().manifest()).unwrap();
        let alpha = "8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8";
        assert!(manifest.contains(&format!(r#""sha256":"{alpha}""#)), "{manifest}");
    }

    #[test]
    fn what_is_missing_and_what_is_too_much_are_told_by_name() {
        let scene = Scene::new();
        files::remove_file(&scene.tree("sub/b")).unwrap();
        files::write_cache(&scene.tree("sub/extra"), b"x").unwrap();
        let told = scene.compared(&scene.manifest());
        assert!(told.contains(&r#""sub/b": missing"#.to_owned()), "{told:?}");
        assert!(told.contains(&r#""sub/extra": not in the manifest"#.to_owned()), "{told:?}");
        assert!(told.iter().all(|line| line.contains("sub")), "{told:?}");
    }

    #[test]
    fn changed_content_is_told_as_such() {
        let scene = Scene::new();
        files::write_cache(&scene.tree("sub/b"), b"BETA").unwrap();
        let told = scene.compared(&scene.manifest());
        assert!(
            told.iter().any(|line| line.starts_with(r#""sub/b":"#) && line.ends_with("content")),
            "{told:?}"
        );
    }

    #[test]
    fn every_flipped_bit_in_a_manifest_is_found() {
        let scene = Scene::new();
        let manifest = scene.manifest();
        for at in 0..manifest.len() {
            let mut flipped = manifest.clone();
            flipped[at] ^= 1 << (at % 8);
            assert!(!scene.compared(&flipped).is_empty(), "byte {at}");
        }
    }

    #[test]
    fn a_manifest_cut_short_or_grown_is_found() {
        let scene = Scene::new();
        let manifest = scene.manifest();
        assert!(!scene.compared(&manifest[..manifest.len() - 1]).is_empty());
        assert!(!scene.compared(&[&manifest[..], b"\n"].concat()).is_empty());
        assert!(!scene.compared(b"").is_empty());
    }
}
