//! What `status` shows, composed from what is written down; nothing is probed.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use super::{Health, HeldVersion, Probe};
use crate::alert;
use crate::config::model::Config;
use crate::error::Result;
use crate::record::document::SCHEMA;
use crate::record::layout::Layout;
use crate::record::state::{AppState, LastOutcome, Quarantine};
use crate::sys::{clock, files};
use crate::version::Version;

/// The whole picture.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Schema of the document.
    pub schema: u64,
    /// When it was composed.
    pub generated_at: Timestamp,
    /// The apps, by name.
    pub apps: Vec<AppStatus>,
    /// Alerts that are open.
    pub open_alerts: usize,
    /// The disk that holds the state.
    pub disk: Option<Disk>,
}

/// Room on the state's file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Disk {
    /// Bytes that are free.
    pub free_bytes: u64,
    /// Bytes in all.
    pub total_bytes: u64,
    /// Percent in use.
    pub used_percent: u64,
}

/// One app.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AppStatus {
    /// Its name.
    pub app: String,
    /// Whether it is in the configuration.
    pub declared: bool,
    /// Its driver.
    pub driver: String,
    /// The version that it is on.
    pub version: Option<Version>,
    /// The last version that passed the health gate.
    pub last_good: Option<Version>,
    /// Its health at the last probe.
    pub health: Health,
    /// When that was.
    pub last_probe_at: Option<Timestamp>,
    /// How long ago, in seconds.
    pub last_probe_age_s: Option<i64>,
    /// Why it was not healthy.
    pub last_error: Option<String>,
    /// Versions that the safety gate refused at the last look.
    pub held: Vec<HeldVersion>,
    /// Versions in quarantine.
    pub quarantined: Vec<Quarantine>,
    /// Versions that a person let through and that are not taken yet.
    pub approved: Vec<Version>,
    /// The last outcome that was not a no-op.
    pub last_outcome: Option<LastOutcome>,
    /// Why a rollback failed.
    pub stuck: Option<String>,
    /// Whether a transaction is unfinished: under way, or to be finished by the next converge.
    pub unfinished: bool,
    /// Why its state cannot be read.
    pub error: Option<String>,
}

/// A reading older than this says nothing of now.
const STALE_AFTER_S: i64 = 24 * 60 * 60;

impl AppStatus {
    /// Whether the last probe is older than a day.
    pub fn is_stale(&self) -> bool {
        self.last_probe_age_s.is_some_and(|age| age > STALE_AFTER_S)
    }
}

/// Composes the status of all apps that are declared or still known.
pub fn compose(config: &Config, layout: &Layout) -> Result<Status> {
    let now = clock::now();
    let mut names: BTreeSet<String> = config.apps.keys().cloned().collect();
    names.extend(known(layout)?);
    let apps = names.iter().map(|name| app(config, layout, name, now)).collect();
    let open_alerts = alert::count(layout)?;
    Ok(Status { schema: SCHEMA, generated_at: now, apps, open_alerts, disk: disk(layout) })
}

fn known(layout: &Layout) -> Result<Vec<String>> {
    let folders = files::list(&layout.apps())?;
    let with_state = folders.iter().filter(|folder| files::exists(&folder.join("state.json")));
    Ok(with_state.filter_map(|folder| Some(folder.file_name()?.to_str()?.to_owned())).collect())
}

fn disk(layout: &Layout) -> Option<Disk> {
    let space = files::space(layout.state_dir()).ok()?;
    let used = space.total_bytes.saturating_sub(space.free_bytes);
    Some(Disk {
        free_bytes: space.free_bytes,
        total_bytes: space.total_bytes,
        used_percent: (used.saturating_mul(100)).checked_div(space.total_bytes).unwrap_or(0),
    })
}

fn app(config: &Config, layout: &Layout, name: &str, now: Timestamp) -> AppStatus {
    let declared = config.apps.get(name);
    let folders = layout.app(name);
    let state = AppState::read(&folders.state_file());
    let probe = Probe::read(folders.probe());
    let error = state.as_ref().err().map(crate::error::Error::chain);
    let state = state
        .ok()
        .flatten()
        .unwrap_or_else(|| AppState::new(name, declared.map_or("", |app| app.driver.name())));
    AppStatus {
        app: name.to_owned(),
        declared: declared.is_some(),
        driver: declared.map_or(state.driver.as_str(), |app| app.driver.name()).to_owned(),
        version: state.current,
        last_good: state.last_good.map(|good| good.version),
        health: probe.as_ref().map_or(Health::Unknown, |probe| probe.health),
        last_probe_at: probe.as_ref().map(|probe| probe.captured_at),
        last_probe_age_s: probe
            .as_ref()
            .map(|p| now.as_second().saturating_sub(p.captured_at.as_second()).max(0)),
        last_error: probe.as_ref().and_then(|probe| probe.last_error.clone()),
        held: probe.map(|probe| probe.held).unwrap_or_default(),
        quarantined: state.quarantined,
        approved: state.approved.into_iter().map(|approval| approval.version).collect(),
        last_outcome: state.last,
        stuck: state.stuck,
        unfinished: files::exists(&folders.journal()),
        error,
    }
}
