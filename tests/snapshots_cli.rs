//! `snapshot list` and `snapshot verify`, as a person and a program meet them.

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
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use common::{APP, Host, eventually};
use serde_json::{Value, json};

/// A host that went from 1.0.0 to 1.1.0: it has one snapshot.
fn upgraded() -> Host {
    let host = Host::new();
    host.install();
    host.write_note("under 1.0.0");
    host.release("1.1.0", "");
    assert_eq!(host.converge().outcome(APP), "upgraded");
    host
}

fn listed(host: &Host) -> Vec<Value> {
    let ran = host.run(&["snapshot", "list", APP, "--json"]);
    assert_eq!((ran.code, &ran.json()["app"]), (0, &json!(APP)), "{ran:?}");
    ran.json()["snapshots"].as_array().unwrap().clone()
}

/// The copy of the data in the newest snapshot.
fn copied(host: &Host, file: &str) -> PathBuf {
    let mut found = Vec::new();
    common::walk(&host.app_dir().join("snapshots"), &mut |path| {
        if path.ends_with(file) {
            found.push(path.to_owned());
        }
    });
    found.pop().unwrap_or_else(|| panic!("no {file} in a snapshot"))
}

fn damage(host: &Host) {
    let name = fs::read_dir(host.path("data")).unwrap().next().unwrap().unwrap().file_name();
    let file = copied(host, name.to_str().unwrap());
    let mut bytes = fs::read(&file).unwrap();
    bytes.push(b'!');
    fs::write(&file, bytes).unwrap();
}

#[test]
fn snapshots_are_listed_with_all_that_is_known_of_them() {
    let host = upgraded();
    let snapshots = listed(&host);
    let [snapshot] = snapshots.as_slice() else { panic!("{snapshots:?}") };
    assert_eq!(snapshot["id"], host.snapshots()[0].as_str());
    assert_eq!((&snapshot["version"], &snapshot["sealed"]), (&json!("1.0.0"), &json!(true)));
    assert!(snapshot["takenAt"].as_str().unwrap().ends_with('Z'), "{snapshot}");
    assert!(snapshot["bytes"].as_u64() > Some(0) && snapshot["entries"].as_u64() > Some(1), "{snapshot}");
    assert!(snapshot["reason"].is_string() && snapshot.as_object().unwrap().contains_key("verifiedAt"));
    let table = host.run(&["snapshot", "list", APP]);
    assert!(table.stdout.contains(&host.snapshots()[0]) && table.stdout.contains("1.0.0"), "{table:?}");
}

#[test]
fn a_snapshot_that_is_what_it_was_is_verified_and_that_is_remembered() {
    let host = upgraded();
    let id = &host.snapshots()[0];
    for arguments in [&["snapshot", "verify", APP, "--json"][..], &["snapshot", "verify", APP, id, "--json"]]
    {
        let ran = host.run(arguments);
        let document = ran.json();
        assert_eq!((ran.code, &document["ok"]), (0, &json!(true)), "{ran:?}");
        assert_eq!(document["snapshots"][0]["id"], id.as_str());
        assert!(document["snapshots"][0]["entries"].as_u64() > Some(1), "{document}");
        assert_eq!(listed(&host)[0]["verifiedAt"], document["snapshots"][0]["verifiedAt"]);
    }
    assert!(host.run(&["snapshot", "verify", APP]).stdout.contains("is what it was"));
}

#[test]
fn a_damaged_snapshot_is_exit_1_with_what_differs() {
    let host = upgraded();
    damage(&host);
    let ran = host.run(&["snapshot", "verify", APP, "--json"]);
    assert_eq!((ran.code, &ran.json()["ok"]), (1, &json!(false)), "{ran:?}");
    let snapshot = ran.json()["snapshots"][0].clone();
    let name = fs::read_dir(host.path("data")).unwrap().next().unwrap().unwrap().file_name();
    assert!(snapshot["error"].as_str().unwrap().contains(name.to_str().unwrap()), "{snapshot}");
    assert!(snapshot["remedy"].is_string(), "{snapshot}");
    let shown = host.run(&["snapshot", "verify", APP]);
    assert_eq!(shown.code, 1);
    assert!(shown.stdout.contains("is not proven") && shown.stdout.contains("damaged"), "{shown:?}");
}

#[test]
fn a_snapshot_that_cannot_be_read_is_listed_apart_and_not_proven() {
    let host = upgraded();
    fs::create_dir(host.app_dir().join("snapshots/20260101T000000Z-0001")).unwrap();
    let list = host.run(&["snapshot", "list", APP, "--json"]);
    assert_eq!((list.code, list.json()["unreadable"].as_array().unwrap().len()), (0, 1), "{list:?}");
    let verify = host.run(&["snapshot", "verify", APP, "--json"]);
    assert_eq!((verify.code, verify.json()["snapshots"].as_array().unwrap().len()), (1, 2), "{verify:?}");
}

#[test]
fn the_last_snapshot_of_a_retired_app_is_listed_and_verified() {
    let host = upgraded();
    let retired = host.run(&["retire", APP, "--json"]).app(APP);
    let mut config = host.config();
    config["apps"] = json!({});
    host.write_config(&config);
    let snapshots = listed(&host);
    assert_eq!((snapshots.len(), &snapshots[0]["id"]), (1, &retired["snapshot"]));
    assert_eq!(snapshots[0]["reason"], "retired");
    assert_eq!(host.run(&["snapshot", "verify", APP]).code, 0);
    let status = host.run(&["status", "--json"]).json();
    assert_eq!(status["apps"], json!([]), "it stays forgotten");
}

#[test]
fn what_has_no_snapshots_says_so() {
    let host = Host::new();
    assert_eq!(listed(&host), Vec::<Value>::new());
    assert!(host.run(&["snapshot", "list", APP]).stdout.contains("has no snapshots"));
    let nothing = host.run(&["snapshot", "verify", APP, "--json"]);
    assert_eq!((nothing.code, &nothing.json()["error"]["kind"]), (1, &json!("failed")), "{nothing:?}");
    let unknown = host.run(&["snapshot", "verify", APP, "20260101T000000Z-0001", "--json"]);
    assert_eq!((unknown.code, &unknown.json()["ok"]), (1, &json!(false)), "{unknown:?}");
}

#[test]
fn names_of_no_app_and_of_no_snapshot_are_usage_errors() {
    let host = upgraded();
    for arguments in [
        &["list", "note"][..],
        &["list", ".."],
        &["list", "../apps/notes"],
        &["verify", "note"],
        &["verify", APP, "../../x"],
        &["verify", APP, "latest"],
    ] {
        let ran = host.run(&[&["snapshot"], arguments].concat());
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{arguments:?}: {ran:?}");
    }
    assert!(!host.path("state/apps/note").exists());
}

#[test]
fn verify_is_busy_while_another_run_is_at_work_on_the_app_and_list_is_not() {
    let host = upgraded();
    let script =
        format!("touch {0}/waiting; while test ! -e {0}/go; do sleep 0.01; done", host.dir.path().display());
    host.release("1.2.0", "");
    host.configure(|app| app["hooks"]["beforeStop"] = json!(["sh", "-c", script]));
    let mut running =
        host.command(&["converge"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    assert!(eventually(Duration::from_secs(10), || host.path("waiting").exists()), "it never began");
    let busy = host.run(&["snapshot", "verify", APP, "--json"]);
    assert_eq!((busy.code, &busy.json()["error"]["kind"]), (75, &json!("busy")), "{busy:?}");
    assert_eq!(listed(&host).len(), 1);
    fs::write(host.path("go"), "").unwrap();
    running.wait().unwrap();
}
