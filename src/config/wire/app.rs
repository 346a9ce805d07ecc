//! `apps.<name>`, without its driver and health.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Driver, Health, Size, Time};

/// One warm app.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct App {
    /// How the app is run. Exactly one key names the driver.
    pub(in crate::config) driver: Driver,
    /// What the app keeps. Without it the app is stateless: a rollback takes back the version only.
    #[serde(default)]
    pub(in crate::config) data: Option<Data>,
    /// Which versions there are, and which may be taken unattended.
    pub(in crate::config) versions: Versions,
    /// When the app counts as healthy.
    #[serde(default)]
    pub(in crate::config) health: Health,
    /// Apps that must be up before this one.
    #[serde(default)]
    pub(in crate::config) after: Vec<String>,
    /// Programs that run around the steps of a transaction.
    #[serde(default)]
    pub(in crate::config) hooks: Hooks,
    /// How long each step may take.
    #[serde(default)]
    pub(in crate::config) timeouts: Timeouts,
    /// How many snapshots are kept.
    #[serde(default)]
    pub(in crate::config) snapshots: Retention,
    /// How test runs get their own corner of this app, where it is a provider that many share.
    #[serde(default)]
    pub(in crate::config) isolation: Option<Isolation>,
}

/// What a stateful app keeps.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::config) struct Data {
    /// Folders, as absolute paths. None may lie in another, in another app's, or in `host.stateDir`.
    pub(in crate::config) paths: Vec<String>,
    /// Whether the named volumes of the app's own compose project or stack are data too.
    pub(in crate::config) discover: bool,
    /// Volumes that are not data after all, by name.
    pub(in crate::config) exclude: Vec<String>,
}

/// Which versions there are, and which may be taken unattended.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct Versions {
    /// Where versions are listed. Exactly one key names the source.
    pub(in crate::config) source: Source,
    /// How far one unattended step may go. Without it, `minor`, or `any` where `order` is `listed`.
    #[serde(default)]
    #[schemars(extend("default" = "minor"))]
    pub(in crate::config) policy: Option<Policy>,
    /// How versions are ordered.
    #[serde(default)]
    pub(in crate::config) order: Order,
    /// How old a release must be before it is taken. A release of unknown age is held.
    #[serde(default = "no_time")]
    pub(in crate::config) min_age: Time,
    /// Regular expressions. A version is held when the notes of any version stepped over match one of them.
    #[serde(default = "manual_migration")]
    pub(in crate::config) hold_notes: Vec<String>,
    /// Versions that are never taken.
    #[serde(default)]
    pub(in crate::config) deny: Vec<String>,
    /// The only version that is taken; `null` for none.
    #[serde(default)]
    pub(in crate::config) pin: Option<String>,
}

fn no_time() -> Time {
    Time::secs(0)
}

fn manual_migration() -> Vec<String> {
    vec!["(?i)manual migration".into()]
}

/// Where versions are listed. Exactly one key names the source.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::config) enum Source {
    /// A folder of releases.
    Directory(DirectorySource),
    /// The tags of a git repository.
    Git(GitSource),
    /// The released tags of the abra recipe.
    Recipe(RecipeSource),
    /// A program that prints versions.
    Command(CommandSource),
    /// Versions written here.
    List(ListSource),
}

/// A folder of releases.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct DirectorySource {
    /// The folder, as an absolute path. Each child is a release, named by its version; `{release}` is its path.
    pub(in crate::config) path: String,
}

/// The tags of a git repository.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct GitSource {
    /// The repository: whatever git takes as a remote.
    pub(in crate::config) url: String,
    /// Stripped from each tag. Tags without it are passed over.
    #[serde(default)]
    pub(in crate::config) tag_prefix: String,
}

/// The released tags of the abra recipe. It has no keys.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RecipeSource {}

/// A program that prints versions: one a line, or JSON lines such as
/// `{"version":"1.2.0","releasedAt":"2026-01-31T00:00:00Z","notes":"…"}`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct CommandSource {
    /// The program and its arguments, without a shell.
    pub(in crate::config) run: Vec<String>,
}

/// Versions written in the configuration.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct ListSource {
    /// The versions. Where `order` is `listed`, the last is the newest.
    pub(in crate::config) versions: Vec<String>,
}

/// How far one unattended step may go. Pre-releases are never taken unattended.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::config) enum Policy {
    /// 1.2.3 to 1.2.4.
    Patch,
    /// 1.2.3 to 1.3.0.
    Minor,
    /// 1.2.3 to 2.0.0.
    Major,
    /// To whatever is listed last. Only where `order` is `listed`.
    Any,
    /// Nowhere: every new version waits for a person.
    None,
}

/// How versions are ordered.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::config) enum Order {
    /// As semantic versions, `x.y.z[-pre][+upstream]`.
    #[default]
    Semver,
    /// As the source lists them; the last is the newest. Versions may be anything, say git commits.
    Listed,
}

/// Programs that run around the steps of a transaction: the program and its arguments, without a shell. They are told
/// `WARMKEEP_APP`, `WARMKEEP_VERSION`, `WARMKEEP_FROM`, `WARMKEEP_PHASE` and `WARMKEEP_SNAPSHOT`.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::config) struct Hooks {
    /// Before the old version stops. A failure aborts the upgrade with nothing touched.
    pub(in crate::config) before_stop: Vec<String>,
    /// After the new version was started. A failure counts as an unhealthy deploy.
    pub(in crate::config) after_deploy: Vec<String>,
    /// Before data is taken back. A failure is reported, and the rollback goes on.
    pub(in crate::config) before_restore: Vec<String>,
    /// After data was taken back. A failure is reported, and the rollback goes on.
    pub(in crate::config) after_restore: Vec<String>,
}

/// How long each step may take.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::config) struct Timeouts {
    /// Fetching and preparing a version, while the old one still serves.
    pub(in crate::config) prefetch: Time,
    /// Starting a version.
    pub(in crate::config) deploy: Time,
    /// Stopping a version.
    pub(in crate::config) stop: Time,
    /// Waiting until nothing of a stopped version is left.
    pub(in crate::config) gone: Time,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { prefetch: Time::mins(30), deploy: Time::mins(10), stop: Time::mins(2), gone: Time::mins(2) }
    }
}

/// How many snapshots are kept. Last-good, the newest verified and the only one are kept whatever is said here.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::config) struct Retention {
    /// The newest so many.
    pub(in crate::config) keep_last: u32,
    /// One for each of the last so many days.
    pub(in crate::config) keep_daily: u32,
    /// One for each of the last so many weeks.
    pub(in crate::config) keep_weekly: u32,
    /// The bound on all snapshots of the app together. An upgrade that would go beyond it is held.
    pub(in crate::config) max_bytes: Size,
}

impl Default for Retention {
    fn default() -> Self {
        Self { keep_last: 1, keep_daily: 0, keep_weekly: 0, max_bytes: Size::gib(20) }
    }
}

/// How test runs get their own corner of a shared provider. Exactly one key names the way.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::config) enum Isolation {
    /// Each run gets its own realm, client and user on a keycloak.
    Keycloak(KeycloakIsolation),
    /// Your own programs.
    Command(CommandIsolation),
}

/// Each run gets its own realm, client and user on a keycloak.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct KeycloakIsolation {
    /// The keycloak's base address, `http` or `https`.
    pub(in crate::config) url: String,
    /// The admin's user name.
    #[serde(default = "admin")]
    pub(in crate::config) admin_user: String,
    /// The file that holds the admin's password. An absolute path.
    pub(in crate::config) admin_password_file: String,
}

fn admin() -> String {
    "admin".into()
}

/// Your own programs, each the program and its arguments, without a shell.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct CommandIsolation {
    /// Makes a corner.
    pub(in crate::config) create: Vec<String>,
    /// Removes one.
    pub(in crate::config) delete: Vec<String>,
    /// Lists them, one a line.
    pub(in crate::config) list: Vec<String>,
}
