//! How an app is run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

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
