//! The machine that the live tests boot is what they take it for: a real systemd, a real Nix, our binary, and state that
//! outlives a power cut.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests drive the real system"
)]

mod common;

use common::machine::{Machine, WARMKEEP};

#[test]
fn a_machine_boots_to_running_under_a_real_systemd() {
    let Some(machine) = Machine::boot("live_machine") else { return };
    assert_eq!(machine.sh("cat /proc/1/comm"), "systemd");
    assert_eq!(machine.sh("systemctl is-system-running"), "running");
    assert_eq!(machine.sh("systemd-run --quiet --wait --pipe echo from a unit"), "from a unit");
    assert_eq!(machine.sh("systemd-run --quiet --scope echo from a scope"), "from a scope");
    assert_eq!(machine.sh("ls /sys/class/net"), "lo");
}

#[test]
fn warmkeep_runs_in_a_machine() {
    let Some(machine) = Machine::boot("live_machine") else { return };
    let version = machine.run(&[WARMKEEP, "--version"]);
    assert_eq!((version.code, version.stdout.trim()), (0, concat!("warmkeep ", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn nix_evaluates_and_builds_in_a_machine() {
    let Some(machine) = Machine::boot("live_machine") else { return };
    let release = machine.sh("nix eval --raw --expr builtins.nixVersion");
    assert!(release.starts_with("2.26"), "{release}");
    machine.write("/root/flake/flake.nix", FLAKE);
    let path = machine.sh("nix build --no-link --print-out-paths /root/flake#toy");
    assert!(path.starts_with("/nix/store/") && path.ends_with("-toy-1.0"), "{path}");
    assert_eq!(machine.read(&path), "built\n");
}

/// A flake with one derivation.
const FLAKE: &str = r#"{
  outputs = { self }: {
    toy = derivation {
      name = "toy-1.0";
      system = "x86_64-linux";
      builder = "/bin/sh";
      args = [ "-c" "echo built > $out" ];
    };
  };
}
"#;

#[test]
fn what_is_on_disk_outlives_a_power_cut_and_what_runs_does_not() {
    let Some(mut machine) = Machine::boot("live_machine") else { return };
    let before = machine.sh("cat /proc/sys/kernel/random/boot_id; touch /var/lib/kept /run/gone; cat /proc/1/stat | cut -d' ' -f22");
    machine.sh("systemd-run --quiet --unit=worker sleep infinity");
    machine.reboot_hard();
    assert_ne!(machine.sh("cat /proc/sys/kernel/random/boot_id; cat /proc/1/stat | cut -d' ' -f22"), before);
    assert_eq!(machine.sh("ls /var/lib/kept"), "/var/lib/kept");
    assert_eq!(machine.run(&["ls", "/run/gone"]).code, 2);
    assert_eq!(machine.property("worker.service", "LoadState"), "not-found");
    machine.reboot();
    assert_eq!(machine.sh("ls /var/lib/kept"), "/var/lib/kept");
}

#[test]
fn several_machines_run_at_once_without_a_trace_of_each_other() {
    let (Some(one), Some(other)) = (Machine::boot("live_machine"), Machine::boot("live_machine")) else {
        return;
    };
    one.sh("systemd-run --quiet --unit=only-here sleep infinity; touch /usr/local/here");
    assert_eq!(one.property("only-here.service", "ActiveState"), "active");
    assert_eq!(other.property("only-here.service", "LoadState"), "not-found");
    assert_eq!(other.run(&["ls", "/usr/local/here"]).code, 2);
}
