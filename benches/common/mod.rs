//! What the benchmarks share: a host with many small apps, time taken, a table with a verdict.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::missing_panics_doc,
    unreachable_pub,
    dead_code,
    reason = "benchmarks drive the real system, and each uses its own part"
)]

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Duration;

use serde_json::{Value, json};

/// What a program took.
#[derive(Debug, Clone, Copy)]
pub struct Took {
    pub wall: Duration,
    /// User and system time of it and of all that it waited for.
    pub cpu: Duration,
}

/// Runs a program and measures it as the shell's `time` does; what it printed on stdout.
pub fn measure(argv: &[String]) -> (Took, String) {
    let output = Command::new("bash")
        .args(["-c", "TIMEFORMAT='%3R %3U %3S'; time \"$@\" 2>/dev/null", "bash"])
        .args(argv)
        .env("NO_COLOR", "1")
        .env("LC_ALL", "C")
        .output()
        .expect("bash is there");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let beginning = || stdout.lines().take(40).collect::<Vec<_>>().join("\n");
    assert!(output.status.success(), "{argv:?}: {said}{}", beginning());
    let line = said.lines().last().unwrap_or_default().to_owned();
    let seconds: Vec<f64> = line.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    assert_eq!(seconds.len(), 3, "{said}");
    let took = Took {
        wall: Duration::from_secs_f64(seconds[0]),
        cpu: Duration::from_secs_f64(seconds[1] + seconds[2]),
    };
    (took, stdout)
}

/// Runs it several times; the medians.
pub fn median(runs: usize, mut once: impl FnMut() -> Took) -> Took {
    let took: Vec<Took> = (0..runs).map(|_| once()).collect();
    Took {
        wall: middle(took.iter().map(|took| took.wall).collect()),
        cpu: middle(took.iter().map(|took| took.cpu).collect()),
    }
}

fn middle(mut all: Vec<Duration>) -> Duration {
    all.sort();
    all[all.len() / 2]
}

/// Milliseconds.
pub fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Figures against their bars.
#[derive(Debug, Default)]
pub struct Table {
    missed: usize,
}

impl Table {
    /// Begins with the machine.
    pub fn new(title: &str) -> Self {
        println!("{title}");
        println!("machine: {}", machine());
        println!("{:<58} {:>12} {:>12}  verdict", "figure (median)", "measured", "bar");
        Self::default()
    }

    /// A figure that must not be above its bar.
    pub fn bar(&mut self, what: &str, measured: f64, bar: f64, unit: &str) {
        let good = measured <= bar;
        self.missed += usize::from(!good);
        let verdict = if good { "PASS" } else { "FAIL" };
        println!(
            "{what:<58} {:>12} {:>12}  {verdict}",
            format!("{measured:.3} {unit}"),
            format!("≤ {bar} {unit}")
        );
    }

    /// A figure to know.
    pub fn note(what: &str, measured: f64, unit: &str) {
        println!("{what:<58} {:>12}", format!("{measured:.3} {unit}"));
    }

    /// The exit code: failure where a bar was missed.
    pub fn end(&self) -> ExitCode {
        if self.missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

fn machine() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let model = model.trim_start_matches([' ', '\t', ':']);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "{cores} cores, {model}, Linux {}, load before {}",
        kernel.trim(),
        load.split_whitespace().next().unwrap_or_default()
    )
}

/// Ports that were free a moment ago, all different.
pub fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<TcpListener> = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

/// A host with many apps.
pub struct Site {
    dir: tempfile::TempDir,
}

impl Site {
    pub fn new() -> Self {
        Self { dir: tempfile::Builder::new().prefix("warmkeep-bench-").tempdir().unwrap() }
    }

    pub fn path(&self, part: &str) -> PathBuf {
        self.dir.path().join(part)
    }

    pub fn text(&self, part: &str) -> String {
        self.path(part).to_string_lossy().into_owned()
    }

    /// Releases a version for all of them.
    pub fn release(&self, version: &str) {
        fs::create_dir_all(self.path("releases").join(version)).unwrap();
    }

    /// Declares these apps.
    pub fn declare(&self, apps: impl Iterator<Item = Value>) {
        let apps: serde_json::Map<String, Value> =
            apps.enumerate().map(|(number, app)| (format!("app-{number:05}"), app)).collect();
        let host = json!({ "stateDir": self.text("state"), "runtimeDir": self.text("run") });
        let config = json!({ "schema": 1, "host": host, "apps": apps });
        fs::write(self.path("warmkeep.json"), serde_json::to_vec_pretty(&config).unwrap()).unwrap();
    }

    /// The argv of a verb.
    pub fn argv(&self, verb: &[&str]) -> Vec<String> {
        let own = [env!("CARGO_BIN_EXE_warmkeep"), "--config", &self.text("warmkeep.json")];
        own.iter().chain(verb).map(|&word| word.to_owned()).collect()
    }

    /// Converges all apps, once; each must end with this outcome.
    pub fn converge(&self, outcome: &str, number: usize) -> Took {
        let (took, report) = measure(&self.argv(&["converge", "--json"]));
        let report: Value = serde_json::from_str(&report).unwrap();
        let apps = report["apps"].as_array().unwrap();
        assert_eq!(apps.len(), number);
        assert!(apps.iter().all(|app| app["outcome"] == outcome), "{report:#}");
        took
    }
}

impl Drop for Site {
    /// A supervisor that ends takes its app with it.
    fn drop(&mut self) {
        for folder in fs::read_dir(self.path("run/apps")).into_iter().flatten().flatten() {
            let record = fs::read(folder.path().join("process.json")).unwrap_or_default();
            let record: Value = serde_json::from_slice(&record).unwrap_or_default();
            for who in ["supervisor", "main"] {
                let started = record[who]["startTime"].as_u64();
                let ours = |pid: &i64| started.is_some() && start_of(*pid) == started;
                if let Some(pid) = record[who]["pid"].as_i64().filter(ours) {
                    let _ = Command::new("kill").args(["-9", &pid.to_string()]).output();
                }
            }
        }
    }
}

/// When a process started, in clock ticks after boot: a pid that came to somebody else is not ours.
fn start_of(pid: i64) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}
