//! Asked to end with SIGTERM, warmkeep gives up what it has not touched, and brings to an end what it has.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests drive the real system"
)]

mod common;

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{APP, Host, Ran, eventually};
use serde_json::json;

fn start(host: &Host, verb: &str) -> Child {
    host.command(&[verb, "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn terminate(child: &Child) {
    Command::new("kill").arg(child.id().to_string()).status().unwrap();
}

fn wait_for_step(host: &Host, step: &str) {
    let journal = host.path("state/apps/notes/journal.jsonl");
    let wanted = format!("\"step\":\"{step}\"");
    let reached = || std::fs::read_to_string(&journal).is_ok_and(|text| text.contains(&wanted));
    assert!(eventually(Duration::from_secs(20), reached), "{step} never began");
}

fn finish(child: Child) -> Ran {
    common::ran(child.wait_with_output().unwrap())
}

#[test]
fn an_upgrade_that_has_touched_its_app_comes_to_its_end() {
    comes_to_its_end("converge");
}

/// A night listens for signals, and so does the run in it: one signal is one all the same.
#[test]
fn an_upgrade_of_a_night_that_has_touched_its_app_comes_to_its_end() {
    comes_to_its_end("nightly");
}

fn comes_to_its_end(verb: &str) {
    let host = Host::new();
    assert_eq!(host.converge().outcome(APP), "installed");
    host.release("1.1.0", "slow");
    let mut config = host.config();
    config["apps"][APP]["health"]["timeout"] = json!("20s");
    host.write_config(&config);
    let running = start(&host, verb);
    wait_for_step(&host, "gate");
    terminate(&running);
    let ran = finish(running);
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (0, "upgraded"), "{ran:?}");
    assert_eq!(host.serving().as_deref(), Some("1.1.0"));
}

#[test]
fn an_upgrade_that_has_touched_nothing_is_given_up() {
    let host = Host::new();
    let mut config = host.config();
    config["apps"][APP]["versions"]["source"] = json!({ "list": { "versions": ["1.0.0"] } });
    config["apps"][APP]["driver"]["process"]["prepare"] =
        json!(["sh", "-c", "test {version} = 1.0.0 || sleep 1"]);
    host.write_config(&config);
    assert_eq!(host.converge().outcome(APP), "installed");
    let before = host.processes();
    config["apps"][APP]["versions"]["source"] = json!({ "list": { "versions": ["1.0.0", "1.1.0"] } });
    host.write_config(&config);
    let running = start(&host, "converge");
    wait_for_step(&host, "prefetch");
    terminate(&running);
    let ran = finish(running);
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (1, "failed"), "{ran:?}");
    assert_eq!(host.processes(), before, "the old version was touched");
    assert_eq!(host.leftovers(), Vec::<String>::new());
}
