//! One warm app.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use regex::Regex;

use super::{Driver, Health, Process};

/// One warm app.
#[derive(Debug, Clone)]
pub struct App {
    /// Its name: the key under `apps`; safe as a file name.
    pub name: String,
    /// How it is run.
    pub driver: Driver,
    /// What it keeps; `None` for a stateless app.
    pub data: Option<Data>,
    /// Which versions there are and which may be taken.
    pub versions: Versions,
    /// When it counts as healthy.
    pub health: Health,
    /// Apps that must be up before this one.
    pub after: Vec<String>,
    /// Programs run around the steps of a transaction.
    pub hooks: Hooks,
    /// How long each step may take.
    pub timeouts: Timeouts,
    /// How many snapshots are kept.
    pub snapshots: Retention,
    /// How runs get their own corner of a shared provider.
    pub isolation: Option<Isolation>,
}

/// What a stateful app keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// Folders named in the configuration, absolute.
    pub paths: Vec<PathBuf>,
    /// Whether the driver's own named volumes are data too.
    pub discover: bool,
    /// Volumes that are not data after all.
    pub exclude: Vec<String>,
}

/// Which versions there are, and which may be taken unattended.
#[derive(Debug, Clone)]
pub struct Versions {
    /// Where versions are listed.
    pub source: Source,
    /// How far a step may go.
    pub policy: Policy,
    /// How they are ordered.
    pub order: Order,
    /// How old a release must be.
    pub min_age: Duration,
    /// Release notes that match one of these hold the version.
    pub hold_notes: Vec<Regex>,
    /// Versions never taken.
    pub deny: Vec<String>,
    /// The only version taken.
    pub pin: Option<String>,
}

/// Where versions are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Each child is a release.
    Directory {
        /// The folder.
        path: PathBuf,
    },
    /// The tags of a repository.
    Git {
        /// What git understands as a remote.
        url: String,
        /// Stripped from each tag; tags without it are passed over.
        tag_prefix: String,
    },
    /// The released tags of an abra recipe.
    Recipe,
    /// A program that prints versions.
    Command {
        /// Its argv.
        run: Vec<String>,
    },
    /// Written in the configuration, oldest first where the order is `listed`.
    List {
        /// The versions.
        versions: Vec<String>,
    },
}

/// How far an unattended step may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// `x.y.*`
    Patch,
    /// `x.*`
    Minor,
    /// Everything newer.
    Major,
    /// Everything newer, opaque versions (`order: listed`).
    Any,
    /// Nothing.
    None,
}

/// How versions are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By semantic version.
    Semver,
    /// As listed; the last is the newest.
    Listed,
}

/// Programs run around the steps, as argv lists; an empty one is absent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hooks {
    /// Before the old version stops; a failure aborts.
    pub before_stop: Vec<String>,
    /// After the new version was started; a failure is an unhealthy deploy.
    pub after_deploy: Vec<String>,
    /// Before data is taken back; a failure is reported.
    pub before_restore: Vec<String>,
    /// After data was taken back; a failure is reported.
    pub after_restore: Vec<String>,
}

/// How long each step may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Fetching and preparing.
    pub prefetch: Duration,
    /// Starting.
    pub deploy: Duration,
    /// Stopping.
    pub stop: Duration,
    /// Waiting until nothing is left.
    pub gone: Duration,
}

/// How many snapshots are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The newest so many.
    pub keep_last: u32,
    /// One for each of so many days.
    pub keep_daily: u32,
    /// One for each of so many weeks.
    pub keep_weekly: u32,
    /// The bound on all of an app's snapshots together, in bytes.
    pub max_bytes: u64,
}

/// How a run gets its own corner of a shared provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Isolation {
    /// A realm on a keycloak.
    Keycloak {
        /// Its base URL.
        url: String,
        /// The admin.
        admin_user: String,
        /// The file with the admin's password.
        admin_password_file: PathBuf,
    },
    /// The user's own programs.
    Command {
        /// Makes one.
        create: Vec<String>,
        /// Removes one.
        delete: Vec<String>,
        /// Lists them.
        list: Vec<String>,
    },
}

impl App {
    /// An app that left the configuration: enough of one to stop it and to take a last snapshot.
    pub fn undeclared(name: &str, volumes: &[PathBuf]) -> Self {
        Self {
            name: name.to_owned(),
            driver: Driver::Process(Process {
                command: Vec::new(),
                prepare: Vec::new(),
                env: BTreeMap::new(),
                working_directory: None,
                stop_signal: 15,
                stop_timeout: Duration::from_secs(30),
            }),
            data: (!volumes.is_empty()).then(|| Data {
                paths: volumes.to_vec(),
                discover: false,
                exclude: Vec::new(),
            }),
            versions: Versions {
                source: Source::List { versions: Vec::new() },
                policy: Policy::None,
                order: Order::Semver,
                min_age: Duration::ZERO,
                hold_notes: Vec::new(),
                deny: Vec::new(),
                pin: None,
            },
            health: Health {
                checks: BTreeMap::new(),
                interval: Duration::from_secs(1),
                timeout: Duration::from_secs(2 * 60),
                passes: 1,
                soak: Duration::ZERO,
            },
            after: Vec::new(),
            hooks: Hooks::default(),
            timeouts: Timeouts {
                prefetch: Duration::from_secs(30 * 60),
                deploy: Duration::from_secs(10 * 60),
                stop: Duration::from_secs(2 * 60),
                gone: Duration::from_secs(2 * 60),
            },
            snapshots: Retention { keep_last: 1, keep_daily: 0, keep_weekly: 0, max_bytes: u64::MAX },
            isolation: None,
        }
    }
}
