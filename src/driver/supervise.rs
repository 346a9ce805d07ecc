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

use super::mark::{self, OWNER};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::record::document::{self, SCHEMA};
use crate::record::layout::AppLayout;
use crate::sys::daemon::{self, BoundedLog, Launch};
use crate::sys::proc::{self, Identity};
use crate::sys::scope::Scope;
use crate::sys::{clock, env, files, signals};
use crate::version::Version;

/// The hidden verb that supervises.
pub const SUPERVISE: &str = "internal-supervise";
/// The hidden verb that becomes the app.
pub const LAUNCH: &str = "internal-launch";

/// How long what was killed has to disappear.
const END_LIMIT: Duration = Duration::from_secs(60);

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
    /// Its records.
    pub records: Records,
    /// The value of [`OWNER`].
    pub owner: String,
    /// The signal that asks it to end.
    pub stop_signal: i32,
    /// How long it has after that, in milliseconds.
    pub stop_timeout_ms: u64,
    /// A digest of how it was configured.
    pub spec: String,
}

/// Where it is written down, each file by one writer of its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Records {
    /// A [`ProcessRecord`], written once by the supervisor, before it answers.
    pub process: PathBuf,
    /// An empty file, put there by who asks the app to end.
    pub stopping: PathBuf,
    /// An [`Ended`], written by the supervisor.
    pub ended: PathBuf,
}

impl Records {
    /// Those of an app.
    pub fn of(layout: &AppLayout) -> Self {
        Self {
            process: layout.process_record(),
            stopping: layout.process_stopping(),
            ended: layout.process_ended(),
        }
    }

    /// Forgets a process that has gone.
    pub fn remove(&self) -> Result<()> {
        [&self.process, &self.stopping, &self.ended].into_iter().try_for_each(|path| files::remove_file(path))
    }

    /// Whether the app was asked to end: its processes have had their signal then, or are about to get it.
    pub fn is_stopping(&self) -> bool {
        files::exists(&self.stopping)
    }
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
}

/// How an app ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ended {
    /// Schema of the document.
    pub schema: u64,
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
    let stop_timeout = Duration::from_millis(orders.stop_timeout_ms) + END_LIMIT;
    let scope = Scope::of_app(&orders.app, orders.stop_signal, stop_timeout)?;
    let answer =
        daemon::start_detached(SUPERVISE, scope.as_ref(), &input, &environment(&orders.owner), limit)?;
    match serde_json::from_str(&answer) {
        Ok(Answer::Started) => Ok(()),
        Ok(Answer::Refused(why)) => Err(Error::new(why)),
        Ok(Answer::DiskFull(why)) => {
            Err(Error::new(why).because(std::io::Error::from(std::io::ErrorKind::StorageFull)))
        }
        Err(e) => Err(Error::new("the supervisor died before it answered").because(e)),
    }
}

/// What an app inherits of the environment that warmkeep was started in: where things are and how people write, and
/// nothing else. The token of a job that deploys is none of the app's business.
fn environment(owner: &str) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = env::vars().filter(|(name, _)| is_inherited(name)).collect();
    all.insert(OWNER.to_owned(), owner.to_owned());
    all
}

fn is_inherited(name: &str) -> bool {
    /// With the tokens that Nix fetches with.
    const SECRET: &str = "NIX_CONFIG";
    let plain = matches!(
        name,
        "PATH"
            | "HOME"
            | "USER"
            | "LOGNAME"
            | "SHELL"
            | "LANG"
            | "TZ"
            | "TMPDIR"
            | "SSL_CERT_FILE"
            | "XDG_RUNTIME_DIR"
    );
    plain || name.starts_with("LC_") || (name.starts_with("NIX_") && name != SECRET)
}

/// The supervisor's life.
pub fn supervise() -> Result<()> {
    let Begun { record, records, log, pipe } = match begin() {
        Ok(begun) => begun,
        Err(e) if e.kind() == ErrorKind::DiskFull => return answer(&Answer::DiskFull(e.chain())),
        Err(e) => return answer(&Answer::Refused(e.chain())),
    };
    let pump = std::thread::spawn(move || log.pump(pipe));
    // Whoever asked may be dead by now. The app is recorded: the next converge finds it, and finds it running.
    let _ = answer(&Answer::Started);
    let code = wait_for(record.main.pid);
    // A record that cannot be written is no reason to leave descendants behind.
    let written = document::write_cache(&records.ended, &Ended { schema: SCHEMA, code, at: clock::now() });
    end_descendants(&record, records.is_stopping())?;
    if pump.join().is_err() {
        return Err(Error::new("the log could not be written to its end"));
    }
    written
}

/// An app that ended takes its descendants with it: they are asked first, unless they were already, and then killed.
fn end_descendants(record: &ProcessRecord, asked: bool) -> Result<()> {
    let mark = mark::of_app(&record.owner, Some(proc::own_pid()));
    let grace = Duration::from_millis(record.stop_timeout_ms);
    if asked {
        proc::wait_until(grace, || proc::marked(mark).is_ok_and(|left| left.is_empty()));
    } else {
        proc::ask_marked(mark, None, record.stop_signal, grace)?;
    }
    proc::end_marked(mark, END_LIMIT)
}

struct Begun {
    record: ProcessRecord,
    records: Records,
    log: BoundedLog,
    pipe: Box<dyn std::io::Read + Send>,
}

fn begin() -> Result<Begun> {
    daemon::lead_session()?;
    daemon::adopt_orphans()?;
    let orders: Orders = serde_json::from_slice(&daemon::read_input()?)
        .map_err(|e| Error::new("a supervisor was given no whole orders").because(e))?;
    // Whoever ends the whole scope asks the supervisor too. It stays until its app has ended in its own time.
    signals::outlive(orders.stop_signal)?;
    let log = BoundedLog::begin(&orders.log);
    let launch = Launch { launcher: LAUNCH, argv: &orders.argv, env: &orders.env, dir: &orders.dir };
    let (pid, pipe) = daemon::launch(&launch)?;
    match write_down(&orders, pid) {
        Ok(record) => Ok(Begun { record, records: orders.records, log, pipe: Box::new(pipe) }),
        Err(e) => Err(withdraw(&orders.owner, e)),
    }
}

fn write_down(orders: &Orders, pid: i32) -> Result<ProcessRecord> {
    let record = ProcessRecord {
        schema: SCHEMA,
        app: orders.app.clone(),
        version: orders.version.clone(),
        main: Identity::of(pid)?,
        supervisor: Identity::of(proc::own_pid())?,
        owner: orders.owner.clone(),
        stop_signal: orders.stop_signal,
        stop_timeout_ms: orders.stop_timeout_ms,
        spec: orders.spec.clone(),
        started_at: clock::now(),
    };
    document::write(&orders.records.process, &record).map(|()| record)
}

/// An app that nobody could find again must not run: it has ended, and whatever it started, before that is said.
fn withdraw(owner: &str, why: Error) -> Error {
    match proc::end_marked(mark::of_app(owner, Some(proc::own_pid())), END_LIMIT) {
        Ok(()) => {
            while daemon::wait_any().is_some() {}
            why
        }
        Err(left) => Error::new(left.chain()).because(why),
    }
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
