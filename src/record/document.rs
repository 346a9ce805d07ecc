//! One JSON document in one file, with a schema number.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::sys::files;

/// The schema of every document and journal that this version writes, and the only one that it reads.
pub const SCHEMA: u64 = 1;

/// The most that is read of a document.
const LIMIT: u64 = 64 << 20;

#[derive(serde::Deserialize)]
struct Head {
    schema: Option<u64>,
}

/// Reads a document; `None` where there is no file.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let Some(bytes) = files::read_if_exists(path, LIMIT)? else { return Ok(None) };
    parse(&bytes, path).map(Some)
}

/// Reads a document whose damage is no obstacle: the inner error tells of it, the outer one that the file cannot be read
/// at all.
pub fn read_even_damaged<T: DeserializeOwned>(path: &Path) -> Result<Option<Result<T>>> {
    Ok(files::read_if_exists(path, LIMIT)?.map(|bytes| parse(&bytes, path)))
}

fn parse<T: DeserializeOwned>(bytes: &[u8], path: &Path) -> Result<T> {
    let head: Head = serde_json::from_slice(bytes).map_err(|e| corrupt(path, e))?;
    check_schema(head.schema, path)?;
    serde_json::from_slice(bytes).map_err(|e| corrupt(path, e))
}

/// Refuses a schema that this version does not know.
pub fn check_schema(found: Option<u64>, path: &Path) -> Result<()> {
    match found {
        Some(SCHEMA) => Ok(()),
        Some(newer) if newer > SCHEMA => Err(Error::new(format!(
            "{} has schema {newer}; this warmkeep knows schema {SCHEMA}",
            path.display()
        ))
        .remedy("run the newer warmkeep that wrote it; nothing was changed")),
        _ => {
            Err(Error::new(format!("{} has no known schema number", path.display())).remedy(move_aside(path)))
        }
    }
}

fn corrupt(path: &Path, error: serde_json::Error) -> Error {
    Error::new(format!("{} is corrupt", path.display())).because(error).remedy(move_aside(path))
}

fn move_aside(path: &Path) -> String {
    format!(
        "restore {0} from a backup, or move it aside and run `warmkeep plan` to see what would be done without it",
        path.display()
    )
}

/// Writes a document durably and atomically.
pub fn write(path: &Path, document: &impl Serialize) -> Result<()> {
    files::write_atomic(path, &bytes(document)?)
}

/// Writes a document that can be had again: atomically, but without waiting for the disk.
pub fn write_cache(path: &Path, document: &impl Serialize) -> Result<()> {
    files::write_cache(path, &bytes(document)?)
}

fn bytes(document: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(document)
        .map_err(|e| Error::new("a document cannot be written as JSON").because(e))?;
    bytes.push(b'\n');
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Serialize, Deserialize)]
    struct Doc {
        schema: u64,
        value: String,
    }

    fn read_text(text: &str) -> Result<Doc> {
        parse(text.as_bytes(), Path::new("/state/doc.json"))
    }

    #[test]
    fn a_newer_schema_is_refused_by_number() {
        let error = read_text(r#"{"schema":2,"entirely":"different"}"#).unwrap_err();
        assert_eq!(error.to_string(), "/state/doc.json has schema 2; this warmkeep knows schema 1");
    }

    #[test]
    fn a_corrupt_document_names_its_place() {
        let error = read_text("{\"schema\":1,\n\"value\":").unwrap_err();
        assert!(error.chain().contains("line 2"), "{}", error.chain());
        assert!(error.hint().unwrap().contains("move it aside"));
    }

    #[test]
    fn a_document_comes_back_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("doc.json");
        write(&path, &Doc { schema: SCHEMA, value: "é".into() }).unwrap();
        assert_eq!(read::<Doc>(&path).unwrap().unwrap().value, "é");
        assert_eq!(files::facts(&path).unwrap().unwrap().mode & 0o777, 0o600);
    }
}
