//! Hooks: what they are told, and what happens when each of them fails.

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

/// A host on 1.0.0 whose hooks, all four, write a line of what they are told into the file `told`.
fn telling() -> Host {
    let host = Host::new();
    host.configure(|app| {
        for hook in ["beforeStop", "afterDeploy", "beforeRestore", "afterRestore"] {
            app["hooks"][hook] = tell(&host, hook, "exit 0");
        }
    });
    host.install();
    host
}

/// The argv of a hook that writes a line and then does something.
fn tell(host: &Host, hook: &str, then: &str) -> Value {
    let script = format!(
        "echo {hook} app=$WARMKEEP_APP version=$WARMKEEP_VERSION from=$WARMKEEP_FROM phase=$WARMKEEP_PHASE \
         snapshot=${{WARMKEEP_SNAPSHOT:+yes}} >> {}; {then}",
        host.path("told").display()
    );
    json!(["sh", "-c", script])
}

/// What was told since the last time.
fn told(host: &Host) -> String {
    let text = fs::read_to_string(host.path("told")).unwrap_or_default();
    let _ = fs::remove_file(host.path("told"));
    text.trim_end().to_owned()
}

#[test]
fn hooks_of_an_install_and_an_upgrade_are_told_what_happens() {
    let host = telling();
    insta::assert_snapshot!(told(&host), @"afterDeploy app=notes version=1.0.0 from= phase=install snapshot=yes");
    host.release("1.1.0", "");
    assert_eq!(host.converge().outcome(APP), "upgraded");
    insta::assert_snapshot!(told(&host), @r"
    beforeStop app=notes version=1.1.0 from=1.0.0 phase=upgrade snapshot=
    afterDeploy app=notes version=1.1.0 from=1.0.0 phase=upgrade snapshot=yes
    ");
}

#[test]
fn hooks_of_a_rollback_are_told_where_it_goes_and_what_it_leaves() {
    let host = telling();
    told(&host);
    host.release("1.1.0", "sick");
    assert_eq!(host.converge().code, 4);
    insta::assert_snapshot!(told(&host), @r"
    beforeStop app=notes version=1.1.0 from=1.0.0 phase=upgrade snapshot=
    afterDeploy app=notes version=1.1.0 from=1.0.0 phase=upgrade snapshot=yes
    beforeRestore app=notes version=1.0.0 from=1.1.0 phase=rollback snapshot=yes
    afterRestore app=notes version=1.0.0 from=1.1.0 phase=rollback snapshot=yes
    ");
}

#[test]
fn hooks_of_a_repair_and_of_a_rollback_by_hand_are_told_so() {
    let host = telling();
    told(&host);
    host.kill_app();
    assert_eq!(host.converge().outcome(APP), "repaired");
    insta::assert_snapshot!(told(&host), @"afterDeploy app=notes version=1.0.0 from=1.0.0 phase=repair snapshot=");
    host.release("1.1.0", "");
    assert_eq!(host.converge().outcome(APP), "upgraded");
    told(&host);
    host.run(&["rollback", APP]);
    insta::assert_snapshot!(told(&host), @r"
    beforeStop app=notes version=1.0.0 from=1.1.0 phase=rollback snapshot=yes
    beforeRestore app=notes version=1.0.0 from=1.1.0 phase=rollback snapshot=yes
    afterRestore app=notes version=1.0.0 from=1.1.0 phase=rollback snapshot=yes
    afterDeploy app=notes version=1.0.0 from=1.1.0 phase=rollback snapshot=yes
    ");
}

#[test]
fn a_noop_runs_no_hook() {
    let host = telling();
    told(&host);
    assert_eq!(host.converge().outcome(APP), "noop");
    assert_eq!(told(&host), "");
}

#[test]
fn a_before_stop_that_fails_touches_nothing() {
    let host = telling();
    host.configure(|app| {
        app["hooks"]["beforeStop"] = tell(&host, "beforeStop", "echo still flushing >&2; exit 3");
    });
    let (pid, data) = (host.pid(), full_tree(&host.path("data")));
    host.release("1.1.0", "");
    let ran = host.converge();
    let app = ran.app(APP);
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (1, "failed"), "{ran:?}");
    let cause = app["cause"].as_str().unwrap();
    assert!(cause.contains("beforeStop") && cause.contains("still flushing"), "{cause}");
    assert_eq!((host.pid(), &host.state(APP)["quarantined"]), (pid, &json!([])));
    assert_untouched(&host.path("data"), &data);
    assert_eq!(host.leftovers(), Vec::<String>::new());
}

#[test]
fn an_after_deploy_that_fails_is_an_unhealthy_deploy() {
    let host = telling();
    let script = "test $WARMKEEP_VERSION = 1.0.0 || { echo no index >&2; exit 1; }";
    host.configure(|app| app["hooks"]["afterDeploy"] = tell(&host, "afterDeploy", script));
    host.write_note("kept");
    let data = full_tree(&host.path("data"));
    host.release("1.1.0", "rewrites");
    let ran = host.converge();
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (4, "rolledBack"), "{ran:?}");
    let app = ran.app(APP);
    assert!(app["causes"]["upgrade"].as_str().unwrap().contains("no index"), "{app}");
    assert_untouched(&host.path("data"), &data);
    assert_eq!(host.state(APP)["quarantined"][0]["version"], "1.1.0");
}

#[test]
fn restore_hooks_that_fail_are_reported_and_the_rollback_goes_on() {
    let host = telling();
    for hook in ["beforeRestore", "afterRestore"] {
        host.configure(|app| app["hooks"][hook] = tell(&host, hook, "echo cannot >&2; exit 1"));
    }
    host.write_note("kept");
    let data = full_tree(&host.path("data"));
    host.release("1.1.0", "rewrites sick");
    let ran = host.converge();
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (4, "rolledBack"), "{ran:?}");
    assert!(ran.stderr.contains("beforeRestore") && ran.stderr.contains("afterRestore"), "{ran:?}");
    assert_untouched(&host.path("data"), &data);
    assert_eq!(host.serving().as_deref(), Some("1.0.0"));
}

#[test]
fn a_hook_that_is_not_there_touches_nothing() {
    let host = telling();
    host.configure(|app| app["hooks"]["beforeStop"] = json!(["warmkeep-no-such-hook"]));
    let pid = host.pid();
    host.release("1.1.0", "");
    let ran = host.converge();
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (1, "failed"), "{ran:?}");
    assert!(ran.app(APP)["cause"].as_str().unwrap().contains("warmkeep-no-such-hook"), "{ran:?}");
    assert_eq!(host.pid(), pid);
}

#[test]
fn command_checks_know_what_they_are_asked_in() {
    let host = telling();
    host.configure(|app| {
        app["health"]["checks"]["told"] = json!({ "command": { "run": tell(&host, "check", "exit 0") } });
    });
    let lines = |host: &Host| {
        let all = told(host);
        let mut lines: Vec<&str> = all.lines().filter(|line| line.starts_with("check")).collect();
        lines.dedup();
        lines.join("\n")
    };
    assert_eq!(host.converge().outcome(APP), "noop");
    insta::assert_snapshot!(lines(&host), @"check app=notes version=1.0.0 from= phase=watch snapshot=");
    host.release("1.1.0", "sick");
    assert_eq!(host.converge().code, 4);
    insta::assert_snapshot!(lines(&host), @r"
    check app=notes version=1.0.0 from= phase=watch snapshot=
    check app=notes version=1.1.0 from=1.0.0 phase=upgrade snapshot=yes
    check app=notes version=1.0.0 from=1.1.0 phase=rollback snapshot=yes
    check app=notes version=1.0.0 from= phase=watch snapshot=
    ");
}
