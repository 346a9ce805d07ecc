//! The night on a real system: it switches the system that it runs on, and is switched under its own feet.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests drive the real system"
)]

mod common;

use std::time::Duration;

use common::eventually;
use common::machine::{CONFIG, Machine, WARMKEEP};
use common::system::{FLAKE, System};
use serde_json::{Value, json};

const NIGHTLY: &str = "warmkeep-nightly.service";
const CONTINUED: &str = "warmkeep-nightly-continued.service";
const RUNS: &str = "/var/lib/warmkeep/runs";

/// A machine whose system is one of ours, with the units of one warm app in it that serves 1.0.0; 1.1.0 is released.
struct Night {
    machine: Machine,
    system: System,
    first: String,
}

impl Night {
    fn before() -> Option<Self> {
        let machine = Machine::boot("live_nightly")?;
        machine.write(CONFIG, &config().to_string());
        machine.sh("mkdir -p /var/lib/notes");
        release(&machine, "1.0.0");
        let system = units(&machine)
            .into_iter()
            .fold(System::new("26.05"), |system, (name, text)| system.unit(&name, &text));
        let first = machine.install_system(&system);
        machine.sh("systemctl start warmkeep-notes.service");
        let night = Self { machine, system, first };
        assert_eq!(night.serving(), "1.0.0");
        release(&night.machine, "1.1.0");
        Some(night)
    }

    /// The flake becomes that of a changed system.
    fn change(&self, change: impl FnOnce(System) -> System) {
        self.machine.write_system(&change(self.system.clone().version("26.11")));
    }

    fn serving(&self) -> String {
        self.machine.ask(8082, "GET", "/version", "").unwrap_or_else(|| "nothing".to_owned())
    }

    /// Starts the night as its timer does.
    fn start(&self) {
        self.machine.sh(&format!("systemctl start --no-block {NIGHTLY}"));
    }

    fn reports(&self) -> Vec<Value> {
        let all = self.machine.sh(&format!("cat {RUNS}/*.json 2>/dev/null || true"));
        serde_json::Deserializer::from_str(&all).into_iter().map(Result::unwrap).collect()
    }

    /// The report of the one night there was.
    #[track_caller]
    fn report(&self) -> Value {
        let over = eventually(Duration::from_secs(90), || {
            !self.reports().is_empty()
                && self.machine.run(&["test", "-e", "/var/lib/warmkeep/night.json"]).code == 1
        });
        assert!(over, "{}", self.log());
        let mut reports = self.reports();
        assert_eq!(reports.len(), 1, "{reports:?}");
        reports.remove(0)
    }

    fn log(&self) -> String {
        self.machine.journal("warmkeep-*") + &self.machine.journal("nixos-rebuild-*")
    }

    #[track_caller]
    fn assert_switched(&self, report: &Value) {
        assert_eq!(report["rebuild"]["outcome"], "switched", "{report:#}\n{}", self.log());
        assert_ne!(self.machine.current_system(), self.first);
        assert_eq!(self.machine.current_system(), self.machine.profile());
        assert_eq!(
            (report["apps"][0]["outcome"].as_str(), self.serving().as_str()),
            (Some("upgraded"), "1.1.0")
        );
    }
}

fn release(machine: &Machine, version: &str) {
    machine.write_on_host(&format!("/srv/notes/{version}/behaviour"), "");
}

fn config() -> Value {
    json!({
        "schema": 1,
        "apps": { "notes": {
            "driver": { "process": {
                "command": [
                    WARMKEEP, "demo-app", "--port", "8082", "--data", "{data}", "--release", "{release}",
                    "--version-name", "{version}"
                ],
                "stopTimeout": "5s"
            } },
            "data": { "paths": ["/var/lib/notes"] },
            "versions": { "source": { "directory": { "path": "/srv/notes" } }, "policy": "minor" },
            "health": {
                "checks": { "http": { "http": { "url": "http://127.0.0.1:8082/healthz" } } },
                "interval": "10ms", "timeout": "5s", "passes": 2, "soak": "20ms"
            }
        } },
        "nightly": { "rebuild": { "flake": "/etc/nixos#host" } }
    })
}

/// The generated units, by their names.
fn units(machine: &Machine) -> Vec<(String, String)> {
    let out = "/root/units";
    let ran = machine.warmkeep(&["generate", "--format", "systemd", "--out", out]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let names = machine.sh(&format!("cd {out}; ls -d warmkeep-*"));
    names.lines().map(|name| (name.to_owned(), machine.read(&format!("{out}/{name}")))).collect()
}

/// The activation waits until the file `/run/go` is there.
const WAITS: &str = "touch /run/waits; until [ -e /run/go ]; do sleep 0.05; done";

impl Night {
    /// A night whose service was killed while the activation waits.
    fn killed_during_its_switch() -> Option<Self> {
        let night = Self::before()?;
        night.change(|system| system.script("activation", WAITS));
        night.start();
        night.wait_for_file("/run/waits");
        night.machine.sh(&format!("systemctl kill --signal=KILL {NIGHTLY}"));
        night.machine.wait_for(NIGHTLY, "ActiveState", "failed");
        Some(night)
    }

    #[track_caller]
    fn wait_for_file(&self, path: &str) {
        let there = || self.machine.run(&["test", "-e", path]).code == 0;
        assert!(eventually(Duration::from_secs(60), there), "{path}\n{}", self.log());
    }

    fn exists(&self, path: &str) -> bool {
        self.machine.run(&["test", "-e", path]).code == 0
    }
}

#[test]
fn a_night_switches_the_system_and_then_upgrades_the_apps() {
    let Some(night) = Night::before() else { return };
    night.change(|system| system.package("tool-2.0", "new"));
    night.start();
    let report = night.report();
    night.assert_switched(&report);
    assert_eq!(report["rebuild"]["diff"]["added"][0]["name"], "tool", "{report:#}");
    assert_eq!(night.machine.property(NIGHTLY, "Result"), "success");

    // The next night has nothing to do.
    night.machine.sh(&format!("rm {RUNS}/*; systemctl start {NIGHTLY}"));
    let report = night.report();
    assert_eq!(report["rebuild"]["outcome"], "noop", "{report:#}");
    assert_eq!(report["apps"][0]["outcome"], "noop", "{report:#}");
}

#[test]
fn the_apps_are_upgraded_also_where_the_system_cannot_be_built() {
    let Some(night) = Night::before() else { return };
    night.machine.sh(&format!("rm {FLAKE}/flake.nix"));
    night.start();
    let report = night.report();
    assert_eq!(report["rebuild"]["outcome"], "failed", "{report:#}");
    assert_eq!(report["apps"][0]["outcome"], "upgraded", "{report:#}");
    assert_eq!(night.machine.property(NIGHTLY, "ExecMainStatus"), "1");
    assert_eq!(night.machine.current_system(), night.first);
}

#[test]
fn a_switch_to_another_warmkeep_is_carried_on_by_it_in_the_same_process() {
    let Some(night) = Night::before() else { return };
    let mut config = config();
    config["apps"]["notes"]["hooks"] = json!({ "afterDeploy": ["sh", "-c", WAITS] });
    night.machine.write(CONFIG, &config.to_string());
    night.change(|system| system.warmkeep("9.9"));
    night.start();
    night.wait_for_file("/run/waits");
    let pid = night.machine.property(NIGHTLY, "MainPID");
    let binary = night.machine.sh(&format!("readlink -f /proc/{pid}/exe"));
    let theirs = night.machine.sh("readlink -f /run/current-system/sw/bin/warmkeep");
    assert_eq!(binary, theirs);
    assert!(theirs.starts_with("/nix/store/"), "{theirs}");
    let other = night.machine.warmkeep(&["converge", "--json"]);
    assert_eq!(other.code, 75, "the lock went over with it: {other:?}");
    night.machine.sh("touch /run/go");
    night.assert_switched(&night.report());
}

/// Neither ends if both wait: the switch for the restarted unit to have started, the night for the switch.
#[test]
fn a_switch_that_restarts_the_night_s_own_unit_ends_and_so_does_the_night() {
    let Some(night) = Night::before() else { return };
    night.change(|system| system.script("activation", &format!("systemctl restart {NIGHTLY}")));
    night.start();
    let report = night.report();
    night.assert_switched(&report);
    let continued = night.machine.journal(CONTINUED);
    assert!(!continued.is_empty() && !continued.contains("-- No entries --"), "{}", night.log());
}

#[test]
fn a_switch_that_removes_the_night_s_units_lets_it_come_to_its_end() {
    let Some(night) = Night::before() else { return };
    night.change(|system| system.without_unit(NIGHTLY).without_unit("warmkeep-nightly.timer"));
    night.start();
    night.assert_switched(&night.report());
    assert_eq!(night.machine.property(NIGHTLY, "LoadState"), "not-found");
}

#[test]
fn a_night_that_is_stopped_in_the_middle_of_its_switch_is_carried_on_by_the_next() {
    let Some(night) = Night::before() else { return };
    night.change(|system| system.script("activation", &format!("systemctl stop {NIGHTLY}")));
    night.start();
    let switched = eventually(Duration::from_secs(60), || night.machine.current_system() != night.first);
    assert!(switched, "{}", night.log());
    assert!(night.exists("/var/lib/warmkeep/night.json"));
    assert_eq!(night.serving(), "1.0.0");
    night.machine.sh(&format!("systemctl start {NIGHTLY}"));
    night.assert_switched(&night.report());
}

#[test]
fn a_night_that_is_killed_during_the_switch_is_carried_on_by_the_next_which_waits_for_the_switch() {
    let Some(night) = Night::killed_during_its_switch() else { return };
    let state = night.machine.property("nixos-rebuild-switch-to-configuration.service", "ActiveState");
    assert_eq!(state, "active", "the switch goes on: {}", night.log());
    night.start();
    night.machine.sh("sleep 1; touch /run/go");
    night.assert_switched(&night.report());
}

#[test]
fn a_night_that_leaves_its_unit_says_so_in_one_document_and_goes_on_whatever_its_names_hold() {
    let Some(night) = Night::killed_during_its_switch() else { return };
    let odd = "/etc/odd $HOME/warm%keep.json";
    night.machine.write(odd, &config().to_string());
    let unit = ["systemd-run", "--quiet", "--wait", "--pipe", "--unit=by-hand", "sh", "-c"];
    let script = format!("exec env 'BASH_FUNC_x%%=() {{ :; }}' {WARMKEEP} --config '{odd}' nightly --json")
        .replace('$', "$$");
    let ran = night.machine.run(&[&unit[..], &[&script]].concat());
    assert_eq!((ran.code, ran.json()["rebuild"]["outcome"].as_str()), (0, Some("busy")), "{ran:?}");
    night.machine.sh("touch /run/go");
    night.assert_switched(&night.report());
}
