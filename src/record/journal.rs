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
