//! The reports of nightly runs, as files that can be looked at later.

use std::path::Path;

use serde::Serialize;

use super::document;
use super::layout::Layout;
use crate::error::Result;
use crate::id::RunId;
use crate::sys::files;

/// As many are kept as a person may want to look back at.
const KEPT: usize = 100;

/// Keeps a report, and of all earlier ones the newest.
pub fn keep(layout: &Layout, run: &RunId, report: &impl Serialize) -> Result<()> {
    let path = layout.runs().join(format!("{run}.json"));
    document::write(&path, report)?;
    prune(&layout.runs(), &path, KEPT)
}

/// Removes all but the newest `kept` reports, by their names, which sort by time. The one that was just written stays,
/// whatever the clock says; files of other names are nobody's to remove.
fn prune(folder: &Path, written: &Path, kept: usize) -> Result<()> {
    let mut reports = files::list(folder)?;
    reports.retain(|path| is_report(path) && path != written);
    let surplus = (reports.len() + 1).saturating_sub(kept);
    reports.iter().take(surplus).try_for_each(|path| files::remove_file(path))
}

fn is_report(path: &Path) -> bool {
    let id = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let id_like = id.len() == 36 && id.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
    id_like && path.extension().is_some_and(|e| e == "json")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: u32) -> String {
        format!("0197f3a0-0000-7000-8000-{number:012}.json")
    }

    #[test]
    fn the_newest_reports_stay_with_the_one_just_written_and_all_that_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for file in (1..=7).map(name).chain(["mine.json".into(), "notes.txt".into()]) {
            files::write_cache(&at(&file), b"{}").unwrap();
        }
        // Written last, by a clock that was set back.
        prune(dir.path(), &at(&name(2)), 3).unwrap();
        let left: Vec<_> = [name(2), name(6), name(7), "mine.json".into(), "notes.txt".into()]
            .iter()
            .map(|name| at(name))
            .collect();
        assert_eq!(files::list(dir.path()).unwrap(), left);
        prune(dir.path(), &at(&name(7)), 3).unwrap();
        assert_eq!(files::list(dir.path()).unwrap(), left);
    }
}
