//! Converging one app: what is done, what is not touched, what comes back.

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
use std::time::Duration;

use common::{APP, Host, assert_untouched, full_tree};
use serde_json::{Value, json};

/// A host whose app is installed in version 1.0.0.
fn installed() -> Host {
    let host = Host::new();
    host.install();
    host
}

fn steps(report: &Value) -> String {
    let steps = report["steps"].as_array().unwrap().iter();
    steps
        .map(|s| {
            let result = s["result"].as_str().unwrap();
            let mark = if result == "ok" { String::new() } else { format!("!{result}") };
            format!("{}{mark}", s["step"].as_str().unwrap())
        })
        .collect::<Vec<_>>()
        .join(" ")
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no text {key}: {value}"))
}

/// Writes data of every sort into the app's folder.
fn rich_data(host: &Host) {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let at = |name: &str| host.path("data").join(name);
    fs::create_dir_all(at("deep/er")).unwrap();
    fs::write(at("deep/er/secret"), "kept").unwrap();
    fs::set_permissions(at("deep/er/secret"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::set_permissions(at("deep"), fs::Permissions::from_mode(0o751)).unwrap();
    fs::write(at("run-me"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(at("run-me"), fs::Permissions::from_mode(0o4755)).unwrap();
    symlink("deep/er/secret", at("link")).unwrap();
    symlink("/nowhere", at("dangling")).unwrap();
    fs::hard_link(at("run-me"), at("hard")).unwrap();
    fs::write(at("empty"), "").unwrap();
    let flags = rustix::fs::XattrFlags::empty();
    // A file system without attributes has none to lose.
    let _ = rustix::fs::setxattr(at("run-me"), "user.warmkeep", b"attribute", flags);
    let past = std::time::SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
    for name in ["deep/er/secret", "run-me", "deep/er", "deep"] {
        fs::File::open(at(name)).unwrap().set_modified(past).unwrap();
    }
}

#[test]
fn an_install_deploys_the_newest_safe_version_and_reports_it() {
    let host = Host::new();
    host.release("1.2.0", "");
    let ran = host.install();
    let document = ran.json();
    assert_eq!(document["schema"], 1);
    let (started, finished) = (text(&document, "startedAt"), text(&document, "finishedAt"));
    assert!(started.ends_with('Z') && finished.ends_with('Z') && started <= finished, "{document}");
    let app = ran.app(APP);
    assert_eq!((&app["from"], text(&app, "to")), (&Value::Null, "1.2.0"));
    assert_eq!(app["cause"], Value::Null);
    assert_eq!(steps(&app), "prefetch snapshot deploy seal gate commit tidy");
    assert_eq!(host.serving().as_deref(), Some("1.2.0"));
    assert_eq!(host.leftovers(), Vec::<String>::new());
}

#[test]
fn a_healthy_and_current_app_is_not_touched() {
    let host = installed();
    let (pid, state) = (host.pid(), full_tree(&host.app_dir()));
    let data = full_tree(&host.path("data"));
    for _ in 0..3 {
        let ran = host.converge();
        assert_eq!((ran.code, ran.outcome(APP).as_str()), (0, "noop"), "{ran:?}");
        assert_eq!(steps(&ran.app(APP)), "");
        assert_eq!(ran.stderr, "");
    }
    assert_eq!(host.pid(), pid);
    assert!(common::is_alive(pid));
    assert_untouched(&host.app_dir(), &state);
    assert_untouched(&host.path("data"), &data);
    assert_eq!(host.alerts(), Vec::<Value>::new());
}

#[test]
fn an_upgrade_keeps_the_data_and_says_how_long_the_app_was_down() {
    let host = installed();
    host.write_note("buy milk");
    host.release("1.1.0", "");
    let ran = host.converge();
    let app = ran.app(APP);
    assert_eq!((ran.code, text(&app, "outcome")), (0, "upgraded"), "{ran:?}");
    assert_eq!((text(&app, "from"), text(&app, "to")), ("1.0.0", "1.1.0"));
    assert_eq!(steps(&app), "prefetch stop waitGone snapshot deploy seal gate commit tidy");
    assert!(app["downtimeMs"].as_u64().is_some_and(|ms| ms < 30_000), "{app}");
    assert!(host.snapshots().contains(&text(&app, "snapshot").to_owned()), "{app}");
    assert_eq!(host.serving().as_deref(), Some("1.1.0"));
    assert_eq!(host.ask("GET", "/notes", "").as_deref(), Some("buy milk\n"));
    assert_eq!(host.processes().len(), 1);
}

#[test]
fn a_version_that_rewrites_the_data_and_is_sick_is_rolled_back_byte_for_byte() {
    let host = installed();
    host.write_note("buy milk");
    rich_data(&host);
    let before = full_tree(&host.path("data"));
    host.release("1.1.0", "rewrites sick");
    let ran = host.converge();
    let app = ran.app(APP);
    assert_eq!((ran.code, text(&app, "outcome")), (4, "rolledBack"), "{ran:?}");
    assert_eq!((text(&app, "from"), text(&app, "to")), ("1.0.0", "1.1.0"));
    let (upgrade, rollback) = (text(&app["causes"], "upgrade"), text(&app["causes"], "rollback"));
    assert!(upgrade.contains("500") && rollback.contains("1.0.0 is healthy again"), "{app}");
    assert!(text(&app, "cause").contains(upgrade) && text(&app, "cause").contains(rollback), "{app}");
    assert_eq!(
        steps(&app),
        "prefetch stop waitGone snapshot deploy seal gate!failed stop waitGone restore deploy gate commit tidy"
    );
    assert_eq!(host.serving().as_deref(), Some("1.0.0"));
    assert_untouched(&host.path("data"), &before);
    assert_eq!(host.leftovers(), Vec::<String>::new());
}

#[test]
fn what_the_failed_version_made_of_the_data_is_kept_aside() {
    let host = installed();
    host.write_note("buy milk");
    host.release("1.1.0", "rewrites sick");
    assert_eq!(host.converge().code, 4);
    let mut kept = Vec::new();
    common::walk(&host.app_dir().join("failed"), &mut |path| {
        if path.file_name().is_some_and(|name| name == "notes.txt") {
            kept.push(fs::read_to_string(path).unwrap());
        }
    });
    assert_eq!(kept, ["MIGRATED TO A FORMAT THAT ONLY I CAN READ\n"]);
}

#[test]
fn a_version_that_failed_is_not_tried_again_until_it_is_released() {
    let host = installed();
    host.release("1.1.0", "sick");
    assert_eq!(host.converge().code, 4);
    let pid = host.pid();
    let held = host.converge();
    assert_eq!((held.code, held.outcome(APP).as_str()), (0, "held"), "{held:?}");
    assert!(text(&held.app(APP), "reason").contains("quarantine"), "{held:?}");
    assert_eq!(host.pid(), pid);
    host.release("1.1.1", "");
    assert_eq!(host.converge().outcome(APP), "upgraded");
}

#[test]
fn a_release_from_quarantine_gives_another_chance() {
    let host = installed();
    host.release("1.1.0", "sick");
    assert_eq!(host.converge().code, 4);
    fs::write(host.path("releases/1.1.0/behaviour"), "").unwrap();
    let not_there = host.run(&["release", APP, "1.9.0"]);
    assert_eq!(not_there.code, 1);
    assert!(not_there.stderr.contains("1.1.0"), "{not_there:?}");
    assert_eq!(host.run(&["release", APP, "1.1.0"]).code, 0);
    assert_eq!(host.converge().outcome(APP), "upgraded");
}

#[test]
fn a_version_that_does_not_start_is_rolled_back_with_its_exit_code_and_last_words() {
    let host = installed();
    host.write_note("buy milk");
    let before = full_tree(&host.path("data"));
    host.release("1.1.0", "crashes");
    let ran = host.converge();
    let app = ran.app(APP);
    assert_eq!((ran.code, text(&app, "outcome")), (4, "rolledBack"), "{ran:?}");
    let cause = text(&app["causes"], "upgrade");
    assert!(cause.contains("exit code 1") && cause.contains("cannot find its library"), "{cause}");
    assert_untouched(&host.path("data"), &before);
    assert_eq!(host.serving().as_deref(), Some("1.0.0"));
}

#[test]
fn a_rollback_is_told_once_with_both_causes_and_the_command_that_answers_it() {
    let host = installed();
    host.release("1.1.0", "sick");
    assert_eq!(host.converge().code, 4);
    host.converge();
    let alerts = host.alerts();
    let [alert] = alerts.as_slice() else { panic!("{alerts:?}") };
    assert_eq!((text(alert, "kind"), text(alert, "severity")), ("rollback", "warning"));
    assert_eq!(text(alert, "command"), "warmkeep release notes 1.1.0");
    let body = text(alert, "body");
    assert!(body.contains("500") && body.contains("1.0.0 is healthy again"), "{body}");
}

#[test]
fn a_release_that_vanishes_touches_nothing() {
    let host = installed();
    let pid = host.pid();
    // Listed by its source, and gone when it is fetched.
    host.list_versions("1.0.0\n1.1.0\n");
    host.configure(|app| app["driver"]["process"]["prepare"] = json!(["false"]));
    let ran = host.converge();
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (1, "failed"), "{ran:?}");
    assert_eq!(host.pid(), pid);
    assert_eq!(host.serving().as_deref(), Some("1.0.0"));
}

#[test]
fn a_release_that_vanishes_between_fetch_and_start_is_rolled_back() {
    let host = installed();
    let before = full_tree(&host.path("data"));
    host.release("1.1.0", "");
    let gone = host.path("releases/1.1.0").to_string_lossy().into_owned();
    host.configure(|app| app["hooks"]["beforeStop"] = json!(["rm", "-r", gone]));
    let ran = host.converge();
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (4, "rolledBack"), "{ran:?}");
    assert!(text(&ran.app(APP)["causes"], "upgrade").contains("not there"), "{ran:?}");
    assert_untouched(&host.path("data"), &before);
    assert_eq!(host.serving().as_deref(), Some("1.0.0"));
}

#[test]
fn a_prepare_that_fails_touches_nothing_and_is_tried_again() {
    let host = Host::new();
    let flag = host.path("may-prepare");
    fs::write(&flag, "").unwrap();
    let script =
        format!("test -e {} || {{ echo no registry >&2; exit 1; }}; touch \"$0/filled\"", flag.display());
    host.list_versions("1.0.0\n");
    host.configure(|app| app["driver"]["process"]["prepare"] = json!(["sh", "-c", script, "{release}"]));
    host.install();
    let (pid, data) = (host.pid(), full_tree(&host.path("data")));
    fs::remove_file(&flag).unwrap();
    host.list_versions("1.0.0\n1.1.0\n");
    let ran = host.converge();
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (1, "failed"), "{ran:?}");
    let app = ran.app(APP);
    assert!(text(&app, "cause").contains("no registry"), "{app}");
    assert_eq!(app["downtimeMs"], Value::Null);
    assert_eq!((host.pid(), full_tree(&host.path("data"))), (pid, data));
    assert_eq!(host.snapshots().len(), 1, "no snapshot was needed");
    assert_eq!(host.leftovers(), Vec::<String>::new());
    fs::write(&flag, "").unwrap();
    assert_eq!(host.converge().outcome(APP), "upgraded");
}

#[test]
fn a_stateless_app_is_rolled_back_by_version_alone() {
    let host = Host::new();
    host.make_stateless();
    host.install();
    host.release("1.1.0", "sick");
    let ran = host.converge();
    let app = ran.app(APP);
    assert_eq!((ran.code, text(&app, "outcome")), (4, "rolledBack"), "{ran:?}");
    assert_eq!(app["snapshot"], Value::Null);
    assert_eq!(steps(&app), "prefetch deploy gate!failed stop waitGone deploy gate commit tidy");
    assert_eq!(host.serving().as_deref(), Some("1.0.0"));
    assert_eq!(host.snapshots(), Vec::<String>::new());
}

#[test]
fn an_install_that_fails_leaves_nothing_running_and_the_data_as_it_was() {
    let host = Host::new();
    fs::write(host.path("data/notes.txt"), "from elsewhere\n").unwrap();
    let before = full_tree(&host.path("data"));
    fs::write(host.path("releases/1.0.0/behaviour"), "rewrites sick").unwrap();
    let ran = host.converge();
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (1, "failed"), "{ran:?}");
    assert_eq!(host.processes(), Vec::<i32>::new());
    assert_untouched(&host.path("data"), &before);
    assert_eq!(host.leftovers(), Vec::<String>::new());
    let alerts = host.alerts();
    assert!(alerts.iter().any(|alert| alert["kind"] == "failed"), "{alerts:?}");
}

#[test]
fn an_app_that_was_killed_is_repaired_on_the_same_version_and_data() {
    let host = installed();
    host.write_note("buy milk");
    let before = host.data();
    host.kill_app();
    let ran = host.converge();
    let app = ran.app(APP);
    assert_eq!((ran.code, text(&app, "outcome")), (0, "repaired"), "{ran:?}");
    assert_eq!((text(&app, "from"), text(&app, "to")), ("1.0.0", "1.0.0"));
    assert!(text(&app, "reason").contains("signal 9"), "{app}");
    assert_eq!((host.data(), host.serving().as_deref()), (before, Some("1.0.0")));
}

#[test]
fn an_app_that_is_down_comes_up_on_last_good_and_not_on_something_newer() {
    let host = installed();
    host.release("1.1.0", "");
    host.kill_app();
    assert_eq!(host.converge().outcome(APP), "repaired");
    assert_eq!(host.serving().as_deref(), Some("1.0.0"));
    assert_eq!(host.converge().outcome(APP), "upgraded");
}

#[test]
fn an_app_that_became_unhealthy_is_restarted() {
    let host = installed();
    let flag = host.path("unhealthy");
    let probe = format!("test ! -e {}", flag.display());
    let cure = format!("rm -f {}", flag.display());
    host.configure(|app| {
        app["health"]["checks"]["flag"] = json!({ "command": { "run": ["sh", "-c", probe] } });
        app["health"]["timeout"] = json!("300ms");
        app["hooks"]["afterDeploy"] = json!(["sh", "-c", cure]);
    });
    assert_eq!(host.converge().outcome(APP), "noop");
    let pid = host.pid();
    fs::write(&flag, "").unwrap();
    let ran = host.converge();
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (0, "repaired"), "{ran:?}");
    assert!(text(&ran.app(APP), "reason").contains("flag"), "{ran:?}");
    assert_ne!(host.pid(), pid);
}

#[test]
fn a_repair_that_does_not_help_fails_and_says_so() {
    let host = installed();
    fs::write(host.path("releases/1.0.0/behaviour"), "crashes").unwrap();
    host.kill_app();
    let ran = host.converge();
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (1, "failed"), "{ran:?}");
    assert!(text(&ran.app(APP), "cause").contains("cannot find its library"), "{ran:?}");
    let state = host.state(APP);
    assert_eq!((&state["current"], &state["quarantined"]), (&json!("1.0.0"), &json!([])));
    fs::write(host.path("releases/1.0.0/behaviour"), "").unwrap();
    assert_eq!(host.converge().outcome(APP), "repaired");
}

#[test]
fn an_app_whose_data_folder_is_gone_is_not_started_on_nothing() {
    let host = installed();
    host.write_note("buy milk");
    host.kill_app();
    fs::rename(host.path("data"), host.path("unmounted")).unwrap();
    let ran = host.converge();
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (1, "failed"), "{ran:?}");
    assert!(text(&ran.app(APP), "cause").contains("data"), "{ran:?}");
    assert_eq!(host.processes(), Vec::<i32>::new(), "{ran:?}");
    assert!(!host.path("data").exists(), "nothing takes the place of the data");
    fs::rename(host.path("unmounted"), host.path("data")).unwrap();
    assert_eq!(host.converge().outcome(APP), "repaired");
    assert_eq!(host.ask("GET", "/notes", "").as_deref(), Some("buy milk\n"));
}

#[test]
fn a_check_that_is_not_critical_makes_the_app_degraded_and_nothing_more() {
    let host = installed();
    host.configure(|app| {
        app["health"]["checks"]["extra"] =
            json!({ "command": { "run": ["sh", "-c", "echo too slow >&2; exit 1"] }, "critical": false });
    });
    let pid = host.pid();
    let ran = host.converge();
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (0, "noop"), "{ran:?}");
    assert!(text(&ran.app(APP), "reason").contains("too slow"), "{ran:?}");
    assert_eq!(host.pid(), pid);
    let status = host.run(&["status", "--json"]).json();
    assert_eq!(status["apps"][0]["health"], "degraded");
    host.release("1.1.0", "");
    assert_eq!(host.converge().outcome(APP), "upgraded");
}

#[test]
fn an_app_that_was_never_deployed_is_not_there_for_status_and_plan_either() {
    let host = Host::new();
    let status = host.run(&["status", "--json"]).json();
    assert_eq!(
        (&status["apps"][0]["health"], &status["apps"][0]["version"]),
        (&json!("unknown"), &Value::Null)
    );
    let plan = host.run(&["plan", "--json"]).json();
    assert_eq!((&plan["apps"][0]["decision"], &plan["apps"][0]["kind"]), (&json!("act"), &json!("install")));
    assert!(!host.path("state").exists(), "looking makes no folders");
}

#[test]
fn a_plan_touches_nothing_and_converge_does_what_it_says() {
    let host = installed();
    host.release("1.1.0", "");
    let before = full_tree(host.dir.path());
    let plan = host.run(&["plan", "--json"]);
    assert_eq!(plan.code, 0, "{plan:?}");
    assert_untouched(host.dir.path(), &before);
    let planned = plan.json()["apps"][0].clone();
    let app = host.converge().app(APP);
    let names: Vec<&str> = planned["steps"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(names.join(" "), steps(&app));
    assert_eq!((&planned["from"], &planned["to"]), (&app["from"], &app["to"]));
}

#[test]
fn history_tells_what_happened_in_order_and_no_noops() {
    let host = installed();
    host.release("1.1.0", "sick");
    host.converge();
    host.converge();
    host.release("1.2.0", "");
    host.converge();
    let history = host.run(&["history", APP, "--json"]).json();
    let words: Vec<&str> =
        history["entries"].as_array().unwrap().iter().map(|entry| text(entry, "outcome")).collect();
    assert_eq!(words, ["installed", "rolledBack", "upgraded"]);
    let ids: Vec<&str> = history["entries"].as_array().unwrap().iter().map(|e| text(e, "id")).collect();
    assert!(ids.is_sorted(), "{ids:?}");
}
