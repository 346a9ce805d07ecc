//! The resolved configuration: every default filled in, every value parsed. Nothing here is serialized; the wire
//! types are in `wire`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use regex::Regex;

/// A whole configuration, valid as a whole.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where state is kept.
    pub host: Host,
    /// The declared warm apps, by name.
    pub apps: BTreeMap<String, App>,
    /// The nightly cold sweep.
    pub sweep: Sweep,
    /// The nightly run.
    pub nightly: Nightly,
    /// Disk reclamation.
    pub gc: Gc,
    /// How people are told.
    pub alerts: Alerts,
}

/// Where warmkeep keeps its own state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Durable state: records, journals, snapshots, alerts.
    pub state_dir: PathBuf,
    /// State of this boot: pid records, caches.
    pub runtime_dir: PathBuf,
}

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

/// How an app is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Driver {
    /// A process that warmkeep supervises itself.
    Process(Process),
    /// Docker Compose.
    Compose(Compose),
    /// Docker Swarm stacks.
    Swarm(Swarm),
    /// Co-op Cloud's abra.
    Abra(Abra),
    /// The user's own programs.
    Command(CommandDriver),
}

impl Driver {
    /// The key that names the driver in the configuration.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Process(_) => "process",
            Self::Compose(_) => "compose",
            Self::Swarm(_) => "swarm",
            Self::Abra(_) => "abra",
            Self::Command(_) => "command",
        }
    }
}

/// A supervised process. Placeholders `{version} {release} {data} {app}` stand in `command`, `prepare`, `env` values
/// and `working_directory`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// What is run.
    pub command: Vec<String>,
    /// Fills `{release}` while the old version still serves; empty: nothing to prepare.
    pub prepare: Vec<String>,
    /// Added to the environment.
    pub env: BTreeMap<String, String>,
    /// Where it runs; `None`: the release.
    pub working_directory: Option<String>,
    /// The signal that asks it to end, by number.
    pub stop_signal: i32,
    /// How long it has after that signal before it is killed.
    pub stop_timeout: Duration,
}

/// A compose project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compose {
    /// The compose file and its overlays.
    pub files: Vec<PathBuf>,
    /// The project's name.
    pub project: String,
    /// The env file that pins the version.
    pub env_file: PathBuf,
    /// The variable that holds the version.
    pub tag_variable: String,
    /// Added to the client's environment.
    pub env: BTreeMap<String, String>,
    /// Whether images are pulled.
    pub pull: bool,
}

/// A swarm stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Swarm {
    /// The stack file and its overlays.
    pub files: Vec<PathBuf>,
    /// The stack's name.
    pub stack: String,
    /// The env file that pins the version.
    pub env_file: PathBuf,
    /// The variable that holds the version.
    pub tag_variable: String,
    /// Added to the client's environment.
    pub env: BTreeMap<String, String>,
    /// Whether images are pulled.
    pub pull: bool,
}

/// A Co-op Cloud app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abra {
    /// The recipe's name.
    pub recipe: String,
    /// The app's stable domain.
    pub domain: String,
    /// The server's name in abra.
    pub server: String,
    /// Keys set in the app's env file.
    pub env: BTreeMap<String, String>,
    /// What is done about missing secrets.
    pub secrets: AbraSecrets,
}

/// What is done about a recipe's secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AbraSecrets {
    /// Those that are missing are generated; none is ever replaced.
    GenerateMissing,
    /// They are left alone.
    None,
}

/// The user's own programs, as argv lists; an empty one is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandDriver {
    /// Brings `{version}` up.
    pub deploy: Vec<String>,
    /// Ends it.
    pub stop: Vec<String>,
    /// Prints `{"version":…,"running":…}`.
    pub status: Vec<String>,
    /// Exit 0 when nothing of it is left.
    pub gone: Vec<String>,
    /// Prints its data folders, one a line.
    pub volumes: Vec<String>,
    /// Fetches `{version}` while the old one serves.
    pub prefetch: Vec<String>,
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

/// When an app counts as healthy.
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    /// The checks, by name.
    pub checks: BTreeMap<String, Check>,
    /// The pause between two rounds.
    pub interval: Duration,
    /// The hard end of a gate.
    pub timeout: Duration,
    /// How many rounds in a row must pass.
    pub passes: u32,
    /// How long it must then stay healthy.
    pub soak: Duration,
}

/// One check.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// What is probed.
    pub probe: Probe,
    /// Whether it decides the gate.
    pub critical: bool,
}

/// What a check probes.
#[derive(Debug, Clone, PartialEq)]
pub enum Probe {
    /// An HTTP request.
    Http(Box<Http>),
    /// A TCP connection.
    Tcp {
        /// `host:port`.
        address: String,
        /// How long the connection may take.
        timeout: Duration,
    },
    /// A program that exits 0.
    Command {
        /// Its argv.
        run: Vec<String>,
        /// How long it may take.
        timeout: Duration,
    },
    /// The driver's own containers.
    Containers,
}

/// An HTTP check.
#[derive(Debug, Clone, PartialEq)]
pub struct Http {
    /// The address.
    pub url: String,
    /// The statuses that pass.
    pub status: Vec<u16>,
    /// Text the body must hold.
    pub body_contains: Option<String>,
    /// A JSON pointer into the body (RFC 6901).
    pub json_pointer: Option<String>,
    /// The values that pass at the pointer; empty: anything that is there.
    pub json_in: Vec<serde_json::Value>,
    /// Headers sent.
    pub headers: BTreeMap<String, String>,
    /// HTTP basic authentication.
    pub basic_auth: Option<BasicAuth>,
    /// The only CA trusted, PEM.
    pub ca_file: Option<PathBuf>,
    /// How long one request may take, redirects included.
    pub timeout: Duration,
    /// Whether an https page that names plain http resources fails.
    pub no_mixed_content: bool,
}

/// HTTP basic authentication; the password stays in its file until it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BasicAuth {
    /// The user.
    pub user: String,
    /// The file with the password; one trailing newline is not part of it.
    pub password_file: PathBuf,
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
    /// The flake reference.
    pub flake: String,
    /// The action of `switch-to-configuration`.
    pub action: RebuildAction,
}

/// The action of a rebuild.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
