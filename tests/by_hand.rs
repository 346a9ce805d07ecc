//! What people ask for by name: deploy, rollback, retire, approve; and what the safety gate holds.

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

use common::{APP, Host, assert_untouched, full_tree};
use serde_json::{Value, json};

const MANUAL: &str = "Breaking: a Manual Migration of the database is needed.";

fn installed() -> Host {
    let host = Host::new();
    host.install();
    host
}

/// A host that went from 1.0.0 to 1.1.0, with a note written under each.
fn upgraded() -> Host {
    let host = installed();
    host.write_note("under 1.0.0");
    host.release("1.1.0", "");
    assert_eq!(host.converge().outcome(APP), "upgraded");
    host.write_note("under 1.1.0");
    host
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no text {key}: {value}"))
}

fn notes(host: &Host) -> String {
    host.ask("GET", "/notes", "").unwrap()
}

/// The app is held, untouched, for a reason that holds these words, and with this command in its one alert.
#[track_caller]
fn assert_held(host: &Host, version: &str, words: &str, command: &str) {
    let pid = host.pid();
    for _ in 0..2 {
        let ran = host.converge();
        let app = ran.app(APP);
        assert_eq!((ran.code, text(&app, "outcome"), text(&app, "to")), (0, "held", version), "{ran:?}");
        assert!(text(&app, "reason").contains(words), "{app}");
    }
    assert_eq!(host.pid(), pid);
    let alerts = host.alerts();
    let [alert] = alerts.as_slice() else { panic!("told once: {alerts:?}") };
    assert_eq!((text(alert, "kind"), text(alert, "severity")), ("hold", "info"));
    assert_eq!(text(alert, "command"), command);
    let status = host.run(&["status", "--json"]).json();
    assert_eq!(status["apps"][0]["held"][0]["version"], version, "{status}");
}

#[test]
fn a_major_step_is_held_until_it_is_approved() {
    let host = installed();
    host.release("2.0.0", "");
    assert_held(&host, "2.0.0", "major", "warmkeep approve notes 2.0.0");
    assert_eq!(host.run(&["approve", APP, "2.0.0"]).code, 0);
    assert_eq!(host.converge().outcome(APP), "upgraded");
    assert_eq!(host.serving().as_deref(), Some("2.0.0"));
    assert_eq!(host.state(APP)["approved"], json!([]), "an approval is used up");
}

#[test]
fn an_approval_that_no_converge_would_use_is_not_recorded() {
    let host = upgraded();
    for (version, words) in [("1.1.0", "is what runs"), ("1.0.0", "is older than 1.1.0")] {
        let ran = host.run(&["approve", APP, version]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.stdout.contains(words) && !ran.stdout.contains("takes it"), "{ran:?}");
        let document = host.run(&["approve", APP, version, "--json"]).json();
        assert_eq!((&document["approved"], &document["changed"]), (&json!(false), &json!(false)));
    }
    assert_eq!(host.state(APP)["approved"], json!([]));
}

#[test]
fn an_approval_of_what_nothing_listed_as_held_is_recorded_and_says_so() {
    let host = installed();
    let ran = host.run(&["approve", APP, "3.0.0"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("nothing listed it as held") && !ran.stdout.contains("the next converge"));
    assert_eq!(host.state(APP)["approved"][0]["version"], "3.0.0");
    host.release("2.0.0", "");
    host.converge();
    let held = host.run(&["approve", APP, "2.0.0"]);
    assert!(held.stdout.contains("is approved: the next converge takes it"), "{held:?}");
}

#[test]
fn what_the_policy_allows_is_taken_while_the_rest_is_held() {
    let host = installed();
    host.release("1.4.0", "");
    host.release("2.0.0", "");
    let ran = host.converge();
    assert_eq!((ran.outcome(APP).as_str(), text(&ran.app(APP), "to")), ("upgraded", "1.4.0"));
    assert!(host.alerts().iter().any(|alert| alert["kind"] == "hold" && alert["version"] == "2.0.0"));
}

#[test]
fn a_minor_step_is_held_where_the_policy_is_patch_and_any_where_it_is_none() {
    let host = installed();
    host.release("1.1.0", "");
    host.configure(|app| app["versions"]["policy"] = json!("patch"));
    assert_held(&host, "1.1.0", "minor step", "warmkeep approve notes 1.1.0");
    let host = installed();
    host.release("1.0.1", "");
    host.configure(|app| app["versions"]["policy"] = json!("none"));
    assert_held(&host, "1.0.1", "policy is none", "warmkeep approve notes 1.0.1");
}

#[test]
fn a_major_step_of_the_app_inside_the_packaging_is_held() {
    let host = installed();
    host.list_versions("1.0.0+26.1.0\n");
    assert_eq!(host.run(&["deploy", APP, "1.0.0+26.1.0"]).code, 0);
    host.list_versions("1.0.0+26.1.0\n1.0.1+27.0.0\n");
    assert_held(&host, "1.0.1+27.0.0", "major", "warmkeep approve notes 1.0.1+27.0.0");
}

#[test]
fn a_pre_release_is_held() {
    let host = installed();
    host.release("1.1.0-rc.1", "");
    assert_held(&host, "1.1.0-rc.1", "pre-release", "warmkeep approve notes 1.1.0-rc.1");
}

#[test]
fn an_opaque_version_is_held_where_versions_are_ordered_by_number() {
    let host = installed();
    host.release("8f3a9c1", "");
    assert_held(&host, "8f3a9c1", "x.y.z", "warmkeep approve notes 8f3a9c1");
}

#[test]
fn notes_of_a_version_that_is_stepped_over_hold_the_newest_and_stand_in_the_alert() {
    let host = installed();
    for version in ["1.1.0", "1.2.0", "1.3.0"] {
        host.release(version, "");
    }
    fs::write(host.path("releases/1.2.0/notes.md"), MANUAL).unwrap();
    fs::write(host.path("releases/1.3.0/notes.md"), "Nothing special.").unwrap();
    host.configure(|app| app["versions"]["holdNotes"] = json!(["(?i)manual migration"]));
    // 1.1.0 comes before the notes: it is taken, and what is beyond them is held.
    let ran = host.converge();
    assert_eq!((ran.outcome(APP).as_str(), text(&ran.app(APP), "to")), ("upgraded", "1.1.0"), "{ran:?}");
    assert_held(&host, "1.3.0", "Manual Migration", "warmkeep approve notes 1.3.0");
    let body = host.alerts()[0]["body"].as_str().unwrap().to_owned();
    assert!(body.contains(MANUAL) && body.contains("Nothing special."), "{body}");
}

#[test]
fn a_release_of_unknown_age_is_held_where_an_age_is_asked_for() {
    let host = installed();
    host.list_versions("1.0.0\n1.1.0\n");
    host.configure(|app| app["versions"]["minAge"] = json!("3d"));
    assert_held(&host, "1.1.0", "age is unknown", "warmkeep approve notes 1.1.0");
}

#[test]
fn a_young_release_waits_and_an_old_one_is_taken() {
    let host = installed();
    let line = |version: &str, at: &str| format!("{{\"version\":\"{version}\",\"releasedAt\":\"{at}\"}}\n");
    host.list_versions(
        &(line("1.0.0", "2001-01-01") + &line("1.1.0", "2001-01-01") + &line("1.2.0", "2999-01-01")),
    );
    host.configure(|app| app["versions"]["minAge"] = json!("72h"));
    let ran = host.converge();
    assert_eq!((ran.outcome(APP).as_str(), text(&ran.app(APP), "to")), ("upgraded", "1.1.0"), "{ran:?}");
    assert_held(&host, "1.2.0", "must be 3d old", "warmkeep approve notes 1.2.0");
}

#[test]
fn a_denied_version_is_held_and_cannot_be_approved() {
    let host = installed();
    host.release("1.1.0", "");
    host.configure(|app| app["versions"]["deny"] = json!(["1.1.0"]));
    assert_held(&host, "1.1.0", "denies", "warmkeep deploy notes 1.1.0");
    let approve = host.run(&["approve", APP, "1.1.0"]);
    assert_eq!(approve.code, 2, "{approve:?}");
    assert!(approve.stderr.contains("versions.deny"), "{approve:?}");
}

#[test]
fn a_pin_is_all_that_is_taken() {
    let host = installed();
    for version in ["1.1.0", "1.2.0"] {
        host.release(version, "");
    }
    host.configure(|app| app["versions"]["pin"] = json!("1.1.0"));
    let ran = host.converge();
    assert_eq!((ran.outcome(APP).as_str(), text(&ran.app(APP), "to")), ("upgraded", "1.1.0"), "{ran:?}");
    let pid = host.pid();
    assert!(matches!(host.converge().outcome(APP).as_str(), "noop" | "held"));
    assert_eq!((host.pid(), host.serving().as_deref()), (pid, Some("1.1.0")));
    assert_eq!(host.run(&["approve", APP, "1.2.0"]).code, 2);
}

#[test]
fn a_git_history_is_taken_in_its_own_order() {
    let host = Host::new();
    host.list_versions("9c1f3aa\n1b2c3d4\n");
    host.configure(|app| {
        app["versions"]["order"] = json!("listed");
        app["versions"]["policy"] = json!("any");
    });
    let ran = host.install();
    assert_eq!(ran.app(APP)["to"], "1b2c3d4");
    host.list_versions("9c1f3aa\n1b2c3d4\n0000aaa\n");
    let ran = host.converge();
    assert_eq!((ran.outcome(APP).as_str(), text(&ran.app(APP), "to")), ("upgraded", "0000aaa"), "{ran:?}");
    let by_hand = host.run(&["deploy", APP, "9c1f3aa", "--json"]);
    assert_eq!((by_hand.code, by_hand.outcome(APP).as_str()), (0, "upgraded"), "{by_hand:?}");
    assert_eq!(host.serving().as_deref(), Some("9c1f3aa"));
}

#[test]
fn a_deploy_by_hand_takes_exactly_that_version_and_records_what_it_overrode() {
    let host = installed();
    host.write_note("kept");
    host.release("2.0.0", "");
    host.release("3.0.0", "");
    let ran = host.run(&["deploy", APP, "2.0.0", "--json"]);
    let app = ran.app(APP);
    assert_eq!((ran.code, text(&app, "outcome"), text(&app, "to")), (0, "upgraded", "2.0.0"), "{ran:?}");
    assert!(app["overrides"].to_string().contains("major"), "{app}");
    let history = host.run(&["history", APP, "--json"]).json();
    let last = history["entries"].as_array().unwrap().last().unwrap().clone();
    assert!(last["overrides"].to_string().contains("major"), "{last}");
    assert_eq!((host.serving().as_deref(), notes(&host).as_str()), (Some("2.0.0"), "kept\n"));
}

#[test]
fn a_deploy_by_hand_is_gated_and_rolled_back_like_any_other() {
    let host = installed();
    host.write_note("kept");
    let before = full_tree(&host.path("data"));
    host.release("1.1.0", "rewrites sick");
    let ran = host.run(&["deploy", APP, "1.1.0", "--json"]);
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (4, "rolledBack"), "{ran:?}");
    assert_untouched(&host.path("data"), &before);
    assert_eq!(host.serving().as_deref(), Some("1.0.0"));
}

#[test]
fn a_deploy_of_what_runs_already_touches_nothing() {
    let host = installed();
    let pid = host.pid();
    let ran = host.run(&["deploy", APP, "1.0.0", "--json"]);
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (0, "noop"), "{ran:?}");
    assert_eq!(host.pid(), pid);
}

#[test]
fn a_deploy_of_a_version_that_is_not_there_touches_nothing() {
    let host = installed();
    let pid = host.pid();
    let ran = host.run(&["deploy", APP, "7.7.7", "--json"]);
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (1, "failed"), "{ran:?}");
    assert_eq!(host.pid(), pid);
    let nonsense = host.run(&["deploy", APP, "../../etc"]);
    assert_eq!(nonsense.code, 2, "{nonsense:?}");
}

#[test]
fn a_deploy_by_hand_can_be_the_first_one() {
    let host = Host::new();
    host.release("1.1.0", "");
    let ran = host.run(&["deploy", APP, "1.0.0", "--json"]);
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (0, "installed"), "{ran:?}");
    assert_eq!(host.serving().as_deref(), Some("1.0.0"));
}

#[test]
fn a_rollback_by_hand_takes_version_and_data_back_and_converge_does_not_undo_it() {
    let host = upgraded();
    let ran = host.run(&["rollback", APP, "--json"]);
    let app = ran.app(APP);
    assert_eq!(text(&app, "outcome"), "rolledBack", "{ran:?}");
    assert_eq!((text(&app, "from"), text(&app, "to")), ("1.1.0", "1.0.0"));
    assert_eq!((host.serving().as_deref(), notes(&host).as_str()), (Some("1.0.0"), "under 1.0.0\n"));
    let pid = host.pid();
    assert_eq!(host.converge().outcome(APP), "held");
    assert_eq!(host.pid(), pid);
}

#[test]
fn a_rollback_keeps_the_data_that_it_replaces() {
    let host = upgraded();
    let today = host.data();
    let ran = host.run(&["rollback", APP, "--json"]);
    let taken = text(&ran.app(APP), "snapshot").to_owned();
    let copy = host.app_dir().join("snapshots").join(&taken).join("0/data");
    assert_eq!(common::tree(&copy), today, "{ran:?}");
}

#[test]
fn a_rollback_to_a_version_or_a_snapshot_goes_there() {
    let host = upgraded();
    host.configure(|app| app["snapshots"] = json!({ "keepLast": 9 }));
    host.release("1.2.0", "");
    assert_eq!(host.converge().outcome(APP), "upgraded");
    host.write_note("under 1.2.0");
    let ran = host.run(&["rollback", APP, "--to", "1.1.0", "--json"]);
    assert_eq!(text(&ran.app(APP), "to"), "1.1.0", "{ran:?}");
    assert_eq!(notes(&host), "under 1.0.0\nunder 1.1.0\n");
    let newest = text(&ran.app(APP), "snapshot").to_owned();
    let ran = host.run(&["rollback", APP, "--to", &newest, "--json"]);
    assert_eq!(text(&ran.app(APP), "to"), "1.2.0", "{ran:?}");
    assert_eq!(notes(&host), "under 1.0.0\nunder 1.1.0\nunder 1.2.0\n");
    assert_eq!(host.serving().as_deref(), Some("1.2.0"));
}

#[test]
fn earlier_data_of_the_same_version_is_no_verdict_on_the_version() {
    let host = upgraded();
    host.configure(|app| app["snapshots"] = json!({ "keepLast": 9 }));
    // A snapshot of 1.1.0's data comes with going back to 1.0.0; then 1.1.0 again, and back to that data.
    let ran = host.run(&["rollback", APP, "--json"]);
    let of_1_1_0 = text(&ran.app(APP), "snapshot").to_owned();
    assert_eq!(host.run(&["deploy", APP, "1.1.0"]).code, 0);
    host.write_note("a mistake");
    let ran = host.run(&["rollback", APP, "--to", &of_1_1_0, "--json"]);
    assert_eq!((text(&ran.app(APP), "from"), text(&ran.app(APP), "to")), ("1.1.0", "1.1.0"), "{ran:?}");
    assert_eq!(notes(&host), "under 1.0.0\nunder 1.1.0\n");
    assert_eq!(host.state(APP)["quarantined"], json!([]));
    assert_eq!(host.converge().outcome(APP), "noop");
}

#[test]
fn a_rollback_with_nothing_to_go_back_to_says_so_and_touches_nothing() {
    let host = Host::new();
    let never = host.run(&["rollback", APP, "--json"]);
    assert_eq!((never.code, never.outcome(APP).as_str()), (1, "failed"), "{never:?}");
    host.install();
    let pid = host.pid();
    for arguments in [&["rollback", APP, "--json"][..], &["rollback", APP, "--to", "0.9.0", "--json"]] {
        let ran = host.run(arguments);
        assert_eq!((ran.code, ran.outcome(APP).as_str()), (1, "failed"), "{ran:?}");
        assert!(text(&ran.app(APP), "cause").contains("no snapshot"), "{ran:?}");
        assert!(text(&ran.app(APP), "remedy").contains("--to"), "{ran:?}");
    }
    assert_eq!(host.pid(), pid);
}

#[test]
fn a_stateless_app_goes_back_to_the_version_before() {
    let host = Host::new();
    host.make_stateless();
    host.install();
    host.release("1.1.0", "");
    assert_eq!(host.converge().outcome(APP), "upgraded");
    let ran = host.run(&["rollback", APP, "--json"]);
    assert_eq!(text(&ran.app(APP), "to"), "1.0.0", "{ran:?}");
    assert_eq!(host.serving().as_deref(), Some("1.0.0"));
}

#[test]
fn a_rollback_to_a_version_that_is_sick_ends_where_it_began() {
    let host = upgraded();
    fs::write(host.path("releases/1.0.0/behaviour"), "sick").unwrap();
    let before = full_tree(&host.path("data"));
    let ran = host.run(&["rollback", APP, "--json"]);
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (4, "rolledBack"), "{ran:?}");
    assert_eq!(host.serving().as_deref(), Some("1.1.0"));
    assert_untouched(&host.path("data"), &before);
    assert_eq!(host.converge().outcome(APP), "noop");
}

#[test]
fn a_retired_app_is_stopped_its_data_left_and_one_snapshot_kept() {
    let host = upgraded();
    let (pid, data) = (host.pid(), full_tree(&host.path("data")));
    let ran = host.run(&["retire", APP, "--json"]);
    let app = ran.app(APP);
    assert_eq!((ran.code, text(&app, "outcome")), (0, "retired"), "{ran:?}");
    assert!(!common::is_alive(pid));
    assert_untouched(&host.path("data"), &data);
    assert_eq!(host.snapshots(), [text(&app, "snapshot")]);
    assert!(!host.app_dir().join("state.json").exists());
    assert_eq!(host.leftovers(), Vec::<String>::new());
}

#[test]
fn an_app_that_left_the_configuration_is_shown_never_touched_and_can_be_retired() {
    let host = upgraded();
    let pid = host.pid();
    let mut config = host.config();
    config["apps"] = json!({});
    host.write_config(&config);
    let ran = host.converge();
    assert_eq!((ran.code, ran.json()["apps"].clone()), (0, json!([])), "{ran:?}");
    assert!(common::is_alive(pid));
    let status = host.run(&["status", "--json"]).json();
    assert_eq!((&status["apps"][0]["app"], &status["apps"][0]["declared"]), (&json!(APP), &json!(false)));
    assert!(host.run(&["status"]).stdout.contains("warmkeep retire notes"));
    let ran = host.run(&["retire", APP, "--json"]);
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (0, "retired"), "{ran:?}");
    assert!(!common::is_alive(pid));
    assert_eq!(host.snapshots().len(), 1);
    assert_eq!(host.run(&["status", "--json"]).json()["apps"], json!([]));
    assert_eq!(host.run(&["retire", APP]).code, 2, "it is known no more");
}

#[test]
fn retiring_in_the_middle_of_a_transaction_keeps_the_data_from_before_it() {
    let host = upgraded();
    let before = host.data();
    host.release("1.2.0", "rewrites sick");
    // Dead after the sick version began to run: the snapshot is the only good copy.
    let records_before_the_gate = 15;
    let killed = host.converge_with_fault(&format!("kill-after:{records_before_the_gate}"));
    assert_eq!(killed.code, -9, "{killed:?}");
    assert!(common::eventually(std::time::Duration::from_secs(5), || host.data() != before));
    let ran = host.run(&["retire", APP, "--json"]);
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (0, "retired"), "{ran:?}");
    let kept: Vec<_> = host
        .snapshots()
        .iter()
        .map(|id| common::tree(&host.app_dir().join("snapshots").join(id).join("0/data")))
        .collect();
    assert!(kept.contains(&before), "{ran:?}");
    assert_eq!(host.processes(), Vec::<i32>::new());
}

#[test]
fn retiring_an_app_whose_state_was_lost_still_keeps_its_data() {
    let host = upgraded();
    let data = host.data();
    fs::remove_file(host.app_dir().join("state.json")).unwrap();
    let ran = host.run(&["retire", APP, "--json"]);
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (0, "retired"), "{ran:?}");
    assert_eq!(host.data(), data);
    let last = text(&ran.app(APP), "snapshot").to_owned();
    assert_eq!(common::tree(&host.app_dir().join("snapshots").join(last).join("0/data")), data);
}

#[test]
fn a_state_file_that_was_lost_is_written_anew_from_what_runs() {
    let host = upgraded();
    let pid = host.pid();
    fs::remove_file(host.app_dir().join("state.json")).unwrap();
    assert_eq!(host.converge().outcome(APP), "noop");
    assert_eq!((host.pid(), &host.state(APP)["current"]), (pid, &json!("1.1.0")));
}

/// A host whose way back is broken: 1.1.0 came up sick, and its restore cannot be done while `break_it` is in force.
fn stuck() -> Host {
    let host = Host::new();
    assert_eq!(host.converge().outcome(APP), "installed");
    host.write_note("kept");
    host.release("1.1.0", "rewrites sick");
    // The old release is broken as soon as it has been left.
    let old = host.path("releases/1.0.0/behaviour").display().to_string();
    host.configure(|app| {
        app["hooks"] =
            json!({ "afterDeploy": ["sh", "-c", format!("test $WARMKEEP_VERSION = 1.0.0 || echo sick > {old}")] });
    });
    let ran = host.converge();
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (5, "stuck"), "{ran:?}");
    host
}

#[test]
fn a_mistyped_deploy_leaves_a_stuck_transaction_in_force() {
    let host = stuck();
    let ran = host.run(&["deploy", APP, "9.9.9", "--json"]);
    assert_ne!(ran.code, 0, "{ran:?}");
    fs::write(host.path("releases/1.0.0/behaviour"), "").unwrap();
    let ran = host.converge();
    assert_eq!(ran.outcome(APP), "rolledBack", "{ran:?}");
    assert_eq!(host.serving().as_deref(), Some("1.0.0"));
    assert!(host.ask("GET", "/notes", "").unwrap().contains("kept"));
    assert_eq!(host.leftovers(), Vec::<String>::new());
}

#[test]
fn a_stuck_version_that_is_overridden_is_in_quarantine() {
    let host = stuck();
    host.release("1.0.1", "");
    let ran = host.run(&["deploy", APP, "1.0.1", "--json"]);
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (0, "upgraded"), "{ran:?}");
    assert_eq!(host.state(APP)["quarantined"][0]["version"], "1.1.0");
    assert_eq!(host.converge().outcome(APP), "held");
    assert_eq!(host.serving().as_deref(), Some("1.0.1"));
}

#[test]
fn a_second_rollback_does_not_go_forward_to_the_version_that_was_left() {
    let host = upgraded();
    assert_eq!(host.run(&["rollback", APP, "--json"]).outcome(APP), "rolledBack");
    let ran = host.run(&["rollback", APP, "--json"]);
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (1, "failed"), "{ran:?}");
    assert_eq!(host.serving().as_deref(), Some("1.0.0"));
}

#[test]
fn a_rollback_does_not_restore_to_a_path_that_is_no_longer_the_data() {
    let host = upgraded();
    fs::create_dir(host.path("elsewhere")).unwrap();
    host.configure(|app| app["data"]["paths"] = json!([host.path("elsewhere").display().to_string()]));
    let ran = host.run(&["rollback", APP, "--json"]);
    let app = ran.app(APP);
    assert_eq!((ran.code, app["outcome"].as_str()), (1, Some("failed")), "{ran:?}");
    assert!(app["cause"].as_str().unwrap().contains("elsewhere"), "{app}");
    assert_eq!(host.serving().as_deref(), Some("1.1.0"));
}

#[test]
fn a_repair_keeps_what_a_rollback_needs() {
    let host = upgraded();
    let snapshot = host.state(APP)["lastGood"]["snapshot"].clone();
    host.kill_app();
    assert_eq!(host.converge().outcome(APP), "repaired");
    assert_eq!(host.state(APP)["lastGood"]["snapshot"], snapshot);
    assert_eq!(host.run(&["rollback", APP, "--json"]).outcome(APP), "rolledBack");
    assert_eq!(host.serving().as_deref(), Some("1.0.0"));
}

#[test]
fn a_retired_app_keeps_the_snapshots_of_a_volume_that_is_not_there() {
    let host = Host::new();
    let other = host.path("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("attachment"), "precious").unwrap();
    let paths = json!([host.path("data").display().to_string(), other.display().to_string()]);
    host.configure(|app| app["data"]["paths"] = paths);
    assert_eq!(host.converge().outcome(APP), "installed");
    host.release("1.1.0", "");
    assert_eq!(host.converge().outcome(APP), "upgraded");
    let earlier = host.state(APP)["lastGood"]["snapshot"].as_str().unwrap().to_owned();
    fs::rename(&other, host.path("unmounted")).unwrap();
    host.run(&["retire", APP]);
    assert!(host.path("state/apps/notes/snapshots").join(earlier).exists());
}

#[test]
fn a_deploy_by_hand_does_not_need_its_source() {
    let host = Host::new();
    host.configure(|app| app["versions"]["source"] = json!({ "list": { "versions": ["1.0.0"] } }));
    assert_eq!(host.converge().outcome(APP), "installed");
    host.configure(|app| app["versions"]["source"] = json!({ "command": { "run": ["false"] } }));
    let ran = host.run(&["deploy", APP, "1.1.0", "--json"]);
    let app = ran.app(APP);
    assert!(app["overrides"][0].as_str().unwrap().contains("could not be listed"), "{app}");
}
