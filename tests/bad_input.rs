//! Damage and hostile input: a clear error that names the file, no panic, nothing lost.

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
use std::path::{Path, PathBuf};

use common::{APP, Host, Ran, assert_untouched, full_tree};
use serde_json::{Value, json};

fn installed() -> Host {
    let host = Host::new();
    host.install();
    host.write_note("kept");
    host
}

#[track_caller]
fn assert_no_panic(ran: &Ran) {
    assert!(!ran.stderr.contains("panicked"), "{ran:?}");
    assert!((0..=75).contains(&ran.code), "{ran:?}");
}

/// Converge gives up on the app, names the file, and neither the app nor its data is touched.
#[track_caller]
fn assert_refused(host: &Host, file: &Path) -> Ran {
    let (pid, data) = (host.processes(), full_tree(&host.path("data")));
    let bytes = fs::read(file).unwrap();
    let ran = host.converge();
    assert_no_panic(&ran);
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (1, "failed"), "{ran:?}");
    let app = ran.app(APP);
    assert!(app["cause"].as_str().unwrap().contains(&file.display().to_string()), "{app}");
    assert!(app["remedy"].is_string(), "{app}");
    assert_eq!(host.processes(), pid);
    assert_untouched(&host.path("data"), &data);
    assert_eq!(fs::read(file).unwrap(), bytes, "the evidence stays as it is");
    assert!(host.alerts().iter().any(|alert| alert["kind"] == "failed"), "{:?}", host.alerts());
    for verb in [&["status"][..], &["plan"], &["history"], &["status", "--json"], &["plan", "--json"]] {
        assert_no_panic(&host.run(verb));
    }
    ran
}

#[test]
fn a_state_file_that_is_damaged_is_an_error_that_names_it() {
    let host = installed();
    let file = host.app_dir().join("state.json");
    let good = fs::read(&file).unwrap();
    let half = &good[..good.len() / 2];
    for bad in [&b""[..], b"\0\0\0\0", b"null", b"[]", b"{}", b"\xff\xfe", half, b"{\"schema\":\"1\"}"] {
        fs::write(&file, bad).unwrap();
        assert_refused(&host, &file);
    }
    let status = host.run(&["status", "--json"]).json();
    assert!(status["apps"][0]["error"].as_str().unwrap().contains("state.json"), "{status}");
    fs::write(&file, &good).unwrap();
    assert_eq!(host.converge().outcome(APP), "noop");
}

#[test]
fn a_state_file_of_the_future_is_never_guessed_at() {
    let host = installed();
    let file = host.app_dir().join("state.json");
    let mut state = host.state(APP);
    state["schema"] = json!(2);
    fs::write(&file, state.to_string()).unwrap();
    let ran = assert_refused(&host, &file);
    let cause = ran.app(APP)["cause"].to_string();
    assert!(cause.contains("schema 2") && cause.contains("schema 1"), "{cause}");
}

#[test]
fn a_process_record_that_is_damaged_or_gone_blocks_nothing_the_app_is_found_by_its_mark() {
    let host = installed();
    for bad in [Some(&b""[..]), Some(b"{"), Some(b"{\"schema\":9}"), None] {
        let (file, pid) = (host.process_file(), host.pid());
        match bad {
            Some(bytes) => fs::write(&file, bytes).unwrap(),
            None => fs::remove_file(&file).unwrap(),
        }
        let ran = host.converge();
        assert_eq!((ran.code, ran.outcome(APP).as_str()), (0, "repaired"), "{ran:?}");
        assert_eq!(
            ran.stderr.contains("process.json is corrupt"),
            bad.is_some_and(|b| b.len() < 2),
            "{ran:?}"
        );
        assert!(!common::is_alive(pid), "there are never two of it");
        assert_eq!(host.processes().len(), 1);
        assert_eq!(host.ask("GET", "/notes", "").as_deref(), Some("kept\n"));
    }
    fs::write(host.process_file(), b"{").unwrap();
    assert_eq!(host.run(&["retire", APP]).code, 0);
    assert_eq!(host.processes(), Vec::<i32>::new());
}

/// A host that died in the gate of an upgrade, after its app was started, and its journal.
fn interrupted() -> (Host, PathBuf) {
    let host = installed();
    host.release("1.1.0", "");
    let killed = host.converge_with_fault("kill-after:15");
    assert_eq!(killed.code, -9, "{killed:?}");
    let journal = host.app_dir().join("journal.jsonl");
    assert!(journal.exists());
    (host, journal)
}

#[test]
fn a_journal_with_a_flipped_bit_anywhere_is_an_error_or_read_as_if_it_were_torn() {
    let (host, journal) = interrupted();
    let good = fs::read(&journal).unwrap();
    let good = good[..=good.iter().rposition(|byte| *byte == b'\n').unwrap()].to_vec();
    let last_line = good[..good.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    // `plan` reads the journal and changes nothing, so that many flips are met quickly.
    let step = good.len() / 40;
    for at in (0..good.len()).step_by(step) {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        fs::write(&journal, &bad).unwrap();
        let plan = host.run(&["plan", "--json"]);
        assert_no_panic(&plan);
        let told = plan.json()["apps"][0]["error"].to_string();
        let torn = at >= last_line && bad[at] != b'\n' && bad.last() != Some(&b'\n');
        assert!(told.contains("journal") || torn, "bit {at}: {plan:?}");
    }
    let mut bad = good.clone();
    bad[last_line / 2] ^= 4;
    fs::write(&journal, &bad).unwrap();
    let ran = assert_refused(&host, &journal);
    assert!(ran.app(APP)["remedy"].as_str().unwrap().contains("warmkeep deploy"), "{ran:?}");
    fs::write(&journal, &good).unwrap();
    assert_eq!(host.converge().outcome(APP), "recovered");
    assert_eq!(host.serving().as_deref(), Some("1.1.0"));
}

#[test]
fn a_last_line_that_is_half_written_was_never_acted_upon() {
    let (host, journal) = interrupted();
    let mut text = fs::read(&journal).unwrap();
    while text.last() == Some(&0) {
        text.pop();
    }
    text.extend_from_slice(b"{\"sum\":\"0123\",\"entry\":{\"seq\":16,\"at\":\"2026-");
    fs::write(&journal, text).unwrap();
    assert_eq!(host.converge().outcome(APP), "recovered");
    assert_eq!(host.serving().as_deref(), Some("1.1.0"));
    assert_eq!(host.ask("GET", "/notes", "").as_deref(), Some("kept\n"));
    assert_eq!(host.leftovers(), Vec::<String>::new());
}

#[test]
fn garbage_in_the_middle_of_a_journal_is_an_error_and_a_person_has_a_way_out() {
    let (host, journal) = interrupted();
    let text = fs::read_to_string(&journal).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines[4] = "not a record";
    fs::write(&journal, lines.join("\n") + "\n").unwrap();
    assert_refused(&host, &journal);
    let ran = host.run(&["deploy", APP, "1.1.0", "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.app(APP)["overrides"].to_string().contains("journal"), "{ran:?}");
    assert!(host.app_dir().join("journal.abandoned.jsonl").exists(), "the evidence is kept");
    assert_eq!(host.converge().outcome(APP), "noop");
    assert_eq!(host.ask("GET", "/notes", "").as_deref(), Some("kept\n"));
}

#[test]
fn an_empty_journal_means_that_nothing_was_begun() {
    let host = installed();
    fs::write(host.app_dir().join("journal.jsonl"), "").unwrap();
    assert_eq!(host.converge().outcome(APP), "noop");
    assert_eq!(host.leftovers(), Vec::<String>::new());
}

#[test]
fn a_journal_of_the_future_is_never_guessed_at() {
    let (host, journal) = interrupted();
    let text = fs::read_to_string(&journal).unwrap();
    let first = text.lines().next().unwrap().replace("\"schema\":1", "\"schema\":2");
    fs::write(&journal, first + "\n").unwrap();
    assert_refused(&host, &journal);
}

/// A sick upgrade whose own snapshot is damaged while it is being proven: the way back cannot be gone.
fn damaged_on_the_way_back() -> Host {
    let host = installed();
    host.release("1.1.0", "rewrites sick");
    let snapshots = host.app_dir().join("snapshots");
    let script = format!(
        "test $WARMKEEP_PHASE = upgrade || exit 0; printf X | dd of={}/$WARMKEEP_SNAPSHOT/0/data/notes.txt conv=notrunc \
         2>/dev/null",
        snapshots.display()
    );
    host.configure(|app| {
        app["health"]["checks"]["bad-disk"] = json!({ "command": { "run": ["sh", "-c", script] } });
    });
    let ran = host.converge();
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (5, "stuck"), "{ran:?}");
    let app = ran.app(APP);
    assert!(app["causes"]["upgrade"].as_str().unwrap().contains("500"), "{app}");
    assert!(app["causes"]["rollback"].as_str().unwrap().contains("notes.txt"), "{app}");
    host
}

#[test]
fn a_flipped_bit_in_the_snapshot_that_is_needed_is_stuck_loudly_with_everything_kept() {
    let host = damaged_on_the_way_back();
    assert_eq!(
        fs::read_to_string(host.path("data/notes.txt")).unwrap(),
        "MIGRATED TO A FORMAT THAT ONLY I CAN READ\n"
    );
    assert_eq!(host.snapshots().len(), 2, "both snapshots are there");
    assert!(host.app_dir().join("journal.jsonl").exists());
    let alerts = host.alerts();
    let stuck = alerts.iter().find(|alert| alert["kind"] == "stuck").unwrap_or_else(|| panic!("{alerts:?}"));
    assert_eq!(stuck["severity"], "critical");
    let status = host.run(&["status", "--json"]).json();
    assert!(status["apps"][0]["stuck"].is_string(), "{status}");
    let history = host.run(&["history", "--json"]).json();
    assert_eq!(history["entries"].as_array().unwrap().last().unwrap()["outcome"], "stuck");
    // Again, and it is still so: nothing worse, and no second alert.
    let again = host.converge();
    assert_eq!((again.code, again.outcome(APP).as_str()), (5, "stuck"), "{again:?}");
    assert_eq!(host.alerts().iter().filter(|alert| alert["kind"] == "stuck").count(), 1);
}

#[test]
fn being_stuck_ends_by_itself_once_the_cause_is_gone() {
    let host = damaged_on_the_way_back();
    for snapshot in host.snapshots() {
        let copy = host.app_dir().join("snapshots").join(snapshot).join("0/data/notes.txt");
        if fs::read_to_string(&copy).is_ok_and(|text| text == "Xept\n") {
            restore_bytes(&copy);
        }
    }
    let ran = host.converge();
    assert_eq!(ran.code, 4, "{ran:?}");
    assert_eq!(host.serving().as_deref(), Some("1.0.0"));
    assert_eq!(host.ask("GET", "/notes", "").as_deref(), Some("kept\n"));
}

/// The right bytes again, and the time that the manifest has.
fn restore_bytes(copy: &Path) {
    fs::write(copy, "kept\n").unwrap();
    let manifest = copy.ancestors().nth(3).unwrap().join("manifest-0.jsonl");
    let line = fs::read_to_string(manifest).unwrap();
    let entry: Value = line
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).unwrap())
        .find(|e| e["path"] == "notes.txt")
        .unwrap();
    let number = |at: usize| entry["mtime"][at].as_u64().unwrap();
    let time = std::time::Duration::new(number(0), u32::try_from(number(1)).unwrap());
    fs::File::open(copy).unwrap().set_modified(std::time::SystemTime::UNIX_EPOCH + time).unwrap();
}

#[test]
fn a_person_who_overrides_a_stuck_rollback_keeps_the_snapshot_that_it_was_about() {
    let host = damaged_on_the_way_back();
    let kept = host.snapshots();
    host.configure(|app| {
        app["health"]["checks"].as_object_mut().unwrap().remove("bad-disk");
    });
    let ran = host.run(&["deploy", APP, "1.0.0", "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.app(APP)["overrides"].to_string().contains("stuck"), "{ran:?}");
    let needed = kept.last().unwrap();
    assert!(host.snapshots().contains(needed), "{needed} of {:?}", host.snapshots());
    for version in ["1.0.1", "1.0.2"] {
        host.release(version, "");
        assert_eq!(host.run(&["deploy", APP, version]).code, 0);
    }
    assert!(host.snapshots().contains(needed), "{needed} of {:?}", host.snapshots());
    assert_eq!(host.run(&["status", "--json"]).json()["apps"][0]["stuck"], Value::Null);
}

#[test]
fn a_damaged_snapshot_does_not_break_a_rollback_by_hand_for_good() {
    let host = installed();
    host.release("1.1.0", "");
    assert_eq!(host.converge().outcome(APP), "upgraded");
    let snapshot = host.state(APP)["lastGood"]["snapshot"].as_str().unwrap().to_owned();
    fs::write(host.app_dir().join("snapshots").join(snapshot).join("0/data/notes.txt"), "KEPT\n").unwrap();
    host.write_note("later");
    let data = full_tree(&host.path("data"));
    let ran = host.run(&["rollback", APP, "--json"]);
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (4, "rolledBack"), "{ran:?}");
    assert!(ran.app(APP)["causes"]["upgrade"].as_str().unwrap().contains("notes.txt"), "{ran:?}");
    assert_untouched(&host.path("data"), &data);
    assert_eq!(host.serving().as_deref(), Some("1.1.0"));
}

#[test]
fn a_history_with_garbage_in_it_is_read_around() {
    let host = installed();
    let file = host.app_dir().join("history.jsonl");
    let mut bytes = fs::read(&file).unwrap();
    bytes.extend_from_slice(b"\xff\xfe{garbage\n\n{}\n");
    fs::write(&file, bytes).unwrap();
    let history = host.run(&["history", "--json"]);
    assert_eq!((history.code, history.json()["unreadable"].clone()), (0, json!(2)), "{history:?}");
    assert_eq!(history.json()["entries"].as_array().unwrap().len(), 1);
}

#[test]
fn an_alert_that_is_garbage_hides_no_other() {
    let host = installed();
    host.release("2.0.0", "");
    host.converge();
    fs::write(host.path("state/alerts/hold-notes-garbage.json"), "{").unwrap();
    let list = host.run(&["alerts", "list", "--json"]);
    assert_eq!(list.json()["alerts"].as_array().unwrap().len(), 1, "{list:?}");
    assert_eq!(list.json()["unreadable"].as_array().unwrap().len(), 1, "{list:?}");
}

#[test]
fn a_probe_that_is_garbage_is_no_probe_and_made_anew() {
    let host = installed();
    let file = host.path("state/status/notes.json");
    fs::write(&file, "{").unwrap();
    let status = host.run(&["status", "--json"]);
    let app = &status.json()["apps"][0];
    assert_eq!((status.code, &app["health"], &app["error"]), (0, &json!("unknown"), &json!(null)));
    assert!(status.stderr.contains("corrupt"), "{status:?}");
    let approve = host.run(&["approve", APP, "2.0.0"]);
    assert_eq!(approve.code, 0, "{approve:?}");
    assert_eq!(host.state(APP)["approved"][0]["version"], "2.0.0");
    assert_eq!(host.converge().outcome(APP), "noop");
    assert_eq!(host.run(&["status", "--json"]).json()["apps"][0]["health"], "healthy");
}

#[test]
fn hostile_configurations_are_usage_errors_and_nothing_more() {
    let host = Host::new();
    let good = fs::read_to_string(host.path("warmkeep.json")).unwrap();
    let deep = "[".repeat(10_000) + &"]".repeat(10_000);
    let long = format!("{{\"schema\":1,\"apps\":{{\"{}\":{{}}}}}}", "x".repeat(1 << 20));
    let keys = (0..20_000).map(|n| format!("\"k{n}\":1")).collect::<Vec<_>>().join(",");
    let nested = format!("{{\"schema\":1,\"apps\":{}1{}}}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    let cases: Vec<Vec<u8>> = vec![
        deep.into_bytes(),
        nested.into_bytes(),
        long.into_bytes(),
        format!("{{{keys},\"schema\":1}}").into_bytes(),
        b"".to_vec(),
        b"\0".to_vec(),
        b"{\"schema\":1,\"apps\":{\"a\0b\":{}}}".to_vec(),
        b"{\"schema\":1,\"apps\":{\"a\\u0000b\":{}}}".to_vec(),
        b"\xff\xfe{}".to_vec(),
        good.replace("notes", "no\u{1b}[31mtes").into_bytes(),
        good.replace("\"minor\"", "\"min\\u001b[2Jor\"").into_bytes(),
        b"{\"schema\":99999999999999999999999}".to_vec(),
    ];
    for bad in cases {
        fs::write(host.path("warmkeep.json"), &bad).unwrap();
        let start = String::from_utf8_lossy(&bad[..bad.len().min(60)]).into_owned();
        for verb in [&["check"][..], &["converge", "--json"]] {
            let ran = host.run(verb);
            assert_eq!(ran.code, 2, "{start}: {:.300} {:.300}", ran.stdout, ran.stderr);
            assert_no_panic(&ran);
            assert!(!ran.stderr.contains('\u{1b}') && !ran.stdout.contains('\u{1b}'), "{start}: raw escapes");
            assert!(ran.stderr.len() < 200_000, "{start}: {} bytes", ran.stderr.len());
            if verb.contains(&"--json") {
                assert_eq!(ran.json()["valid"], false, "{start}");
            }
        }
    }
    assert!(!host.path("state").exists());
}
