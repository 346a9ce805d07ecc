//! A hermetic host for tests: its own folders and ports, the real binary, the demo's real app.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::unused_self,
    clippy::needless_pass_by_value,
    clippy::case_sensitive_file_extension_comparisons,
    clippy::missing_panics_doc,
    unreachable_pub,
    dead_code,
    reason = "tests drive the real system, and each test file uses its own part of the harness"
)]

pub mod evaluator;
pub mod hostile;
pub mod machine;
pub mod system;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// What a run of warmkeep gave back.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// The JSON document on stdout.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("no JSON ({e}): {self:?}"))
    }

    /// The report of one app.
    pub fn app(&self, name: &str) -> Value {
        let document = self.json();
        let apps = document["apps"].as_array().unwrap_or_else(|| panic!("no apps: {self:?}"));
        apps.iter().find(|app| app["app"] == name).unwrap_or_else(|| panic!("no {name}: {self:?}")).clone()
    }

    /// The outcome of one app.
    pub fn outcome(&self, name: &str) -> String {
        self.app(name)["outcome"].as_str().unwrap_or_default().to_owned()
    }
}

/// One host.
pub struct Host {
    pub dir: tempfile::TempDir,
    pub port: u16,
}

pub const APP: &str = "notes";

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_warmkeep")
}

impl Host {
    /// A host with the demo's app, stateful, version 1.0.0 released.
    pub fn new() -> Self {
        Self::in_dir(tempfile::Builder::new().prefix("warmkeep-test-").tempdir().unwrap())
    }

    pub fn in_dir(dir: tempfile::TempDir) -> Self {
        let host = Self { dir, port: free_port() };
        for part in ["releases", "data"] {
            fs::create_dir_all(host.path(part)).unwrap();
        }
        host.release("1.0.0", "");
        host.write_config(&host.config());
        host
    }

    pub fn path(&self, part: &str) -> PathBuf {
        self.dir.path().join(part)
    }

    /// The configuration with the demo's app: change what a test is about, then `write_config`.
    pub fn config(&self) -> Value {
        let path = |part: &str| self.path(part).to_string_lossy().into_owned();
        json!({
            "schema": 1,
            "host": { "stateDir": path("state"), "runtimeDir": path("run") },
            "apps": { APP: self.app_config() }
        })
    }

    pub fn app_config(&self) -> Value {
        let path = |part: &str| self.path(part).to_string_lossy().into_owned();
        json!({
            "driver": { "process": {
                "command": self.demo_app(self.port),
                "stopTimeout": "5s"
            } },
            "data": { "paths": [path("data")] },
            "versions": { "source": { "directory": { "path": path("releases") } }, "policy": "minor" },
            "health": {
                "checks": { "http": { "http": { "url": format!("http://127.0.0.1:{}/healthz", self.port) } } },
                "interval": "10ms", "timeout": "1s", "passes": 2, "soak": "20ms"
            }
        })
    }

    /// The argv of the demo's app.
    pub fn demo_app(&self, port: u16) -> Value {
        json!([
            binary(),
            "demo-app",
            "--port",
            port.to_string(),
            "--data",
            "{data}",
            "--release",
            "{release}",
            "--version-name",
            "{version}"
        ])
    }

    /// The same without data.
    pub fn make_stateless(&self) {
        let mut config = self.config();
        config["apps"][APP].as_object_mut().unwrap().remove("data");
        let argv = config["apps"][APP]["driver"]["process"]["command"].as_array_mut().unwrap();
        for word in argv {
            if word == "{data}" {
                *word = json!(self.path("data").to_string_lossy());
            }
        }
        self.write_config(&config);
    }

    /// Changes the configuration of the app and writes it.
    pub fn configure(&self, change: impl FnOnce(&mut Value)) {
        let mut config: Value =
            serde_json::from_slice(&fs::read(self.path("warmkeep.json")).unwrap()).unwrap();
        change(&mut config["apps"][APP]);
        self.write_config(&config);
    }

    /// The app becomes a shell script, healthy as long as it runs; its versions are a list.
    pub fn run_script(&self, script: &str, versions: &[&str]) {
        self.configure(|app| {
            app["driver"]["process"]["command"] = json!(["sh", "-c", script]);
            app["versions"]["source"] = json!({ "list": { "versions": versions } });
            app["health"]["checks"] = json!({ "up": { "command": { "run": ["true"] } } });
        });
    }

    /// The app's versions become the lines of the file `versions`, in the host's folder.
    pub fn list_versions(&self, lines: &str) {
        fs::write(self.path("versions"), lines).unwrap();
        let path = self.path("versions").to_string_lossy().into_owned();
        self.configure(|app| {
            app["versions"]["source"] = json!({ "command": { "run": ["cat", path] } });
        });
    }

    /// Installs the app as it is configured.
    pub fn install(&self) -> Ran {
        let ran = self.converge();
        assert_eq!((ran.code, ran.outcome(APP).as_str()), (0, "installed"), "{ran:?}");
        ran
    }

    /// The record of the running process.
    pub fn process_record(&self) -> Value {
        serde_json::from_slice(&fs::read(self.process_file()).unwrap()).unwrap()
    }

    pub fn process_file(&self) -> PathBuf {
        self.path("run/apps").join(APP).join("process.json")
    }

    /// The pid of the app's first process.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.process_record()["main"]["pid"].as_i64().unwrap()).unwrap()
    }

    /// The app's folder of state.
    pub fn app_dir(&self) -> PathBuf {
        self.path("state/apps").join(APP)
    }

    /// The app's snapshots, by the names of their folders.
    pub fn snapshots(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.app_dir().join("snapshots")) else { return Vec::new() };
        let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        names
    }

    /// Kills the app itself, and waits until it is gone.
    pub fn kill_app(&self) {
        let pid = self.pid();
        signal(pid, "KILL");
        assert!(eventually(Duration::from_secs(5), || !is_alive(pid)));
    }

    pub fn write_config(&self, config: &Value) {
        fs::write(self.path("warmkeep.json"), serde_json::to_vec_pretty(config).unwrap()).unwrap();
    }

    /// Releases a version of the demo's app with a behaviour (`crashes`, `sick`, `rewrites`, `slow`).
    pub fn release(&self, version: &str, behaviour: &str) {
        let aside = self.path(&format!(".{version}"));
        fs::create_dir_all(&aside).unwrap();
        fs::write(aside.join("behaviour"), behaviour).unwrap();
        fs::rename(aside, self.path("releases").join(version)).unwrap();
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.arg("--config").arg(self.path("warmkeep.json")).args(arguments);
        command.env_remove("WARMKEEP_CONFIG").env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    /// Runs a verb.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        ran(self.command(arguments).output().unwrap())
    }

    /// Runs `converge --json`.
    pub fn converge(&self) -> Ran {
        self.run(&["converge", "--json"])
    }

    /// Runs `converge --json` with a fault; the process may have killed itself.
    pub fn converge_with_fault(&self, fault: &str) -> Ran {
        ran(self.command(&["converge", "--json"]).env("WARMKEEP_FAULT", fault).output().unwrap())
    }

    /// The answer of the app itself.
    pub fn ask(&self, method: &str, path: &str, body: &str) -> Option<String> {
        ask(self.port, method, path, body)
    }

    /// The version that really serves.
    pub fn serving(&self) -> Option<String> {
        self.ask("GET", "/version", "")
    }

    pub fn write_note(&self, text: &str) {
        self.ask("POST", "/notes", text).expect("the app takes a note");
    }

    /// The data folder, byte for byte: names, modes, contents.
    pub fn data(&self) -> Vec<(String, u32, Vec<u8>)> {
        tree(&self.path("data"))
    }

    /// Files and folders under the host's folder that a finished run must not leave.
    pub fn leftovers(&self) -> Vec<String> {
        let mut found = Vec::new();
        walk(self.dir.path(), &mut |path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let bad = name.ends_with(".tmp")
                || name == "journal.jsonl"
                || name == "reserve"
                || name.contains("staging")
                || name.starts_with(".preparing")
                || (name == ".trash" && fs::read_dir(path).is_ok_and(|mut d| d.next().is_some()));
            if bad {
                found.push(path.strip_prefix(self.dir.path()).unwrap_or(path).display().to_string());
            }
        });
        found
    }

    /// The processes of this host: the demo's app by its arguments.
    pub fn processes(&self) -> Vec<i32> {
        let needle = self.dir.path().to_string_lossy().into_owned();
        fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
            .filter(|pid| *pid != i32::try_from(std::process::id()).unwrap())
            .filter(|pid| {
                let cmdline = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                let text = String::from_utf8_lossy(&cmdline).into_owned();
                text.contains("demo-app") && text.contains(&needle)
            })
            .collect()
    }

    pub fn state(&self, app: &str) -> Value {
        let path = self.path("state/apps").join(app).join("state.json");
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    }

    pub fn alerts(&self) -> Vec<Value> {
        self.run(&["alerts", "list", "--json"]).json()["alerts"].as_array().unwrap().clone()
    }
}

impl Host {
    /// What the processes of this host's apps carry in their environment.
    fn marks(&self) -> Vec<String> {
        let apps = fs::read_dir(self.path("run/apps")).into_iter().flatten().flatten();
        let records = apps.filter_map(|app| fs::read(app.path().join("process.json")).ok());
        let records = records.filter_map(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        records.filter_map(|record| Some(format!("WARMKEEP_OWNER={}", record["owner"].as_str()?))).collect()
    }

    /// Kills every process of the apps, also what begins while others are ended.
    pub fn end_everything(&self) {
        let needle = self.dir.path().to_string_lossy().into_owned();
        let marks = self.marks();
        for _ in 0..2 {
            for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
                let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<i32>().ok()) else {
                    continue;
                };
                if u32::try_from(pid) == Ok(std::process::id()) {
                    continue;
                }
                let record = |part: &str| fs::read(format!("/proc/{pid}/{part}")).unwrap_or_default();
                let named = String::from_utf8_lossy(&record("cmdline")).contains(&needle);
                let is_mark = |entry: &[u8]| marks.iter().any(|mark| mark.as_bytes() == entry);
                if named || record("environ").split(|byte| *byte == 0).any(is_mark) {
                    let _ = Command::new("kill").args(["-9", &pid.to_string()]).output();
                }
            }
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Whatever the test left running ends with it.
        self.end_everything();
    }
}

pub fn ran(output: Output) -> Ran {
    use std::os::unix::process::ExitStatusExt;
    Ran {
        code: output.status.code().unwrap_or_else(|| -output.status.signal().unwrap_or(1)),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Sends a signal by its name.
pub fn signal(pid: i32, name: &str) {
    Command::new("kill").args([&format!("-{name}"), "--", &pid.to_string()]).output().unwrap();
}

/// Whether a process runs; a zombie does not.
pub fn is_alive(pid: i32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    !matches!(state, Some('Z' | 'X') | None)
}

/// A folder with everything that a restore must give back: mode, owner, times, link targets, extended attributes.
pub fn full_tree(root: &Path) -> Vec<String> {
    use std::os::unix::fs::MetadataExt;
    let mut paths = vec![root.to_owned()];
    walk(root, &mut |path| paths.push(path.to_owned()));
    paths.sort();
    let line = |path: &PathBuf| {
        let meta = fs::symlink_metadata(path).unwrap();
        let bytes = if meta.is_file() { fs::read(path).unwrap() } else { Vec::new() };
        let target = fs::read_link(path).unwrap_or_default();
        let mut value = [0_u8; 256];
        let length = rustix::fs::lgetxattr(path, "user.warmkeep", &mut value[..]).unwrap_or(0);
        format!(
            "{} {:o} {}:{} {}.{:09} {} {} {}",
            path.strip_prefix(root).unwrap().display(),
            meta.mode(),
            meta.uid(),
            meta.gid(),
            meta.mtime(),
            meta.mtime_nsec(),
            target.display(),
            String::from_utf8_lossy(&value[..length]),
            String::from_utf8_lossy(&bytes).escape_debug(),
        )
    };
    paths.iter().map(line).collect()
}

/// The lines that only one of two trees has; empty: they are the same.
pub fn difference(before: &[String], after: &[String]) -> Vec<String> {
    let only = |mark: &str, of: &[String], other: &[String]| -> Vec<String> {
        of.iter().filter(|line| !other.contains(line)).map(|line| format!("{mark} {line}")).collect()
    };
    [only("-", before, after), only("+", after, before)].concat()
}

/// Asserts that a folder is what it was.
#[track_caller]
pub fn assert_untouched(root: &Path, before: &[String]) {
    assert_eq!(difference(before, &full_tree(root)), Vec::<String>::new(), "{}", root.display());
}

/// Sends one HTTP request to a loopback port; the body of a 2xx answer.
pub fn ask(port: u16, method: &str, path: &str, body: &str) -> Option<String> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.split_whitespace().nth(1)?.starts_with('2').then(|| body.to_owned())
}

/// Waits for something to come true.
pub fn eventually(limit: Duration, mut what: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < limit {
        if what() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

/// A folder, entry by entry.
pub fn tree(root: &Path) -> Vec<(String, u32, Vec<u8>)> {
    use std::os::unix::fs::MetadataExt;
    let mut all = Vec::new();
    walk(root, &mut |path| {
        let meta = fs::symlink_metadata(path).unwrap();
        let bytes = if meta.is_file() { fs::read(path).unwrap() } else { Vec::new() };
        all.push((path.strip_prefix(root).unwrap().display().to_string(), meta.mode(), bytes));
    });
    all.sort();
    all
}

pub fn walk(folder: &Path, visit: &mut dyn FnMut(&Path)) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        visit(&path);
        if fs::symlink_metadata(&path).is_ok_and(|m| m.is_dir()) {
            walk(&path, visit);
        }
    }
}

/// Says loudly that a live test cannot run here; where it must run, it fails.
pub fn skip(test: &str, missing: &str, how: &str) {
    assert!(
        std::env::var_os("WARMKEEP_REQUIRE_LIVE").is_none(),
        "{test}: {missing} is missing, and WARMKEEP_REQUIRE_LIVE is set ({how})"
    );
    say(&format!("SKIPPED {test}: {missing} is missing; {how}"));
}

/// Says something that is seen even when the test passes: the test harness captures what is printed.
pub fn say(text: &str) {
    use std::io::Write;
    std::io::stderr().write_all(format!("{text}\n").as_bytes()).unwrap();
}
