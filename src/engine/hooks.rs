//! Hooks and the environment that they, and `command` checks, get.

use std::collections::BTreeMap;

use super::Subject;
use crate::driver::mark;
use crate::error::{Error, Result};
use crate::plan::transaction::{HOOK_LIMIT, Kind};
use crate::snapshot::SnapshotId;
use crate::sys::process::Program;
use crate::version::Version;

/// Why a hook or a check is run (`WARMKEEP_PHASE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// In a transaction.
    In(Kind),
    /// On the way back of one.
    Back,
    /// Just looking.
    Watch,
}

impl Phase {
    fn word(self) -> &'static str {
        match self {
            Self::In(kind) => kind.word(),
            Self::Back => Kind::Rollback.word(),
            Self::Watch => "watch",
        }
    }
}

impl Subject<'_> {
    /// The `WARMKEEP_*` variables, among them those by which a run that was killed leaves no program of its behind.
    pub(super) fn variables(
        &self,
        phase: Phase,
        version: &Version,
        from: Option<&Version>,
        snapshot: Option<&SnapshotId>,
    ) -> BTreeMap<String, String> {
        let text = |version: Option<&Version>| version.map(|v| v.as_str().to_owned()).unwrap_or_default();
        let mut all = mark::for_helper(mark::owner(self.layout));
        all.extend([
            ("WARMKEEP_APP".to_owned(), self.app.name.clone()),
            ("WARMKEEP_VERSION".to_owned(), text(Some(version))),
            ("WARMKEEP_FROM".to_owned(), text(from)),
            ("WARMKEEP_PHASE".to_owned(), phase.word().to_owned()),
            ("WARMKEEP_SNAPSHOT".to_owned(), snapshot.map(ToString::to_string).unwrap_or_default()),
        ]);
        all
    }
}

/// Runs one hook; an empty one is absent.
pub(super) fn run(name: &str, argv: &[String], env: &BTreeMap<String, String>) -> Result<()> {
    if argv.is_empty() {
        return Ok(());
    }
    Program::new(argv)
        .envs(env)
        .timeout(HOOK_LIMIT)
        .run_ok()
        .map(drop)
        .map_err(|e| Error::new(format!("the hook `{name}` failed")).because(e))
}
