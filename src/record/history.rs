//! What happened to an app: one line an outcome that was not a no-op, bounded.

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::document::SCHEMA;
use super::report::AppReport;
use crate::error::{Error, Result};
use crate::id::RunId;
use crate::sys::files;

/// Beyond this size the older half goes.
const LIMIT: u64 = 1 << 20;

/// One line of history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Schema of the line.
    pub schema: u64,
    /// The transaction, or the run where there was none.
    pub id: RunId,
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub report: AppReport,
}

impl Entry {
    /// A line.
    pub fn new(id: RunId, at: Timestamp, report: AppReport) -> Self {
        Self { schema: SCHEMA, id, at, report }
    }
}

/// Adds a line. The same id twice is one entry: the last line counts.
pub fn append(path: &Path, entry: &Entry) -> Result<()> {
    let mut line =
        serde_json::to_vec(entry).map_err(|e| Error::new("a history line is not JSON").because(e))?;
    line.push(b'\n');
    let mut text = files::read_if_exists(path, 4 * LIMIT)?.unwrap_or_default();
    if !text.is_empty() && !text.ends_with(b"\n") {
        text.push(b'\n');
    }
    text.extend_from_slice(&line);
    files::write_atomic(path, newest(&text))
}

/// The text without its older half, where it is too long; cut at a line.
fn newest(text: &[u8]) -> &[u8] {
    if text.len() as u64 <= LIMIT {
        return text;
    }
    let half = text.len() / 2;
    let cut = text[half..].iter().position(|byte| *byte == b'\n').map_or(0, |at| half + at + 1);
    &text[cut..]
}

/// An app's history, oldest first, and how many lines could not be read.
pub fn read(path: &Path) -> Result<(Vec<Entry>, usize)> {
    let text = files::read_if_exists(path, 4 * LIMIT)?.unwrap_or_default();
    let mut entries: Vec<Entry> = Vec::new();
    let mut unreadable = 0;
    for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice::<Entry>(line) {
            Ok(entry) => {
                entries.retain(|other| other.id != entry.id);
                entries.push(entry);
            }
            Err(_) => unreadable += 1,
        }
    }
    Ok((entries, unreadable))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::report::Outcome;

    fn entry(reason: &str) -> Entry {
        let mut report = AppReport::new("notes", Outcome::Upgraded);
        report.reason = Some(reason.into());
        Entry::new(RunId::new().unwrap(), Timestamp::UNIX_EPOCH, report)
    }

    #[test]
    fn the_same_transaction_twice_is_one_entry() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.jsonl");
        let first = entry("first");
        append(&path, &first).unwrap();
        append(&path, &first).unwrap();
        append(&path, &entry("second")).unwrap();
        let (entries, unreadable) = read(&path).unwrap();
        assert_eq!((entries.len(), unreadable), (2, 0));
    }

    #[test]
    fn a_long_history_loses_its_older_half_and_no_line_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.jsonl");
        let long = "x".repeat(100_000);
        for _ in 0..15 {
            append(&path, &entry(&long)).unwrap();
        }
        let (entries, unreadable) = read(&path).unwrap();
        assert!((5..15).contains(&entries.len()), "{}", entries.len());
        assert_eq!(unreadable, 0);
    }

    #[test]
    fn a_garbled_line_is_counted_and_the_rest_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("history.jsonl");
        files::write_atomic(&path, b"{garbled\n").unwrap();
        append(&path, &entry("ok")).unwrap();
        let (entries, unreadable) = read(&path).unwrap();
        assert_eq!((entries.len(), unreadable), (1, 1));
    }
}
