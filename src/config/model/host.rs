//! What is done on the host, and how people are told.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::{BasicAuth, Versions};

/// The nightly cold sweep.
#[derive(Debug, Clone)]
pub struct Sweep {
    /// How many recipes run at once.
    pub jobs: u32,
    /// Which recipes run.
    pub when: SweepWhen,
    /// Whether an empty sweep is fine.
    pub allow_empty: bool,
    /// The enrolled recipes.
    pub recipes: BTreeMap<String, Recipe>,
}

/// Which recipes a sweep runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SweepWhen {
    /// Those with a release newer than their canonical.
    NewRelease,
    /// All.
    Always,
}

/// One enrolled recipe.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// What is run.
    pub run: Vec<String>,
    /// How long it may take.
    pub timeout: Duration,
    /// Warm apps it leans on.
    pub needs: Vec<String>,
    /// Added to its environment.
    pub env: BTreeMap<String, String>,
    /// Its versions.
    pub versions: Option<Versions>,
    /// The data of its canonical.
    pub canonical: Option<Vec<PathBuf>>,
    /// Always run afterwards.
    pub teardown: Vec<String>,
    /// Exit 0 when nothing is left.
    pub gone: Vec<String>,
}

/// The nightly run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nightly {
    /// systemd calendar expression.
    pub on_calendar: String,
    /// Spread of the start.
    pub randomized_delay: Duration,
    /// The end of the whole run.
    pub deadline: Duration,
    /// How long it waits for tests in flight.
    pub busy_wait: Duration,
    /// Programs that can veto, by name: 0 idle, 75 busy.
    pub busy: BTreeMap<String, Vec<String>>,
    /// The rebuild; `None`: not done.
    pub rebuild: Option<Rebuild>,
}

/// The system rebuild.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuild {
    /// The flake, and after `#` the host in it.
    pub flake: String,
    /// The action of `switch-to-configuration`.
    pub action: RebuildAction,
    /// How long evaluating and building may take.
    pub build_timeout: Duration,
    /// How long each run of `switch-to-configuration` may take.
    pub switch_timeout: Duration,
}

/// The action of a rebuild. It stands in journals as it stands in the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RebuildAction {
    /// Now and at boot.
    Switch,
    /// At boot.
    Boot,
    /// Now only.
    Test,
}

/// Disk reclamation. An absent part is not collected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gc {
    /// The path whose file system is measured.
    pub path: PathBuf,
    /// Percent used at which gc escalates.
    pub high_watermark: u8,
    /// Percent used at which it stops.
    pub low_watermark: u8,
    /// Nix generations.
    pub nix: Option<GcNix>,
    /// Docker images and build cache.
    pub docker: Option<GcDocker>,
    /// Logs, by name.
    pub logs: BTreeMap<String, GcLogs>,
    /// Orphaned cold stacks.
    pub orphans: Option<GcOrphans>,
    /// Globs of what may go.
    pub leftovers: Vec<String>,
}

/// Which Nix generations are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GcNix {
    /// The newest so many.
    pub keep_generations: u32,
    /// And those younger than this.
    pub keep_since: Duration,
}

/// What of Docker is collected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GcDocker {
    /// Whether dangling images go.
    pub dangling: bool,
    /// The bound on the build cache, in bytes.
    pub build_cache_max: u64,
}

/// Which logs are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GcLogs {
    /// The files, as globs.
    pub paths: Vec<String>,
    /// The newest so many.
    pub keep_last: u32,
    /// And none older than this.
    pub max_age: Option<Duration>,
}

/// Which cold stacks are orphans.
#[derive(Debug, Clone)]
pub struct GcOrphans {
    /// Their names.
    pub pattern: Regex,
    /// How old they must be.
    pub min_age: Duration,
}

impl PartialEq for GcOrphans {
    fn eq(&self, other: &Self) -> bool {
        self.pattern.as_str() == other.pattern.as_str() && self.min_age == other.min_age
    }
}
impl Eq for GcOrphans {}

/// How people are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alerts {
    /// How long the same alert is not written again.
    pub dedupe: Duration,
    /// Where alerts are relayed to, by name.
    pub sinks: BTreeMap<String, Sink>,
}

/// Where alerts are relayed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sink {
    /// An HTTP endpoint.
    Webhook(Box<Webhook>),
    /// A program that reads the alert on stdin.
    Command {
        /// Its argv.
        run: Vec<String>,
    },
}

/// An HTTP endpoint for alerts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// The address.
    pub url: String,
    /// The body's form.
    pub format: WebhookFormat,
    /// The file with a bearer token.
    pub bearer_file: Option<PathBuf>,
    /// HTTP basic authentication.
    pub basic_auth: Option<BasicAuth>,
    /// Headers sent.
    pub headers: BTreeMap<String, String>,
    /// How long one delivery may take.
    pub timeout: Duration,
}

/// The body's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookFormat {
    /// The alert as it is.
    Json,
    /// As ntfy takes it.
    Ntfy,
    /// As Slack and Mattermost take it.
    Slack,
}
