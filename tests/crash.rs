//! Killed anywhere: warmkeep dies with SIGKILL around every journal record, again while it recovers, and at random
//! moments. One more converge must leave the app healthy on the old or the new version, with that version's data.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests drive the real system"
)]

mod common;

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use common::{APP, Host, Ran};

const SIGKILLED: i32 = -9;

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scenario {
    Install,
    Upgrade,
    SickUpgrade,
    Repair,
    Rollback,
}

/// A host just before the transaction, with the data that each version must have afterwards.
struct Setting {
    host: Host,
    scenario: Scenario,
    stateful: bool,
    data: Vec<(&'static str, Tree)>,
}

type Tree = Vec<(String, u32, Vec<u8>)>;

impl Setting {
    fn new(scenario: Scenario, stateful: bool) -> Self {
        let host = Host::new();
        if !stateful {
            host.make_stateless();
        }
        let mut setting = Self { host, scenario, stateful, data: Vec::new() };
        setting.prepare();
        setting
    }

    fn prepare(&mut self) {
        if self.scenario == Scenario::Install {
            self.data.push(("1.0.0", self.host.data()));
            return;
        }
        assert_eq!(self.host.converge().outcome(APP), "installed");
        self.host.write_note("written under 1.0.0");
        self.data.push(("1.0.0", self.host.data()));
        match self.scenario {
            Scenario::Install => {}
            Scenario::Upgrade => {
                self.host.release("1.1.0", "rewrites");
                self.data.push(("1.1.0", rewritten(&self.host.data())));
            }
            Scenario::SickUpgrade => self.host.release("1.1.0", "rewrites sick"),
            Scenario::Repair => kill_app(&self.host),
            Scenario::Rollback => {
                self.host.release("1.1.0", "rewrites");
                assert_eq!(self.host.converge().outcome(APP), "upgraded");
                self.data.push(("1.1.0", self.host.data()));
            }
        }
    }

    /// Begins the transaction with a fault.
    fn strike(&self, fault: &str) -> Ran {
        let verb: &[&str] = if self.scenario == Scenario::Rollback {
            if self.stateful {
                &["rollback", APP, "--json"]
            } else {
                &["rollback", APP, "--to", "1.0.0", "--json"]
            }
        } else {
            &["converge", "--json"]
        };
        common::ran(self.host.command(verb).env("WARMKEEP_FAULT", fault).output().unwrap())
    }

    /// One more converge, and everything that must hold then.
    fn heal_and_judge(&self, what: &str) {
        self.judge_after(what, Dies::Warmkeep);
    }

    fn judge_after(&self, what: &str, died: Dies) {
        let healed = self.host.converge();
        assert!(matches!(healed.code, 0 | 4), "{what}: code {}: {healed:?}", healed.code);
        let outcome = healed.outcome(APP);
        let serving = self.host.serving().unwrap_or_else(|| panic!("{what}: the app is down: {healed:?}"));
        // After a reboot the app is down: bringing it up again may be all that is done.
        if !(died == Dies::Machine && outcome == "repaired") {
            self.judge_outcome(what, &outcome, &serving, &healed);
        }
        if self.stateful {
            let (_, data) = self
                .data
                .iter()
                .find(|(version, _)| *version == serving)
                .unwrap_or_else(|| panic!("{what}: {serving} must not serve: {healed:?}"));
            assert_eq!(&self.host.data(), data, "{what}: data of {serving}: {healed:?}");
        }
        assert_eq!(self.host.processes().len(), 1, "{what}: processes: {healed:?}");
        assert_eq!(self.host.leftovers(), Vec::<String>::new(), "{what}: {healed:?}");
        if outcome == "repaired" && died == Dies::Machine {
            return;
        }
        let again = self.host.converge();
        assert!(matches!(again.outcome(APP).as_str(), "noop" | "held"), "{what}: not settled: {again:?}");
        assert_eq!(self.host.serving(), Some(serving), "{what}");
    }

    fn judge_outcome(&self, what: &str, outcome: &str, serving: &str, healed: &Ran) {
        let truthful: &[&str] = match (self.scenario, serving) {
            (Scenario::Install, _) => &["installed", "recovered", "noop"],
            (Scenario::Upgrade, "1.1.0") => &["upgraded", "recovered", "noop"],
            (Scenario::Upgrade, _) => &["recovered"],
            (Scenario::SickUpgrade, _) => &["rolledBack", "recovered", "held"],
            (Scenario::Repair, _) => &["repaired", "recovered", "noop"],
            (Scenario::Rollback, _) => &["recovered", "noop", "held"],
        };
        assert!(truthful.contains(&outcome), "{what}: {outcome} while {serving} serves: {healed:?}");
    }
}

/// What the demo's app makes of its notes when it rewrites them.
fn rewritten(data: &Tree) -> Tree {
    let text = b"MIGRATED TO A FORMAT THAT ONLY I CAN READ\n".to_vec();
    data.iter()
        .map(|(name, mode, bytes)| {
            let new = if name == "notes.txt" { text.clone() } else { bytes.clone() };
            (name.clone(), *mode, new)
        })
        .collect()
}

fn kill_app(host: &Host) {
    for pid in host.processes() {
        std::process::Command::new("kill").args(["-9", &pid.to_string()]).output().unwrap();
    }
    assert!(common::eventually(Duration::from_secs(5), || host.processes().is_empty()));
}

/// What dies beside warmkeep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dies {
    Warmkeep,
    /// Every process, and all that lives in memory.
    Machine,
}

impl Dies {
    fn strike(self, host: &Host) {
        if self == Self::Machine {
            host.end_everything();
            // The runtime folder is in memory.
            let _ = fs::remove_dir_all(host.path("run"));
        }
    }
}

/// Kills at every record, on both sides; how many kills that were.
fn kill_at_every_record(scenario: Scenario, stateful: bool) -> usize {
    kill_at_every_record_of(scenario, stateful, Dies::Warmkeep)
}

fn kill_at_every_record_of(scenario: Scenario, stateful: bool, dies: Dies) -> usize {
    let mut kills = 0;
    for number in 1.. {
        let mut struck = false;
        for side in ["kill-before", "kill-after"] {
            let setting = Setting::new(scenario, stateful);
            let fault = format!("{side}:{number}");
            let ran = setting.strike(&fault);
            let what = format!("{scenario:?} stateful={stateful} {dies:?} {fault}");
            if ran.code == SIGKILLED {
                kills += 1;
                struck = true;
                dies.strike(&setting.host);
            }
            setting.judge_after(&what, dies);
        }
        if !struck {
            break;
        }
    }
    common::say(&format!("{scenario:?}, stateful={stateful}, {dies:?} dies: {kills} kills, {kills} healed"));
    kills
}

/// Kills at a record, and then the recovery at one of its own. Without `WARMKEEP_CRASH_FULL` every record is met, with
/// a few moments of its recovery; with it, every pair.
fn kill_the_recovery_too(scenario: Scenario, stateful: bool) -> usize {
    let full = std::env::var_os("WARMKEEP_CRASH_FULL").is_some();
    let mut kills = 0;
    for first in 1.. {
        let mut struck = false;
        for second in 1.. {
            if !full && (first * 7 + second * 3) % 13 != 0 && second != 1 {
                if second > 20 {
                    break;
                }
                continue;
            }
            let setting = Setting::new(scenario, stateful);
            let side = if (first + second) % 2 == 0 { "kill-before" } else { "kill-after" };
            if setting.strike(&format!("{side}:{first}")).code != SIGKILLED {
                break;
            }
            struck = true;
            let what =
                format!("{scenario:?} stateful={stateful} {side}:{first}, then the recovery at {second}");
            let recovery = setting.host.converge_with_fault(&format!("{side}:{second}"));
            kills += 1 + usize::from(recovery.code == SIGKILLED);
            setting.heal_and_judge(&what);
            if recovery.code != SIGKILLED {
                break;
            }
        }
        if !struck {
            break;
        }
    }
    common::say(&format!(
        "{scenario:?}, stateful={stateful}, recovery killed too: {kills} kills, all healed"
    ));
    kills
}

#[test]
fn an_install_killed_at_every_record_heals() {
    assert!(kill_at_every_record(Scenario::Install, true) >= 16);
    assert!(kill_at_every_record(Scenario::Install, false) >= 12);
}

#[test]
fn a_stateful_upgrade_killed_at_every_record_heals() {
    assert!(kill_at_every_record(Scenario::Upgrade, true) >= 30);
}

#[test]
fn a_stateless_upgrade_killed_at_every_record_heals() {
    assert!(kill_at_every_record(Scenario::Upgrade, false) >= 12);
}

#[test]
fn a_stateful_rollback_killed_at_every_record_heals() {
    assert!(kill_at_every_record(Scenario::SickUpgrade, true) >= 40);
}

#[test]
fn a_stateless_rollback_killed_at_every_record_heals() {
    assert!(kill_at_every_record(Scenario::SickUpgrade, false) >= 20);
}

#[test]
fn a_repair_killed_at_every_record_heals() {
    assert!(kill_at_every_record(Scenario::Repair, true) >= 14);
    assert!(kill_at_every_record(Scenario::Repair, false) >= 14);
}

#[test]
fn a_rollback_by_hand_killed_at_every_record_heals() {
    assert!(kill_at_every_record(Scenario::Rollback, true) >= 30);
    assert!(kill_at_every_record(Scenario::Rollback, false) >= 12);
}

#[test]
fn the_recovery_of_an_upgrade_killed_in_its_turn_heals() {
    assert!(kill_the_recovery_too(Scenario::Upgrade, true) > 20);
    assert!(kill_the_recovery_too(Scenario::Upgrade, false) > 10);
}

#[test]
fn the_recovery_of_a_rollback_killed_in_its_turn_heals() {
    assert!(kill_the_recovery_too(Scenario::SickUpgrade, true) > 20);
    assert!(kill_the_recovery_too(Scenario::SickUpgrade, false) > 10);
}

#[test]
fn the_recovery_of_an_install_or_a_repair_killed_in_its_turn_heals() {
    assert!(kill_the_recovery_too(Scenario::Install, true) > 5);
    assert!(kill_the_recovery_too(Scenario::Install, false) > 5);
    assert!(kill_the_recovery_too(Scenario::Repair, true) > 5);
    assert!(kill_the_recovery_too(Scenario::Repair, false) > 5);
}

#[test]
fn the_recovery_of_a_rollback_by_hand_killed_in_its_turn_heals() {
    assert!(kill_the_recovery_too(Scenario::Rollback, true) > 20);
    assert!(kill_the_recovery_too(Scenario::Rollback, false) > 10);
}

#[test]
fn a_reboot_at_every_record_of_an_upgrade_or_a_rollback_heals() {
    assert!(kill_at_every_record_of(Scenario::Upgrade, true, Dies::Machine) >= 30);
    assert!(kill_at_every_record_of(Scenario::SickUpgrade, true, Dies::Machine) >= 40);
}

/// Upgrades, good and bad, each killed at a random moment and healed by one converge.
#[test]
fn two_hundred_random_kills_lose_nothing() {
    let host = Host::new();
    assert_eq!(host.converge().outcome(APP), "installed");
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut kills = 0;
    for round in 1..=200_u32 {
        host.write_note(&format!("round {round}"));
        let (before, old) = (host.data(), host.serving().unwrap());
        let version = format!("1.0.{round}");
        let sick = round % 3 == 0;
        host.release(&version, if sick { "rewrites sick" } else { "" });
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let delay = Duration::from_micros((random >> 33) % 300_000);
        let mut running =
            host.command(&["converge"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(delay);
        running.kill().unwrap();
        kills += u32::from(!running.wait().unwrap().success());
        let what = format!("round {round}, killed after {delay:?}");
        let healed = host.converge();
        assert!(matches!(healed.code, 0 | 4), "{what}: {healed:?}");
        let serving = host.serving().unwrap_or_else(|| panic!("{what}: down: {healed:?}"));
        assert_eq!(serving, if sick { old } else { version }, "{what}: {healed:?}");
        assert_eq!(host.data(), before, "{what}: {healed:?}");
        assert_eq!(host.processes().len(), 1, "{what}: {healed:?}");
        assert_eq!(host.leftovers(), Vec::<String>::new(), "{what}: {healed:?}");
    }
    common::say(&format!("200 random moments: {kills} kills met a running warmkeep, 200 healed"));
    assert!(kills > 100, "the moments are too late: {kills}");
    assert!(fs::metadata(host.path("state")).is_ok());
}
