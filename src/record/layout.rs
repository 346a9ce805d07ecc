//! Where everything is kept.
//!
//! ```text
//! stateDir/                        0700
//!   host.lock                      the nightly run takes it alone, all others share it
//!   night.json                     only while a night is unfinished
//!   spare/                         room set aside, so that a full disk can be told and a dead app brought up
//!   alerts/  alerts/seen/          one file an alert: open, and told or acknowledged
//!   alerts/relay/                  what the relay keeps; nothing in it changes the folder above, which systemd watches
//!     lock  turn                   one relay at a time; one at a time who moves or writes an alert
//!     deliveries/ALERT.json        who was told of an alert
//!     sinks.json                   when each sink is tried again
//!     told.json                    what was told and is no longer in seen/
//!   runs/                          the reports of the newest nightly runs
//!   rebuild/                       what was activated last, and an unfinished rebuild of the system
//!   status/APP.json                the last probe of each app, a cache
//!   cache/APP/                     what a version source keeps
//!   apps/APP/
//!     lock  state.json  history.jsonl
//!     journal.jsonl                only while a transaction is unfinished
//!     reserve/                     room set aside, so that a full disk can be recorded
//!     releases/VERSION/            of the process driver
//!     output.log  output.log.1     of the process driver
//!     snapshots/  failed/          the last snapshot stays when an app is retired
//! runtimeDir/apps/APP/             of this boot, of the process driver
//!   process.json                   the process that was started last
//!   stopping                       there once it was asked to end
//!   ended.json                     how it ended
//! ```

use std::path::{Path, PathBuf};

use crate::config::model::Host;
use crate::error::{Error, Result};
use crate::sys::files::{self, Room};

/// Room for a transaction's journal, a few alerts and the records of a repair.
const SPARE: Room = Room { bytes: 1 << 20, inodes: 16 };

/// What the journals of overridden transactions are called.
const ABANDONED: &str = "journal.abandoned";

/// The folders of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    state: PathBuf,
    runtime: PathBuf,
}

impl Layout {
    /// The folders that the configuration names.
    pub fn new(host: &Host) -> Self {
        Self { state: host.state_dir.clone(), runtime: host.runtime_dir.clone() }
    }

    /// Makes the folders that every verb that writes needs.
    pub fn create(&self) -> Result<()> {
        [self.apps(), self.runs(), self.status(), self.runtime.clone()].iter().try_for_each(make)?;
        self.create_alerts()?;
        self.keep_spare();
        Ok(())
    }

    /// Makes the folders of alerts, all that telling people needs.
    pub fn create_alerts(&self) -> Result<()> {
        [self.seen_alerts(), self.deliveries()].iter().try_for_each(make)
    }

    /// Sets room aside while there is some. A disk that is full already is no reason to fail: much can be done on it.
    fn keep_spare(&self) {
        if !files::exists(&self.spare())
            && let Err(e) = files::reserve(&self.spare(), SPARE)
        {
            tracing::debug!(name: "spare.notKept", error = e.chain());
        }
    }

    /// Gives up the room that was set aside; the next run that finds room sets some aside again.
    pub fn give_up_spare(&self) -> Result<()> {
        files::give_up(&self.spare())
    }

    /// Room set aside for the whole host.
    fn spare(&self) -> PathBuf {
        self.state.join("spare")
    }

    /// The state folder.
    pub fn state_dir(&self) -> &Path {
        &self.state
    }

    /// The lock that the nightly run takes alone.
    pub fn host_lock(&self) -> PathBuf {
        self.state.join("host.lock")
    }

    /// The folder of all apps.
    pub fn apps(&self) -> PathBuf {
        self.state.join("apps")
    }

    /// The journal of an unfinished night.
    pub fn night(&self) -> PathBuf {
        self.state.join("night.json")
    }

    /// The alerts that are not delivered yet.
    pub fn alerts(&self) -> PathBuf {
        self.state.join("alerts")
    }

    /// The alerts that were told to every sink, or acknowledged.
    pub fn seen_alerts(&self) -> PathBuf {
        self.alerts().join("seen")
    }

    fn relay(&self) -> PathBuf {
        self.alerts().join("relay")
    }

    /// The lock of one relay at a time.
    pub fn relay_lock(&self) -> PathBuf {
        self.relay().join("lock")
    }

    /// The lock of whoever writes or moves an alert, for a moment.
    pub fn alerts_turn(&self) -> PathBuf {
        self.relay().join("turn")
    }

    /// Who was told of which alert.
    pub fn deliveries(&self) -> PathBuf {
        self.relay().join("deliveries")
    }

    /// When each sink is tried again.
    pub fn sinks(&self) -> PathBuf {
        self.relay().join("sinks.json")
    }

    /// What was told and is no longer kept.
    pub fn told(&self) -> PathBuf {
        self.relay().join("told.json")
    }

    /// Reports of runs.
    pub fn runs(&self) -> PathBuf {
        self.state.join("runs")
    }

    /// What is known of the system's rebuild.
    pub fn rebuild(&self) -> PathBuf {
        self.state.join("rebuild")
    }

    /// The last probes.
    pub fn status(&self) -> PathBuf {
        self.state.join("status")
    }

    /// The folders of one app.
    pub fn app(&self, name: &str) -> AppLayout {
        AppLayout {
            state: self.apps().join(name),
            runtime: self.runtime.join("apps").join(name),
            cache: self.state.join("cache").join(name),
            probe: self.status().join(format!("{name}.json")),
        }
    }
}

fn make(folder: impl AsRef<Path>) -> Result<()> {
    files::create_dir_private(folder.as_ref()).map_err(|e| {
        Error::new("cannot keep state").because(e).remedy(
            "run warmkeep as root, or name folders that this user can write to in `host.stateDir` and \
             `host.runtimeDir`",
        )
    })
}

/// The folders of one app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppLayout {
    state: PathBuf,
    runtime: PathBuf,
    cache: PathBuf,
    probe: PathBuf,
}

impl AppLayout {
    /// Makes the app's folders.
    pub fn create(&self) -> Result<()> {
        files::create_dir_private(&self.state)?;
        files::create_dir_private(&self.runtime)
    }

    /// The app's state folder.
    pub fn dir(&self) -> &Path {
        &self.state
    }

    /// The app's folder of this boot.
    pub fn runtime_dir(&self) -> &Path {
        &self.runtime
    }

    /// The lock of one transaction at a time.
    pub fn lock(&self) -> PathBuf {
        self.state.join("lock")
    }

    /// What is known of the app.
    pub fn state_file(&self) -> PathBuf {
        self.state.join("state.json")
    }

    /// The unfinished transaction.
    pub fn journal(&self) -> PathBuf {
        self.state.join("journal.jsonl")
    }

    /// The journals of transactions that a person overrode, kept as evidence.
    pub fn abandoned_journals(&self) -> Result<Vec<PathBuf>> {
        let all = files::list(&self.state)?;
        let named =
            |path: &PathBuf| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(ABANDONED));
        Ok(all.into_iter().filter(named).collect())
    }

    /// A name for one more of them.
    pub fn next_abandoned(&self) -> Result<String> {
        let taken = self.abandoned_journals()?;
        let name = |number: usize| match number {
            1 => format!("{ABANDONED}.jsonl"),
            more => format!("{ABANDONED}.{more}.jsonl"),
        };
        let free =
            (1..=taken.len() + 1).map(name).find(|name| !taken.iter().any(|path| path.ends_with(name)));
        Ok(free.unwrap_or_else(|| name(taken.len() + 1)))
    }

    /// How the last version that passed its gate was started.
    pub fn proven(&self) -> PathBuf {
        self.state.join("proven.json")
    }

    /// What happened to the app.
    pub fn history(&self) -> PathBuf {
        self.state.join("history.jsonl")
    }

    /// Space set aside.
    pub fn reserve(&self) -> PathBuf {
        self.state.join("reserve")
    }

    /// Releases that warmkeep prepared.
    pub fn releases(&self) -> PathBuf {
        self.state.join("releases")
    }

    /// The process's output.
    pub fn output_log(&self) -> PathBuf {
        self.state.join("output.log")
    }

    /// The process that was started last.
    pub fn process_record(&self) -> PathBuf {
        self.runtime.join("process.json")
    }

    /// There once that process was asked to end.
    pub fn process_stopping(&self) -> PathBuf {
        self.runtime.join("stopping")
    }

    /// How that process ended.
    pub fn process_ended(&self) -> PathBuf {
        self.runtime.join("ended.json")
    }

    /// What a version source keeps.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// The last probe.
    pub fn probe(&self) -> &Path {
        &self.probe
    }
}
