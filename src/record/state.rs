//! What is known of one app between runs.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::document::{self, SCHEMA};
use crate::error::Result;
use crate::snapshot::SnapshotId;
use crate::version::Version;

/// The state document of one app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppState {
    /// Schema of the document.
    pub schema: u64,
    /// The app.
    pub app: String,
    /// The driver that last ran it.
    pub driver: String,
    /// Its data, as last planned: an app that left the configuration can still be retired.
    pub volumes: Vec<PathBuf>,
    /// The version that it is on.
    pub current: Option<Version>,
    /// The last version that passed the health gate.
    pub last_good: Option<LastGood>,
    /// Versions that failed it.
    pub quarantined: Vec<Quarantine>,
    /// Held versions that a person let through.
    pub approved: Vec<Approval>,
    /// A rollback that failed, until something comes up healthy.
    pub stuck: Option<String>,
    /// The last outcome that was not a no-op.
    pub last: Option<LastOutcome>,
}

/// The last version that passed the health gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastGood {
    /// Which.
    pub version: Version,
    /// When.
    pub at: Timestamp,
    /// The data as it was before that version first ran.
    pub snapshot: Option<SnapshotId>,
}

/// A version that failed the health gate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Quarantine {
    /// Which.
    pub version: Version,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub cause: String,
}

/// A version that a person let through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// Which.
    pub version: Version,
    /// When.
    pub at: Timestamp,
}

/// The last outcome that was not a no-op.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastOutcome {
    /// Its name.
    pub outcome: super::report::Outcome,
    /// When.
    pub at: Timestamp,
}

impl AppState {
    /// The state of an app that was never seen.
    pub fn new(app: &str, driver: &str) -> Self {
        Self {
            schema: SCHEMA,
            app: app.to_owned(),
            driver: driver.to_owned(),
            volumes: Vec::new(),
            current: None,
            last_good: None,
            quarantined: Vec::new(),
            approved: Vec::new(),
            stuck: None,
            last: None,
        }
    }

    /// Reads an app's state; `None`: it has none yet.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        document::read(path)
    }

    /// Writes it durably.
    pub fn write(&self, path: &Path) -> Result<()> {
        document::write(path, self)
    }

    /// The last version that passed the health gate.
    pub fn last_good_version(&self) -> Option<&Version> {
        self.last_good.as_ref().map(|good| &good.version)
    }

    /// The versions in quarantine.
    pub fn quarantined_versions(&self) -> Vec<Version> {
        self.quarantined.iter().map(|q| q.version.clone()).collect()
    }

    /// The versions that were approved.
    pub fn approved_versions(&self) -> Vec<Version> {
        self.approved.iter().map(|a| a.version.clone()).collect()
    }

    /// Puts a version into quarantine; the latest cause stands.
    pub fn quarantine(&mut self, version: Version, at: Timestamp, cause: String) {
        self.release(&version);
        self.quarantined.push(Quarantine { version, at, cause });
    }

    /// Takes a version out of quarantine; says whether it was in.
    pub fn release(&mut self, version: &Version) -> bool {
        let before = self.quarantined.len();
        self.quarantined.retain(|q| q.version != *version);
        self.quarantined.len() < before
    }

    /// Lets a version through; says whether that is new.
    pub fn approve(&mut self, version: Version, at: Timestamp) -> bool {
        if self.approved.iter().any(|a| a.version == version) {
            return false;
        }
        self.approved.push(Approval { version, at });
        true
    }

    /// Records that a version passed the gate: an approval is used up, a quarantine disproved, being stuck over.
    /// Without a snapshot of its own (a repair), the same version keeps the one that it has.
    pub fn commit(&mut self, version: &Version, at: Timestamp, snapshot: Option<SnapshotId>) {
        let kept =
            self.last_good.take().filter(|good| good.version == *version).and_then(|good| good.snapshot);
        let snapshot = snapshot.or(kept);
        self.current = Some(version.clone());
        self.last_good = Some(LastGood { version: version.clone(), at, snapshot });
        self.approved.retain(|a| a.version != *version);
        self.release(version);
        self.stuck = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::new(text).unwrap()
    }

    #[test]
    fn a_commit_uses_up_the_approval_and_ends_being_stuck() {
        let mut state = AppState::new("notes", "process");
        state.approve(version("2.0.0"), Timestamp::UNIX_EPOCH);
        state.quarantine(version("2.0.0"), Timestamp::UNIX_EPOCH, "sick".into());
        state.stuck = Some("lost".into());
        state.commit(&version("2.0.0"), Timestamp::UNIX_EPOCH, None);
        assert_eq!((state.approved.len(), state.quarantined.len(), state.stuck), (0, 0, None));
    }

    #[test]
    fn a_repair_keeps_the_snapshot_of_last_good() {
        let mut state = AppState::new("notes", "process");
        let id: SnapshotId = "20261121T030004Z-9f3c".parse().unwrap();
        state.commit(&version("1.1.0"), Timestamp::UNIX_EPOCH, Some(id.clone()));
        state.commit(&version("1.1.0"), Timestamp::UNIX_EPOCH, None);
        assert_eq!(state.last_good.clone().unwrap().snapshot, Some(id));
        state.commit(&version("1.2.0"), Timestamp::UNIX_EPOCH, None);
        assert_eq!(state.last_good.unwrap().snapshot, None);
    }

    #[test]
    fn quarantine_keeps_one_entry_a_version() {
        let mut state = AppState::new("notes", "process");
        state.quarantine(version("1.1.0"), Timestamp::UNIX_EPOCH, "first".into());
        state.quarantine(version("1.1.0"), Timestamp::UNIX_EPOCH, "second".into());
        assert_eq!(state.quarantined.len(), 1);
        assert_eq!(state.quarantined[0].cause, "second");
    }
}
