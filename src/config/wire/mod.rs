//! The configuration exactly as it is written: names, shapes and defaults. The JSON Schema and the key reference are
//! made from these types, so every doc comment here is read by users.

mod app;
mod driver;
mod health;
mod host;
mod scalar;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) use app::{App, Data, Hooks, Isolation, Order, Policy, Retention, Source, Timeouts, Versions};
pub(super) use driver::{Abra, AbraSecrets, CommandDriver, Compose, Driver, Process, Swarm};
pub(super) use health::{BasicAuth, Check, Health, HttpCheck};
pub(super) use host::{
    Alerts, Busy, Gc, GcLogs, GcOrphans, Nightly, Rebuild, RebuildAction, Recipe, Sink, Sweep, SweepWhen,
    Webhook, WebhookFormat,
};
pub(super) use scalar::{Size, Time};

/// The only schema number this warmkeep reads.
pub(super) const SCHEMA: u64 = 1;

/// The configuration of warmkeep: which warm apps this host keeps, and how.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Config {
    /// The address of a JSON Schema, for editors. warmkeep does not look at it.
    #[serde(rename = "$schema", default)]
    pub(super) editor_schema: Option<String>,
    /// The version of this format. Must be `1`.
    #[schemars(extend("const" = 1))]
    pub(super) schema: u32,
    /// Where warmkeep keeps its own state.
    #[serde(default)]
    pub(super) host: Host,
    /// The warm apps, by name. A name has ASCII letters, digits, `.`, `_` and `-`, does not begin with `.` or `-`, and is
    /// at most 64 characters long. `nightly` and `alerts` are taken: they are the names of units of warmkeep's own.
    #[serde(default)]
    pub(super) apps: BTreeMap<String, App>,
    /// The cold sweep: every enrolled recipe, from scratch.
    #[serde(default)]
    pub(super) sweep: Sweep,
    /// The nightly run.
    #[serde(default)]
    pub(super) nightly: Nightly,
    /// Disk reclamation.
    #[serde(default)]
    pub(super) gc: Gc,
    /// How people are told what warmkeep could not settle by itself.
    #[serde(default)]
    pub(super) alerts: Alerts,
}

/// Where warmkeep keeps its own state.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub(super) struct Host {
    /// Durable state: records, journals, snapshots, alerts. An absolute path; no app's data may lie in it.
    pub(super) state_dir: String,
    /// State that ends with this boot: process records, caches. An absolute path.
    pub(super) runtime_dir: String,
}

impl Default for Host {
    fn default() -> Self {
        Self { state_dir: "/var/lib/warmkeep".into(), runtime_dir: "/run/warmkeep".into() }
    }
}
