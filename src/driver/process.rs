//! The embedded driver: one supervised process an app, on any Linux.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::mark::{self, owner};
use super::supervise::{self, Ended, Orders, ProcessRecord, Records};
use super::{Convergence, Current, Driver, Placeholders, Up};
use crate::config::model::{App, Process, Source};
use crate::error::{Error, Result};
use crate::record::document::{self, SCHEMA};
use crate::record::layout::AppLayout;
use crate::sys::proc;
use crate::sys::process::{self, Program};
use crate::sys::{files, hash};
use crate::version::Version;

fn directory(launch: &Launch, fill: &Placeholders<'_>, release: &Path) -> PathBuf {
    match &launch.working_directory {
        Some(dir) => PathBuf::from(fill.fill(dir)),
        None if files::is_dir(release) => release.to_owned(),
        None => PathBuf::from("/"),
    }
}

/// How long a supervisor has to notice by itself that its app has ended.
const SUPERVISOR_GRACE: Duration = Duration::from_secs(1);

/// Runs one app as a process of its own.
#[derive(Debug)]
pub struct ProcessDriver<'a> {
    app: &'a App,
    spec: &'a Process,
    layout: &'a AppLayout,
    records: Records,
    owner: String,
}

/// How a process is started. Its environment is always that of the configuration: it may hold secrets, which are
/// written down nowhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Launch {
    command: Vec<String>,
    working_directory: Option<String>,
}

/// How a version was started when it passed its gate.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Proven {
    schema: u64,
    version: Version,
    launch: Launch,
}

/// What is known of the process that was started last.
#[derive(Debug)]
enum Seen {
    /// None was, since boot.
    Nothing,
    /// What was written down is damaged. It says nothing that the marks on the processes do not say as well.
    Unreadable(String),
    /// It runs, watched by its supervisor.
    Up(ProcessRecord),
    /// It does not, or not as it should, and why.
    Down(ProcessRecord, String),
}

impl Seen {
    fn record(&self) -> Option<&ProcessRecord> {
        match self {
            Self::Up(record) | Self::Down(record, _) => Some(record),
            Self::Nothing | Self::Unreadable(_) => None,
        }
    }

    /// The supervisor's session; nobody else can have taken its number over while one of the two lives.
    fn session(&self) -> Option<i32> {
        let lives = |record: &&ProcessRecord| record.supervisor.is_alive() || record.main.is_alive();
        self.record().filter(lives).map(|record| record.supervisor.pid)
    }
}

impl<'a> ProcessDriver<'a> {
    /// The driver of one app.
    pub fn new(app: &'a App, spec: &'a Process, layout: &'a AppLayout) -> Self {
        Self { app, spec, layout, records: Records::of(layout), owner: owner(layout) }
    }

    fn look(&self) -> Result<Seen> {
        Ok(match document::read_even_damaged::<ProcessRecord>(&self.records.process)? {
            None => Seen::Nothing,
            Some(Err(e)) => Seen::Unreadable(e.chain()),
            Some(Ok(record)) => match self.why_down(&record) {
                None => Seen::Up(record),
                Some(why) => Seen::Down(record, why),
            },
        })
    }

    /// An app that was asked to end is on its way out however long it takes, and one without a supervisor has no one who
    /// keeps its log, adopts its orphans and ends them with it: the kernel has asked it to end.
    fn why_down(&self, record: &ProcessRecord) -> Option<String> {
        if !record.main.is_alive() {
            // Its last words may still be on their way into the log.
            record.supervisor.wait_ended(SUPERVISOR_GRACE);
            return Some(self.ended());
        }
        if self.records.is_stopping() {
            return Some("it was asked to end, and nobody saw it end".to_owned());
        }
        (!record.supervisor.is_alive()).then(|| "its supervisor was killed".to_owned())
    }

    fn release(&self, version: &Version) -> PathBuf {
        match &self.app.versions.source {
            Source::Directory { path } => path.join(version.as_str()),
            _ => self.layout.releases().join(version.as_str()),
        }
    }

    fn owns_releases(&self) -> bool {
        !matches!(self.app.versions.source, Source::Directory { .. })
    }

    fn data(&self) -> Option<&Path> {
        self.app.data.as_ref()?.paths.first().map(PathBuf::as_path)
    }

    fn placeholders<'b>(&'b self, version: &'b Version, release: &'b Path) -> Placeholders<'b> {
        Placeholders { app: &self.app.name, version: version.as_str(), release, data: self.data() }
    }

    fn configured(&self) -> Launch {
        Launch { command: self.spec.command.clone(), working_directory: self.spec.working_directory.clone() }
    }

    /// How a version was started when it passed its gate; as it is configured now, where that is not known.
    fn proven(&self, version: &Version) -> Result<Launch> {
        let proven: Option<Proven> = document::read(&self.layout.proven())?;
        Ok(proven.filter(|p| p.version == *version).map_or_else(|| self.configured(), |proven| proven.launch))
    }

    fn orders(&self, version: &Version, launch: &Launch) -> Result<Orders> {
        let release = self.release(version);
        let fill = self.placeholders(version, &release);
        let dir = directory(launch, &fill, &release);
        let mut argv = fill.fill_all(&launch.command);
        if let Some(program) = argv.first_mut() {
            *program = resolve(program, &dir)?;
        }
        Ok(Orders {
            app: self.app.name.clone(),
            version: version.clone(),
            argv,
            env: fill.fill_env(&self.spec.env),
            dir,
            log: self.layout.output_log(),
            records: self.records.clone(),
            owner: self.owner.clone(),
            stop_signal: self.spec.stop_signal,
            stop_timeout_ms: u64::try_from(self.spec.stop_timeout.as_millis()).unwrap_or(u64::MAX),
            spec: self.spec_digest(launch),
        })
    }

    /// A digest of how the process is configured: a secret in its environment cannot be read back from it.
    fn spec_digest(&self, launch: &Launch) -> String {
        let text = format!("{:?} {:?} {:?}", launch.command, self.spec.env, launch.working_directory);
        hash::short(text.as_bytes(), 8)
    }

    fn prepare(&self, version: &Version, release: &Path) -> Result<()> {
        let aside = self.layout.releases().join(format!(".preparing-{version}"));
        files::remove_tree(&aside)?;
        files::create_dir_private(&aside)?;
        let prepared = self.run_prepare(version, &aside).and_then(|()| {
            files::sync_filesystem(&aside)?;
            files::rename(&aside, release)?;
            files::sync_dir(&self.layout.releases())
        });
        if prepared.is_err() {
            files::remove_tree(&aside)?;
        }
        prepared
    }

    fn run_prepare(&self, version: &Version, aside: &Path) -> Result<()> {
        if self.spec.prepare.is_empty() {
            return Ok(());
        }
        let fill = self.placeholders(version, aside);
        Program::new(fill.fill_all(&self.spec.prepare))
            .envs(&fill.fill_env(&self.spec.env))
            .envs(&mark::for_helper(self.owner.clone()))
            .dir(aside)
            .timeout(self.app.timeouts.prefetch)
            .run_ok()
            .map(drop)
            .map_err(|e| Error::new(format!("`prepare` of {version} failed")).because(e))
    }

    fn expect_release(&self, version: &Version) -> Result<()> {
        let release = self.release(version);
        if files::exists(&release) {
            return Ok(());
        }
        Err(Error::new(format!("the release {} is not there", release.display()))
            .remedy("it went away after it was deployed or prepared; put it back"))
    }

    /// Every process of the app gets the stop signal, as systemd does it: the first one may be no more than a wrapper. One
    /// whose stop was interrupted gets it again: that it got it at all is not known.
    fn ask_to_end(&self, seen: &Seen) -> Result<()> {
        if let Err(e) = files::write_cache(&self.records.stopping, b"") {
            // Then the supervisor repeats the signal; a full disk must not keep an app from being stopped.
            tracing::warn!(name: "process.stoppingNotRecorded", app = self.app.name, error = e.chain());
        }
        let mark = mark::of_app(&self.owner, seen.session());
        let Some(record) = seen.record() else {
            return proc::ask_marked(mark, None, self.spec.stop_signal, self.spec.stop_timeout);
        };
        let grace = Duration::from_millis(record.stop_timeout_ms).min(self.app.timeouts.stop);
        proc::ask_marked(mark, Some(&record.supervisor), record.stop_signal, grace)?;
        if !record.main.is_alive() {
            record.supervisor.wait_ended(SUPERVISOR_GRACE);
        }
        Ok(())
    }

    /// How it ended; a record of that which cannot be read is as good as none.
    fn start(&self, version: &Version, launch: &Launch) -> Result<()> {
        if let Seen::Up(record) = self.look()?
            && record.version == *version
            && record.spec == self.spec_digest(launch)
        {
            return Ok(());
        }
        let orders = self.expect_release(version).and_then(|()| self.orders(version, launch))?;
        self.stop()?;
        self.wait_gone()?;
        supervise::start(&orders, self.app.timeouts.deploy)
            .map_err(|e| Error::new(format!("{version} could not be started")).because(e))
    }

    fn ended(&self) -> String {
        let ended = document::read::<Ended>(&self.records.ended).ok().flatten();
        let how = ended.map_or_else(
            || "it ended without a word".to_owned(),
            |ended| format!("it ended with {}", exit_word(ended.code)),
        );
        match self.recent_logs(5).as_slice() {
            [] => how,
            lines => format!("{how}; its last lines: {}", lines.join(" | ")),
        }
    }
}

impl Driver for ProcessDriver<'_> {
    fn current(&self) -> Result<Current> {
        let (version, up) = match self.look()? {
            Seen::Nothing => (None, Up::No("it was not started since boot".into())),
            Seen::Unreadable(why) => (None, Up::No(why)),
            Seen::Up(record) => (Some(record.version), Up::Yes),
            Seen::Down(record, why) => (Some(record.version), Up::No(why)),
        };
        Ok(Current { version, up })
    }

    fn has_drifted(&self) -> Result<bool> {
        Ok(matches!(self.look()?, Seen::Up(record) if record.spec != self.spec_digest(&self.configured())))
    }

    fn prefetch(&self, version: &Version) -> Result<()> {
        let release = self.release(version);
        if files::exists(&release) {
            return Ok(());
        }
        if self.owns_releases() {
            files::create_dir_private(&self.layout.releases())?;
            return self.prepare(version, &release);
        }
        Err(Error::new(format!("the release {} is not there", release.display()))
            .remedy("put it back, or let the next converge choose from what is there"))
    }

    fn prove(&self, version: &Version) -> Result<()> {
        if self.has_drifted()? {
            // What runs was started as it was configured before: that is known already, or cannot be known any more.
            return Ok(());
        }
        let proven = Proven { schema: SCHEMA, version: version.clone(), launch: self.configured() };
        if matches!(document::read::<Proven>(&self.layout.proven()), Ok(Some(known)) if known == proven) {
            return Ok(());
        }
        document::write(&self.layout.proven(), &proven)
    }

    fn can_return_to(&self, version: &Version) -> Result<()> {
        self.expect_release(version).and_then(|()| self.orders(version, &self.proven(version)?)).map(drop)
    }

    fn return_to(&self, version: &Version) -> Result<()> {
        self.start(version, &self.proven(version)?)
    }

    fn deploy(&self, version: &Version) -> Result<()> {
        self.start(version, &self.configured())
    }

    fn stop(&self) -> Result<()> {
        let seen = self.look()?;
        if let Seen::Unreadable(why) = &seen {
            tracing::warn!(name: "process.recordUnreadable", app = self.app.name, error = why);
        }
        let ask = match &seen {
            Seen::Nothing => false,
            Seen::Unreadable(_) => true,
            Seen::Up(record) | Seen::Down(record, _) => record.main.is_alive(),
        };
        if ask {
            self.ask_to_end(&seen)?;
        }
        proc::end_marked(mark::of_app(&self.owner, seen.session()), self.app.timeouts.stop)
    }

    fn wait_gone(&self) -> Result<()> {
        let seen = self.look()?;
        let find = || proc::marked(mark::of_app(&self.owner, seen.session()));
        let mut left = find()?;
        let gone = left.is_empty()
            || proc::wait_until(self.app.timeouts.gone, || {
                left = find().unwrap_or_else(|_| left.clone());
                left.is_empty()
            });
        if !gone {
            let pids: Vec<String> = left.iter().map(|p| p.pid.to_string()).collect();
            return Err(Error::new(format!(
                "processes {} of {} are still there",
                pids.join(", "),
                self.app.name
            ))
            .remedy("end them by hand, then run converge again"));
        }
        self.records.remove()
    }

    fn converged(&self, version: &Version) -> Result<Convergence> {
        Ok(match self.look()? {
            Seen::Nothing => Convergence::Dead("nothing was started".into()),
            Seen::Unreadable(why) | Seen::Down(_, why) => Convergence::Dead(why),
            Seen::Up(record) if record.version != *version => {
                Convergence::Dead(format!("{} runs instead of {version}", record.version))
            }
            Seen::Up(_) => Convergence::Converged,
        })
    }

    fn data_paths(&self) -> Result<Vec<PathBuf>> {
        Ok(self.app.data.as_ref().map(|data| data.paths.clone()).unwrap_or_default())
    }

    fn recent_logs(&self, lines: usize) -> Vec<String> {
        let text = files::read_tail(&self.layout.output_log(), 64 << 10);
        let all: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        all[all.len().saturating_sub(lines)..].iter().map(|line| (*line).to_owned()).collect()
    }

    fn tidy(&self, keep: &[Version]) -> Result<()> {
        if !self.owns_releases() {
            return Ok(());
        }
        for release in files::list(&self.layout.releases())? {
            let name =
                release.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if !keep.iter().any(|version| version.as_str() == name) {
                files::remove_tree(&release)?;
            }
        }
        Ok(())
    }

    fn end_strays(&self) -> Result<()> {
        proc::end_marked(mark::of_helpers(&self.owner), self.app.timeouts.stop)
    }
}

fn exit_word(code: i32) -> String {
    match code {
        -1 => "an exit code that nobody saw".to_owned(),
        129..=192 => format!("signal {}", code - 128),
        code => format!("exit code {code}"),
    }
}

/// Finds the program before anything is stopped for it, so that one that is missing is told as such.
fn resolve(program: &str, dir: &Path) -> Result<String> {
    process::find(program, dir)
        .map(|path| path.to_string_lossy().into_owned())
        .map_err(|e| e.remedy("check `driver.process.command`: the file must exist and be executable"))
}
