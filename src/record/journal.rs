//! The journal of one transaction: appended, made durable, and only then acted upon.
//!
//! One JSON line a record, each with a checksum. A last line that is torn was never acted upon and is taken off; any
//! other damage is an error, never a guess.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::document::SCHEMA;
use crate::error::{Error, Result};
use crate::id::RunId;
use crate::plan::progress::{Progress, Record};
use crate::plan::transaction::Transaction;
use crate::sys::fault::{Side, at_record};
use crate::sys::{clock, files, hash};

/// Set aside for a journal when it is opened, so that a disk that fills up cannot keep a rollback from being recorded.
const RESERVE: u64 = 128 << 10;
/// The most that is read of one.
const LIMIT: u64 = 16 << 20;

#[derive(Serialize, Deserialize)]
struct Line<'a> {
    sum: String,
    #[serde(borrow)]
    entry: &'a RawValue,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    seq: u64,
    at: Timestamp,
    #[serde(flatten)]
    record: Record,
}

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: files::Appender,
    seq: u64,
    progress: Progress,
}

impl Journal {
    /// Opens a new transaction. An unfinished one is in its place only where the transaction says that it replaces it:
    /// that one's journal is kept under the name said there. Whatever dies in between, one of the two is in force.
    pub fn open(path: &Path, transaction: Transaction) -> Result<Self> {
        let replaced = transaction.replaces.as_ref().map(|replaced| path.with_file_name(&replaced.journal));
        if replaced.is_none() && files::exists(path) {
            return Err(Error::new(format!("{} holds an unfinished transaction", path.display()))
                .remedy("run converge: it is finished first"));
        }
        let record =
            Record::Opened { schema: SCHEMA, txn: RunId::new()?, transaction: Box::new(transaction) };
        let at = clock::now();
        let progress = Progress::open(record.clone(), at).map_err(|e| illegal(path, e))?;
        let aside = aside(path);
        files::remove_file(&aside)?;
        let mut file = files::Appender::open(&aside, RESERVE)?;
        append(&mut file, &Entry { seq: 1, at, record })?;
        if let Some(kept) = replaced {
            files::link(path, &kept)?;
        }
        files::rename(&aside, path)?;
        files::sync_dir(path.parent().unwrap_or(path))?;
        Ok(Self { path: path.to_owned(), file, seq: 1, progress })
    }

    /// Takes up an unfinished transaction; `None`: there is none.
    pub fn take_up(path: &Path) -> Result<Option<Self>> {
        files::remove_file(&aside(path))?;
        let Some(bytes) = files::read_if_exists(path, LIMIT)? else { return Ok(None) };
        let Some(Folded { progress, seq, sound }) = fold(&bytes, path)? else {
            // Not even the first record is whole: nothing was begun.
            files::remove_file(path)?;
            return Ok(None);
        };
        let mut file = files::Appender::open(path, RESERVE)?;
        if sound < bytes.len() as u64 {
            file.truncate(sound)?;
        }
        Ok(Some(Self { path: path.to_owned(), file, seq, progress }))
    }

    /// Reads an unfinished transaction without taking it up.
    pub fn peek(path: &Path) -> Result<Option<Progress>> {
        let Some(bytes) = files::read_if_exists(path, LIMIT)? else { return Ok(None) };
        Ok(fold(&bytes, path)?.map(|folded| folded.progress))
    }

    /// How far the transaction has come.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Writes one record. When this returns, it is durable.
    pub fn write(&mut self, record: Record) -> Result<()> {
        let at = clock::now();
        let mut next = self.progress.clone();
        next.apply(record.clone(), at).map_err(|e| illegal(&self.path, e))?;
        append(&mut self.file, &Entry { seq: self.seq + 1, at, record })?;
        self.seq += 1;
        self.progress = next;
        Ok(())
    }

    /// Ends a closed transaction: its journal goes. One that took another's place and came to nothing gives it back.
    pub fn remove(self) -> Result<()> {
        match &self.progress.transaction.replaces {
            Some(replaced) if self.progress.turned_back.is_some() => {
                files::rename(&self.path.with_file_name(&replaced.journal), &self.path)?;
            }
            _ => files::remove_file(&self.path)?,
        }
        files::sync_dir(self.path.parent().unwrap_or(&self.path))
    }
}

/// Where a journal is begun before it is in force.
fn aside(path: &Path) -> PathBuf {
    path.with_extension("new")
}

fn append(file: &mut files::Appender, entry: &Entry) -> Result<()> {
    let line = encode(entry)?;
    at_record(Side::Before);
    file.append(line.as_bytes())?;
    at_record(Side::After);
    Ok(())
}

fn encode(entry: &Entry) -> Result<String> {
    let unwritable = |e| Error::new("a journal record cannot be written as JSON").because(e);
    let text = serde_json::to_string(entry).map_err(unwritable)?;
    let sum = checksum(&text);
    let entry = RawValue::from_string(text).map_err(unwritable)?;
    let mut line = serde_json::to_string(&Line { sum, entry: &entry }).map_err(unwritable)?;
    line.push('\n');
    Ok(line)
}

fn checksum(text: &str) -> String {
    hash::short(text.as_bytes(), 4)
}

fn illegal(path: &Path, source: crate::plan::progress::Illegal) -> Error {
    Error::new(format!("the journal {} makes no sense", path.display())).because(source)
}

struct Folded {
    progress: Progress,
    seq: u64,
    /// Bytes that are sound; what follows is a torn last line.
    sound: u64,
}

fn fold(bytes: &[u8], path: &Path) -> Result<Option<Folded>> {
    let mut folded: Option<Folded> = None;
    let mut offset = 0_u64;
    for (number, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let last = offset + line.len() as u64 == bytes.len() as u64;
        let entry = match decode(line) {
            Ok(entry) => entry,
            Err(_) if last && !line.ends_with(b"\n") => break,
            Err(e) => return Err(damaged(path, number + 1, &e)),
        };
        offset += line.len() as u64;
        fold_in(&mut folded, entry, offset).map_err(|why| damaged(path, number + 1, &why))?;
    }
    Ok(folded)
}

fn fold_in(folded: &mut Option<Folded>, entry: Entry, sound: u64) -> std::result::Result<(), String> {
    let Some(so_far) = folded else {
        if let Record::Opened { schema, .. } = &entry.record
            && *schema != SCHEMA
        {
            return Err(format!("it has schema {schema}; this warmkeep knows schema {SCHEMA}"));
        }
        let progress = Progress::open(entry.record, entry.at).map_err(|e| e.to_string())?;
        *folded = Some(Folded { progress, seq: entry.seq, sound });
        return Ok(());
    };
    if entry.seq != so_far.seq + 1 {
        return Err(format!("record {} follows record {}", entry.seq, so_far.seq));
    }
    so_far.progress.apply(entry.record, entry.at).map_err(|e| e.to_string())?;
    so_far.seq = entry.seq;
    so_far.sound = sound;
    Ok(())
}

fn decode(line: &[u8]) -> std::result::Result<Entry, String> {
    let line: Line<'_> = serde_json::from_slice(line).map_err(|e| e.to_string())?;
    if checksum(line.entry.get()) != line.sum {
        return Err("its checksum does not match".into());
    }
    serde_json::from_str(line.entry.get()).map_err(|e| e.to_string())
}

fn damaged(path: &Path, line: usize, why: &str) -> Error {
    Error::new(format!("{}:{line}: the journal of an unfinished transaction is damaged: {why}", path.display())).remedy(
        "nothing was touched. Look at what runs, then say which version you want with `warmkeep deploy APP VERSION`; it \
         sets this journal aside and keeps it",
    )
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::plan::transaction::{HookSteps, Kind, Leg, Step, forward};
    use crate::version::Version;

    fn upgrade() -> Transaction {
        Transaction {
            app: "notes".into(),
            kind: Kind::Upgrade,
            from: Some(Version::new("1.0.0").unwrap()),
            to: Version::new("1.1.0").unwrap(),
            volumes: vec![],
            steps: forward(Kind::Upgrade, false, false, HookSteps::default()),
            restore: None,
            overrides: vec![],
            replaces: None,
            why: "a line\nwith \"everything\" \u{2603}".into(),
        }
    }

    static WRITTEN: LazyLock<(Vec<u8>, Vec<Progress>)> = LazyLock::new(write_one);

    /// A whole upgrade, written by a real journal: its bytes, and how far it had come after each record.
    fn written() -> (Vec<u8>, Vec<Progress>) {
        WRITTEN.clone()
    }

    fn write_one() -> (Vec<u8>, Vec<Progress>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.jsonl");
        let mut journal = Journal::open(&path, upgrade()).unwrap();
        let mut after = vec![journal.progress().clone()];
        let leg = Leg::Forward;
        for step in [Step::Prefetch, Step::Deploy, Step::Gate, Step::Commit, Step::Tidy] {
            for record in [Record::Begun { leg, step }, Record::Ended { leg, step, ms: 3 }] {
                journal.write(record).unwrap();
                after.push(journal.progress().clone());
            }
        }
        journal.write(Record::Closed).unwrap();
        after.push(journal.progress().clone());
        (files::read(&path, LIMIT).unwrap(), after)
    }

    fn read(bytes: &[u8]) -> Result<Option<Progress>> {
        Ok(fold(bytes, Path::new("/journal"))?.map(|folded| folded.progress))
    }

    #[test]
    fn what_was_written_is_read_back_record_by_record() {
        let (bytes, after) = written();
        let ends: Vec<usize> =
            bytes.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(at, _)| at + 1).collect();
        assert_eq!(ends.len(), after.len());
        for (end, progress) in ends.iter().zip(&after) {
            let mut folded = read(&bytes[..*end]).unwrap().unwrap();
            folded.opened_at = progress.opened_at;
            folded.down_since = progress.down_since;
            assert_eq!(&folded, progress);
        }
    }

    #[test]
    fn a_journal_cut_anywhere_is_read_up_to_its_last_whole_record() {
        let (bytes, after) = written();
        for cut in 0..=bytes.len() {
            let whole = bytes[..cut].split(|byte| *byte == b'\n').count() - 1;
            let read = read(&bytes[..cut]).unwrap_or_else(|e| panic!("cut at {cut}: {}", e.chain()));
            // The last line may be whole but for its line break.
            let tried = read.as_ref().map(|progress| (progress.tried.len(), progress.closed));
            let expected = |count: usize| after.get(count.wrapping_sub(1)).map(|p| (p.tried.len(), p.closed));
            assert!(tried == expected(whole) || tried == expected(whole + 1), "cut at {cut}: {tried:?}");
        }
    }

    #[test]
    fn a_record_that_is_missing_or_stands_twice_is_damage() {
        let (bytes, _) = written();
        let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
        for number in 0..lines.len() - 1 {
            let mut without = lines.clone();
            without.remove(number);
            assert!(read(&without.concat()).is_err(), "without {number}");
            let mut twice = lines.clone();
            twice.insert(number, lines[number]);
            assert!(read(&twice.concat()).is_err(), "{number} twice");
        }
    }

    #[test]
    fn a_torn_line_is_taken_off_before_the_next_record_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.jsonl");
        drop(Journal::open(&path, upgrade()).unwrap());
        let mut bytes = files::read(&path, LIMIT).unwrap();
        bytes.extend_from_slice(b"{\"sum\":\"torn");
        files::write_atomic(&path, &bytes).unwrap();
        let mut journal = Journal::take_up(&path).unwrap().unwrap();
        journal.write(Record::Begun { leg: Leg::Forward, step: Step::Prefetch }).unwrap();
        drop(journal);
        assert_eq!(Journal::peek(&path).unwrap().unwrap().tried.len(), 1);
    }

    #[test]
    fn a_record_out_of_turn_is_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.jsonl");
        let mut journal = Journal::open(&path, upgrade()).unwrap();
        let before = files::read(&path, LIMIT).unwrap();
        assert!(journal.write(Record::Begun { leg: Leg::Forward, step: Step::Commit }).is_err());
        assert!(journal.write(Record::Closed).is_err());
        assert_eq!(files::read(&path, LIMIT).unwrap(), before);
    }

    proptest! {
        /// One flipped bit is damage, or it makes the last line one that is torn; it never reads as something else.
        #[test]
        fn a_flipped_bit_is_never_read_as_something_else(at: prop::sample::Index, bit in 0_u8..8) {
            let (bytes, after) = written();
            let mut bad = bytes.clone();
            let at = at.index(bytes.len());
            bad[at] ^= 1 << bit;
            if let Ok(read) = read(&bad) {
                let last_line = bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap();
                prop_assert!(at > last_line, "bit {bit} of byte {at}");
                let tried = read.map(|progress| (progress.tried.len(), progress.closed));
                let known = after.iter().map(|p| Some((p.tried.len(), p.closed)));
                prop_assert!(known.rev().take(2).any(|known| known == tried), "{tried:?}");
            }
        }

        #[test]
        fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
            let _ = read(&bytes);
        }

        #[test]
        fn lines_with_a_sound_checksum_never_panic(texts in prop::collection::vec(r#"[\[\]{}":,a-z0-9 ]{0,60}"#, 0..5)) {
            let lines = texts.iter().map(|text| format!("{{\"sum\":\"{}\",\"entry\":{text}}}\n", checksum(text)));
            let _ = read(lines.collect::<String>().as_bytes());
        }
    }
}
