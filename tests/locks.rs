//! Who works when several want to, and that a dead holder blocks nobody.

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
use std::time::{Duration, Instant};

use common::{APP, Host, eventually, ran};
use serde_json::json;

/// A host on 1.0.0 whose upgrade to 1.1.0 stays in `prefetch` until the file `go` is there.
fn slow_upgrade() -> Host {
    let host = Host::new();
    let script = format!(
        "test {{version}} = 1.0.0 && exit 0; touch {0}/waiting; while test ! -e {0}/go; do sleep 0.01; done",
        host.dir.path().display()
    );
    host.list_versions("1.0.0\n");
    host.configure(|app| app["driver"]["process"]["prepare"] = json!(["sh", "-c", script]));
    host.install();
    host.list_versions("1.0.0\n1.1.0\n");
    host
}

/// Starts a verb and waits until it is in the middle of its work.
fn begin(host: &Host, arguments: &[&str]) -> std::process::Child {
    let child = host.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    assert!(eventually(Duration::from_secs(10), || host.path("waiting").exists()), "it never began");
    child
}

fn finish(host: &Host, child: std::process::Child) -> common::Ran {
    fs::write(host.path("go"), "").unwrap();
    ran(child.wait_with_output().unwrap())
}

#[test]
fn of_twenty_that_converge_one_app_at_once_one_works_and_the_others_say_busy_at_once() {
    let host = slow_upgrade();
    let spawn = |_| {
        host.command(&["converge", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut children: Vec<_> = (0..20).map(spawn).collect();
    // Nobody lets the one that works go on before the nineteen others have ended.
    let mut others = Vec::new();
    let all_ended = eventually(Duration::from_secs(20), || {
        let (ended, running): (Vec<_>, Vec<_>) = children
            .drain(..)
            .map(|mut child| (child.try_wait().unwrap().is_some(), child))
            .partition(|(e, _)| *e);
        others.extend(ended.into_iter().map(|(_, child)| ran(child.wait_with_output().unwrap())));
        children = running.into_iter().map(|(_, child)| child).collect();
        children.len() == 1
    });
    assert!(all_ended, "{} still run", children.len());
    for other in &others {
        assert_eq!((other.code, other.outcome(APP).as_str()), (75, "busy"), "{other:?}");
        assert!(other.app(APP)["reason"].as_str().unwrap().contains("another run"), "{other:?}");
    }
    let worker = finish(&host, children.pop().unwrap());
    assert_eq!((others.len(), worker.code, worker.outcome(APP).as_str()), (19, 0, "upgraded"), "{worker:?}");
    assert_eq!(host.serving().as_deref(), Some("1.1.0"));
    assert!(host.alerts().is_empty(), "being busy is no news: {:?}", host.alerts());
}

#[test]
fn a_holder_that_dies_blocks_nobody() {
    let host = slow_upgrade();
    let mut holder = begin(&host, &["converge"]);
    assert_eq!(host.converge().code, 75);
    holder.kill().unwrap();
    holder.wait().unwrap();
    fs::write(host.path("go"), "").unwrap();
    let after = host.converge();
    assert_eq!((after.code, after.outcome(APP).as_str()), (0, "upgraded"), "{after:?}");
}

#[test]
fn every_verb_that_changes_an_app_says_busy_while_another_run_is_at_work_on_it() {
    let host = slow_upgrade();
    let child = begin(&host, &["converge"]);
    for verb in [
        &["deploy", APP, "1.1.0"][..],
        &["rollback", APP],
        &["retire", APP],
        &["approve", APP, "2.0.0"],
        &["release", APP, "2.0.0"],
    ] {
        let began = Instant::now();
        let busy = host.run(verb);
        assert_eq!(busy.code, 75, "{verb:?}: {busy:?}");
        assert!(began.elapsed() < Duration::from_secs(3), "{verb:?}");
    }
    let busy = host.run(&["approve", APP, "2.0.0", "--json"]);
    assert_eq!((busy.code, &busy.json()["error"]["kind"]), (75, &json!("busy")), "{busy:?}");
    // Those that only look are not kept waiting.
    for verb in [&["plan"][..], &["status"], &["history"], &["alerts", "list"]] {
        assert_eq!(host.run(verb).code, 0, "{verb:?}");
    }
    assert_eq!(finish(&host, child).code, 0);
}

#[test]
fn while_a_night_holds_the_host_everybody_else_is_busy_and_json_says_so() {
    let host = slow_upgrade();
    let night = begin(&host, &["nightly", "--json"]);
    for verb in [&["converge", "--json"][..], &["nightly", "--json"], &["deploy", APP, "1.1.0", "--json"]] {
        let busy = host.run(verb);
        assert_eq!((busy.code, busy.outcome(APP).as_str()), (75, "busy"), "{verb:?}: {busy:?}");
        assert!(busy.app(APP)["reason"].as_str().unwrap().contains("host lock"), "{busy:?}");
    }
    assert!(host.run(&["converge"]).stdout.contains("busy"));
    let ended = finish(&host, night);
    assert_eq!((ended.code, ended.outcome(APP).as_str()), (0, "upgraded"), "{ended:?}");
}

#[test]
fn a_night_does_not_begin_while_somebody_works_on_the_host() {
    let host = slow_upgrade();
    let child = begin(&host, &["converge"]);
    assert_eq!(host.run(&["nightly"]).code, 75);
    assert_eq!(finish(&host, child).code, 0);
    assert_eq!(host.run(&["nightly"]).code, 0);
}

#[test]
fn what_a_boot_does_upgrades_nothing_and_repairs_what_is_down() {
    let host = Host::new();
    host.install();
    host.release("1.1.0", "");
    host.kill_app();
    let ran = host.run(&["converge", "--up", "--json", APP]);
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (0, "repaired"), "{ran:?}");
    assert_eq!(host.serving().as_deref(), Some("1.0.0"));
    let ran = host.run(&["converge", "--up", "--json"]);
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (0, "noop"), "{ran:?}");
    assert_eq!(host.serving().as_deref(), Some("1.0.0"));
}

#[test]
fn what_a_boot_does_leaves_the_work_to_a_run_that_is_at_it_already() {
    let host = Host::new();
    host.install();
    let lock = fs::File::options().write(true).open(host.path("state/host.lock")).unwrap();
    lock.try_lock().unwrap();
    let ran = host.run(&["converge", "--up", "--json", APP]);
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (0, "busy"), "{ran:?}");
}

#[test]
fn a_night_takes_over_the_lock_of_the_one_that_it_carries_on() {
    let host = Host::new();
    host.install();
    let lock = fs::File::options().write(true).open(host.path("state/host.lock")).unwrap();
    lock.try_lock().unwrap();
    assert_eq!(host.run(&["nightly"]).code, 75, "another's lock");
    let mut night = host.command(&["nightly", "--json"]);
    let night = ran(night.stdin(lock.try_clone().unwrap()).output().unwrap());
    assert_eq!((night.code, night.outcome(APP).as_str()), (0, "noop"), "{night:?}");
}

#[test]
fn a_night_that_was_killed_is_carried_on_as_the_same_run() {
    let host = slow_upgrade();
    let mut night = begin(&host, &["nightly", "--json"]);
    let journal = host.path("state/night.json");
    night.kill().unwrap();
    night.wait().unwrap();
    let unfinished: serde_json::Value = serde_json::from_slice(&fs::read(&journal).unwrap()).unwrap();
    fs::write(host.path("go"), "").unwrap();
    let ran = host.run(&["nightly", "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.json()["run"], unfinished["run"]);
    assert_eq!(ran.json()["startedAt"], unfinished["startedAt"]);
    assert!(!journal.exists());
    assert_ne!(host.run(&["nightly", "--json"]).json()["run"], unfinished["run"], "it is over");
}
