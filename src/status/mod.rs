//! The last probe of each app, a cache that `status` reads instead of probing.

pub mod view;

use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::record::document::{self, SCHEMA};
use crate::version::Version;

/// How healthy an app was at a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Health {
    /// All checks pass.
    Healthy,
    /// All critical checks pass, another one fails.
    Degraded,
    /// It runs, and a critical check fails.
    Unhealthy,
    /// It does not run.
    Down,
    /// It was never probed.
    Unknown,
}

/// A version that was refused at the last look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeldVersion {
    /// Which.
    pub version: Version,
    /// Why, in one line.
    pub why: String,
    /// The word of the refusal.
    pub refusal: String,
}

/// The last probe of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// Schema of the document.
    pub schema: u64,
    /// When it was made.
    pub captured_at: Timestamp,
    /// What it found.
    pub health: Health,
    /// Why it is not healthy.
    pub last_error: Option<String>,
    /// Versions that were refused then.
    pub held: Vec<HeldVersion>,
}

impl Probe {
    /// A probe made now.
    pub fn new(
        captured_at: Timestamp,
        health: Health,
        last_error: Option<String>,
        held: Vec<HeldVersion>,
    ) -> Self {
        Self { schema: SCHEMA, captured_at, health, last_error, held }
    }

    /// Reads the last one; `None`: there is none. It is written without waiting for the disk: one that a power cut
    /// broke is none, and the next look writes it anew.
    pub fn read(path: &Path) -> Option<Self> {
        document::read(path).unwrap_or_else(|e| {
            tracing::warn!(name: "status.unreadable", error = e.chain(), "taken for unknown until the next look");
            None
        })
    }

    /// Keeps it.
    pub fn write(&self, path: &Path) -> Result<()> {
        document::write_cache(path, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::files;

    #[test]
    fn a_broken_probe_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes.json");
        for broken in [&b""[..], b"{\"schema\":1", b"{\"schema\":2}", b"\0\0\0\0"] {
            files::write_cache(&path, broken).unwrap();
            assert_eq!(Probe::read(&path), None);
        }
        let probe = Probe::new(Timestamp::UNIX_EPOCH, Health::Healthy, None, Vec::new());
        probe.write(&path).unwrap();
        assert_eq!(Probe::read(&path), Some(probe));
    }
}
