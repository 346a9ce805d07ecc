//! `rebuild` on a real systemd and a real Nix: a toy NixOS is built, switched to, judged and taken back.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests drive the real system"
)]

mod common;

use std::process::{Child, Stdio};
use std::time::Duration;

use common::machine::{CONFIG, Machine, WARMKEEP};
use common::system::System;
use common::{Ran, eventually};
use serde_json::{Value, json};

/// The unit in which NixOS switches.
const SWITCH: &str = "nixos-rebuild-switch-to-configuration.service";
const STATE: &str = "/var/lib/warmkeep/rebuild";

/// A toy NixOS host whose flake is a git repository.
struct Site {
    machine: Machine,
    /// The system that it was installed with.
    first: String,
    hour: std::cell::Cell<u32>,
}

impl Site {
    fn new(test: &str, system: &System) -> Option<Self> {
        let machine = Machine::boot(test)?;
        let first = machine.install_system(system);
        let site = Self { machine, first, hour: std::cell::Cell::new(0) };
        site.configure(&json!({}));
        Some(site)
    }

    /// `nightly.rebuild`, changed by some keys.
    fn configure(&self, keys: &Value) {
        let mut rebuild = json!({ "flake": "/etc/nixos#host", "switchTimeout": "60s" });
        rebuild.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        let config = json!({
            "schema": 1,
            "host": { "stateDir": "/var/lib/warmkeep", "runtimeDir": "/run/warmkeep" },
            "nightly": { "rebuild": rebuild },
        });
        self.machine.write(CONFIG, &config.to_string());
    }

    /// The flake becomes this system, an hour after the one before.
    fn commit(&self, system: &System) {
        self.hour.set(self.hour.get() + 1);
        self.commit_at(system, &format!("2026-11-21T{:02}:00:00Z", self.hour.get()));
    }

    fn commit_at(&self, system: &System, date: &str) {
        self.machine.write_system(system);
        self.machine.commit_system(date);
    }

    fn rebuild(&self) -> Ran {
        self.rebuild_with(&[])
    }

    fn rebuild_with(&self, options: &[&str]) -> Ran {
        self.machine.warmkeep(&[&["rebuild", "--json"], options].concat())
    }

    /// Begins a rebuild and leaves it running.
    fn begin(&self) -> Child {
        let mut command = self.machine.command(&[WARMKEEP, "--config", CONFIG, "rebuild", "--json"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn wait_for_switch(&self) {
        assert!(eventually(Duration::from_secs(60), || self.switch_is_running()), "no switch begins");
    }

    fn switch_is_running(&self) -> bool {
        self.machine.run(&["systemctl", "is-active", "--quiet", SWITCH]).code == 0
    }

    /// The processes of the machine whose command lines begin like this, by their ids there.
    fn processes(&self, words: &str) -> String {
        self.machine.sh(&format!(
            "for p in /proc/[0-9]*; do case \"$(tr '\\0' ' ' <$p/cmdline 2>/dev/null || true)\" in \
             \"{words}\"*) echo ${{p#/proc/}};; esac; done"
        ))
    }

    /// Sends a signal to what runs `warmkeep rebuild`, and to nothing else.
    fn signal(&self, signal: &str) {
        let pid = self.processes(&format!("{WARMKEEP} --config {CONFIG} rebuild"));
        self.machine.sh(&format!("kill -{signal} {pid}"));
    }

    fn kill_warmkeep(&self, mut child: Child) {
        self.signal("KILL");
        child.wait().unwrap();
    }

    fn generations(&self) -> String {
        self.machine.sh("readlink /nix/var/nix/profiles/system")
    }

    #[track_caller]
    fn assert_on(&self, system: &str) {
        assert_eq!((self.machine.current_system(), self.machine.profile()), (system.into(), system.into()));
    }

    /// Nothing is left of a rebuild but what was activated last.
    #[track_caller]
    fn assert_clean(&self) {
        let left = self.machine.sh(&format!("ls -A {STATE}"));
        assert!(matches!(left.as_str(), "" | "last.json"), "{left}");
        assert!(!self.switch_is_running());
    }

    fn alerts(&self) -> Vec<Value> {
        self.machine.warmkeep(&["alerts", "list", "--json"]).json()["alerts"].as_array().unwrap().clone()
    }
}

#[track_caller]
fn outcome(ran: &Ran, code: i32, outcome: &str) -> Value {
    let report = ran.json()["rebuild"].clone();
    assert_eq!((ran.code, report["outcome"].as_str()), (code, Some(outcome)), "{ran:?}");
    report
}

fn steps(report: &Value) -> Vec<&str> {
    report["steps"].as_array().unwrap().iter().map(|step| step["step"].as_str().unwrap()).collect()
}

fn oneshot(script: &str) -> String {
    format!(
        "[Unit]\nDescription=A toy\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c '{script}'\n"
    )
}

#[test]
fn a_new_system_is_built_compared_and_switched_to() {
    let Some(site) = Site::new("live_rebuild", &System::new("1").package("tool-1.0", "one")) else { return };
    site.commit(
        &System::new("2").package("tool-2.0", "twice").package("extra-0.1", "x").without_package("base-1.0"),
    );
    let ran = site.rebuild();
    let report = outcome(&ran, 0, "switched");
    let to = report["to"].as_str().unwrap();
    site.assert_on(to);
    site.assert_clean();
    assert_eq!(report["from"], json!(site.first));
    assert_eq!(report["generation"], json!({ "before": 1, "after": 2 }));
    assert_eq!(steps(&report), ["look", "fetch", "build", "diff", "setProfile", "activate"]);
    let diff = &report["diff"];
    assert!(diff["added"].as_array().unwrap().iter().any(|package| package["name"] == "extra"), "{diff}");
    assert!(diff["removed"].as_array().unwrap().iter().any(|package| package["name"] == "base"), "{diff}");
    let tool = diff["changed"].as_array().unwrap().iter().find(|changed| changed["name"] == "tool").unwrap();
    assert_eq!((&tool["before"], &tool["after"]), (&json!(["1.0"]), &json!(["2.0"])));
    assert_eq!(report["flake"]["lastModified"], "2026-11-21T01:00:00Z");
    assert!(report["flake"]["revision"].is_string());

    let again = outcome(&site.rebuild(), 0, "noop");
    assert_eq!(steps(&again), ["look", "fetch", "build"]);
    assert_eq!(site.generations(), "system-2-link");
    site.assert_clean();
}

#[test]
fn a_person_reads_a_table_and_what_became_of_it() {
    let Some(site) = Site::new("live_rebuild", &System::new("1").package("tool-1.0", "one")) else { return };
    site.commit(&System::new("2").package("tool-2.0", "one"));
    let ran = site.machine.warmkeep(&["rebuild"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    for part in ["tool", "1.0 → 2.0", "✓ switched", "the new system runs"] {
        assert!(ran.stdout.contains(part), "{part}: {ran:?}");
    }
}

#[test]
fn an_activation_that_fails_is_taken_back() {
    let Some(site) = Site::new("live_rebuild", &System::new("1")) else { return };
    site.commit(&System::new("2").script("activation", "echo the users are gone >&2; exit 1"));
    let report = outcome(&site.rebuild(), 4, "rolledBack");
    site.assert_on(&site.first);
    site.assert_clean();
    assert_eq!(site.generations(), "system-1-link");
    let cause = report["causes"]["upgrade"].as_str().unwrap();
    assert!(cause.contains("exit code 2") && cause.contains("the users are gone"), "{cause}");
    assert!(report["causes"]["rollback"].as_str().unwrap().contains(&site.first));
    let alerts = site.alerts();
    assert_eq!((alerts.len(), &alerts[0]["kind"], &alerts[0]["app"]), (1, &json!("rollback"), &Value::Null));
}

#[test]
fn a_boot_loader_that_fails_is_taken_back() {
    let Some(site) = Site::new("live_rebuild", &System::new("1")) else { return };
    site.commit(&System::new("2").script("bootloader", "exit 1"));
    let report = outcome(&site.rebuild(), 4, "rolledBack");
    assert!(report["cause"].as_str().unwrap().contains("exit code 1"));
    site.assert_on(&site.first);
}

#[test]
fn a_unit_that_fails_newly_takes_the_system_back() {
    let Some(site) = Site::new("live_rebuild", &System::new("1")) else { return };
    site.commit(&System::new("2").wanted_unit("bad.service", &oneshot("exit 3")));
    let report = outcome(&site.rebuild(), 4, "rolledBack");
    assert!(report["cause"].as_str().unwrap().contains("had not before: bad.service"), "{report}");
    site.assert_on(&site.first);
    site.assert_clean();
}

#[test]
fn a_unit_that_had_failed_before_is_only_noted() {
    let old = |version: &str| System::new(version).wanted_unit("old.service", &oneshot("exit 3"));
    let Some(site) = Site::new("live_rebuild", &old("1")) else { return };
    site.machine.wait_for("old.service", "ActiveState", "failed");
    site.commit(&old("2"));
    let report = outcome(&site.rebuild(), 0, "switched");
    assert_eq!(
        report["failedUnits"],
        json!({ "before": ["old.service"], "after": ["old.service"], "new": [] })
    );
    assert!(report["notes"][0].as_str().unwrap().contains("old.service"), "{report}");
}

#[test]
fn a_system_that_needs_a_reboot_is_set_for_it_once() {
    let Some(mut site) = Site::new("live_rebuild", &System::new("1")) else { return };
    site.commit(&System::new("2").needs_reboot());
    let report = outcome(&site.rebuild(), 0, "rebootNeeded");
    let to = report["to"].as_str().unwrap().to_owned();
    assert_eq!((site.machine.current_system(), site.machine.profile()), (site.first.clone(), to.clone()));
    assert_eq!(site.alerts()[0]["kind"], "rebootNeeded");
    let again = outcome(&site.rebuild(), 0, "rebootNeeded");
    assert!(!steps(&again).contains(&"activate"), "{again}");
    site.machine.reboot();
    outcome(&site.rebuild(), 0, "noop");
    site.assert_on(&to);
}

#[test]
fn a_switch_that_hangs_is_ended_and_taken_back() {
    let Some(site) = Site::new("live_rebuild", &System::new("1")) else { return };
    site.configure(&json!({ "switchTimeout": "3s" }));
    site.commit(&System::new("2").script("activation", "sleep 600"));
    let report = outcome(&site.rebuild(), 4, "rolledBack");
    assert!(report["cause"].as_str().unwrap().contains("switchTimeout"), "{report}");
    site.assert_on(&site.first);
    site.assert_clean();
    assert_eq!(site.processes("sleep"), "", "it has left something running");
}

#[test]
fn a_flake_that_is_older_is_refused_unless_a_person_asks_for_it() {
    let Some(site) = Site::new("live_rebuild", &System::new("1")) else { return };
    site.commit_at(&System::new("2"), "2026-11-21T03:00:00Z");
    let newer = outcome(&site.rebuild(), 0, "switched")["to"].as_str().unwrap().to_owned();
    site.commit_at(&System::new("1.5"), "2026-11-20T03:00:00Z");
    let report = outcome(&site.rebuild(), 1, "failed");
    assert!(report["cause"].as_str().unwrap().contains("older than the running system"), "{report}");
    assert!(report["remedy"].as_str().unwrap().contains("--allow-older"));
    site.assert_on(&newer);
    site.assert_clean();
    let report = outcome(&site.rebuild_with(&["--allow-older"]), 0, "switched");
    assert!(report["notes"][0].as_str().unwrap().contains("--allow-older"), "{report}");
    assert_ne!(site.machine.current_system(), newer);
}

#[test]
fn what_is_older_is_refused_also_where_somebody_else_has_activated_what_runs() {
    let Some(site) = Site::new("live_rebuild", &System::new("26.05.20261110.9f70abc")) else { return };
    site.commit_at(&System::new("26.05.20261101.8e6f9ab"), "2026-11-20T03:00:00Z");
    let report = outcome(&site.rebuild(), 1, "failed");
    assert!(report["cause"].as_str().unwrap().contains("packages are of 2026-11-01"), "{report}");
    site.assert_on(&site.first);
    site.assert_clean();
    site.commit_at(&System::new("26.05.20261115.7d5e8f9"), "2026-11-21T03:00:00Z");
    outcome(&site.rebuild(), 0, "switched");
    let by_hand = site.machine.install_system(&System::new("by-hand"));
    site.commit_at(&System::new("again"), "2026-11-20T05:00:00Z");
    let report = outcome(&site.rebuild(), 1, "failed");
    assert!(report["cause"].as_str().unwrap().contains("activated last"), "{report}");
    site.assert_on(&by_hand);
    outcome(&site.rebuild_with(&["--allow-older"]), 0, "switched");
}

#[test]
fn a_build_that_fails_touches_nothing_and_shows_its_last_lines() {
    let Some(site) = Site::new("live_rebuild", &System::new("1")) else { return };
    site.commit(&System::new("2"));
    site.machine
        .sh("cd /etc/nixos && sed -i 's/mkdir -p $out.bin/echo no such option >\\&2; exit 7/' flake.nix");
    site.machine.commit_system("2026-11-21T05:00:00Z");
    let report = outcome(&site.rebuild(), 1, "failed");
    let cause = report["cause"].as_str().unwrap();
    assert!(cause.contains("could not be built") && cause.contains("no such option"), "{cause}");
    site.assert_on(&site.first);
    site.assert_clean();
    assert_eq!(site.alerts()[0]["kind"], "failed");
}

#[test]
fn a_flake_that_cannot_be_fetched_is_a_failure() {
    let Some(site) = Site::new("live_rebuild", &System::new("1")) else { return };
    site.configure(&json!({ "flake": "git+https://127.0.0.1:1/nixos#host" }));
    let report = outcome(&site.rebuild(), 1, "failed");
    assert!(report["cause"].as_str().unwrap().contains("cannot be fetched"), "{report}");
    site.assert_on(&site.first);
}

#[test]
fn a_rebuild_that_is_killed_during_the_switch_is_found_and_finished() {
    let Some(site) = Site::new("live_rebuild", &System::new("1")) else { return };
    site.commit(&System::new("2").script("activation", "until [ -e /run/go ]; do sleep 0.1; done"));
    let child = site.begin();
    site.wait_for_switch();
    site.kill_warmkeep(child);
    assert!(site.switch_is_running(), "the switch died with warmkeep");
    let second = site.begin();
    std::thread::sleep(Duration::from_millis(500));
    site.machine.sh("touch /run/go");
    let ran = common::ran(second.wait_with_output().unwrap());
    let report = outcome(&ran, 0, "switched");
    site.assert_on(report["to"].as_str().unwrap());
    site.assert_clean();
    assert!(report["notes"][0].as_str().unwrap().contains("interrupted"), "{report}");
    outcome(&site.rebuild(), 0, "noop");
}

#[test]
fn a_switch_that_ended_while_nobody_waited_is_judged_by_the_next_run() {
    let Some(site) = Site::new("live_rebuild", &System::new("1")) else { return };
    site.commit(&System::new("2").script("activation", "until [ -e /run/go ]; do sleep 0.1; done; exit 1"));
    let child = site.begin();
    site.wait_for_switch();
    site.kill_warmkeep(child);
    site.machine.sh("touch /run/go");
    assert!(eventually(Duration::from_secs(30), || !site.switch_is_running()));
    let report = outcome(&site.rebuild(), 4, "rolledBack");
    assert!(report["cause"].as_str().unwrap().contains("exit code 2"), "{report}");
    site.assert_on(&site.first);
    site.assert_clean();
}

#[test]
fn a_power_cut_during_the_switch_is_finished_after_the_boot() {
    let Some(mut site) = Site::new("live_rebuild", &System::new("1")) else { return };
    // Only the first time it hangs.
    let hangs = "if [ -e /var/once ]; then exit 0; fi; touch /var/once; sleep 600";
    site.commit(&System::new("2").script("activation", hangs));
    let mut child = site.begin();
    site.wait_for_switch();
    assert!(eventually(Duration::from_secs(30), || site.machine.host_path("/var/once").exists()));
    site.machine.reboot_hard();
    child.wait().unwrap();
    let report = outcome(&site.rebuild(), 0, "switched");
    site.assert_on(report["to"].as_str().unwrap());
    site.assert_clean();
}

#[test]
fn a_switch_of_somebody_else_is_not_disturbed() {
    let Some(site) = Site::new("live_rebuild", &System::new("1")) else { return };
    site.machine.sh(&format!("systemd-run -q --collect --unit={SWITCH} sleep 300"));
    site.commit(&System::new("2"));
    let report = outcome(&site.rebuild(), 75, "busy");
    assert!(report["cause"].as_str().unwrap().contains("another switch"), "{report}");
    assert!(site.switch_is_running());
    site.assert_on(&site.first);
    site.machine.sh(&format!("systemctl stop {SWITCH}"));
    site.assert_clean();
    // NixOS's own lock says the same of a switch that was begun without the unit.
    let mut holder =
        site.machine.command(&["flock", "/run/nixos/switch-to-configuration.lock", "sleep", "300"]);
    site.machine.sh("mkdir -p /run/nixos");
    let mut holder = holder.spawn().unwrap();
    let held =
        || site.machine.run(&["flock", "-n", "/run/nixos/switch-to-configuration.lock", "true"]).code != 0;
    assert!(eventually(Duration::from_secs(10), held));
    outcome(&site.rebuild(), 75, "busy");
    site.assert_on(&site.first);
    site.assert_clean();
    holder.kill().unwrap();
    holder.wait().unwrap();
}

#[test]
fn asked_to_end_it_leaves_the_switch_running_and_comes_back_for_it() {
    let Some(site) = Site::new("live_rebuild", &System::new("1")) else { return };
    site.commit(&System::new("2").script("activation", "until [ -e /run/go ]; do sleep 0.1; done"));
    let child = site.begin();
    site.wait_for_switch();
    site.signal("TERM");
    let report = outcome(&common::ran(child.wait_with_output().unwrap()), 75, "busy");
    assert!(report["reason"].as_str().unwrap().contains("still running"), "{report}");
    assert!(site.switch_is_running());
    site.machine.sh("touch /run/go");
    outcome(&site.rebuild(), 0, "switched");
    site.assert_clean();
}

#[test]
fn a_way_back_that_fails_is_stuck_and_is_tried_again() {
    let broken = "test ! -e /var/broken";
    let Some(site) = Site::new("live_rebuild", &System::new("1").script("activation", broken)) else {
        return;
    };
    site.commit(&System::new("2").script("activation", "touch /var/broken; exit 1"));
    let report = outcome(&site.rebuild(), 5, "stuck");
    assert!(report["causes"]["rollback"].as_str().unwrap().contains("exit code 2"), "{report}");
    assert_eq!(site.alerts()[0]["kind"], "stuck");
    outcome(&site.rebuild(), 5, "stuck");
    site.machine.sh("rm /var/broken");
    outcome(&site.rebuild(), 4, "rolledBack");
    site.assert_on(&site.first);
    site.assert_clean();
}

#[test]
fn what_is_set_for_the_next_boot_or_only_tested_goes_its_own_way() {
    let Some(site) = Site::new("live_rebuild", &System::new("1")) else { return };
    site.configure(&json!({ "action": "boot" }));
    site.commit(&System::new("2"));
    let boot = outcome(&site.rebuild(), 0, "rebootNeeded");
    let to = boot["to"].as_str().unwrap();
    assert_eq!((site.machine.current_system(), site.machine.profile()), (site.first.clone(), to.to_owned()));
    site.configure(&json!({ "action": "test" }));
    site.commit(&System::new("3"));
    let test = outcome(&site.rebuild(), 0, "switched");
    assert_eq!(site.machine.current_system(), test["to"].as_str().unwrap());
    assert_eq!(site.machine.profile(), to);
    outcome(&site.rebuild(), 0, "noop");

    // Now the profile is not what runs: each goes back to its own.
    site.configure(&json!({}));
    site.commit(&System::new("4").script("activation", "exit 1"));
    outcome(&site.rebuild(), 4, "rolledBack");
    assert_eq!(site.machine.current_system(), test["to"].as_str().unwrap());
    assert_eq!(site.machine.profile(), to);
    site.assert_clean();
}

#[test]
fn it_is_killed_before_and_after_every_record_and_always_comes_to_an_end() {
    let Some(site) = Site::new("live_rebuild", &System::new("1")) else { return };
    let mut version = 1;
    // One that fails passes all that one that works does, but for how it ends.
    for (good, sides) in [(false, vec!["kill-before", "kill-after"]), (true, vec!["kill-after"])] {
        for side in sides {
            for number in 1..20 {
                version += 1;
                let before = site.machine.current_system();
                let activation = if good { "exit 0" } else { "exit 1" };
                site.commit_at(
                    &System::new(&version.to_string()).script("activation", activation),
                    &format!("2026-11-22T{:02}:{:02}:00Z", version / 60, version % 60),
                );
                let fault = format!("WARMKEEP_FAULT={side}:{number}");
                let ran =
                    site.machine.run(&["env", &fault, WARMKEEP, "--config", CONFIG, "rebuild", "--json"]);
                if ran.code == if good { 0 } else { 4 } {
                    assert!(number > 3, "{ran:?}");
                    break;
                }
                assert_eq!(ran.code, -9, "{fault}: {ran:?}");
                let report = site.rebuild();
                if good {
                    let report = outcome(&report, 0, "switched");
                    site.assert_on(report["to"].as_str().unwrap());
                } else {
                    outcome(&report, 4, "rolledBack");
                    site.assert_on(&before);
                }
                site.assert_clean();
            }
        }
    }
}

#[test]
fn a_shutdown_during_the_switch_is_no_fault_of_the_new_system() {
    let Some(mut site) = Site::new("live_rebuild", &System::new("1")) else { return };
    // At boot it is activated as well, by then without anything to wait for.
    let waits = "[ -z \"${NIXOS_ACTION-}\" ] || until [ -e /var/go ]; do sleep 0.1; done";
    site.commit(&System::new("2").script("activation", waits));
    site.machine.sh(&format!(
        "systemd-run -q --unit=hand -p DefaultDependencies=no {WARMKEEP} --config {CONFIG} rebuild"
    ));
    site.wait_for_switch();
    // The shutdown takes long. It ends the switch at once, and whoever waits for that only at the last.
    site.machine.sh("systemd-run -q --unit=slow -p ExecStop='/bin/sleep 5' sleep infinity");
    site.machine.reboot();
    assert_eq!(site.alerts(), Vec::<Value>::new());
    site.machine.sh("touch /var/go");
    let report = outcome(&site.rebuild(), 0, "switched");
    site.assert_on(report["to"].as_str().unwrap());
    site.assert_clean();
}

#[test]
fn a_state_folder_with_a_dollar_sign_in_its_name_is_that_folder_in_the_unit_as_well() {
    let Some(site) = Site::new("live_rebuild", &System::new("1")) else { return };
    let mut config: Value = serde_json::from_str(&site.machine.read(CONFIG)).unwrap();
    config["host"]["stateDir"] = json!("/var/lib/warm$HOME${PATH}");
    site.machine.write(CONFIG, &config.to_string());
    site.commit(&System::new("2"));
    let report = outcome(&site.rebuild(), 0, "switched");
    site.assert_on(report["to"].as_str().unwrap());
}

#[test]
fn a_unit_that_fails_while_the_system_is_built_is_not_the_new_systems_fault() {
    let shaky =
        |version: &str| System::new(version).wanted_unit("shaky.service", &oneshot("test ! -e /var/shaken"));
    let Some(site) = Site::new("live_rebuild", &shaky("1")) else { return };
    site.commit(&shaky("2"));
    // The link that keeps the old system is there when the build begins.
    let meanwhile = format!(
        "until [ -e {STATE}/previous ]; do sleep 0.01; done; touch /var/shaken; systemctl restart shaky.service; true"
    );
    site.machine.sh(&format!("systemd-run -q sh -c '{meanwhile}'"));
    let report = outcome(&site.rebuild(), 0, "switched");
    assert_eq!(report["failedUnits"]["before"], json!(["shaky.service"]));
}
