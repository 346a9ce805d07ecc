//! `apps.<name>.health`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Time;
use super::driver::yes;

/// When an app counts as healthy: `passes` rounds in a row in which every critical check passes, then `soak` without a
/// failure, all within `timeout`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(in crate::config) struct Health {
    /// The checks, by name.
    pub(in crate::config) checks: BTreeMap<String, Check>,
    /// The pause between two rounds.
    pub(in crate::config) interval: Time,
    /// The hard end of a health gate. At least `soak` and `passes` times `interval` together.
    pub(in crate::config) timeout: Time,
    /// How many rounds in a row must pass.
    #[schemars(range(min = 1))]
    pub(in crate::config) passes: u32,
    /// How long the app must then stay healthy.
    pub(in crate::config) soak: Time,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            checks: BTreeMap::new(),
            interval: Time::secs(1),
            timeout: Time::mins(2),
            passes: 3,
            soak: Time::secs(5),
        }
    }
}

/// One check: exactly one of `http`, `tcp`, `command` and `containers`, and whether it is critical.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(extend("oneOf" = [
    { "required": ["http"] }, { "required": ["tcp"] }, { "required": ["command"] }, { "required": ["containers"] }
]))]
pub(in crate::config) struct Check {
    /// An HTTP request.
    #[serde(default)]
    pub(in crate::config) http: Option<HttpCheck>,
    /// A TCP connection.
    #[serde(default)]
    pub(in crate::config) tcp: Option<TcpCheck>,
    /// A program that exits 0.
    #[serde(default)]
    pub(in crate::config) command: Option<CommandCheck>,
    /// The containers of the app's own compose project or stack have converged.
    #[serde(default)]
    pub(in crate::config) containers: Option<ContainersCheck>,
    /// Whether the check decides the health gate. A failing check that is not critical makes the app degraded.
    #[serde(default = "yes")]
    pub(in crate::config) critical: bool,
}

/// An HTTP request. It passes when the status and everything else that is asked of the answer is right.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct HttpCheck {
    /// The address, `http` or `https`.
    pub(in crate::config) url: String,
    /// The statuses that pass.
    #[serde(default = "ok_status")]
    #[schemars(inner(range(min = 100, max = 599)))]
    pub(in crate::config) status: Vec<u16>,
    /// Text that the body must hold.
    #[serde(default)]
    pub(in crate::config) body_contains: Option<String>,
    /// A JSON pointer (RFC 6901) to a value that the body must hold, such as `/status`.
    #[serde(default)]
    pub(in crate::config) json_pointer: Option<String>,
    /// The values that pass at `jsonPointer`. Without it, any value does.
    #[serde(default)]
    pub(in crate::config) json_in: Vec<serde_json::Value>,
    /// Headers that are sent.
    #[serde(default)]
    pub(in crate::config) headers: BTreeMap<String, String>,
    /// HTTP basic authentication.
    #[serde(default)]
    pub(in crate::config) basic_auth: Option<BasicAuth>,
    /// The only certificate authority that is trusted: a PEM file, as an absolute path.
    #[serde(default)]
    pub(in crate::config) ca_file: Option<String>,
    /// How long one request may take, redirects included.
    #[serde(default = "ten_seconds")]
    pub(in crate::config) timeout: Time,
    /// Whether an https page that names a `link`, `script` or `img` over plain http fails.
    #[serde(default)]
    pub(in crate::config) no_mixed_content: bool,
}

fn ok_status() -> Vec<u16> {
    vec![200]
}

pub(super) fn ten_seconds() -> Time {
    Time::secs(10)
}

/// HTTP basic authentication.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct BasicAuth {
    /// The user name.
    pub(in crate::config) user: String,
    /// The file that holds the password; one newline at its end is not part of it. An absolute path.
    pub(in crate::config) password_file: String,
}

/// A TCP connection. It passes when it is made.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct TcpCheck {
    /// `host:port`; an IPv6 address stands in brackets.
    pub(in crate::config) address: String,
    /// How long the connection may take.
    #[serde(default = "ten_seconds")]
    pub(in crate::config) timeout: Time,
}

/// A program. It passes when it exits 0. It is told the same variables as hooks are.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(in crate::config) struct CommandCheck {
    /// The program and its arguments, without a shell.
    pub(in crate::config) run: Vec<String>,
    /// How long it may take.
    #[serde(default = "ten_seconds")]
    pub(in crate::config) timeout: Time,
}

/// Every service has its wanted replicas running the wanted image. It has no keys.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ContainersCheck {}
