//! Golden transcripts: the records that each sort of transaction writes, in order.

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

use common::{APP, Host};
use serde_json::Value;

/// Runs a verb, killed right after its last record, and tells what is in its journal. A record more or less than
/// `records` and the transcript would not end with `closed`.
fn transcript(host: &Host, verb: &[&str], records: usize) -> String {
    let mut command = host.command(verb);
    let killed =
        common::ran(command.env("WARMKEEP_FAULT", format!("kill-after:{records}")).output().unwrap());
    assert_eq!(killed.code, -9, "{killed:?}");
    let journal = fs::read_to_string(host.app_dir().join("journal.jsonl")).unwrap();
    let lines: Vec<&str> = journal.lines().filter(|line| line.starts_with('{')).collect();
    let told = lines.iter().enumerate().map(|(number, line)| {
        let entry: Value = serde_json::from_str::<Value>(line).unwrap()["entry"].clone();
        assert_eq!(entry["seq"], number + 1, "{line}");
        let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        let steps = entry["steps"]
            .as_array()
            .map(|steps| steps.iter().map(|step| step.as_str().unwrap()).collect::<Vec<_>>().join(" "));
        let all = [text("leg"), text("record"), text("step"), text("fault"), steps.unwrap_or_default()];
        all.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
    });
    // Each step that began and ended without a word in between is one line.
    let told: Vec<String> = told.collect();
    let mut lines: Vec<String> = Vec::new();
    for line in told {
        match lines.last_mut() {
            Some(last) if line == last.replacen(" begun ", " ended ", 1) && line != *last => {
                *last = last.replacen(" begun ", " ", 1);
            }
            _ => lines.push(line),
        }
    }
    let after = host.converge();
    assert!(matches!(after.code, 0 | 4), "a closed transaction is only tidied away: {after:?}");
    lines.join("\n")
}

fn installed() -> Host {
    let host = Host::new();
    host.install();
    host
}

#[test]
fn an_install() {
    insta::assert_snapshot!(transcript(&Host::new(), &["converge"], 18), @r"
    opened
    forward prefetch
    forward begun snapshot
    snapshot
    forward ended snapshot
    forward deploy
    forward seal
    forward begun gate
    forward up
    forward ended gate
    forward commit
    forward tidy
    closed
    ");
}

#[test]
fn an_upgrade() {
    let host = installed();
    host.release("1.1.0", "");
    insta::assert_snapshot!(transcript(&host, &["converge"], 22), @r"
    opened
    forward prefetch
    forward stop
    forward waitGone
    forward begun snapshot
    snapshot
    forward ended snapshot
    forward deploy
    forward seal
    forward begun gate
    forward up
    forward ended gate
    forward commit
    forward tidy
    closed
    ");
}

#[test]
fn a_stateless_upgrade() {
    let host = Host::new();
    host.make_stateless();
    host.install();
    host.release("1.1.0", "");
    insta::assert_snapshot!(transcript(&host, &["converge"], 13), @r"
    opened
    forward prefetch
    forward deploy
    forward begun gate
    forward up
    forward ended gate
    forward commit
    forward tidy
    closed
    ");
}

#[test]
fn an_upgrade_that_is_rolled_back() {
    let host = installed();
    host.release("1.1.0", "rewrites sick");
    insta::assert_snapshot!(transcript(&host, &["converge"], 34), @r"
    opened
    forward prefetch
    forward stop
    forward waitGone
    forward begun snapshot
    snapshot
    forward ended snapshot
    forward deploy
    forward seal
    forward begun gate
    forward failed gate
    turnedBack version stop waitGone restore deploy gate commit tidy
    back stop
    back waitGone
    back begun restore
    back exchanges
    back ended restore
    back deploy
    back begun gate
    back up
    back ended gate
    back commit
    back tidy
    closed
    ");
}

#[test]
fn a_prefetch_that_fails() {
    insta::assert_snapshot!(transcript(&host_with_failing_prefetch(), &["converge"], 9), @r"
    opened
    forward begun prefetch
    forward failed prefetch
    turnedBack machine commit tidy
    back commit
    back tidy
    closed
    ");
}

/// A host whose next version cannot be fetched, once.
fn host_with_failing_prefetch() -> Host {
    let host = Host::new();
    let once = host.path("once").display().to_string();
    let script = format!("test {{version}} = 1.0.0 || test -e {once} || {{ touch {once}; exit 1; }}");
    host.list_versions("1.0.0\n");
    host.configure(|app| app["driver"]["process"]["prepare"] = serde_json::json!(["sh", "-c", script]));
    host.install();
    host.list_versions("1.0.0\n1.1.0\n");
    host
}

#[test]
fn a_repair() {
    let host = installed();
    host.kill_app();
    insta::assert_snapshot!(transcript(&host, &["converge"], 17), @r"
    opened
    forward prefetch
    forward stop
    forward waitGone
    forward deploy
    forward begun gate
    forward up
    forward ended gate
    forward commit
    forward tidy
    closed
    ");
}

#[test]
fn a_rollback_by_hand() {
    let host = installed();
    host.release("1.1.0", "");
    assert_eq!(host.converge().outcome(APP), "upgraded");
    insta::assert_snapshot!(transcript(&host, &["rollback", APP], 25), @r"
    opened
    forward prefetch
    forward stop
    forward waitGone
    forward begun snapshot
    snapshot
    forward ended snapshot
    forward begun restore
    forward exchanges
    forward ended restore
    forward deploy
    forward seal
    forward begun gate
    forward up
    forward ended gate
    forward commit
    forward tidy
    closed
    ");
}
