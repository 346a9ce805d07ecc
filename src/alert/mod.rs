//! Alerts: one file a cause, for a person, with the exact command that answers it.

pub mod ack;
pub mod delivery;
pub mod redact;
pub mod relay;
mod seen;
mod told;

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Kind as ErrorKind, Result};
use crate::id::RunId;
use crate::record::document::{self, SCHEMA};
use crate::record::layout::Layout;
use crate::sys::{clock, files, hash};
use crate::version::Version;

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Kind {
    /// A version was refused by the safety gate.
    Hold,
    /// A version failed and was taken back.
    Rollback,
    /// A rollback failed.
    Stuck,
    /// An interrupted transaction was finished.
    Recovered,
    /// Something could not be done.
    Failed,
    /// What is new runs only after a reboot.
    RebootNeeded,
    /// Nothing happened: a person tries the sinks.
    Test,
}

/// How urgent it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Look at it today.
    Warning,
    /// An app is down, or may be.
    Critical,
}

impl Kind {
    /// The word in file names and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Rollback => "rollback",
            Self::Stuck => "stuck",
            Self::Recovered => "recovered",
            Self::Failed => "failed",
            Self::RebootNeeded => "rebootNeeded",
            Self::Test => "test",
        }
    }

    /// How urgent it is.
    pub fn severity(self) -> Severity {
        match self {
            Self::Hold | Self::Recovered | Self::RebootNeeded | Self::Test => Severity::Info,
            Self::Rollback | Self::Failed => Severity::Warning,
            Self::Stuck => Severity::Critical,
        }
    }

    /// What was settled once is told once; what goes on failing is told again after the dedupe time.
    fn is_told_once(self) -> bool {
        matches!(self, Self::Hold | Self::RebootNeeded)
    }
}

/// One alert as it stands in its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// Schema of the document.
    pub schema: u64,
    /// Its id; sorts by time.
    pub id: RunId,
    /// When.
    pub at: Timestamp,
    /// What it is about.
    pub kind: Kind,
    /// How urgent.
    pub severity: Severity,
    /// The app; null where it is about the host itself.
    pub app: Option<String>,
    /// The version in question.
    pub version: Option<Version>,
    /// One line.
    pub title: String,
    /// The whole story: causes, notes, last log lines.
    pub body: String,
    /// The command that answers it; null where nothing is to be done.
    pub command: Option<String>,
    /// Equal keys are one cause.
    pub dedupe_key: String,
}

/// What is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct News {
    /// What it is about.
    pub kind: Kind,
    /// The app; `None` where it is about the host itself.
    pub app: Option<String>,
    /// The version in question.
    pub version: Option<Version>,
    /// What tells one cause from another, beside kind, app and version.
    pub cause_key: String,
    /// One line.
    pub title: String,
    /// The whole story.
    pub body: String,
    /// The command that answers it.
    pub command: Option<String>,
}

impl News {
    fn key(&self) -> String {
        let version = self.version.as_ref().map_or("-", Version::as_str);
        format!("{}/{}/{version}/{}", self.kind.word(), self.subject(), self.cause_key)
    }

    /// The app, or what stands for the host; no app is called so.
    fn subject(&self) -> &str {
        self.app.as_deref().unwrap_or("-")
    }
}

/// Writes an alert, unless the same cause was told already; says whether it did.
pub fn raise(layout: &Layout, news: News, dedupe: Duration) -> Result<bool> {
    let key = news.key();
    let name = file_name(&news, &key);
    let path = layout.alerts().join(&name);
    let seen = layout.seen_alerts().join(&name);
    let now = clock::now();
    // Between the look and the write nothing may be moved. Who cannot wait for that still tells.
    let _turn = seen::turn(layout).map_err(|e| tracing::warn!(name: "alert.noTurn", error = e.chain())).ok();
    let is_told = |path| is_told(path, news.kind, now, dedupe);
    if is_told(&path)? || is_told(&seen)? || told::remembers(layout, &name, now, dedupe) {
        return Ok(false);
    }
    let alert = Alert {
        schema: SCHEMA,
        id: RunId::new()?,
        at: now,
        kind: news.kind,
        severity: news.kind.severity(),
        app: news.app,
        version: news.version,
        title: news.title,
        body: news.body,
        command: news.command,
        dedupe_key: key,
    };
    write(layout, &path, &alert)?;
    tracing::info!(name: "alert.raised", app = alert.app, kind = alert.kind.word(), title = alert.title);
    Ok(true)
}

/// On a full disk the space that was set aside is used: that the disk is full is what a person must be told.
fn write(layout: &Layout, path: &Path, document: &impl Serialize) -> Result<()> {
    match document::write(path, document) {
        Err(e) if e.kind() == ErrorKind::DiskFull => {
            layout.give_up_spare()?;
            document::write(path, document)
        }
        other => other,
    }
}

/// What nobody can read was not told. Nor was, for sure, what is dated after now: a clock that jumped must silence nothing.
fn is_told(path: &Path, kind: Kind, now: Timestamp, dedupe: Duration) -> Result<bool> {
    let Some(facts) = files::facts(path)? else { return Ok(false) };
    if let Err(e) = document::read::<Alert>(path) {
        tracing::warn!(name: "alert.unreadable", error = e.chain());
        return Ok(false);
    }
    Ok(kind.is_told_once() || is_fresh(facts.mtime, now, dedupe))
}

/// Whether what was told at this second is not to be told again yet.
fn is_fresh(told: i64, now: Timestamp, dedupe: Duration) -> bool {
    let age = now.as_second().saturating_sub(told);
    (0..i64::try_from(dedupe.as_secs()).unwrap_or(i64::MAX)).contains(&age)
}

/// The name follows from the cause, so that telling it twice is seen without reading the folder.
fn file_name(news: &News, key: &str) -> String {
    let digest = hash::short(key.as_bytes(), 6);
    match &news.app {
        Some(app) => format!("{}-{app}-{digest}.json", news.kind.word()),
        None => format!("{}-{digest}.json", news.kind.word()),
    }
}

/// The files of the open alerts, by their names.
fn open_files(layout: &Layout) -> Result<Vec<PathBuf>> {
    let mut paths = files::list(&layout.alerts())?;
    paths.retain(|path| path.extension().is_some_and(|e| e == "json"));
    Ok(paths)
}

/// How many alerts are open, whether or not they can be read.
pub fn count(layout: &Layout) -> Result<usize> {
    files::count(&layout.alerts(), ".json")
}

/// The open alerts, oldest first, and the files that could not be read.
pub fn list(layout: &Layout) -> Result<(Vec<Alert>, Vec<String>)> {
    let (open, unreadable) = read_open(layout)?;
    Ok((open.into_iter().map(|(_, alert)| alert).collect(), unreadable))
}

/// An alert with the name of its file.
type Named = (String, Alert);

/// The same, each with the name of its file.
fn read_open(layout: &Layout) -> Result<(Vec<Named>, Vec<String>)> {
    let mut open = Vec::new();
    let mut unreadable = Vec::new();
    for path in open_files(layout)? {
        match document::read::<Alert>(&path) {
            Ok(alert) => open.extend(alert.map(|alert| (name_of(&path), alert))),
            Err(e) => unreadable.push(e.chain()),
        }
    }
    open.sort_by(|(_, a), (_, b)| a.id.cmp(&b.id));
    Ok((open, unreadable))
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::Host;

    pub(super) fn layout(dir: &std::path::Path) -> Layout {
        let layout = Layout::new(&Host { state_dir: dir.to_owned(), runtime_dir: dir.join("run") });
        layout.create().unwrap();
        layout
    }

    pub(super) fn news(kind: Kind) -> News {
        News {
            kind,
            app: Some("notes".into()),
            version: Some(Version::new("2.0.0").unwrap()),
            cause_key: "policy".into(),
            title: "notes 2.0.0 is held".into(),
            body: "a major step".into(),
            command: Some("warmkeep approve notes 2.0.0".into()),
        }
    }

    #[test]
    fn a_hold_is_told_once_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let layout = layout(dir.path());
        assert!(raise(&layout, news(Kind::Hold), Duration::ZERO).unwrap());
        assert!(!raise(&layout, news(Kind::Hold), Duration::ZERO).unwrap());
    }

    #[test]
    fn a_failure_is_told_again_after_the_dedupe_time() {
        let dir = tempfile::tempdir().unwrap();
        let layout = layout(dir.path());
        assert!(raise(&layout, news(Kind::Failed), Duration::from_secs(86_400)).unwrap());
        assert!(!raise(&layout, news(Kind::Failed), Duration::from_secs(86_400)).unwrap());
        assert!(raise(&layout, news(Kind::Failed), Duration::ZERO).unwrap());
    }

    const DAY: Duration = Duration::from_secs(86_400);

    fn open(layout: &Layout) -> std::path::PathBuf {
        let files = files::list(&layout.alerts()).unwrap();
        files.into_iter().find(|p| p.extension().is_some_and(|e| e == "json")).unwrap()
    }

    #[test]
    fn an_alert_dated_after_now_silences_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let layout = layout(dir.path());
        assert!(raise(&layout, news(Kind::Stuck), DAY).unwrap());
        let file = open(&layout);
        let touch = ["touch", "-d", "2999-01-01", file.to_str().unwrap()];
        crate::sys::process::Program::new(touch).run_ok().unwrap();
        assert!(raise(&layout, news(Kind::Stuck), DAY).unwrap());
        assert!(!raise(&layout, news(Kind::Stuck), DAY).unwrap(), "it is dated now");
    }

    #[test]
    fn an_alert_that_cannot_be_read_is_told_anew() {
        for kind in [Kind::Hold, Kind::Failed] {
            let dir = tempfile::tempdir().unwrap();
            let layout = layout(dir.path());
            raise(&layout, news(kind), DAY).unwrap();
            files::write_cache(&open(&layout), b"{").unwrap();
            assert!(raise(&layout, news(kind), DAY).unwrap());
            assert_eq!(list(&layout).unwrap().0.len(), 1);
        }
    }

    #[test]
    fn an_alert_that_was_seen_is_not_told_again() {
        let dir = tempfile::tempdir().unwrap();
        let layout = layout(dir.path());
        raise(&layout, news(Kind::Hold), Duration::ZERO).unwrap();
        let file = open(&layout);
        files::rename(&file, &layout.alerts().join("seen").join(file.file_name().unwrap())).unwrap();
        assert!(!raise(&layout, news(Kind::Hold), Duration::ZERO).unwrap());
        assert!(list(&layout).unwrap().0.is_empty());
    }
}
