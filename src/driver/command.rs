//! The user's own programs: whatever runs the app, warmkeep decides when.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::mark;
use super::{Convergence, Current, Driver, Placeholders, Up};
use crate::config::model::{App, CommandDriver as Spec, Source};
use crate::config::quantity::format_duration;
use crate::error::{Error, Result};
use crate::record::layout::AppLayout;
use crate::sys::proc;
use crate::sys::process::{Output, Program};
use crate::sys::scope::Scope;
use crate::version::Version;

/// How long `status`, `gone` and `volumes` may take: they only look.
const LOOK_LIMIT: Duration = Duration::from_secs(60);

/// What asks an app's processes to end when the host shuts down: its `stop` program is not run then.
const STOP_SIGNAL: i32 = 15;

/// Runs one app through the user's programs.
#[derive(Debug)]
pub struct CommandDriver<'a> {
    app: &'a App,
    spec: &'a Spec,
    layout: &'a AppLayout,
}

/// What `status` prints.
#[derive(Debug, Deserialize)]
struct Status {
    version: Option<Version>,
    running: bool,
}

impl<'a> CommandDriver<'a> {
    /// The driver of one app.
    pub fn new(app: &'a App, spec: &'a Spec, layout: &'a AppLayout) -> Self {
        Self { app, spec, layout }
    }

    /// A program with its placeholders filled in; without a version, `{version}` and `{release}` are empty.
    fn program(&self, argv: &[String], version: Option<&Version>, limit: Duration) -> Program {
        let release = version.map(|version| self.release(version)).unwrap_or_default();
        let data = self.app.data.as_ref().and_then(|data| data.paths.first()).map(PathBuf::as_path);
        let version = version.map_or("", Version::as_str);
        let fill = Placeholders { app: &self.app.name, version, release: &release, data };
        Program::new(fill.fill_all(argv)).envs(&mark::for_helper(mark::owner(self.layout))).timeout(limit)
    }

    fn release(&self, version: &Version) -> PathBuf {
        match &self.app.versions.source {
            Source::Directory { path } => path.join(version.as_str()),
            _ => self.layout.releases().join(version.as_str()),
        }
    }

    fn run(&self, key: &str, argv: &[String], version: Option<&Version>, limit: Duration) -> Result<Output> {
        self.program(argv, version, limit)
            .run_ok()
            .map_err(|e| Error::new(format!("`driver.command.{key}` failed")).because(e))
    }

    fn status(&self) -> Result<Status> {
        let output = self.run("status", &self.spec.status, None, LOOK_LIMIT)?;
        serde_json::from_slice(&output.stdout).map_err(|e| {
            Error::new("`driver.command.status` did not print what it should")
                .because(e)
                .remedy(r#"it has to print JSON such as {"version":"1.2.0","running":true}"#)
        })
    }

    /// Without a `gone` program, what does not run any more counts as gone.
    fn is_gone(&self) -> Result<bool> {
        if self.spec.gone.is_empty() {
            return Ok(!self.status()?.running);
        }
        Ok(self.program(&self.spec.gone, None, LOOK_LIMIT).run()?.code == 0)
    }
}

impl Driver for CommandDriver<'_> {
    fn current(&self) -> Result<Current> {
        let status = self.status()?;
        let up =
            if status.running { Up::Yes } else { Up::No("its `status` says that it does not run".into()) };
        Ok(Current { version: status.version, up })
    }

    fn has_drifted(&self) -> Result<bool> {
        Ok(false)
    }

    fn prefetch(&self, version: &Version) -> Result<()> {
        if self.spec.prefetch.is_empty() {
            return Ok(());
        }
        self.run("prefetch", &self.spec.prefetch, Some(version), self.app.timeouts.prefetch).map(drop)
    }

    /// The user's own programs decide; that they can be run at all is seen when `status` is asked.
    fn can_return_to(&self, _version: &Version) -> Result<()> {
        self.status().map(drop)
    }

    fn return_to(&self, version: &Version) -> Result<()> {
        self.deploy(version)
    }

    /// How a version is started is the programs' own affair.
    fn prove(&self, _version: &Version) -> Result<()> {
        Ok(())
    }

    fn deploy(&self, version: &Version) -> Result<()> {
        let status = self.status()?;
        if status.running && status.version.as_ref() == Some(version) {
            return Ok(());
        }
        self.program(&self.spec.deploy, Some(version), self.app.timeouts.deploy)
            .keeps_children()
            .scope(Scope::of_app(&self.app.name, STOP_SIGNAL, self.app.timeouts.stop)?)
            // What it starts is the app, which a recovery must not take for a stray.
            .env(mark::HELPER, "")
            .run_ok()
            .map(drop)
            .map_err(|e| Error::new("`driver.command.deploy` failed").because(e))
    }

    fn stop(&self) -> Result<()> {
        self.run("stop", &self.spec.stop, None, self.app.timeouts.stop).map(drop)
    }

    fn wait_gone(&self) -> Result<()> {
        let mut failure = None;
        let gone = proc::wait_until(self.app.timeouts.gone, || match self.is_gone() {
            Ok(gone) => gone,
            Err(e) => {
                failure = Some(e);
                false
            }
        });
        if gone {
            return Ok(());
        }
        let limit = format_duration(self.app.timeouts.gone);
        let error = Error::new(format!("{} is not gone after {limit}", self.app.name))
            .remedy("see what `driver.command.gone` still finds, end it, then run converge again");
        Err(match failure {
            Some(cause) => error.because(cause),
            None => error,
        })
    }

    fn converged(&self, version: &Version) -> Result<Convergence> {
        let status = self.status()?;
        Ok(match (status.running, status.version) {
            (false, _) => Convergence::Starting("its `status` says that it does not run".into()),
            (true, Some(other)) if other != *version => {
                Convergence::Starting(format!("its `status` says that {other} runs, not {version}"))
            }
            (true, _) => Convergence::Converged,
        })
    }

    fn data_paths(&self) -> Result<Vec<PathBuf>> {
        let Some(data) = &self.app.data else { return Ok(Vec::new()) };
        let mut paths = data.paths.clone();
        if data.discover && !self.spec.volumes.is_empty() {
            let output = self.run("volumes", &self.spec.volumes, None, LOOK_LIMIT)?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let found = text.lines().map(str::trim).filter(|line| !line.is_empty());
            let wanted = found.filter(|line| !data.exclude.iter().any(|excluded| excluded == line));
            paths.extend(wanted.map(PathBuf::from).filter(|path| !data.paths.contains(path)));
        }
        Ok(paths)
    }

    fn recent_logs(&self, _lines: usize) -> Vec<String> {
        Vec::new()
    }

    fn tidy(&self, _keep: &[Version]) -> Result<()> {
        Ok(())
    }

    fn end_strays(&self) -> Result<()> {
        proc::end_marked(mark::of_helpers(&mark::owner(self.layout)), self.app.timeouts.stop)
    }
}
