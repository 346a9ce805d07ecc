//! Where the demo plays: a folder with releases, a configuration and state, and this binary to work on it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};

use super::http::ask;
use crate::error::{Error, Result};
use crate::record::report::{AppReport, RunReport};
use crate::sys::process::{Background, Program};
use crate::sys::signals::asked_to_end;
use crate::sys::{env, files, net, proc};

/// The name of the demo's app.
pub(super) const APP: &str = "notes";

/// The demo's folder.
#[derive(Debug)]
pub(super) struct Stage {
    folder: PathBuf,
    port: u16,
}

impl Stage {
    /// Makes the folder and its configuration.
    pub(super) fn build(folder: &Path) -> Result<Self> {
        for part in ["releases", "data", "config"] {
            files::create_dir_private(&folder.join(part))?;
        }
        let stage = Self { folder: files::canonical(folder)?, port: free_port()? };
        let text = serde_json::to_vec_pretty(&stage.config())
            .map_err(|e| Error::new("the demo's configuration is not JSON").because(e))?;
        files::write_atomic(&stage.path("config").join("warmkeep.json"), &text)?;
        Ok(stage)
    }

    fn config(&self) -> Value {
        let path = |part: &str| self.path(part).to_string_lossy().into_owned();
        let port = self.port.to_string();
        let binary =
            env::own_binary_path().map_or_else(|| "warmkeep".into(), |p| p.to_string_lossy().into_owned());
        let command = json!([
            binary,
            "demo-app",
            "--port",
            port,
            "--data",
            "{data}",
            "--release",
            "{release}",
            "--version-name",
            "{version}"
        ]);
        json!({
            "schema": 1,
            "host": { "stateDir": path("state"), "runtimeDir": path("run") },
            "apps": { APP: {
                "driver": { "process": { "command": command, "stopTimeout": "5s" } },
                "data": { "paths": [path("data")] },
                "versions": { "source": { "directory": { "path": path("releases") } }, "policy": "minor" },
                "health": {
                    "checks": { "http": { "http": { "url": format!("http://127.0.0.1:{port}/healthz") } } },
                    "interval": "50ms", "timeout": "3s", "passes": 2, "soak": "200ms"
                }
            } }
        })
    }

    /// A part of the folder.
    pub(super) fn path(&self, part: &str) -> PathBuf {
        self.folder.join(part)
    }

    /// Puts a release into the folder that the app's source lists.
    pub(super) fn release(&self, version: &str, behaviour: &str) -> Result<()> {
        let aside = self.path(&format!(".{version}"));
        files::create_dir_private(&aside)?;
        files::write_atomic(&aside.join("behaviour"), behaviour.as_bytes())?;
        files::rename(&aside, &self.path("releases").join(version))
    }

    fn program(&self, arguments: &[&str]) -> Program {
        let config = self.path("config").to_string_lossy().into_owned();
        let own = env::own_binary().to_string_lossy().into_owned();
        let argv = [own, "--config".into(), config, "--json".into()];
        Program::new(argv.into_iter().chain(arguments.iter().map(|word| (*word).to_owned())))
            .timeout(Duration::from_secs(60))
    }

    /// Runs a verb that reports on apps; what it says of the demo's app.
    pub(super) fn run(&self, arguments: &[&str]) -> Result<AppReport> {
        let output = self.program(arguments).run()?;
        let report: RunReport = serde_json::from_slice(&output.stdout).map_err(|e| {
            Error::new(format!("warmkeep {} gave no report: {}", arguments.join(" "), output.complaint()))
                .because(e)
        })?;
        report
            .apps
            .into_iter()
            .find(|app| app.app == APP)
            .ok_or_else(|| Error::new("the report does not name the app"))
    }

    /// Runs a verb that only has to succeed.
    pub(super) fn tell(&self, arguments: &[&str]) -> Result<()> {
        self.program(arguments).run_ok().map(drop)
    }

    /// Starts a converge and leaves it running.
    pub(super) fn converge_in_background(&self) -> Result<Background> {
        self.program(&["converge"]).start_in_background()
    }

    /// Waits until the journal of the running transaction names a step, or somebody asks for the end.
    pub(super) fn wait_for_step(&self, step: &str) -> bool {
        let journal = self.path("state/apps").join(APP).join("journal.jsonl");
        let wanted = format!("\"step\":\"{step}\"");
        proc::wait_until(Duration::from_secs(20), || {
            asked_to_end()
                || files::read_if_exists(&journal, 1 << 20).is_ok_and(|text| {
                    text.is_some_and(|text| String::from_utf8_lossy(&text).contains(&wanted))
                })
        })
    }

    /// The process that serves now, by what it was recorded as.
    pub(super) fn kill_app(&self) -> Result<()> {
        let path = self.path("run/apps").join(APP).join("process.json");
        let record: Value = serde_json::from_slice(&files::read(&path, 1 << 20)?)
            .map_err(|e| Error::new("the process record is not JSON").because(e))?;
        let identity: proc::Identity = serde_json::from_value(record["main"].clone())
            .map_err(|e| Error::new("the process record names no process").because(e))?;
        identity.signal(9)?;
        identity.wait_ended(Duration::from_secs(5));
        Ok(())
    }

    /// Asks the app itself for its version.
    pub(super) fn version(&self) -> Result<String> {
        ask(self.port, "GET", "/version", "")
    }

    /// Asks the app itself for its notes.
    pub(super) fn notes(&self) -> Result<String> {
        ask(self.port, "GET", "/notes", "")
    }

    /// Writes a note.
    pub(super) fn write_note(&self, text: &str) -> Result<()> {
        ask(self.port, "POST", "/notes", text).map(drop)
    }

    /// The data as it is on disk, byte for byte.
    pub(super) fn data(&self) -> Result<Vec<(PathBuf, Vec<u8>)>> {
        let all = files::list(&self.path("data"))?;
        all.into_iter().map(|path| files::read(&path, 1 << 20).map(|bytes| (path, bytes))).collect()
    }

    /// Stops the app, if it ever came to run.
    pub(super) fn clear(&self) -> Result<()> {
        if !files::exists(&self.path("state/apps").join(APP)) {
            return Ok(());
        }
        self.tell(&["retire", APP])
    }
}

fn free_port() -> Result<u16> {
    net::listen_loopback(0)
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|e| Error::new("there is no free port").because(e))
}
