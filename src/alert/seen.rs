//! Alerts that need nobody any more: put away, kept for a while, and remembered by their names for longer.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use super::told::{self, Told};
use super::{Alert, open_files};
use crate::error::Result;
use crate::id::RunId;
use crate::record::document;
use crate::record::layout::Layout;
use crate::sys::lock::{self, Lock};
use crate::sys::{clock, files};

/// As many are kept as a person may want to look back at.
const KEPT: usize = 1_000;
/// And none for longer, in seconds.
const KEPT_FOR: i64 = 90 * 24 * 60 * 60;
/// How many go at once, so that whoever has an alert to write never waits long.
const AT_ONCE: usize = 2_000;
/// How long anybody waits to write or move an alert.
const PATIENCE: Duration = Duration::from_secs(10);

/// The right to write and to move alerts, held for moments.
pub(super) fn turn(layout: &Layout) -> Result<Lock> {
    lock::exclusive_within(&layout.alerts_turn(), PATIENCE)
}

/// Moves an open alert to those that were seen, if it is still the one of this id; says whether it did. Whoever calls
/// has the turn.
pub(super) fn put_away(layout: &Layout, name: &str, id: &RunId) -> Result<bool> {
    let open = layout.alerts().join(name);
    if document::read::<Alert>(&open)?.is_none_or(|alert| alert.id != *id) {
        return Ok(false);
    }
    files::rename(&open, &layout.seen_alerts().join(name)).map(|()| true)
}

/// Bounds what is kept of alerts that were seen, and removes records of deliveries whose alert is gone.
pub(super) fn prune(layout: &Layout, dedupe: Duration) -> Result<()> {
    prune_to(layout, dedupe, KEPT)
}

fn prune_to(layout: &Layout, dedupe: Duration, kept: usize) -> Result<()> {
    let now = clock::now();
    for some in surplus(layout, kept, now.as_second().saturating_sub(KEPT_FOR))?.chunks(AT_ONCE) {
        let _turn = turn(layout)?;
        forget(layout, some, now, dedupe)?;
    }
    remove_orphans(layout)
}

/// One of those that were seen.
struct Seen {
    path: PathBuf,
    mtime: i64,
}

/// What is beyond the newest `kept`, and what is older than this second.
fn surplus(layout: &Layout, kept: usize, oldest: i64) -> Result<Vec<Seen>> {
    let mut seen = Vec::new();
    for path in files::list(&layout.seen_alerts())? {
        if let Some(facts) = files::facts(&path)?.filter(|facts| facts.is_file) {
            seen.push(Seen { path, mtime: facts.mtime });
        }
    }
    seen.sort_by_key(|seen| std::cmp::Reverse(seen.mtime));
    let beyond = |(place, seen): &(usize, Seen)| *place >= kept || seen.mtime < oldest;
    Ok(seen.into_iter().enumerate().filter(beyond).map(|(_, seen)| seen).collect())
}

/// Removes alerts once it is written down that they were told.
fn forget(layout: &Layout, surplus: &[Seen], now: Timestamp, dedupe: Duration) -> Result<()> {
    let unchanged = |seen: &&Seen| {
        files::facts(&seen.path).is_ok_and(|facts| facts.is_some_and(|facts| facts.mtime == seen.mtime))
    };
    let surplus: Vec<&Seen> = surplus.iter().filter(unchanged).collect();
    told::remember(layout, surplus.iter().filter_map(|seen| entry(seen)), now, dedupe)?;
    surplus.iter().try_for_each(|seen| files::remove_file(&seen.path))
}

/// What nobody can read was not told.
fn entry(seen: &Seen) -> Option<(String, Told)> {
    let alert = document::read::<Alert>(&seen.path).ok()??;
    let at = Timestamp::from_second(seen.mtime).ok()?;
    Some((seen.path.file_name()?.to_str()?.to_owned(), Told { at, once: alert.kind.is_told_once() }))
}

fn remove_orphans(layout: &Layout) -> Result<()> {
    let name = |path: &Path| path.file_name().map(OsString::from);
    let records = files::list(&layout.deliveries())?;
    let mut known: BTreeSet<OsString> = open_files(layout)?.iter().filter_map(|path| name(path)).collect();
    // In this order: an alert that is put away in between is found here.
    known.extend(files::list(&layout.seen_alerts())?.iter().filter_map(|path| name(path)));
    let orphans = records.iter().filter(|path| name(path).is_some_and(|name| !known.contains(&name)));
    orphans.into_iter().try_for_each(|path| files::remove_file(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::tests::{layout, news};
    use crate::alert::{Kind, list, raise};

    const DAY: Duration = Duration::from_secs(86_400);

    /// Raises an alert and puts it away.
    fn told(layout: &Layout, kind: Kind, cause: &str) -> bool {
        let mut news = news(kind);
        news.cause_key = cause.to_owned();
        let raised = raise(layout, news, DAY).unwrap();
        for (name, alert) in crate::alert::read_open(layout).unwrap().0 {
            assert!(put_away(layout, &name, &alert.id).unwrap());
        }
        raised
    }

    fn seen(layout: &Layout) -> usize {
        files::list(&layout.seen_alerts()).unwrap().len()
    }

    #[test]
    fn what_was_seen_is_bounded_and_told_no_second_time() {
        let dir = tempfile::tempdir().unwrap();
        let layout = layout(dir.path());
        for (kind, cause) in [(Kind::Hold, "a"), (Kind::Failed, "b"), (Kind::Hold, "c")] {
            assert!(told(&layout, kind, cause));
        }
        prune_to(&layout, DAY, 1).unwrap();
        assert_eq!(seen(&layout), 1);
        for (kind, cause) in [(Kind::Hold, "a"), (Kind::Failed, "b"), (Kind::Hold, "c")] {
            assert!(!told(&layout, kind, cause), "{kind:?} {cause}");
        }
        assert_eq!(list(&layout).unwrap().0, Vec::new());
    }

    #[test]
    fn what_goes_on_failing_is_told_anew_even_where_it_is_only_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let layout = layout(dir.path());
        assert!(told(&layout, Kind::Failed, "a") && told(&layout, Kind::Hold, "b"));
        prune_to(&layout, DAY, 0).unwrap();
        let mut failed = news(Kind::Failed);
        failed.cause_key = "a".to_owned();
        let mut held = news(Kind::Hold);
        held.cause_key = "b".to_owned();
        assert!(raise(&layout, failed, Duration::ZERO).unwrap());
        assert!(!raise(&layout, held, Duration::ZERO).unwrap());
    }

    #[test]
    fn a_ledger_that_cannot_be_read_stops_the_forgetting_and_silences_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let layout = layout(dir.path());
        assert!(told(&layout, Kind::Hold, "a"));
        files::write_cache(&layout.told(), b"{").unwrap();
        assert!(prune_to(&layout, DAY, 0).unwrap_err().chain().contains("told.json"));
        assert_eq!(seen(&layout), 1);
        assert!(told(&layout, Kind::Hold, "b"));
    }

    #[test]
    fn an_alert_that_was_written_anew_is_not_put_away_in_place_of_the_one_that_was_told() {
        let dir = tempfile::tempdir().unwrap();
        let layout = layout(dir.path());
        raise(&layout, news(Kind::Failed), Duration::ZERO).unwrap();
        let (name, first) = crate::alert::read_open(&layout).unwrap().0.remove(0);
        raise(&layout, news(Kind::Failed), Duration::ZERO).unwrap();
        assert!(!put_away(&layout, &name, &first.id).unwrap());
        assert_eq!(list(&layout).unwrap().0.len(), 1);
    }

    #[test]
    fn records_of_deliveries_go_with_their_alerts() {
        let dir = tempfile::tempdir().unwrap();
        let layout = layout(dir.path());
        raise(&layout, news(Kind::Failed), DAY).unwrap();
        let (name, _) = crate::alert::read_open(&layout).unwrap().0.remove(0);
        for record in [name.as_str(), "hold-gone-0.json"] {
            files::write_cache(&layout.deliveries().join(record), b"{}").unwrap();
        }
        prune(&layout, DAY).unwrap();
        assert_eq!(files::list(&layout.deliveries()).unwrap(), [layout.deliveries().join(&name)]);
    }
}
