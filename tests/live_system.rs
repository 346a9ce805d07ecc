//! The toy NixOS of the live tests switches as NixOS's switch-to-configuration does; what rebuild's tests rest on.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests drive the real system"
)]

mod common;

use common::Ran;
use common::machine::Machine;
use common::system::System;

/// A service that runs on.
fn service(argument: &str, unit: &str, more: &str) -> String {
    format!(
        "[Unit]\nDescription=A toy\n{unit}\n[Service]\nExecStart=/bin/sleep infinity {argument}\n{more}\n"
    )
}

/// Writes, builds and sets a system, and switches to it.
fn switch(machine: &Machine, system: &System) -> Ran {
    machine.write_system(system);
    let built = machine.build_system();
    machine.sh(&format!("nix-env -p /nix/var/nix/profiles/system --set {built}"));
    machine.run(&[&format!("{built}/bin/switch-to-configuration"), "switch"])
}

fn started(machine: &Machine, unit: &str) -> String {
    machine.property(unit, "InvocationID")
}

#[test]
fn a_switch_does_to_each_unit_what_its_file_asks_for() {
    let Some(machine) = Machine::boot("live_system") else { return };
    let all = ["plain", "restarted", "left-alone", "kept", "gone", "same"];
    let units = |argument: &str| {
        System::new("1")
            .wanted_unit("same.service", &service("0d", "", ""))
            .wanted_unit("plain.service", &service(argument, "", ""))
            .wanted_unit("restarted.service", &service(argument, "", "X-StopIfChanged=false"))
            .wanted_unit("left-alone.service", &service(argument, "", "X-RestartIfChanged=false"))
    };
    let first = units("1d")
        .wanted_unit("kept.service", &service("1d", "X-StopOnRemoval=false", ""))
        .wanted_unit("gone.service", &service("1d", "", ""));
    let built = machine.install_system(&first);
    assert_eq!((machine.current_system(), machine.profile()), (built.clone(), built.clone()));
    let before = all.map(|unit| started(&machine, unit));

    let ran = switch(&machine, &units("2d").version("2").wanted_unit("new.service", &service("1d", "", "")));
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_ne!(machine.current_system(), built);
    let after = all.map(|unit| started(&machine, unit));
    let kept: Vec<&str> = all
        .iter()
        .zip(before.iter().zip(&after))
        .filter(|(_, (b, a))| b == a)
        .map(|(unit, _)| *unit)
        .collect();
    assert_eq!(kept, ["left-alone", "kept", "same"], "{ran:?}");
    assert_eq!(machine.property("gone.service", "ActiveState"), "inactive");
    assert_eq!(machine.property("new.service", "ActiveState"), "active");
    assert!(ran.stderr.contains("NOT restarting the following units: left-alone.service\n"), "{ran:?}");
    assert!(ran.stderr.contains("stopping the following units: gone.service, plain.service\n"), "{ran:?}");
    assert!(ran.stderr.contains("\nrestarting the following units: restarted.service\n"), "{ran:?}");
}

#[test]
fn a_switch_exits_as_nixos_does() {
    let Some(machine) = Machine::boot("live_system") else { return };
    let first = machine.install_system(&System::new("1"));
    let code = |system: &System| switch(&machine, system).code;

    let refused = System::new("refused").script("check", "exit 3");
    assert_eq!((code(&refused), machine.current_system()), (1, first.clone()));
    assert_eq!((code(&System::new("reboot").needs_reboot()), machine.current_system()), (100, first.clone()));
    // A failed activation is the current system all the same.
    assert_eq!(code(&System::new("activation").script("activation", "exit 1")), 2);
    assert_eq!(machine.current_system(), machine.profile());
    let broken =
        System::new("unit").wanted_unit("broken.service", "[Service]\nType=oneshot\nExecStart=/bin/false\n");
    assert_eq!(code(&broken), 4);
    // It is started again by each switch, fails again, and so fails switches that have nothing to do with it.
    assert_eq!(code(&broken.clone().version("unrelated")), 4);
    assert_eq!(code(&System::new("good")), 0);

    machine.sh("systemd-run -q --unit=holder flock /run/nixos/switch-to-configuration.lock sleep infinity; sleep 0.2");
    let held = switch(&machine, &System::new("held"));
    assert_eq!((held.code, held.stderr.as_str()), (11, "Could not acquire lock\n"));
}

#[test]
fn a_switch_that_hung_and_was_killed_is_picked_up_by_the_next() {
    let Some(machine) = Machine::boot("live_system") else { return };
    let first = machine.install_system(&System::new("1").wanted_unit("web.service", &service("1d", "", "")));
    let next = System::new("2").unit("web.service", &service("2d", "", ""));
    machine.write_system(&next.clone().script("activation", "exec sleep infinity"));
    let built = machine.build_system();
    machine.sh(&format!("systemd-run -q --unit=switch {built}/bin/switch-to-configuration switch"));
    machine.wait_for("web.service", "ActiveState", "inactive");
    assert_eq!(
        (machine.property("switch.service", "ActiveState"), machine.current_system()),
        ("active".into(), first)
    );
    machine.sh("systemctl kill --signal=KILL switch.service");
    machine.wait_for("switch.service", "ActiveState", "failed");

    assert_eq!(switch(&machine, &next).code, 0);
    assert_eq!(machine.property("web.service", "ActiveState"), "active");
    assert!(machine.property("web.service", "ExecStart").contains("infinity 2d"));
}

#[test]
fn a_boot_activates_the_newest_generation() {
    let Some(mut machine) = Machine::boot("live_system") else { return };
    machine.install_system(&System::new("1").wanted_unit("web.service", &service("1d", "", "")));
    machine
        .write_system(&System::new("2").wanted_unit("web.service", &service("2d", "", "")).warmkeep("9.9"));
    let newer = machine.build_system();
    machine.sh(&format!("nix-env -p /nix/var/nix/profiles/system --set {newer}"));
    machine.reboot_hard();
    assert_eq!((machine.current_system(), machine.sh("readlink /run/booted-system")), (newer.clone(), newer));
    assert!(machine.property("web.service", "ExecStart").contains("infinity 2d"));
    assert_eq!(machine.property("web.service", "ActiveState"), "active");
    let own = machine.sh("readlink -f /run/current-system/sw/bin/warmkeep");
    assert!(own.ends_with("-warmkeep-9.9/bin/warmkeep"), "{own}");
    assert!(machine.sh(&format!("{own} --version")).starts_with("warmkeep "));
}

#[test]
fn a_flake_knows_its_revision_and_its_age() {
    let Some(machine) = Machine::boot("live_system") else { return };
    machine.write_system(&System::new("1"));
    let revision = machine.commit_system("2026-11-21T03:00:00Z");
    let metadata = machine.sh("nix flake metadata --json /etc/nixos");
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    assert_eq!((&metadata["revision"], &metadata["lastModified"]), (&revision.into(), &1_795_230_000.into()));
    machine.build_system();
}
