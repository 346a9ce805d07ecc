//! What a rebuild says it did.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::closure::Diff;
use super::flake::Flake;
use crate::id::RunId;
use crate::record::report::{Causes, StepReport};

/// How a rebuild ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// The newest system runs already.
    Noop,
    /// The new system runs.
    Switched,
    /// The new system is the one of the next boot.
    RebootNeeded,
    /// The new system failed; the one before runs again.
    RolledBack,
    /// Given up before anything of the host was touched.
    Failed,
    /// Going back failed.
    Stuck,
    /// A switch is running, of somebody else, or one that this run leaves to the next.
    Busy,
}

impl Outcome {
    /// The word that people and JSON read.
    pub fn word(self) -> &'static str {
        match self {
            Self::Noop => "noop",
            Self::Switched => "switched",
            Self::RebootNeeded => "rebootNeeded",
            Self::RolledBack => "rolledBack",
            Self::Failed => "failed",
            Self::Stuck => "stuck",
            Self::Busy => "busy",
        }
    }

    /// The exit code, by the same table as an app's.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Noop | Self::Switched | Self::RebootNeeded => 0,
            Self::Failed => 1,
            Self::RolledBack => 4,
            Self::Stuck => 5,
            Self::Busy => 75,
        }
    }
}

/// A step of a rebuild.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// What runs is looked at.
    Look,
    /// The flake is fetched.
    Fetch,
    /// The new system is built.
    Build,
    /// It is compared with the running one.
    Diff,
    /// The profile is set.
    SetProfile,
    /// The new system is activated.
    Activate,
    /// The profile is put back.
    RestoreProfile,
    /// What boots is put back.
    RestoreBoot,
    /// The previous system is activated.
    ActivatePrevious,
    /// The end is recorded.
    Close,
}

impl Step {
    /// The word that people and JSON read.
    pub fn word(self) -> &'static str {
        match self {
            Self::Look => "look",
            Self::Fetch => "fetch",
            Self::Build => "build",
            Self::Diff => "diff",
            Self::SetProfile => "setProfile",
            Self::Activate => "activate",
            Self::RestoreProfile => "restoreProfile",
            Self::RestoreBoot => "restoreBoot",
            Self::ActivatePrevious => "activatePrevious",
            Self::Close => "close",
        }
    }
}

/// Numbers of the system profile's generations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Generations {
    /// Before.
    pub before: Option<u64>,
    /// Now.
    pub after: Option<u64>,
}

/// Units that have failed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedUnits {
    /// Before.
    pub before: Vec<String>,
    /// Now.
    pub after: Vec<String>,
    /// Those of them that had not failed before.
    pub new: Vec<String>,
}

/// A rebuild as it is reported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RebuildReport {
    /// How it ended.
    pub outcome: Outcome,
    /// What is done with a new system: `switch`, `boot` or `test`.
    pub action: String,
    /// The store path that ran before; null where nothing was looked at.
    pub from: Option<PathBuf>,
    /// The store path that was built; null where none was.
    pub to: Option<PathBuf>,
    /// The profile's generations.
    pub generation: Generations,
    /// What it was built from.
    pub flake: Option<Flake>,
    /// What changed.
    pub diff: Option<Diff>,
    /// Units that have failed.
    pub failed_units: FailedUnits,
    /// What a person should know.
    pub notes: Vec<String>,
    /// Why this was done, or not.
    pub reason: Option<String>,
    /// What went wrong; for a rollback both causes in one line.
    pub cause: Option<String>,
    /// The same, each on its own.
    pub causes: Option<Causes>,
    /// What a person can do about it.
    pub remedy: Option<String>,
    /// The steps, in the order they were tried.
    pub steps: Vec<StepReport>,
}

impl RebuildReport {
    /// A report with nothing in it but how it ended.
    pub fn new(outcome: Outcome, action: &str) -> Self {
        Self {
            outcome,
            action: action.to_owned(),
            from: None,
            to: None,
            generation: Generations::default(),
            flake: None,
            diff: None,
            failed_units: FailedUnits::default(),
            notes: Vec::new(),
            reason: None,
            cause: None,
            causes: None,
            remedy: None,
            steps: Vec::new(),
        }
    }
}

/// The document that `rebuild --json` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RebuildRun {
    /// Schema of the document.
    pub schema: u64,
    /// The run.
    pub run: RunId,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// What it did.
    pub rebuild: RebuildReport,
}
