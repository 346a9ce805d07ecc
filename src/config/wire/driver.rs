//! `apps.<name>.driver`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Time;

/// How an app is run. Exactly one key names the driver.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::config) enum Driver {
    /// A process that warmkeep supervises itself; needs nothing else on the host.
    Process(Process),
    /// A Docker Compose project.
    Compose(Compose),
    /// A Docker Swarm stack.
    Swarm(Swarm),
    /// A Co-op Cloud app, by way of abra.
    Abra(Abra),
    /// Your own programs.
    Command(CommandDriver),
}

/// A process that warmkeep supervises itself. The placeholders `{version}`, `{release}`, `{data}` and `{app}` stand in
/// `command`, `prepare`, `workingDirectory` and the values of `env`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct Process {
    /// What is run: the program and its arguments, without a shell.
    pub(in crate::config) command: Vec<String>,
    /// Fills `{release}` while the old version still serves. A failure aborts the upgrade with nothing touched.
    #[serde(default)]
    pub(in crate::config) prepare: Vec<String>,
    /// Added to the process's environment, which holds nothing else of the environment that warmkeep was started in but
    /// `PATH`, `HOME`, `USER`, `LOGNAME`, `SHELL`, `LANG`, `LC_*`, `TZ`, `TMPDIR`, `XDG_RUNTIME_DIR`, `SSL_CERT_FILE` and
    /// `NIX_*` without `NIX_CONFIG`. Names that begin with `WARMKEEP_` are reserved, here and for the other drivers.
    #[serde(default)]
    pub(in crate::config) env: BTreeMap<String, String>,
    /// Where the process runs: an absolute path, or one that begins with a placeholder. Without it, `{release}`.
    #[serde(default)]
    pub(in crate::config) working_directory: Option<String>,
    /// The signal that asks the process to end, by name, with or without `SIG`.
    #[serde(default = "sigterm")]
    pub(in crate::config) stop_signal: String,
    /// How long the process has after that signal before it is killed. Not longer than `timeouts.stop`; without it, 30
    /// seconds or `timeouts.stop`, whichever is shorter.
    #[serde(default)]
    #[schemars(extend("default" = "30s"))]
    pub(in crate::config) stop_timeout: Option<Time>,
}

fn sigterm() -> String {
    "SIGTERM".into()
}

/// A Docker Compose project.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct Compose {
    /// The compose file, and overlays after it. Absolute paths, at least one.
    pub(in crate::config) files: Vec<String>,
    /// The project's name. Without it, the app's name in lower case, with only letters, digits, `-` and `_` kept.
    #[serde(default)]
    pub(in crate::config) project: Option<String>,
    /// The env file in which warmkeep pins the version. An absolute path; without it, `.env` beside the first of `files`.
    #[serde(default)]
    pub(in crate::config) env_file: Option<String>,
    /// The variable in that file that holds the version.
    #[serde(default = "tag")]
    pub(in crate::config) tag_variable: String,
    /// Added to the environment of the docker client.
    #[serde(default)]
    pub(in crate::config) env: BTreeMap<String, String>,
    /// Whether images are pulled while the old version still serves. Say `false` for images that are only local.
    #[serde(default = "yes")]
    pub(in crate::config) pull: bool,
}

fn tag() -> String {
    "TAG".into()
}

pub(super) fn yes() -> bool {
    true
}

/// A Docker Swarm stack.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct Swarm {
    /// The stack file, and overlays after it. Absolute paths, at least one.
    pub(in crate::config) files: Vec<String>,
    /// The stack's name. Without it, the app's name. Short enough for `<stack>_<service>` to fit swarm's 64 characters.
    #[serde(default)]
    pub(in crate::config) stack: Option<String>,
    /// The env file in which warmkeep pins the version. An absolute path; without it, `.env` beside the first of `files`.
    #[serde(default)]
    pub(in crate::config) env_file: Option<String>,
    /// The variable in that file that holds the version.
    #[serde(default = "tag")]
    pub(in crate::config) tag_variable: String,
    /// Added to the environment of the docker client.
    #[serde(default)]
    pub(in crate::config) env: BTreeMap<String, String>,
    /// Whether images are pulled while the old version still serves. Say `false` for images that are only local.
    #[serde(default = "yes")]
    pub(in crate::config) pull: bool,
}

/// A Co-op Cloud app, by way of abra.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct Abra {
    /// The recipe's name. Without it, the app's name.
    #[serde(default)]
    pub(in crate::config) recipe: Option<String>,
    /// The app's stable domain. The stack is named after it, with dots as underscores.
    pub(in crate::config) domain: String,
    /// The server's name in abra; `default` is this host.
    #[serde(default = "default_server")]
    pub(in crate::config) server: String,
    /// Keys that are set in the app's env file.
    #[serde(default)]
    pub(in crate::config) env: BTreeMap<String, String>,
    /// What is done about the recipe's secrets.
    #[serde(default)]
    pub(in crate::config) secrets: AbraSecrets,
}

fn default_server() -> String {
    "default".into()
}

/// What is done about a recipe's secrets.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::config) enum AbraSecrets {
    /// Those that are missing are generated; none is ever replaced.
    #[default]
    GenerateMissing,
    /// They are left alone.
    None,
}

/// Your own programs, each the program and its arguments, without a shell. The placeholders `{version}`, `{release}`,
/// `{data}` and `{app}` stand in all of them.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct CommandDriver {
    /// Brings `{version}` up.
    pub(in crate::config) deploy: Vec<String>,
    /// Ends the app.
    pub(in crate::config) stop: Vec<String>,
    /// Prints `{"version":…,"running":…}`.
    pub(in crate::config) status: Vec<String>,
    /// Exits 0 when nothing of the app is left. Without it, `status` is asked.
    #[serde(default)]
    pub(in crate::config) gone: Vec<String>,
    /// Prints the app's data folders, one a line.
    #[serde(default)]
    pub(in crate::config) volumes: Vec<String>,
    /// Fetches `{version}` while the old one still serves.
    #[serde(default)]
    pub(in crate::config) prefetch: Vec<String>,
}
