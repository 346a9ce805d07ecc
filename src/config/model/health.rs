//! When an app counts as healthy.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

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
