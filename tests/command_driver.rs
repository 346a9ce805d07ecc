//! The `command` driver: the user's own programs run the app, warmkeep decides when.

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

use common::{APP, Host, binary};
use serde_json::{Value, json};

/// A host whose app is run by a script of its user: `ctl deploy|stop|status|gone`, with a pid file.
fn host() -> Host {
    let host = Host::new();
    let (dir, port) = (host.dir.path().display().to_string(), host.port);
    let app = format!("{} demo-app --port {port} --data {dir}/data", binary());
    let script = format!(
        r#"#!/bin/sh
alive() {{ test -s {dir}/pid && kill -0 "$(cat {dir}/pid)" 2>/dev/null; }}
case $1 in
  deploy) setsid {app} --release {dir}/releases/$2 --version-name $2 >/dev/null 2>&1 </dev/null &
          echo $! > {dir}/pid; echo $2 > {dir}/version ;;
  stop)   if alive; then kill "$(cat {dir}/pid)"; fi ;;
  status) if alive; then r=true; else r=false; fi
          printf '{{"version":%s,"running":%s}}' "$(sed 's/.*/"&"/' {dir}/version 2>/dev/null || echo null)" $r ;;
  gone)   ! alive ;;
esac
"#
    );
    fs::write(host.path("ctl"), script).unwrap();
    fs::write(host.path("version"), "").unwrap();
    fs::remove_file(host.path("version")).unwrap();
    let mut config = host.config();
    config["apps"][APP]["driver"] = driver(&host);
    host.write_config(&config);
    host
}

fn driver(host: &Host) -> Value {
    let ctl = host.path("ctl").display().to_string();
    let run = |verb: &str| json!(["sh", ctl, verb]);
    json!({ "command": {
        "deploy": ["sh", ctl, "deploy", "{version}"],
        "stop": run("stop"), "status": run("status"), "gone": run("gone")
    } })
}

#[test]
fn it_installs_upgrades_and_then_has_nothing_to_do() {
    let host = host();
    let ran = host.converge();
    assert_eq!(ran.outcome(APP), "installed", "{ran:?}");
    host.write_note("kept");
    host.release("1.1.0", "");
    let ran = host.converge();
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (0, "upgraded"), "{ran:?}");
    assert_eq!(host.serving().as_deref(), Some("1.1.0"));
    assert!(host.ask("GET", "/notes", "").unwrap().contains("kept"));
    let pids = host.processes();
    assert_eq!(host.converge().outcome(APP), "noop");
    assert_eq!(host.processes(), pids);
}

#[test]
fn a_sick_version_is_taken_back_with_its_data() {
    let host = host();
    let ran = host.converge();
    assert_eq!(ran.outcome(APP), "installed", "{ran:?}");
    host.write_note("kept");
    let before = host.data();
    host.release("1.1.0", "rewrites sick");
    let ran = host.converge();
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (4, "rolledBack"), "{ran:?}");
    assert_eq!((host.serving().as_deref(), host.data()), (Some("1.0.0"), before));
}

#[test]
fn an_app_that_is_down_is_repaired() {
    let host = host();
    let ran = host.converge();
    assert_eq!(ran.outcome(APP), "installed", "{ran:?}");
    host.run(&["converge"]);
    std::process::Command::new("sh").arg(host.path("ctl")).arg("stop").status().unwrap();
    assert!(common::eventually(std::time::Duration::from_secs(5), || host.serving().is_none()));
    assert_eq!(host.converge().outcome(APP), "repaired");
    assert_eq!(host.serving().as_deref(), Some("1.0.0"));
}

#[test]
fn a_status_that_is_no_json_is_told_with_what_it_should_print() {
    let host = host();
    let mut config = host.config();
    config["apps"][APP]["driver"] = driver(&host);
    config["apps"][APP]["driver"]["command"]["status"] = json!(["echo", "up"]);
    host.write_config(&config);
    let ran = host.converge();
    let app = ran.app(APP);
    assert_eq!((ran.code, app["outcome"].as_str()), (1, Some("failed")), "{ran:?}");
    assert!(app["cause"].as_str().unwrap().contains("driver.command.status"), "{app}");
    assert!(app["remedy"].as_str().unwrap().contains(r#""running":true"#), "{app}");
}

#[test]
fn a_recovery_does_not_take_the_app_for_a_stray() {
    let host = host();
    let ran = host.converge();
    assert_eq!(ran.outcome(APP), "installed", "{ran:?}");
    host.release("1.1.0", "");
    // The twelfth record says that the deploy has ended.
    assert_eq!(host.converge_with_fault("kill-after:12").code, -9);
    let pids = host.processes();
    let ran = host.converge();
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (0, "recovered"), "{ran:?}");
    assert_eq!(host.serving().as_deref(), Some("1.1.0"));
    assert_eq!(host.processes(), pids, "the app that was deployed runs on");
}
