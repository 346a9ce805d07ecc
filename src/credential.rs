//! Secrets in files, and their copies among systemd's credentials.
//!
//! A generated unit names each secret file that its work reads: `LoadCredential=ID:/path`. systemd puts a copy into
//! `$CREDENTIALS_DIRECTORY/ID`, which a sandbox that hides the file itself does not hide.

use std::path::Path;

use crate::error::{Error, Result};
use crate::sys::{env, files, hash};

/// The largest secret that is read, in bytes.
const LARGEST: u64 = 64 << 10;
/// How much of the file's own name an id has.
const NAMED: usize = 40;

/// What the copy of a secret file is called: the same path always has the same id, and another path another one.
pub fn id(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let mut id = "warmkeep-".to_owned();
    id.extend(name.chars().filter(plain).take(NAMED));
    id.push('-');
    id += &hash::short(path.as_os_str().as_encoded_bytes(), 8);
    id
}

/// Reads a secret: its copy, where there is one with something in it, else the file. One newline at its end is no part of it.
pub fn read(path: &Path) -> Result<String> {
    let (from, bytes) = match copy(path)? {
        Some(copy) => copy,
        None => (path.to_owned(), files::read(path, LARGEST)?),
    };
    let error = |why: &str| Error::new(format!("the secret in {} {why}", from.display()));
    let text = String::from_utf8(bytes).map_err(|_| error("is not UTF-8"))?;
    let secret =
        text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if secret.is_empty() { Err(error("is empty")) } else { Ok(secret.to_owned()) }
}

/// A blank copy stands for a file that was not there when the unit started.
fn copy(path: &Path) -> Result<Option<(std::path::PathBuf, Vec<u8>)>> {
    let Some(folder) = env::var("CREDENTIALS_DIRECTORY") else { return Ok(None) };
    let copy = Path::new(&folder).join(id(path));
    let bytes = files::read_if_exists(&copy, LARGEST)?.filter(|bytes| !bytes.trim_ascii().is_empty());
    Ok(bytes.map(|bytes| (copy, bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_that_systemd_takes_and_tells_paths_apart() {
        let id = |path: &str| id(Path::new(path));
        assert_eq!(id("/run/keys/api token:%é"), "warmkeep-apitoken-e59aeb7292b7dc62");
        assert_ne!(id("/a/password"), id("/b/password"));
        assert!(id(&format!("/{}", "x".repeat(250))).len() < 80);
    }

    #[test]
    fn one_newline_is_no_part_of_a_secret() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        for (content, secret) in
            [("pw", "pw"), ("pw\n", "pw"), ("pw\r\n", "pw"), ("pw\n\n", "pw\n"), (" p ", " p ")]
        {
            files::write_cache(&path, content.as_bytes()).unwrap();
            assert_eq!(read(&path).unwrap(), secret);
        }
        files::write_cache(&path, b"\n").unwrap();
        assert!(read(&path).unwrap_err().to_string().contains("is empty"));
    }
}
