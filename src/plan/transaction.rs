//! The plan of one transaction: which steps, in which order, and the way back from each point of it.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::snapshot::SnapshotId;
use crate::version::Version;

/// How long a hook may take.
pub const HOOK_LIMIT: Duration = Duration::from_secs(10 * 60);

/// What a transaction does to its app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// The first deploy.
    Install,
    /// From one version to another.
    Upgrade,
    /// The same version again, because it is down.
    Repair,
    /// Back to an earlier version and its data, by hand.
    Rollback,
}

impl Kind {
    /// The word in hooks (`WARMKEEP_PHASE`) and sentences.
    pub fn word(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Upgrade => "upgrade",
            Self::Repair => "repair",
            Self::Rollback => "rollback",
        }
    }
}

/// One step. Each is journaled before it acts and can be run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// Fetch and prepare the target while the old version serves.
    Prefetch,
    /// The `beforeStop` hook.
    BeforeStop,
    /// Ask the app to end.
    Stop,
    /// Wait until nothing of it is left.
    WaitGone,
    /// Copy the data.
    Snapshot,
    /// Put a snapshot's data back.
    Restore,
    /// Start a version.
    Deploy,
    /// The `afterDeploy` hook.
    AfterDeploy,
    /// Hash the snapshot.
    Seal,
    /// Prove it healthy.
    Gate,
    /// Record the result.
    Commit,
    /// Remove what is no longer needed.
    Tidy,
}

impl Step {
    /// The step's name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prefetch => "prefetch",
            Self::BeforeStop => "beforeStop",
            Self::Stop => "stop",
            Self::WaitGone => "waitGone",
            Self::Snapshot => "snapshot",
            Self::Restore => "restore",
            Self::Deploy => "deploy",
            Self::AfterDeploy => "afterDeploy",
            Self::Seal => "seal",
            Self::Gate => "gate",
            Self::Commit => "commit",
            Self::Tidy => "tidy",
        }
    }
}

/// Which way a transaction is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Leg {
    /// To the target.
    Forward,
    /// Back to where it began.
    Back,
}

/// How far a transaction has reached into the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// The old version serves on, untouched.
    Nothing,
    /// The old version may be down; its data is as it left it.
    Stopped,
    /// The target may have run, or the data may have been exchanged.
    Changed,
}

/// A planned transaction: what a dry run prints and a run executes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transaction {
    /// The app.
    pub app: String,
    /// What is done.
    pub kind: Kind,
    /// The version it starts from; `None` for an install.
    pub from: Option<Version>,
    /// The version it goes to.
    pub to: Version,
    /// The data it carries; empty for a stateless app.
    pub volumes: Vec<PathBuf>,
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// The snapshot whose data is put back (`rollback` only).
    pub restore: Option<SnapshotId>,
    /// Refusals of the safety gate that a person overrode.
    pub overrides: Vec<String>,
    /// The unfinished transaction whose place it takes, because a person asked for it.
    pub replaces: Option<Replaced>,
    /// Why it is done.
    pub why: String,
}

/// A transaction that could not be brought to its end, set aside for another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Replaced {
    /// The name that its journal is kept under.
    pub journal: String,
    /// The version whose data is there now; `None`: that cannot be told.
    pub data_of: Option<Version>,
}

/// Which optional hooks an app has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HookSteps {
    /// `beforeStop` is set.
    pub before_stop: bool,
    /// `afterDeploy` is set.
    pub after_deploy: bool,
}

/// The forward steps of a transaction.
pub fn forward(kind: Kind, stateful: bool, restores: bool, hooks: HookSteps) -> Vec<Step> {
    let mut steps = vec![Step::Prefetch];
    if hooks.before_stop && matches!(kind, Kind::Upgrade | Kind::Rollback) {
        steps.push(Step::BeforeStop);
    }
    match (kind, stateful) {
        (Kind::Repair, _) => steps.extend([Step::Stop, Step::WaitGone]),
        (Kind::Install, true) => steps.push(Step::Snapshot),
        (Kind::Upgrade | Kind::Rollback, true) => steps.extend([Step::Stop, Step::WaitGone, Step::Snapshot]),
        (_, false) => {}
    }
    if restores {
        steps.push(Step::Restore);
    }
    steps.push(Step::Deploy);
    if hooks.after_deploy {
        steps.push(Step::AfterDeploy);
    }
    // While the target comes up, the snapshot is hashed: what happens to it from then on is found before it is restored.
    if stateful && kind != Kind::Repair {
        steps.push(Step::Seal);
    }
    steps.extend([Step::Gate, Step::Commit, Step::Tidy]);
    steps
}

impl Transaction {
    /// Whether the app has data.
    pub fn is_stateful(&self) -> bool {
        !self.volumes.is_empty()
    }

    /// The version whose data its snapshot holds.
    pub fn data_of(&self) -> &Version {
        let replaced = self.replaces.as_ref().and_then(|replaced| replaced.data_of.as_ref());
        replaced.or(self.from.as_ref()).unwrap_or(&self.to)
    }

    /// The version that is started again on the way back. One that takes the place of a transaction that was stuck has
    /// none: nothing was healthy when it began.
    pub fn returns_to(&self) -> Option<&Version> {
        self.from.as_ref().filter(|_| self.replaces.is_none())
    }

    /// The steps back to where the transaction began, from how far it has reached.
    pub fn way_back(&self, reach: Reach) -> Vec<Step> {
        match (reach, self.kind, self.returns_to()) {
            (Reach::Nothing, ..) | (_, Kind::Repair, _) | (Reach::Stopped, _, None) => {
                vec![Step::Commit, Step::Tidy]
            }
            (Reach::Stopped, _, Some(_)) => vec![Step::Deploy, Step::Gate, Step::Commit, Step::Tidy],
            (Reach::Changed, _, from) => {
                let mut steps = vec![Step::Stop, Step::WaitGone];
                if self.is_stateful() {
                    steps.push(Step::Restore);
                }
                if from.is_some() {
                    steps.extend([Step::Deploy, Step::Gate]);
                }
                steps.extend([Step::Commit, Step::Tidy]);
                steps
            }
        }
    }

    /// How far beginning a forward step reaches.
    pub fn reach_of(&self, step: Step) -> Reach {
        match step {
            Step::Prefetch | Step::BeforeStop => Reach::Nothing,
            Step::Stop | Step::WaitGone | Step::Snapshot => Reach::Stopped,
            _ => Reach::Changed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transaction(kind: Kind, stateful: bool) -> Transaction {
        Transaction {
            app: "notes".into(),
            kind,
            from: (kind != Kind::Install).then(|| Version::new("1.0.0").unwrap()),
            to: Version::new("1.1.0").unwrap(),
            volumes: if stateful { vec!["/data".into()] } else { vec![] },
            steps: forward(kind, stateful, false, HookSteps::default()),
            restore: None,
            overrides: vec![],
            replaces: None,
            why: String::new(),
        }
    }

    fn names(steps: &[Step]) -> String {
        steps.iter().map(|s| s.name()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_stateful_upgrade_fetches_before_it_stops_and_copies_before_it_deploys() {
        insta::assert_snapshot!(
            names(&forward(Kind::Upgrade, true, false, HookSteps { before_stop: true, after_deploy: true })),
            @"prefetch beforeStop stop waitGone snapshot deploy afterDeploy seal gate commit tidy"
        );
    }

    #[test]
    fn a_stateless_upgrade_has_no_snapshot() {
        insta::assert_snapshot!(
            names(&forward(Kind::Upgrade, false, false, HookSteps::default())),
            @"prefetch deploy gate commit tidy"
        );
    }

    #[test]
    fn the_way_back_of_a_changed_stateful_app_restores_before_it_deploys_the_old_version() {
        insta::assert_snapshot!(
            names(&transaction(Kind::Upgrade, true).way_back(Reach::Changed)),
            @"stop waitGone restore deploy gate commit tidy"
        );
    }

    #[test]
    fn stopped_is_undone_by_starting_the_old_version_on_untouched_data() {
        insta::assert_snapshot!(
            names(&transaction(Kind::Upgrade, true).way_back(Reach::Stopped)),
            @"deploy gate commit tidy"
        );
    }

    #[test]
    fn a_failed_install_leaves_nothing_running() {
        insta::assert_snapshot!(
            names(&transaction(Kind::Install, true).way_back(Reach::Changed)),
            @"stop waitGone restore commit tidy"
        );
    }
}
