//! What concerns the whole host: `sweep`, `nightly`, `gc`, `alerts`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::health::ten_seconds;
use super::{BasicAuth, Size, Time, Versions};

/// The cold sweep: every enrolled recipe, from scratch.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::config) struct Sweep {
    /// How many recipes run at once.
    #[schemars(range(min = 1))]
    pub(in crate::config) jobs: u32,
    /// Which recipes run.
    pub(in crate::config) when: SweepWhen,
    /// Whether a sweep without any recipe is fine. Otherwise it fails.
    pub(in crate::config) allow_empty: bool,
    /// The enrolled recipes, by name. Names are as for apps.
    pub(in crate::config) recipes: BTreeMap<String, Recipe>,
}

impl Default for Sweep {
    fn default() -> Self {
        Self { jobs: 1, when: SweepWhen::default(), allow_empty: false, recipes: BTreeMap::new() }
    }
}

/// Which recipes a sweep runs.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::config) enum SweepWhen {
    /// Those whose newest release is newer than their canonical.
    #[default]
    NewRelease,
    /// All of them.
    Always,
}

/// One enrolled recipe.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct Recipe {
    /// The test run: the program and its arguments, without a shell.
    pub(in crate::config) run: Vec<String>,
    /// How long it may take.
    #[serde(default = "one_hour")]
    pub(in crate::config) timeout: Time,
    /// Warm apps that it leans on.
    #[serde(default)]
    pub(in crate::config) needs: Vec<String>,
    /// Added to its environment.
    #[serde(default)]
    pub(in crate::config) env: BTreeMap<String, String>,
    /// Its versions, as for apps. Without it, it has none and always runs.
    #[serde(default)]
    pub(in crate::config) versions: Option<Versions>,
    /// What its canonical keeps. Without it, it has no canonical.
    #[serde(default)]
    pub(in crate::config) canonical: Option<Canonical>,
    /// Always run afterwards, whatever came of the run.
    #[serde(default)]
    pub(in crate::config) teardown: Vec<String>,
    /// Exits 0 when nothing of the run is left.
    #[serde(default)]
    pub(in crate::config) gone: Vec<String>,
}

fn one_hour() -> Time {
    Time::hours(1)
}

/// What a recipe's canonical keeps.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct Canonical {
    /// Folders, as absolute paths.
    pub(in crate::config) paths: Vec<String>,
}

/// The nightly run.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::config) struct Nightly {
    /// When it starts: a calendar expression of systemd.
    pub(in crate::config) on_calendar: String,
    /// How far the start is spread at random.
    pub(in crate::config) randomized_delay: Time,
    /// The end of the whole run. What has not begun by then waits for the next night.
    pub(in crate::config) deadline: Time,
    /// How long it waits for tests in flight before it gives up with exit code 75.
    pub(in crate::config) busy_wait: Time,
    /// Programs that can hold the run off, by name.
    pub(in crate::config) busy: BTreeMap<String, Busy>,
    /// The system rebuild that comes first. Without it, there is none.
    pub(in crate::config) rebuild: Option<Rebuild>,
}

impl Default for Nightly {
    fn default() -> Self {
        Self {
            on_calendar: "03:00".into(),
            randomized_delay: Time::mins(15),
            deadline: Time::hours(6),
            busy_wait: Time::hours(2),
            busy: BTreeMap::new(),
            rebuild: None,
        }
    }
}

/// What says whether the host is busy. Exactly one key names the way.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::config) enum Busy {
    /// A program: exit 0 is idle, 75 busy; anything else is reported and counts as busy.
    Command(Program),
}

/// A program.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct Program {
    /// The program and its arguments, without a shell.
    pub(in crate::config) run: Vec<String>,
}

/// The system rebuild.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct Rebuild {
    /// The flake and the host in it, such as `/etc/nixos#host`. Without a host it is this machine's name.
    pub(in crate::config) flake: String,
    /// What is done with the new generation.
    #[serde(default)]
    pub(in crate::config) action: RebuildAction,
    /// How long evaluating and building may take.
    #[serde(default = "three_hours")]
    pub(in crate::config) build_timeout: Time,
    /// How long the switch may take, and the switch back. After that it is ended, and what ran before is switched back to.
    #[serde(default = "half_an_hour")]
    pub(in crate::config) switch_timeout: Time,
}

fn three_hours() -> Time {
    Time::hours(3)
}

fn half_an_hour() -> Time {
    Time::mins(30)
}

/// What is done with a new generation.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::config) enum RebuildAction {
    /// Activated now, and at every boot.
    #[default]
    Switch,
    /// Activated at the next boot.
    Boot,
    /// Activated now, until the next boot.
    Test,
}

/// Disk reclamation. A part that is absent is not collected.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::config) struct Gc {
    /// A path on the file system that is measured. Absolute.
    pub(in crate::config) path: String,
    /// Percent used from which on gc escalates.
    #[schemars(range(min = 1, max = 100))]
    pub(in crate::config) high_watermark: u8,
    /// Percent used below which it stops. Lower than `highWatermark`.
    #[schemars(range(min = 0, max = 99))]
    pub(in crate::config) low_watermark: u8,
    /// Nix generations and the store.
    pub(in crate::config) nix: Option<GcNix>,
    /// Docker images and the build cache. Never volumes.
    pub(in crate::config) docker: Option<GcDocker>,
    /// Old logs, by name.
    pub(in crate::config) logs: BTreeMap<String, GcLogs>,
    /// Orphaned cold stacks. Never one that a live lease holds.
    pub(in crate::config) orphans: Option<GcOrphans>,
    /// Globs of what else may go, such as `/root/*.prev`. Absolute, with a plain first folder.
    pub(in crate::config) leftovers: Vec<String>,
}

impl Default for Gc {
    fn default() -> Self {
        Self {
            path: "/".into(),
            high_watermark: 80,
            low_watermark: 70,
            nix: None,
            docker: None,
            logs: BTreeMap::new(),
            orphans: None,
            leftovers: Vec::new(),
        }
    }
}

/// Which Nix generations are kept. The current, the booted and the one to roll back to always are.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::config) struct GcNix {
    /// The newest so many.
    pub(in crate::config) keep_generations: u32,
    /// And those younger than this.
    pub(in crate::config) keep_since: Time,
}

impl Default for GcNix {
    fn default() -> Self {
        Self { keep_generations: 5, keep_since: Time::hours(14 * 24) }
    }
}

/// What of Docker is collected.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::config) struct GcDocker {
    /// Whether dangling images go.
    pub(in crate::config) dangling: bool,
    /// The bound on the build cache.
    pub(in crate::config) build_cache_max: Size,
}

impl Default for GcDocker {
    fn default() -> Self {
        Self { dangling: true, build_cache_max: Size::gib(10) }
    }
}

/// Which logs are kept.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct GcLogs {
    /// The files, as globs. Absolute, with a plain first folder.
    pub(in crate::config) paths: Vec<String>,
    /// The newest so many are kept.
    #[serde(default = "seven")]
    pub(in crate::config) keep_last: u32,
    /// Of those, none is kept that is older than this. Without it, age does not matter.
    #[serde(default)]
    pub(in crate::config) max_age: Option<Time>,
}

fn seven() -> u32 {
    7
}

/// Which cold stacks are orphans.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct GcOrphans {
    /// A regular expression for their names.
    pub(in crate::config) pattern: String,
    /// How old they must be.
    #[serde(default = "one_day")]
    pub(in crate::config) min_age: Time,
}

fn one_day() -> Time {
    Time::hours(24)
}

/// How people are told.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::config) struct Alerts {
    /// How long the same alert is not written again.
    pub(in crate::config) dedupe: Time,
    /// Where alerts are sent, by name.
    pub(in crate::config) sinks: BTreeMap<String, Sink>,
}

impl Default for Alerts {
    fn default() -> Self {
        Self { dedupe: Time::hours(24), sinks: BTreeMap::new() }
    }
}

/// Where alerts are sent. Exactly one key names the way.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::config) enum Sink {
    /// An HTTP endpoint.
    Webhook(Webhook),
    /// A program that reads the alert as JSON on its standard input.
    Command(Program),
}

/// An HTTP endpoint for alerts.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct Webhook {
    /// The address, `http` or `https`.
    pub(in crate::config) url: String,
    /// The form of the body.
    #[serde(default)]
    pub(in crate::config) format: WebhookFormat,
    /// The file that holds a bearer token. An absolute path.
    #[serde(default)]
    pub(in crate::config) bearer_file: Option<String>,
    /// HTTP basic authentication.
    #[serde(default)]
    pub(in crate::config) basic_auth: Option<BasicAuth>,
    /// Headers that are sent.
    #[serde(default)]
    pub(in crate::config) headers: BTreeMap<String, String>,
    /// How long one delivery may take.
    #[serde(default = "ten_seconds")]
    pub(in crate::config) timeout: Time,
}

/// The form of a webhook's body.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::config) enum WebhookFormat {
    /// The alert as it is.
    #[default]
    Json,
    /// As ntfy takes it.
    Ntfy,
    /// As Slack and Mattermost take it.
    Slack,
}
