//! The generated units under a real systemd: what they do at boot, at night, when an alert appears, and when things die.

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

const UNITS: &str = "/etc/systemd/system";

/// A machine with two apps, the second after the first, both at 1.0.0, declared and not yet installed.
struct Apps {
    machine: Machine,
}

const BASE: &str = "base";
const NOTES: &str = "notes";

fn port(app: &str) -> u16 {
    if app == BASE { 8081 } else { 8082 }
}

impl Apps {
    fn boot() -> Option<Self> {
        let apps = Self { machine: Machine::boot("live_units")? };
        for app in [BASE, NOTES] {
            apps.release(app, "1.0.0", "");
            apps.machine.sh(&format!("mkdir -p /var/lib/{app}"));
        }
        apps.configure(|_| ());
        Some(apps)
    }

    /// The same with its units generated, enabled, and in use; both apps serve.
    fn running(change: impl FnOnce(&mut Value)) -> Option<Self> {
        let apps = Self::boot()?;
        apps.configure(change);
        apps.generate();
        apps.machine.sh("systemctl start 'warmkeep-base.service' 'warmkeep-notes.service'");
        assert_eq!(apps.serving(), ["1.0.0", "1.0.0"]);
        Some(apps)
    }

    fn release(&self, app: &str, version: &str, behaviour: &str) {
        let releases = format!("/srv/{app}");
        let aside = format!("{releases}/.{version}");
        self.machine.write_on_host(&format!("{aside}/behaviour"), behaviour);
        std::fs::rename(
            self.machine.host_path(&aside),
            self.machine.host_path(&format!("{releases}/{version}")),
        )
        .unwrap();
    }

    /// Writes the configuration, with a change to it.
    fn configure(&self, change: impl FnOnce(&mut Value)) {
        let mut config = json!({
            "schema": 1,
            "apps": { BASE: app_config(BASE, &[]), NOTES: app_config(NOTES, &[BASE]) }
        });
        change(&mut config);
        self.machine.write(CONFIG, &config.to_string());
    }

    /// Writes the units where systemd reads them, and enables all that can be.
    fn generate(&self) {
        let ran = self.machine.warmkeep(&["generate", "--format", "systemd", "--out", UNITS]);
        assert_eq!(ran.code, 0, "{ran:?}");
        self.machine.sh(&format!(
            "systemctl daemon-reload; cd {UNITS}; \
             grep -l '^\\[Install\\]' warmkeep-*.* | xargs systemctl enable --quiet"
        ));
    }

    /// What each app says that it is.
    fn serving(&self) -> [String; 2] {
        [BASE, NOTES].map(|app| {
            self.machine.ask(port(app), "GET", "/version", "").unwrap_or_else(|| "nothing".to_owned())
        })
    }

    fn pid(&self, app: &str) -> String {
        let record = self.machine.read(&format!("/run/warmkeep/apps/{app}/process.json"));
        serde_json::from_str::<Value>(&record).unwrap()["main"]["pid"].to_string()
    }

    /// A moment in the life of a unit, in microseconds since the boot; it must have come.
    #[track_caller]
    fn at(&self, unit: &str, moment: &str) -> u64 {
        let text = self.machine.property(unit, &format!("{moment}TimestampMonotonic"));
        let at = text.parse().unwrap();
        assert_ne!(at, 0, "{moment} of {unit}\n{}", self.machine.journal(unit));
        at
    }

    #[track_caller]
    fn assert_up(&self, app: &str) {
        let unit = format!("warmkeep-{app}.service");
        let state =
            ["ActiveState", "SubState", "Result"].map(|property| self.machine.property(&unit, property));
        assert_eq!(state, ["active", "exited", "success"], "{}", self.machine.journal(&unit));
    }

    /// A write that an app keeps.
    fn write_note(&self, text: &str) {
        self.machine.ask(port(NOTES), "POST", "/notes", text).expect("the app takes a note");
    }

    fn notes(&self) -> String {
        self.machine.ask(port(NOTES), "GET", "/notes", "").unwrap_or_default()
    }
}

fn app_config(app: &str, after: &[&str]) -> Value {
    json!({
        "driver": { "process": {
            "command": [
                WARMKEEP, "demo-app", "--port", port(app).to_string(), "--data", "{data}", "--release", "{release}",
                "--version-name", "{version}"
            ],
            "stopTimeout": "5s"
        } },
        "data": { "paths": [format!("/var/lib/{app}")] },
        "versions": { "source": { "directory": { "path": format!("/srv/{app}") } }, "policy": "minor" },
        "health": {
            "checks": { "http": { "http": { "url": format!("http://127.0.0.1:{}/healthz", port(app)) } } },
            "interval": "10ms", "timeout": "5s", "passes": 2, "soak": "20ms"
        },
        "after": after
    })
}

/// Where the sink writes what it was told: a folder that the relay's unit may write to.
const TOLD: &str = "/var/lib/warmkeep/alerts/told";

fn with_sink(config: &mut Value) {
    let write = format!("cat >>{TOLD}");
    config["alerts"] = json!({ "sinks": { "file": { "command": { "run": ["sh", "-c", write] } } } });
}

#[test]
fn the_generated_units_load_without_a_warning() {
    let Some(apps) = Apps::boot() else { return };
    apps.configure(with_sink);
    apps.generate();
    let verified = apps.machine.run(&["sh", "-c", &format!("systemd-analyze verify {UNITS}/warmkeep-*.*")]);
    assert_eq!((verified.code, verified.stdout.as_str(), verified.stderr.as_str()), (0, "", ""));
    let names = apps.machine.sh(&format!("cd {UNITS}; ls -d warmkeep-*"));
    let names: Vec<&str> = names.lines().collect();
    let wanted = [
        "alerts.path",
        "alerts.service",
        "base.service",
        "nightly.service",
        "nightly.timer",
        "notes.service",
    ];
    assert_eq!(names, wanted.map(|name| format!("warmkeep-{name}")));
}

#[test]
fn a_boot_brings_each_app_up_in_its_order_and_upgrades_none() {
    let Some(mut apps) = Apps::running(|_| ()) else { return };
    apps.write_note("before the cut");
    apps.release(BASE, "1.1.0", "");
    apps.release(NOTES, "1.1.0", "");

    apps.machine.reboot_hard();

    apps.assert_up(BASE);
    apps.assert_up(NOTES);
    assert_eq!(apps.serving(), ["1.0.0", "1.0.0"], "a boot is not an upgrade");
    assert!(apps.notes().contains("before the cut"));
    let (ready, started) = (
        apps.at("warmkeep-base.service", "ExecMainExit"),
        apps.at("warmkeep-notes.service", "ExecMainStart"),
    );
    assert!(ready <= started, "base was ready at {ready} µs, notes started at {started} µs");
    assert_eq!(apps.machine.sh("systemctl is-system-running"), "running");

    let night = apps.machine.run(&["systemctl", "start", "warmkeep-nightly.service"]);
    assert_eq!(night.code, 0, "{}", apps.machine.journal("warmkeep-nightly.service"));
    assert_eq!(apps.serving(), ["1.1.0", "1.1.0"]);
}

#[test]
fn what_a_unit_started_outlives_the_unit() {
    let Some(apps) = Apps::running(|_| ()) else { return };
    let first = apps.pid(NOTES);
    apps.machine.sh("systemctl restart warmkeep-notes.service");
    assert_eq!(apps.pid(NOTES), first, "a restart of a unit that finds the app up leaves it be");
    apps.machine.sh("systemctl stop warmkeep-notes.service warmkeep-base.service");
    assert_eq!(apps.serving(), ["1.0.0", "1.0.0"]);

    apps.release(NOTES, "1.1.0", "");
    apps.machine.sh("systemctl start warmkeep-nightly.service");
    assert_eq!(apps.machine.property("warmkeep-nightly.service", "ActiveState"), "inactive");
    assert_ne!(apps.pid(NOTES), first);
    assert_eq!(apps.serving(), ["1.0.0", "1.1.0"]);
    let scopes =
        apps.machine.sh("systemctl list-units --plain --no-legend 'warmkeep-app-*.scope' | cut -d- -f3");
    assert_eq!(scopes.lines().collect::<Vec<_>>(), [BASE, NOTES]);
}

#[test]
fn a_unit_ends_at_once_and_well_while_the_nightly_run_holds_the_host() {
    let Some(apps) = Apps::running(|_| ()) else { return };
    apps.machine.sh("systemctl stop warmkeep-notes.service; \
         systemd-run -q --unit=night flock /var/lib/warmkeep/host.lock sleep infinity; \
         until ! flock -n /var/lib/warmkeep/host.lock true; do sleep 0.05; done");
    apps.machine.sh(&format!("kill -9 {}", apps.pid(NOTES)));
    apps.machine.sh("timeout 5 systemctl start warmkeep-notes.service");
    apps.assert_up(NOTES);
    assert_eq!(apps.serving()[1], "nothing", "the night has the app in hand");
    let said = apps.machine.journal("warmkeep-notes.service");
    assert!(said.contains("busy"), "{said}");
}

/// The upgrade of notes waits, with the new version deployed, until the file `/run/go` is there.
fn waiting_upgrade(config: &mut Value) {
    let wait = "touch /run/waits; until [ -e /run/go ]; do sleep 0.05; done";
    config["apps"][NOTES]["hooks"] = json!({ "afterDeploy": ["sh", "-c", wait] });
}

impl Apps {
    /// Starts a night and comes back when it is in the middle of the upgrade of notes.
    fn start_night(&self) {
        self.machine.sh("systemctl start --no-block warmkeep-nightly.service");
        let waits = eventually(Duration::from_secs(20), || self.machine.run(&["ls", "/run/waits"]).code == 0);
        assert!(waits, "{}", self.machine.journal("warmkeep-nightly.service"));
    }

    fn end_night(&self) {
        self.machine.sh("touch /run/go");
        self.machine.wait_for("warmkeep-nightly.service", "ActiveState", "inactive");
        assert_eq!(self.machine.property("warmkeep-nightly.service", "Result"), "success");
    }
}

/// As a switch does in the night that it belongs to; if a unit waited for the night, neither would ever end.
#[test]
fn units_can_be_restarted_and_waited_for_in_the_middle_of_a_night() {
    let Some(apps) = Apps::running(|_| ()) else { return };
    apps.configure(waiting_upgrade);
    apps.release(NOTES, "1.1.0", "");
    apps.start_night();
    let restarted =
        apps.machine.run(&["timeout", "10", "systemctl", "restart", "warmkeep-base", "warmkeep-notes"]);
    assert_eq!(restarted.code, 0, "{restarted:?}");
    apps.assert_up(BASE);
    apps.assert_up(NOTES);
    assert_eq!(apps.machine.property("warmkeep-nightly.service", "ActiveState"), "activating");
    apps.end_night();
    assert_eq!(apps.serving(), ["1.0.0", "1.1.0"]);
}

#[test]
fn a_night_that_is_killed_leaves_the_apps_up_and_the_next_one_finishes_its_work() {
    let Some(apps) = Apps::running(|_| ()) else { return };
    apps.configure(waiting_upgrade);
    apps.release(NOTES, "1.1.0", "");
    apps.start_night();
    apps.machine.sh("systemctl kill --signal=KILL warmkeep-nightly.service");
    apps.machine.wait_for("warmkeep-nightly.service", "ActiveState", "failed");
    assert_eq!(apps.serving(), ["1.0.0", "1.1.0"], "what was deployed lives in a scope of its own");
    let deployed = apps.pid(NOTES);
    apps.machine.sh("touch /run/go; systemctl start warmkeep-nightly.service");
    assert_eq!((apps.serving(), apps.pid(NOTES)), (["1.0.0".to_owned(), "1.1.0".to_owned()], deployed));
    assert_eq!(apps.machine.warmkeep(&["converge", "--json"]).outcome(NOTES), "noop");
}

#[test]
fn a_night_that_is_stopped_first_brings_the_app_that_it_has_touched_up() {
    let Some(apps) = Apps::running(|_| ()) else { return };
    apps.configure(waiting_upgrade);
    apps.release(NOTES, "1.1.0", "");
    apps.start_night();
    apps.machine.sh("systemctl stop --no-block warmkeep-nightly.service; sleep 1");
    assert_eq!(apps.machine.property("warmkeep-nightly.service", "ActiveState"), "deactivating");
    apps.end_night();
    assert_eq!(apps.serving(), ["1.0.0", "1.1.0"]);
}

/// The shutdown ends the apps at once: that the new version is down then is no fault of its own.
#[test]
fn a_shutdown_in_the_middle_of_an_upgrade_blames_nobody_and_the_boot_finishes_it() {
    let Some(mut apps) = Apps::running(|_| ()) else { return };
    apps.write_note("before the shutdown");
    apps.configure(|config| {
        let wait = "test -e /run/waits || { touch /run/waits; sleep 2; }";
        config["apps"][NOTES]["hooks"] = json!({ "afterDeploy": ["sh", "-c", wait] });
    });
    apps.release(NOTES, "1.1.0", "");
    apps.start_night();

    apps.machine.reboot();

    apps.assert_up(NOTES);
    assert_eq!(apps.serving(), ["1.0.0", "1.1.0"]);
    assert!(apps.notes().contains("before the shutdown"));
    let alerts = apps.machine.warmkeep(&["alerts", "list", "--json"]).json();
    let kinds: Vec<&Value> =
        alerts["alerts"].as_array().unwrap().iter().map(|alert| &alert["kind"]).collect();
    assert_eq!(kinds, ["recovered"]);
}

#[test]
fn docker_comes_before_an_app_that_lives_in_it() {
    let Some(mut apps) = Apps::boot() else { return };
    // Only the order is looked at: this docker takes a second to come up, and runs nothing.
    let docker = "[Unit]\nDescription=A stand-in\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sleep 1\n\
                  [Install]\nWantedBy=multi-user.target\n";
    apps.machine.write(&format!("{UNITS}/docker.service"), docker);
    apps.configure(|config| {
        config["apps"][NOTES]["driver"] = json!({ "compose": { "files": ["/srv/compose.yml"] } });
    });
    apps.generate();
    apps.machine.sh("systemctl enable --quiet docker.service");
    apps.machine.reboot_hard();
    let (ready, started) =
        (apps.at("docker.service", "ActiveEnter"), apps.at("warmkeep-notes.service", "ExecMainStart"));
    assert!(ready <= started, "docker was ready at {ready} µs, notes started at {started} µs");
    assert!(
        apps.at("warmkeep-base.service", "ExecMainStart") < ready,
        "an app outside of docker does not wait for it"
    );
}

#[test]
fn the_timer_starts_the_night() {
    let Some(apps) = Apps::running(|config| {
        config["nightly"] = json!({ "onCalendar": "*:*:0/2", "randomizedDelay": "0s", "deadline": "1h" });
    }) else {
        return;
    };
    apps.release(NOTES, "1.1.0", "");
    // systemd takes its own time, up to a minute, unless it is told otherwise.
    apps.machine
        .write(&format!("{UNITS}/warmkeep-nightly.timer.d/at-once.conf"), "[Timer]\nAccuracySec=100ms\n");
    apps.machine.sh("systemctl daemon-reload; systemctl start warmkeep-nightly.timer");
    let upgraded = eventually(Duration::from_secs(20), || apps.serving()[1] == "1.1.0");
    assert!(upgraded, "{}", apps.machine.journal("warmkeep-nightly.*"));
    let timers = apps.machine.sh("systemctl list-timers --no-legend --no-pager warmkeep-nightly.timer");
    assert!(timers.ends_with(" warmkeep-nightly.service"), "{timers}");
}

#[test]
fn the_timer_asks_for_the_hour_that_is_configured() {
    let Some(apps) = Apps::boot() else { return };
    apps.configure(|config| {
        config["nightly"] = json!({ "onCalendar": "Sat 04:30", "randomizedDelay": "5m", "deadline": "2h" });
    });
    apps.generate();
    apps.machine.sh("systemctl start warmkeep-nightly.timer");
    let timer = |property: &str| apps.machine.property("warmkeep-nightly.timer", property);
    assert!(timer("TimersCalendar").contains("OnCalendar=Sat *-*-* 04:30:00"), "{}", timer("TimersCalendar"));
    assert_eq!((timer("RandomizedDelayUSec"), timer("Persistent")), ("5min".into(), "yes".into()));
    let limit = apps.machine.property("warmkeep-nightly.service", "TimeoutStartUSec");
    assert_eq!(limit, "2h");
    apps.machine.sh("systemd-analyze calendar 'Sat 04:30'");
}

#[test]
fn an_alert_that_appears_is_relayed() {
    let Some(apps) = Apps::running(with_sink) else { return };
    apps.machine.sh("systemctl start warmkeep-alerts.path");
    let started = || apps.machine.property("warmkeep-alerts.service", "ExecMainStartTimestampMonotonic");
    assert_eq!(started(), "0", "there is nothing to tell yet");
    apps.release(NOTES, "1.1.0", "sick");
    assert_eq!(apps.machine.warmkeep(&["converge"]).code, 4);
    let told = || apps.machine.run(&["cat", TOLD]).stdout;
    let log = || apps.machine.journal("warmkeep-alerts.*");
    assert!(eventually(Duration::from_secs(20), || told().contains("1.1.0")), "{}{}", log(), told());
    let open =
        || apps.machine.warmkeep(&["alerts", "list", "--json"]).json()["alerts"].as_array().unwrap().len();
    assert!(eventually(Duration::from_secs(10), || open() == 0), "{}", log());
    apps.machine.wait_for("warmkeep-alerts.service", "ActiveState", "inactive");
    let once = (started(), told());
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!((started(), told()), once, "a relay does not start itself: {}", log());
}

#[test]
fn a_boot_finishes_a_transaction_that_a_power_cut_ended() {
    let Some(mut apps) = Apps::running(|_| ()) else { return };
    apps.write_note("kept through every cut");
    let mut cuts = 0;
    // tests/crash.rs dies at each record; here it is the boot that is looked at.
    for record in (1..).step_by(3) {
        let version = format!("1.{record}.0");
        let before = apps.serving()[1].clone();
        apps.release(NOTES, &version, "");
        let fault = format!("WARMKEEP_FAULT=kill-after:{record}");
        let ran = apps.machine.run(&["env", &fault, WARMKEEP, "--config", CONFIG, "converge", NOTES]);
        apps.machine.reboot_hard();
        apps.assert_up(NOTES);
        assert!(apps.notes().contains("kept through every cut"), "after record {record}");
        let serving = &apps.serving()[1];
        assert!(
            [&before, &version].contains(&serving),
            "after record {record}: {serving}, not {before} or {version}"
        );
        let left = apps.machine.run(&["find", "/var/lib/warmkeep", "-name", "journal.jsonl"]);
        assert_eq!(left.stdout, "", "after record {record}");
        if ran.code == 0 {
            assert_eq!(serving, &version);
            break;
        }
        cuts += 1;
    }
    assert!(cuts >= 3, "{cuts} cuts");
}
