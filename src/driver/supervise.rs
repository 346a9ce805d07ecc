//! The supervisor of one process: a small process of its own that outlives warmkeep.
//!
//! It leads a session, adopts what the app leaves behind, keeps the app's output in a bounded log, records who the app
//! is before it says that it started, and ends the app's descendants when the app ends. It restarts nothing: deciding is
//! converge's. If it dies itself, the kernel ends the app, so that nothing runs on unseen.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::mark::OWNER;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::record::document::{self, SCHEMA};
use crate::sys::daemon::{self, BoundedLog, Launch};
use crate::sys::proc::{Identity, Mark, end_marked};
use crate::sys::{clock, proc};
use crate::version::Version;

/// The hidden verb that supervises.
pub const SUPERVISE: &str = "internal-supervise";
/// The hidden verb that becomes the app.
pub const LAUNCH: &str = "internal-launch";

/// What a supervisor is told, on its standard input: an environment may hold secrets.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Orders {
    /// The app.
    pub app: String,
    /// The version.
    pub version: Version,
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Added to the environment.
    pub env: BTreeMap<String, String>,
    /// Where it runs.
    pub dir: PathBuf,
    /// The log.
    pub log: PathBuf,
    /// The record.
    pub record: PathBuf,
    /// The value of [`OWNER`].
    pub owner: String,
    /// The signal that asks it to end.
    pub stop_signal: i32,
    /// How long it has after that, in milliseconds.
    pub stop_timeout_ms: u64,
    /// A digest of how it was configured.
    pub spec: String,
}

/// Who the app is: the record that a later run finds it by. It holds no environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessRecord {
    /// Schema of the document.
    pub schema: u64,
    /// The app.
    pub app: String,
    /// Its version.
    pub version: Version,
    /// The app's first process.
    pub main: Identity,
    /// Its supervisor.
    pub supervisor: Identity,
    /// The value of [`OWNER`] in its environment.
    pub owner: String,
    /// The signal that asks it to end.
    pub stop_signal: i32,
    /// How long it has after that, in milliseconds.
    pub stop_timeout_ms: u64,
    /// A digest of how it was configured.
    pub spec: String,
    /// When it was started.
    pub started_at: Timestamp,
    /// Whether it was asked to end: its processes have had their signal then.
    pub stopping: bool,
    /// How it ended, once it has.
    pub ended: Option<Ended>,
}

/// How an app ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ended {
    /// Its exit code; 128 + n for signal n.
    pub code: i32,
    /// When.
    pub at: Timestamp,
}

/// What a supervisor answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// The app was started and recorded.
    Started,
    /// It was not.
    Refused(String),
    /// It was not, because no space was left for its record.
    DiskFull(String),
}

/// Starts a supervisor and waits until the app is started and recorded.
pub fn start(orders: &Orders, limit: Duration) -> Result<()> {
    let input = serde_json::to_vec(orders).map_err(|e| Error::new("orders are not JSON").because(e))?;
    let env = BTreeMap::from([(OWNER.to_owned(), orders.owner.clone())]);
    let answer = daemon::start_detached(SUPERVISE, &input, &env, limit)?;
    match serde_json::from_str(&answer) {
        Ok(Answer::Started) => Ok(()),
        Ok(Answer::Refused(why)) => Err(Error::new(why)),
        Ok(Answer::DiskFull(why)) => {
            Err(Error::new(why).because(std::io::Error::from(std::io::ErrorKind::StorageFull)))
        }
        Err(e) => Err(Error::new("the supervisor died before it answered").because(e)),
    }
}

/// The supervisor's life.
pub fn supervise() -> Result<()> {
    let (mut record, path, log, pipe) = match begin() {
        Ok(begun) => begun,
        Err(e) if e.kind() == ErrorKind::DiskFull => return answer(&Answer::DiskFull(e.chain())),
        Err(e) => return answer(&Answer::Refused(e.chain())),
    };
    let pump = std::thread::spawn(move || log.pump(pipe));
    answer(&Answer::Started)?;
    let code = wait_for(record.main.pid);
    let stopping =
        document::read::<ProcessRecord>(&path).is_ok_and(|now| now.is_some_and(|now| now.stopping));
    record.stopping = stopping;
    record.ended = Some(Ended { code, at: clock::now() });
    // A record that cannot be written is no reason to leave descendants behind.
    let written = document::write_cache(&path, &record);
    end_descendants(&record)?;
    if pump.join().is_err() {
        return Err(Error::new("the log could not be written to its end"));
    }
    written
}

/// An app that ended takes its descendants with it: they are asked first, unless they were already, and then killed.
fn end_descendants(record: &ProcessRecord) -> Result<()> {
    let variable = format!("{OWNER}={}", record.owner);
    let mark = Mark { session: Some(proc::own_pid()), variable: &variable };
    let grace = Duration::from_millis(record.stop_timeout_ms);
    if record.stopping {
        proc::wait_until(grace, || proc::marked(mark).is_ok_and(|left| left.is_empty()));
    } else {
        proc::ask_marked(mark, None, record.stop_signal, grace)?;
    }
    end_marked(mark, Duration::from_secs(60))
}

type Begun = (ProcessRecord, PathBuf, BoundedLog, Box<dyn std::io::Read + Send>);

fn begin() -> Result<Begun> {
    daemon::lead_session()?;
    daemon::adopt_orphans()?;
    let orders: Orders = serde_json::from_slice(&daemon::read_input()?)
        .map_err(|e| Error::new("a supervisor was given no whole orders").because(e))?;
    let log = BoundedLog::begin(&orders.log);
    let supervisor = Identity::of(proc::own_pid())?;
    let launch = Launch { launcher: LAUNCH, argv: &orders.argv, env: &orders.env, dir: &orders.dir };
    let (pid, pipe) = daemon::launch(&launch)?;
    let record = ProcessRecord {
        schema: SCHEMA,
        app: orders.app,
        version: orders.version,
        main: Identity::of(pid)?,
        supervisor,
        owner: orders.owner,
        stop_signal: orders.stop_signal,
        stop_timeout_ms: orders.stop_timeout_ms,
        spec: orders.spec,
        started_at: clock::now(),
        stopping: false,
        ended: None,
    };
    // An app that nobody can find again must not run: the supervisor ends, and the kernel ends the app with it.
    document::write(&orders.record, &record)?;
    Ok((record, orders.record, log, Box::new(pipe)))
}

fn answer(answer: &Answer) -> Result<()> {
    let text = serde_json::to_string(answer).map_err(|e| Error::new("an answer is not JSON").because(e))?;
    daemon::answer(&text)
}

/// Reaps adopted orphans until the app itself ends.
fn wait_for(main: i32) -> i32 {
    while let Some((pid, code)) = daemon::wait_any() {
        if pid == main {
            return code;
        }
    }
    // Somebody else reaped it; how it ended is not known.
    -1
}
