//! What converge does with one app, decided from what is configured, recorded and observed.

use serde::Serialize;

use super::transaction::{HookSteps, Kind, Transaction, forward};
use crate::config::model::App;
use crate::snapshot::SnapshotId;
use crate::version::Version;
use crate::versions::gate::{Choice, Hold, Refusal};

/// What was observed of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The version that runs, or that last ran.
    pub current: Option<Version>,
    /// Why it is down or unhealthy; `None`: it is up and healthy.
    pub trouble: Option<Trouble>,
    /// Non-critical checks that fail.
    pub degraded: Option<String>,
    /// The configuration of the process changed since it was started.
    pub drifted: bool,
}

/// Why an app is not where it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// It does not run.
    Down(String),
    /// It runs, and a critical check fails.
    Unhealthy(String),
}

impl Trouble {
    /// One line.
    pub fn explain(&self) -> String {
        match self {
            Self::Down(why) => format!("it is down: {why}"),
            Self::Unhealthy(why) => format!("it is unhealthy: {why}"),
        }
    }
}

/// What a converge is to bring about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// Up, healthy, and on the latest safe version.
    Latest,
    /// Up and healthy: a dependency of what was asked for, or a boot.
    Up,
}

/// What is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", tag = "decision")]
pub enum Decision {
    /// Nothing: it is healthy and current.
    Noop {
        /// What a person should know all the same.
        note: Option<String>,
    },
    /// Nothing: what is newer was refused.
    Held {
        /// The newest refused version.
        version: Version,
        /// Why, in one line.
        why: String,
    },
    /// A transaction.
    Act(Transaction),
    /// Nothing can be done.
    Refused {
        /// Why.
        why: String,
        /// What helps.
        remedy: String,
    },
}

/// What a decision is made from.
#[derive(Debug, Clone, Copy)]
pub struct World<'a> {
    /// The configuration.
    pub app: &'a App,
    /// The last version that passed the health gate.
    pub last_good: Option<&'a Version>,
    /// What was observed.
    pub observed: &'a Observed,
    /// What the safety gate lets through.
    pub choice: &'a Choice,
    /// The app's data.
    pub volumes: &'a [std::path::PathBuf],
    /// What is to be brought about.
    pub intent: Intent,
}

/// Decides.
pub fn decide(world: &World<'_>) -> Decision {
    let Some(current) = world.observed.current.as_ref() else { return install(world) };
    if let Some(trouble) = &world.observed.trouble {
        return repair(world, current, trouble);
    }
    match (&world.choice.target, world.intent) {
        (Some(target), Intent::Latest) => Decision::Act(upgrade(world, current, target)),
        _ => hold_or_noop(world),
    }
}

fn install(world: &World<'_>) -> Decision {
    match (&world.choice.target, world.choice.held.first()) {
        (Some(target), _) => {
            Decision::Act(transaction(world, Kind::Install, None, target, "it was never deployed"))
        }
        (None, Some(hold)) if hold.refusal == Refusal::Quarantined => Decision::Refused {
            why: format!("it is not installed: {} failed the health gate and is in quarantine", hold.version),
            remedy: format!(
                "once the cause is mended, `warmkeep release {} {}` gives it another chance",
                world.app.name, hold.version
            ),
        },
        (None, Some(hold)) => held(hold),
        (None, None) => Decision::Refused {
            why: "its source lists no version that could be installed".into(),
            remedy: "check `versions.source`: is the folder empty, or the tag prefix wrong?".into(),
        },
    }
}

/// Last-good comes up again. What is newer waits for the next run: a version is only ever left for another one that was
/// seen healthy.
fn repair(world: &World<'_>, current: &Version, trouble: &Trouble) -> Decision {
    let version = world.last_good.unwrap_or(current);
    Decision::Act(transaction(world, Kind::Repair, Some(current), version, &trouble.explain()))
}

fn upgrade(world: &World<'_>, current: &Version, target: &Version) -> Transaction {
    transaction(world, Kind::Upgrade, Some(current), target, "it is the latest safe version")
}

fn hold_or_noop(world: &World<'_>) -> Decision {
    match world.choice.held.first() {
        Some(hold) if world.intent == Intent::Latest => held(hold),
        _ => Decision::Noop { note: note(world.observed) },
    }
}

fn held(hold: &Hold) -> Decision {
    Decision::Held { version: hold.version.clone(), why: hold.refusal.explain() }
}

fn note(observed: &Observed) -> Option<String> {
    let degraded = observed.degraded.as_ref().map(|why| format!("degraded: {why}"));
    let drifted = observed
        .drifted
        .then(|| "its configuration changed since it was started; the next deploy takes it up".to_owned());
    match (degraded, drifted) {
        (Some(a), Some(b)) => Some(format!("{a}; {b}")),
        (a, b) => a.or(b),
    }
}

fn transaction(
    world: &World<'_>,
    kind: Kind,
    from: Option<&Version>,
    to: &Version,
    why: &str,
) -> Transaction {
    let stateful = !world.volumes.is_empty();
    Transaction {
        app: world.app.name.clone(),
        kind,
        from: from.cloned(),
        to: to.clone(),
        volumes: world.volumes.to_vec(),
        steps: forward(kind, stateful, false, hook_steps(world.app)),
        restore: None,
        overrides: Vec::new(),
        replaces: None,
        why: why.to_owned(),
    }
}

/// Which optional hooks an app has.
pub fn hook_steps(app: &App) -> HookSteps {
    HookSteps {
        before_stop: !app.hooks.before_stop.is_empty(),
        after_deploy: !app.hooks.after_deploy.is_empty(),
    }
}

/// A transaction that a person asked for by version.
pub fn by_hand(world: &World<'_>, to: &Version, overrides: Vec<String>) -> Transaction {
    let kind = if world.observed.current.is_some() { Kind::Upgrade } else { Kind::Install };
    let planned = transaction(world, kind, world.observed.current.as_ref(), to, "asked for by hand");
    Transaction { overrides, ..planned }
}

/// A rollback that a person asked for; `restore` is the snapshot whose data comes back.
pub fn rollback(world: &World<'_>, from: &Version, to: &Version, restore: Option<SnapshotId>) -> Transaction {
    let stateful = !world.volumes.is_empty();
    let steps = forward(Kind::Rollback, stateful, restore.is_some(), hook_steps(world.app));
    let planned = transaction(world, Kind::Rollback, Some(from), to, "asked for by hand");
    Transaction { steps, restore, ..planned }
}

/// What bounds a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes that the new snapshot takes.
    pub needed: u64,
    /// Bytes of snapshots that may not go.
    pub protected: u64,
    /// What the file system lacks, in words.
    pub shortfall: Option<String>,
}

/// Refuses a transaction whose snapshot has no room.
pub fn within_bounds(decision: Decision, app: &App, bounds: &Bounds) -> Decision {
    use crate::config::quantity::format_size;
    let Decision::Act(transaction) = &decision else { return decision };
    let total = bounds.needed.saturating_add(bounds.protected);
    let why = if let Some(shortfall) = &bounds.shortfall {
        format!("there is no room for its snapshot: {shortfall}")
    } else if total > app.snapshots.max_bytes {
        format!(
            "its snapshots would take {} where `snapshots.maxBytes` allows {}: {} too much",
            format_size(total),
            format_size(app.snapshots.max_bytes),
            format_size(total - app.snapshots.max_bytes)
        )
    } else {
        return decision;
    };
    Decision::Held { version: transaction.to.clone(), why }
}
