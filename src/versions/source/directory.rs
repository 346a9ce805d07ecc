//! A folder of releases: each child folder, or executable, is one.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::Found;
use crate::config::model::Order;
use crate::error::{Error, Result};
use crate::sys::files::{self, Facts};
use crate::version::Version;

/// What is read of release notes, in bytes.
const NOTES_LIMIT: u64 = 1 << 20;

/// The names of release notes, the first that is there counts.
const NOTES_NAMES: [&str; 4] = ["notes.md", "notes.txt", "notes", "release_notes.md"];

/// The children of `folder`: by name, or oldest first where they are ordered as listed.
pub(super) fn list(folder: &Path, order: Order) -> Result<Vec<Found>> {
    if !files::is_dir(folder) {
        return Err(Error::new(format!("there is no folder of releases at {}", folder.display()))
            .remedy("create it, or correct versions.source.directory.path"));
    }
    let real = files::canonical(folder)?;
    let mut found: Vec<Found> =
        files::list(folder)?.into_iter().filter_map(|path| child(&real, path)).collect();
    if order == Order::Listed {
        found.sort_by_key(|child| child.released_at);
    }
    Ok(found)
}

/// `folder`: with all links resolved.
fn child(folder: &Path, path: PathBuf) -> Option<Found> {
    let name = path.file_name()?.to_string_lossy().into_owned();
    if name.starts_with('.') {
        return None;
    }
    if let Some(target) = another_name_of(folder, &path, &name) {
        let why = format!("it is a link to {target}, which is listed itself");
        return Some(Found::refused(name, why));
    }
    Some(match files::facts_followed(&path) {
        Ok(Some(facts)) if facts.is_dir || is_program(&facts) => release(name, path, &facts),
        Ok(Some(_)) => Found::refused(name, "it is neither a folder nor an executable file"),
        Ok(None) => Found::refused(name, "it is gone, or a link to nothing"),
        Err(error) => Found::refused(name, error.chain()),
    })
}

/// The entry of the same folder that a link (say `current`) leads to. A version's number that leads to what has none is
/// no mere other name of it.
fn another_name_of(folder: &Path, path: &Path, name: &str) -> Option<String> {
    let real = files::canonical(path).ok().filter(|real| real.parent() == Some(folder))?;
    let target = real.file_name()?.to_str().filter(|target| *target != name && !target.starts_with('.'))?;
    let is_number = |text: &str| Version::new(text).is_ok_and(|version| version.parsed().is_some());
    (is_number(target) || !is_number(name)).then(|| target.to_owned())
}

fn is_program(facts: &Facts) -> bool {
    facts.is_file && facts.mode & 0o111 != 0
}

fn release(name: String, path: PathBuf, facts: &Facts) -> Found {
    let notes = if facts.is_dir { notes(&path) } else { Ok(None) };
    match notes {
        Ok(notes) => Found {
            released_at: Timestamp::from_second(facts.mtime).ok(),
            notes,
            path: Some(path),
            ..Found::named(name)
        },
        // Notes that are there and cannot be read may be the ones that hold it.
        Err(error) => Found::refused(name, format!("its notes cannot be read: {}", error.chain())),
    }
}

fn notes(release: &Path) -> Result<Option<String>> {
    let named = |path: &PathBuf| {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        NOTES_NAMES.iter().position(|wanted| *wanted == name)
    };
    let mut candidates: Vec<(usize, PathBuf)> =
        files::list(release)?.into_iter().filter_map(|path| Some((named(&path)?, path))).collect();
    candidates.sort();
    for (_, path) in candidates {
        if let Some(notes) = files::read_head(&path, NOTES_LIMIT)? {
            return Ok(Some(notes));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::sys::process::Program;

    fn folder(path: PathBuf) -> PathBuf {
        files::create_dir_private(&path).unwrap();
        path
    }

    fn names(found: &[Found]) -> Vec<&str> {
        found.iter().filter(|f| f.refused.is_none()).map(|f| f.text.as_str()).collect()
    }

    #[test]
    fn folders_links_to_folders_and_programs_are_releases() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let at = |name: &str| dir.path().join(name);
        folder(at("1.0.0"));
        folder(at(".staging"));
        symlink(folder(elsewhere.path().join("build")), at("1.1.0")).unwrap();
        symlink("nowhere", at("1.2.0")).unwrap();
        files::write_cache(&at("1.3.0"), b"#!/bin/sh").unwrap();
        Program::new(["chmod", "755", at("1.3.0").to_str().unwrap()]).run_ok().unwrap();
        files::write_cache(&at("README"), b"").unwrap();
        let found = list(dir.path(), Order::Semver).unwrap();
        assert_eq!(names(&found), ["1.0.0", "1.1.0", "1.3.0"]);
        assert_eq!(found[0].path, Some(at("1.0.0")));
        let refused: Vec<_> = found.iter().filter(|f| f.refused.is_some()).map(|f| &f.text).collect();
        assert_eq!(refused, ["1.2.0", "README"]);
    }

    #[test]
    fn a_link_to_another_release_of_the_folder_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join("releases").join(name);
        folder(at("1.0.0"));
        folder(at(".build"));
        folder(at("8f3a9c1"));
        symlink("1.0.0", at("current")).unwrap();
        symlink("current", at("latest")).unwrap();
        symlink(at("1.0.0"), at("1.1.0")).unwrap();
        symlink(".build", at("1.2.0")).unwrap();
        symlink("8f3a9c1", at("1.3.0")).unwrap();
        symlink("releases", dir.path().join("link")).unwrap();
        for path in ["releases", "link"] {
            let found = list(&dir.path().join(path), Order::Semver).unwrap();
            assert_eq!(names(&found), ["1.0.0", "1.2.0", "1.3.0", "8f3a9c1"], "{path}");
            let current = found.iter().find(|f| f.text == "latest").unwrap();
            assert_eq!(current.refused.as_deref(), Some("it is a link to 1.0.0, which is listed itself"));
        }
    }

    #[test]
    fn the_age_is_the_folders_and_orders_what_is_ordered_as_listed() {
        let dir = tempfile::tempdir().unwrap();
        for (name, at) in [("b", "@100"), ("a", "@200")] {
            let path = folder(dir.path().join(name));
            Program::new(["touch", "-d", at, path.to_str().unwrap()]).run_ok().unwrap();
        }
        let found = list(dir.path(), Order::Listed).unwrap();
        assert_eq!(names(&found), ["b", "a"]);
        assert_eq!(found[0].released_at, Some(Timestamp::from_second(100).unwrap()));
    }

    #[test]
    fn notes_are_found_in_any_case_and_the_first_name_counts() {
        let dir = tempfile::tempdir().unwrap();
        let release = folder(dir.path().join("1.0.0"));
        files::write_cache(&release.join("Release_Notes.md"), b"second").unwrap();
        files::write_cache(&release.join("Notes.TXT"), b"first").unwrap();
        let found = list(dir.path(), Order::Semver).unwrap();
        assert_eq!(found[0].notes.as_deref(), Some("first"));
    }

    #[test]
    fn of_endless_notes_the_beginning_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let release = folder(dir.path().join("1.0.0"));
        files::write_cache(&release.join("NOTES"), &vec![b'x'; 3 << 20]).unwrap();
        let found = list(dir.path(), Order::Semver).unwrap();
        assert_eq!(found[0].notes.as_ref().map(String::len), Some(1 << 20));
    }

    #[test]
    fn a_fifo_with_the_name_of_notes_blocks_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let release = folder(dir.path().join("1.0.0"));
        Program::new(["mkfifo", release.join("NOTES").to_str().unwrap()]).run_ok().unwrap();
        assert_eq!(list(dir.path(), Order::Semver).unwrap()[0].notes, None);
    }

    #[test]
    fn a_missing_folder_is_an_error_with_a_remedy() {
        let error = list(Path::new("/nonexistent/releases"), Order::Semver).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/releases"));
        assert!(error.hint().unwrap().contains("versions.source.directory.path"));
    }
}
