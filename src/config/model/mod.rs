//! The resolved configuration: every default filled in, every value parsed. Nothing here is serialized; the wire
//! types are in `config::wire`.

mod app;
mod driver;
mod health;
mod host;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use app::*;
pub use driver::*;
pub use health::*;
pub use host::*;

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
