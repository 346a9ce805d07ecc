//! The difference of two closures, as a person wants to know it: what came, what went, which versions changed, how large.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How long the hash in a store path's name is.
const HASH: usize = 32;

/// The store paths of a closure, each with its size in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Closure {
    paths: BTreeMap<String, u64>,
}

impl Closure {
    /// Reads what `nix path-info -r -s` prints.
    pub fn parse(text: &str) -> Result<Self> {
        let paths = text.lines().filter(|line| !line.trim().is_empty()).map(line).collect::<Result<_>>()?;
        Ok(Self { paths })
    }

    fn bytes(&self) -> u64 {
        self.paths.values().sum()
    }

    /// What it holds of each name: the store paths.
    fn by_name(&self) -> BTreeMap<&str, Pile<'_>> {
        let mut piles: BTreeMap<&str, Pile<'_>> = BTreeMap::new();
        for (path, bytes) in &self.paths {
            let (name, version) = name_and_version(base(path));
            let pile = piles.entry(name).or_default();
            pile.versions.insert(version);
            pile.paths.insert(path);
            pile.bytes += bytes;
        }
        piles
    }
}

fn line(line: &str) -> Result<(String, u64)> {
    let strange = || Error::new(format!("`nix path-info` printed a line that is not understood: {line}"));
    let (path, size) = line.trim().rsplit_once([' ', '\t']).ok_or_else(strange)?;
    let size = size.parse().map_err(|e| strange().because(e))?;
    Ok((path.trim().to_owned(), size))
}

/// A store path's name without folder and hash.
fn base(path: &str) -> &str {
    let file = path.rsplit('/').next().unwrap_or(path);
    match file.as_bytes().get(HASH) {
        Some(b'-') => &file[HASH + 1..],
        _ => file,
    }
}

/// Nix's own rule: the version begins after the first dash that no letter follows.
fn name_and_version(text: &str) -> (&str, &str) {
    let bytes = text.as_bytes();
    let dash = (0..bytes.len())
        .find(|at| bytes[*at] == b'-' && bytes.get(at + 1).is_some_and(|next| !next.is_ascii_alphabetic()));
    dash.map_or((text, ""), |at| (&text[..at], &text[at + 1..]))
}

/// What a closure holds of one name.
#[derive(Default)]
struct Pile<'a> {
    versions: BTreeSet<&'a str>,
    paths: BTreeSet<&'a str>,
    bytes: u64,
}

/// A package that only one of two closures holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its versions, of which an empty one is one as well.
    pub versions: Vec<String>,
    /// The size of all its store paths, in bytes.
    pub bytes: u64,
}

/// A package of which two closures hold different versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Changed {
    /// Its name.
    pub name: String,
    /// The versions that went.
    pub before: Vec<String>,
    /// The versions that came.
    pub after: Vec<String>,
    /// By how many bytes all its store paths together grew.
    pub difference: i64,
}

/// The difference of two closures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Diff {
    /// What came, by name.
    pub added: Vec<Package>,
    /// What went, by name.
    pub removed: Vec<Package>,
    /// Whose versions changed, by name.
    pub changed: Vec<Changed>,
    /// How many packages were built anew in the same version.
    pub rebuilt: usize,
    /// The size of the closure before, in bytes.
    pub bytes_before: u64,
    /// Its size after, in bytes.
    pub bytes_after: u64,
    /// By how many bytes it grew.
    pub difference: i64,
}

impl Diff {
    /// From one closure to another.
    pub fn new(before: &Closure, after: &Closure) -> Self {
        let (old, new) = (before.by_name(), after.by_name());
        let mut diff = Self {
            added: only_in(&new, &old),
            removed: only_in(&old, &new),
            bytes_before: before.bytes(),
            bytes_after: after.bytes(),
            difference: grown(before.bytes(), after.bytes()),
            ..Self::default()
        };
        for (name, old) in &old {
            let Some(new) = new.get(name) else { continue };
            if old.versions != new.versions {
                diff.changed.push(changed(name, old, new));
            } else if old.paths != new.paths {
                diff.rebuilt += 1;
            }
        }
        diff
    }

    /// Whether both closures are the same.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty() && self.rebuilt == 0
    }
}

fn only_in(here: &BTreeMap<&str, Pile<'_>>, other: &BTreeMap<&str, Pile<'_>>) -> Vec<Package> {
    let package = |(name, pile): (&&str, &Pile<'_>)| Package {
        name: (*name).to_owned(),
        versions: pile.versions.iter().map(ToString::to_string).collect(),
        bytes: pile.bytes,
    };
    here.iter().filter(|(name, _)| !other.contains_key(*name)).map(package).collect()
}

fn changed(name: &str, old: &Pile<'_>, new: &Pile<'_>) -> Changed {
    let versions = |here: &Pile<'_>, other: &Pile<'_>| {
        here.versions.difference(&other.versions).map(ToString::to_string).collect()
    };
    Changed {
        name: name.to_owned(),
        before: versions(old, new),
        after: versions(new, old),
        difference: grown(old.bytes, new.bytes),
    }
}

fn grown(before: u64, after: u64) -> i64 {
    i64::try_from(i128::from(after) - i128::from(before)).unwrap_or(if after > before {
        i64::MAX
    } else {
        i64::MIN
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const A: &str = "/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-";
    const B: &str = "/nix/store/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-";

    fn closure(paths: &[(&str, &str, u64)]) -> Closure {
        let text: Vec<String> =
            paths.iter().map(|(hash, name, size)| format!("{hash}{name}  \t {size}\n")).collect();
        Closure::parse(&text.concat()).unwrap()
    }

    #[test]
    fn a_version_begins_at_the_first_dash_that_no_letter_follows() {
        for (text, name, version) in [
            ("glibc-2.39-52", "glibc", "2.39-52"),
            ("nix-2.26.3-man", "nix", "2.26.3-man"),
            ("source", "source", ""),
            ("unit-script-x-start", "unit-script-x-start", ""),
            ("font-misc-misc-1.1.3", "font-misc-misc", "1.1.3"),
            ("linux-6.12-modules-shrunk", "linux", "6.12-modules-shrunk"),
            ("a-_b", "a", "_b"),
            ("a-", "a-", ""),
        ] {
            assert_eq!(name_and_version(text), (name, version), "{text}");
        }
    }

    #[test]
    fn what_came_what_went_and_what_changed_is_told_apart() {
        let before = closure(&[
            (A, "bash-5.2", 10),
            (A, "glibc-2.39-52", 100),
            (A, "glibc-2.39-52-bin", 7),
            (A, "old-tool-1", 5),
            (A, "etc", 1),
            (A, "same-1", 9),
        ]);
        let after = closure(&[
            (A, "bash-5.2", 10),
            (A, "glibc-2.40", 140),
            (A, "glibc-2.39-52-bin", 7),
            (A, "new-tool-2", 6),
            (B, "etc", 3),
            (A, "same-1", 9),
        ]);
        let diff = Diff::new(&before, &after);
        let package = |name: &str, version: &str, bytes| Package {
            name: name.into(),
            versions: vec![version.into()],
            bytes,
        };
        assert_eq!(diff.added, [package("new-tool", "2", 6)]);
        assert_eq!(diff.removed, [package("old-tool", "1", 5)]);
        let glibc = Changed {
            name: "glibc".into(),
            before: vec!["2.39-52".into()],
            after: vec!["2.40".into()],
            difference: 40,
        };
        assert_eq!((diff.changed.as_slice(), diff.rebuilt), ([glibc].as_slice(), 1));
        assert_eq!((diff.bytes_before, diff.bytes_after, diff.difference), (132, 175, 43));
    }

    #[test]
    fn a_line_that_is_none_of_nixs_is_an_error_that_shows_it() {
        assert!(Closure::parse("/nix/store/x").unwrap_err().to_string().ends_with("/nix/store/x"));
        assert!(Closure::parse("/nix/store/x 12K\n").is_err());
        assert_eq!(Closure::parse("\n").unwrap(), Closure::default());
    }

    fn any_closure() -> impl Strategy<Value = Closure> {
        let path = ("[ab]{1}", "[a-c]{1,2}(-[a-c]{1,2})?", "(-[0-9]{1,2}(-[a-z]{1,3})?)?");
        let path = path
            .prop_map(|(hash, name, version)| format!("/nix/store/{}-{name}{version}", hash.repeat(HASH)));
        prop::collection::btree_map(path, 0..1_u64 << 40, 0..12).prop_map(|paths| Closure { paths })
    }

    proptest! {
        #[test]
        fn a_closure_is_read_as_it_is_printed(closure in any_closure()) {
            let text: Vec<String> = closure.paths.iter().map(|(path, size)| format!("{path}\t{size:>12}\n")).collect();
            prop_assert_eq!(Closure::parse(&text.concat()).unwrap(), closure);
        }

        #[test]
        fn the_way_back_is_the_difference_turned_round(one in any_closure(), other in any_closure()) {
            let (there, back) = (Diff::new(&one, &other), Diff::new(&other, &one));
            prop_assert_eq!(&there.added, &back.removed);
            prop_assert_eq!((there.rebuilt, there.difference), (back.rebuilt, -back.difference));
            for (there, back) in there.changed.iter().zip(&back.changed) {
                prop_assert_eq!((&there.before, &there.after), (&back.after, &back.before));
            }
            prop_assert!(Diff::new(&one, &one).is_empty());
            prop_assert_eq!(there.is_empty(), one.paths.keys().eq(other.paths.keys()));
        }

        #[test]
        fn every_name_is_told_once_and_their_sizes_make_up_the_whole(one in any_closure(), other in any_closure()) {
            let diff = Diff::new(&one, &other);
            let names: Vec<&String> = diff.added.iter().chain(&diff.removed).map(|package| &package.name)
                .chain(diff.changed.iter().map(|changed| &changed.name)).collect();
            let apart: BTreeSet<_> = names.iter().collect();
            prop_assert_eq!(apart.len(), names.len());
            prop_assert_eq!(
                diff.difference,
                i64::try_from(diff.bytes_after).unwrap() - i64::try_from(diff.bytes_before).unwrap()
            );
            // What is left is in packages of the same versions.
            let sum = |packages: &[Package]| packages.iter().map(|package| package.bytes).sum::<u64>();
            prop_assert!(sum(&diff.added) <= diff.bytes_after && sum(&diff.removed) <= diff.bytes_before);
        }
    }
}
