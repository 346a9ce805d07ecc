//! Several apps: what comes after what, and whom a failure concerns.

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

use common::{Host, Ran};
use serde_json::{Value, json};

/// A host with these apps: each a script that logs its start into the file `log` and serves nothing, each with the apps
/// that it comes after.
fn host(apps: &[(&str, &[&str])]) -> Host {
    let host = Host::new();
    let mut config = host.config();
    let log = host.path("log").display().to_string();
    let all = apps.iter().map(|(name, after)| {
        let script = format!("echo {name} {{version}} >> {log}; exec sleep 600");
        let app = json!({
            "driver": { "process": { "command": ["sh", "-c", script, host.dir.path()], "stopTimeout": "5s" } },
            "versions": { "source": { "list": { "versions": ["1.0.0"] } } },
            "health": {
                "checks": { "up": { "command": { "run": ["true"] } } },
                "interval": "10ms", "timeout": "500ms", "passes": 1, "soak": "0s"
            },
            "after": after
        });
        ((*name).to_owned(), app)
    });
    config["apps"] = Value::Object(all.collect());
    host.write_config(&config);
    host
}

fn change(host: &Host, change: impl FnOnce(&mut Value)) {
    let mut config = serde_json::from_slice(&fs::read(host.path("warmkeep.json")).unwrap()).unwrap();
    change(&mut config);
    host.write_config(&config);
}

/// The checks of an app fail from now on.
fn break_app(host: &Host, name: &str) {
    change(host, |config| {
        config["apps"][name]["health"]["checks"]["up"]["command"]["run"] = json!(["false"]);
    });
}

fn release(host: &Host, version: &str) {
    change(host, |config| {
        for app in config["apps"].as_object_mut().unwrap().values_mut() {
            app["versions"]["source"]["list"]["versions"] = json!(["1.0.0", version]);
        }
    });
}

/// What was started, in order, since the last time.
fn started(host: &Host) -> Vec<String> {
    let text = fs::read_to_string(host.path("log")).unwrap_or_default();
    let _ = fs::remove_file(host.path("log"));
    text.lines().map(str::to_owned).collect()
}

fn outcomes(ran: &Ran) -> String {
    let document = ran.json();
    let apps = document["apps"].as_array().unwrap().iter();
    let words =
        apps.map(|app| format!("{} {}", app["app"].as_str().unwrap(), app["outcome"].as_str().unwrap()));
    words.collect::<Vec<_>>().join(", ")
}

#[test]
fn apps_start_after_those_that_they_come_after() {
    let host = host(&[("a-web", &["m-auth"]), ("m-auth", &["z-db"]), ("z-db", &[])]);
    let ran = host.converge();
    assert_eq!((ran.code, outcomes(&ran).as_str()), (0, "a-web installed, m-auth installed, z-db installed"));
    assert_eq!(started(&host), ["z-db 1.0.0", "m-auth 1.0.0", "a-web 1.0.0"]);
}

#[test]
fn an_app_after_one_that_is_not_healthy_is_skipped_with_that_reason_and_others_go_on() {
    let host = host(&[("db", &[]), ("web", &["db"]), ("top", &["web"]), ("alone", &[])]);
    break_app(&host, "db");
    let ran = host.converge();
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(outcomes(&ran), "alone installed, db failed, top failed, web failed");
    let web = ran.app("web");
    assert!(web["reason"].as_str().unwrap().contains("skipped: db"), "{web}");
    assert!(ran.app("top")["reason"].as_str().unwrap().contains("skipped: web"), "{ran:?}");
    assert_eq!(web["steps"], json!([]));
    let mut started = started(&host);
    started.sort();
    assert_eq!(started, ["alone 1.0.0", "db 1.0.0"]);
}

#[test]
fn one_app_s_failure_stops_no_other() {
    let host = host(&[("a", &[]), ("b", &[]), ("c", &[])]);
    assert_eq!(host.converge().code, 0);
    release(&host, "1.1.0");
    change(&host, |config| {
        config["apps"]["b"]["health"]["checks"]["up"]["command"]["run"] =
            json!(["sh", "-c", "test $WARMKEEP_VERSION = 1.0.0"]);
    });
    let ran = host.converge();
    assert_eq!((ran.code, outcomes(&ran).as_str()), (4, "a upgraded, b rolledBack, c upgraded"), "{ran:?}");
}

#[test]
fn an_app_after_one_that_was_rolled_back_and_is_healthy_goes_on() {
    let host = host(&[("db", &[]), ("web", &["db"])]);
    assert_eq!(host.converge().code, 0);
    release(&host, "1.1.0");
    change(&host, |config| {
        config["apps"]["db"]["health"]["checks"]["up"]["command"]["run"] =
            json!(["sh", "-c", "test $WARMKEEP_VERSION = 1.0.0"]);
    });
    let ran = host.converge();
    assert_eq!((ran.code, outcomes(&ran).as_str()), (4, "db rolledBack, web upgraded"), "{ran:?}");
}

#[test]
fn a_subset_brings_up_what_it_needs_and_upgrades_only_what_was_named() {
    let host = host(&[("db", &[]), ("web", &["db"]), ("other", &[])]);
    let ran = host.run(&["converge", "web", "--json"]);
    assert_eq!((ran.code, outcomes(&ran).as_str()), (0, "db installed, web installed"), "{ran:?}");
    release(&host, "1.1.0");
    let ran = host.run(&["converge", "web", "--json"]);
    assert_eq!((ran.code, outcomes(&ran).as_str()), (0, "db noop, web upgraded"), "{ran:?}");
    let mut started = started(&host);
    started.sort();
    assert_eq!(started, ["db 1.0.0", "web 1.0.0", "web 1.1.0"]);
}

#[test]
fn independent_apps_converge_at_the_same_time() {
    let host = host(&[("a", &[]), ("b", &[])]);
    // Each is healthy only while the other one was begun as well: one after the other, both would fail.
    let met =
        |other: &str| json!(["sh", "-c", format!("grep -q '^{other} ' {}", host.path("log").display())]);
    change(&host, |config| {
        for (name, other) in [("a", "b"), ("b", "a")] {
            config["apps"][name]["health"]["checks"]["up"]["command"]["run"] = met(other);
            config["apps"][name]["health"]["timeout"] = json!("5s");
        }
    });
    let ran = host.converge();
    assert_eq!((ran.code, outcomes(&ran).as_str()), (0, "a installed, b installed"), "{ran:?}");
}

#[test]
fn one_job_at_a_time_still_finishes_everything() {
    let host = host(&[("a", &["c"]), ("b", &[]), ("c", &[])]);
    let ran = host.run(&["converge", "--jobs", "1", "--json"]);
    assert_eq!((ran.code, outcomes(&ran).as_str()), (0, "a installed, b installed, c installed"), "{ran:?}");
}

#[test]
fn a_night_converges_everything_and_keeps_its_report() {
    let host = host(&[("db", &[]), ("web", &["db"])]);
    let ran = host.run(&["nightly", "--json"]);
    assert_eq!((ran.code, outcomes(&ran).as_str()), (0, "db installed, web installed"), "{ran:?}");
    let document = ran.json();
    let kept = host.path("state/runs").join(format!("{}.json", document["run"].as_str().unwrap()));
    assert_eq!(serde_json::from_slice::<Value>(&fs::read(kept).unwrap()).unwrap(), document);
}
