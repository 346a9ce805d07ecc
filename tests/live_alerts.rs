//! The units that tell people, under a real systemd: nothing is missed, nothing is told in a loop, and the sandbox leaves
//! the relay what it needs.

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
use serde_json::{Value, json};

const SERVICE: &str = "warmkeep-alerts.service";
const UNITS: &str = "/etc/systemd/system";
const PORT: u16 = 8081;

/// A machine with the alerts' units of a sink in use, and an app that gives cause for alerts.
fn telling(sink: &Value, drop_in: &str) -> Option<Machine> {
    let machine = Machine::boot("live_alerts")?;
    let app = json!({
        "driver": { "process": { "command": [
            WARMKEEP, "demo-app", "--port", PORT.to_string(), "--data", "/srv/data", "--release", "/srv/notes/{version}",
            "--version-name", "{version}"
        ] } },
        "versions": { "source": { "directory": { "path": "/srv/notes" } }, "policy": "minor" },
        "health": {
            "checks": { "http": { "http": { "url": format!("http://127.0.0.1:{PORT}/healthz") } } },
            "interval": "10ms", "timeout": "5s", "passes": 1, "soak": "0s"
        }
    });
    machine.sh("mkdir -p /srv/notes/1.0.0 /srv/data");
    let config = json!({ "schema": 1, "apps": { "notes": app }, "alerts": { "sinks": { "s": sink } } });
    machine.write(CONFIG, &config.to_string());
    let ran = machine.warmkeep(&["converge"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let made = machine.warmkeep(&["generate", "--format", "systemd", "--out", UNITS]);
    assert_eq!(made.code, 0, "{made:?}");
    machine.write(&format!("{UNITS}/{SERVICE}.d/test.conf"), drop_in);
    machine.sh("systemctl daemon-reload; systemctl start warmkeep-alerts.path");
    Some(machine)
}

/// A major step is held, and a person told.
fn release(machine: &Machine, version: &str) {
    machine.sh(&format!("mkdir /srv/notes/{version}"));
    let ran = machine.warmkeep(&["converge"]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

fn open(machine: &Machine) -> usize {
    let listed = machine.warmkeep(&["alerts", "list", "--json"]).json();
    listed["alerts"].as_array().unwrap().len()
}

fn starts(machine: &Machine) -> usize {
    machine.journal(SERVICE).matches("Starting ").count()
}

#[track_caller]
fn all_told(machine: &Machine) {
    let log = || machine.journal("warmkeep-alerts.*");
    assert!(eventually(Duration::from_secs(20), || open(machine) == 0), "{}", log());
    machine.wait_for(SERVICE, "ActiveState", "inactive");
    let so_far = starts(machine);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(starts(machine), so_far, "{}", log());
    assert_eq!(machine.property("warmkeep-alerts.path", "ActiveState"), "active");
}

#[test]
fn while_a_sink_is_down_the_relay_waits_and_afterwards_it_tells() {
    // As when the pauses between attempts are over: they are the relay's own, and longer than a test.
    let soon = format!(
        "[Service]\nRestartSec=3s\nExecStart=\nExecStart={WARMKEEP} --config {CONFIG} alerts relay --now\n"
    );
    let sink = json!({ "command": { "run": ["sh", "-c", "test -e /run/up && cat >>/var/lib/told"] } });
    let Some(machine) = telling(&sink, &soon) else { return };
    release(&machine, "2.0.0");
    machine.wait_for(SERVICE, "SubState", "auto-restart");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(starts(&machine), 1, "{}", machine.journal(SERVICE));
    assert_eq!(machine.property("warmkeep-alerts.path", "ActiveState"), "active");
    // A second one, while it waits, brings it no sooner.
    release(&machine, "3.0.0");
    assert_eq!(starts(&machine), 1, "{}", machine.journal(SERVICE));
    machine.sh("touch /run/up");
    all_told(&machine);
    assert!(machine.read("/var/lib/told").contains("3.0.0"));
}

#[test]
fn an_alert_that_is_written_while_the_relay_runs_is_told_by_the_next_one() {
    let wait = "touch /run/in; until [ -e /run/go ]; do sleep 0.05; done; cat >>/var/lib/told";
    let Some(machine) = telling(&json!({ "command": { "run": ["sh", "-c", wait] } }), "") else { return };
    release(&machine, "2.0.0");
    assert!(eventually(Duration::from_secs(20), || machine.run(&["ls", "/run/in"]).code == 0));
    release(&machine, "3.0.0");
    machine.sh("touch /run/go");
    all_told(&machine);
    let told = machine.read("/var/lib/told");
    assert!(told.contains("2.0.0") && told.contains("3.0.0"), "{told}");
    assert_eq!(starts(&machine), 2);
}

#[test]
fn while_another_relay_is_at_work_the_unit_waits() {
    let sink = json!({ "command": { "run": ["sh", "-c", "cat >>/var/lib/told"] } });
    let Some(machine) = telling(&sink, "[Service]\nRestartSec=2s\n") else { return };
    machine.sh("systemctl stop warmkeep-alerts.path");
    release(&machine, "2.0.0");
    let lock = machine.sh("warmkeep --config /etc/warmkeep.json alerts relay >/dev/null; find /var/lib/warmkeep -path '*relay*' -name lock");
    release(&machine, "3.0.0");
    machine.sh(&format!("systemd-run -q --unit=other flock {lock} sleep infinity; until ! flock -n {lock} true; do sleep 0.05; done"));
    machine.sh("systemctl start warmkeep-alerts.path");
    machine.wait_for(SERVICE, "SubState", "auto-restart");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(starts(&machine), 1, "{}", machine.journal(SERVICE));
    machine.sh("systemctl stop other");
    all_told(&machine);
}

#[test]
fn a_webhook_is_told_from_within_the_whole_sandbox() {
    let url = format!("http://127.0.0.1:{PORT}/notes");
    let sink = json!({ "webhook": { "url": url, "bearerFile": "/root/keys/token" } });
    let Some(machine) = telling(&sink, "") else { return };
    machine.write("/root/keys/token", "hidden by ProtectHome\n");
    assert_eq!(machine.property(SERVICE, "ProtectHome"), "yes");
    release(&machine, "2.0.0");
    all_told(&machine);
    let notes = machine.ask(PORT, "GET", "/notes", "").unwrap_or_default();
    assert!(notes.contains("2.0.0"), "{notes}");
    assert_eq!(starts(&machine), 1, "{}", machine.journal(SERVICE));
}

#[test]
fn a_relay_that_leaves_alerts_behind_and_says_that_all_is_well_is_ended() {
    let idle = "[Service]\nExecStart=\nExecStart=/bin/true\n";
    let Some(machine) = telling(&json!({ "command": { "run": ["cat"] } }), idle) else { return };
    release(&machine, "2.0.0");
    machine.wait_for("warmkeep-alerts.path", "ActiveState", "failed");
    let so_far = starts(&machine);
    assert!(so_far <= 301, "{so_far}");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(starts(&machine), so_far);
}
