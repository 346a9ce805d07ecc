//! Who watches the app, and whose its processes are: whatever dies in between, no app runs unwatched, none counts as up
//! that is on its way out, and none ends with another.

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
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{APP, Host, binary, eventually, is_alive, signal};
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(10);

fn host(script: &str) -> Host {
    let host = Host::new();
    host.run_script(script, &["1.0.0"]);
    host
}

fn running(script: &str) -> Host {
    let host = host(script);
    host.install();
    host
}

fn release_another(host: &Host) {
    host.configure(|app| app["versions"]["source"] = json!({ "list": { "versions": ["1.0.0", "1.1.0"] } }));
}

fn supervisor(host: &Host) -> i32 {
    i32::try_from(host.process_record()["supervisor"]["pid"].as_i64().unwrap()).unwrap()
}

fn stays_up(host: &Host, time: Duration) -> bool {
    let (main, supervisor) = (host.pid(), supervisor(host));
    !eventually(time, || !is_alive(main) || !is_alive(supervisor))
}

fn environment(pid: i32) -> Vec<String> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap();
    String::from_utf8(bytes).unwrap().split('\0').map(ToOwned::to_owned).collect()
}

#[test]
fn an_app_that_drains_when_its_stop_is_killed_is_started_anew() {
    let host = running("trap 'sleep 1; exit 0' TERM; sleep 600 & wait");
    let before = host.pid();
    release_another(&host);
    let mut converge =
        host.command(&["converge"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let stopping = host.path("run/apps").join(APP).join("stopping");
    assert!(eventually(LONG, || stopping.exists()));
    converge.kill().unwrap();
    converge.wait().unwrap();
    assert!(is_alive(before), "it drains");
    let ran = host.converge();
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(!is_alive(before) && host.pid() != before, "{ran:?}");
    assert!(stays_up(&host, Duration::from_millis(1500)), "{ran:?}");
    assert!(!stopping.exists());
}

#[test]
fn an_app_that_was_asked_to_end_does_not_count_as_up() {
    let host = running("exec sleep 600");
    let before = host.pid();
    fs::write(host.path("run/apps").join(APP).join("stopping"), "").unwrap();
    let ran = host.converge();
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (0, "repaired"), "{ran:?}");
    assert!(!is_alive(before) && is_alive(host.pid()));
    assert_eq!(host.converge().outcome(APP), "noop");
}

#[test]
fn an_app_that_survives_its_supervisor_is_stopped_and_started_anew() {
    let host = host("trap '' TERM; while true; do sleep 0.05; done");
    host.configure(|app| app["driver"]["process"]["stopTimeout"] = json!("200ms"));
    host.install();
    let before = host.pid();
    let dead = supervisor(&host);
    signal(dead, "KILL");
    assert!(eventually(LONG, || !is_alive(dead)));
    assert!(is_alive(before), "it ignores the death signal");
    let ran = host.converge();
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (0, "repaired"), "{ran:?}");
    assert!(ran.app(APP)["reason"].as_str().unwrap().contains("its supervisor was killed"), "{ran:?}");
    assert!(!is_alive(before));
    assert!(stays_up(&host, Duration::from_millis(100)));
}

#[test]
fn a_supervisor_that_is_asked_to_end_with_its_app_stays_until_the_app_has_ended_in_its_own_time() {
    let host = host("trap 'sleep 0.5; touch {data}/ended; exit 0' TERM; while :; do sleep 0.1; done");
    host.install();
    let (main, watcher) = (host.pid(), supervisor(&host));
    signal(watcher, "TERM");
    assert!(stays_up(&host, Duration::from_millis(300)), "the app was not asked");
    for pid in [watcher, main] {
        signal(pid, "TERM");
    }
    assert!(eventually(LONG, || !is_alive(main) && !is_alive(watcher)));
    assert!(host.path("data/ended").exists(), "the app was cut short");
}

/// A supervisor that waits for orders.
fn waiting(host: &Host) -> Child {
    let mut supervise = Command::new(binary());
    supervise.arg("internal-supervise").env("WARMKEEP_OWNER", owner(host));
    supervise.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
}

fn order(supervisor: &mut Child, host: &Host, script: &str, process_record: &Path) {
    let orders = json!({
        "app": APP, "version": "1.0.0", "argv": ["sh", "-c", script, host.dir.path()], "env": {}, "dir": "/",
        "log": host.path("output.log"), "owner": owner(host), "stopSignal": 15, "stopTimeoutMs": 100, "spec": "x",
        "records": { "process": process_record, "stopping": host.path("stopping"), "ended": host.path("ended.json") },
    });
    supervisor.stdin.take().unwrap().write_all(orders.to_string().as_bytes()).unwrap();
}

fn owner(host: &Host) -> String {
    format!("test-{}", host.port)
}

/// All processes with an owner.
fn owned(owner: &str) -> Vec<i32> {
    let mark = format!("WARMKEEP_OWNER={owner}");
    let pids = fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse().ok());
    let carries = |pid: &i32| {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes())
    };
    pids.filter(|pid| is_alive(*pid) && carries(pid)).collect()
}

#[test]
fn an_app_that_cannot_be_recorded_has_ended_before_that_is_said() {
    let host = Host::new();
    let nowhere = host.path("nowhere/process.json");
    let mut refusing = waiting(&host);
    order(&mut refusing, &host, "trap '' TERM; while true; do sleep 0.05; done", &nowhere);
    let mut answer = String::new();
    refusing.stdout.take().unwrap().read_to_string(&mut answer).unwrap();
    let left: Vec<i32> =
        owned(&owner(&host)).into_iter().filter(|pid| Ok(*pid) != i32::try_from(refusing.id())).collect();
    refusing.wait().unwrap();
    assert!(answer.contains("refused"), "{answer}");
    assert_eq!(left, Vec::<i32>::new());
}

#[test]
fn an_app_whose_supervisor_has_ended_before_it_could_be_watched_never_begins() {
    let host = Host::new();
    let begun = host.path("begun");
    let launch = |supervisor: u32| {
        let mut launch = Command::new(binary());
        launch.args(["internal-launch", "--supervisor", &supervisor.to_string(), "--", "touch"]).arg(&begun);
        launch.stderr(Stdio::null()).status().unwrap().success()
    };
    assert!(!launch(1) && !begun.exists());
    assert!(launch(std::process::id()) && begun.exists());
}

#[test]
fn an_app_stays_up_although_nobody_heard_that_it_was_started() {
    let host = Host::new();
    let record = host.path("run/apps/notes/process.json");
    fs::create_dir_all(record.parent().unwrap()).unwrap();
    let mut unheard = waiting(&host);
    drop(unheard.stdout.take());
    order(&mut unheard, &host, "exec sleep 600", &record);
    assert!(eventually(LONG, || record.exists()));
    assert!(stays_up(&host, Duration::from_millis(500)));
    signal(host.pid(), "KILL");
    unheard.wait().unwrap();
}

#[test]
fn an_app_that_another_app_started_does_not_end_with_it() {
    let inner = host("exec sleep 600");
    let outer = Host::new();
    let done = outer.path("done");
    outer.run_script(
        &format!(
            "{} --config {} converge; touch {}; exec sleep 600",
            binary(),
            inner.path("warmkeep.json").display(),
            done.display()
        ),
        &["1.0.0"],
    );
    outer.install();
    assert!(eventually(LONG, || done.exists()));
    let (main, supervisor) = (inner.pid(), supervisor(&inner));
    release_another(&outer);
    assert_eq!(outer.converge().outcome(APP), "upgraded");
    assert_eq!(outer.run(&["retire", APP]).code, 0);
    assert!(is_alive(main) && is_alive(supervisor));
    assert_eq!(inner.converge().outcome(APP), "noop");
}

#[test]
fn checks_and_hooks_carry_the_mark_of_their_app_and_no_other() {
    let host = host("exec sleep 600");
    let seen = host.path("seen");
    let look =
        json!(["sh", "-c", format!("echo \"$WARMKEEP_HELPER,$WARMKEEP_OWNER\" >> {}", seen.display())]);
    host.configure(|app| {
        app["health"]["checks"] = json!({ "up": { "command": { "run": look } } });
        app["hooks"] = json!({ "afterDeploy": look });
        app["driver"]["process"]["prepare"] = look.clone();
    });
    let ran = host.command(&["converge", "--json"]).env("WARMKEEP_OWNER", "another").output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
    let owner = host.process_record()["owner"].as_str().unwrap().to_owned();
    let lines = fs::read_to_string(&seen).unwrap();
    assert!(lines.lines().count() >= 3, "{lines}");
    assert!(lines.lines().all(|line| line == format!("{owner},")), "{lines}");
}

#[test]
fn nothing_that_the_caller_has_open_is_held_by_the_app() {
    let host = host("exec sleep 600");
    let lock = host.path("lock-of-the-caller");
    let script = format!("exec 9> {}; exec \"$@\"", lock.display());
    let mut caller = Command::new("sh");
    caller.args(["-c", &script, "sh", binary(), "--config"]).arg(host.path("warmkeep.json")).arg("converge");
    assert!(caller.output().unwrap().status.success());
    for pid in [host.pid(), supervisor(&host)] {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
        let open: Vec<_> = open.filter_map(|entry| fs::read_link(entry.path()).ok()).collect();
        assert!(!open.is_empty() && !open.contains(&lock), "{open:?}");
    }
}

#[test]
fn the_app_inherits_what_it_needs_of_the_callers_environment_and_no_token() {
    let host = host("exec sleep 600");
    host.configure(|app| app["driver"]["process"]["env"] = json!({ "GREETING": "hello" }));
    let mut converge = host.command(&["converge", "--json"]);
    for (name, value) in
        [("CI_TOKEN", "hush"), ("NIX_CONFIG", "access-tokens = hush"), ("LC_TIME", "C"), ("NIX_PATH", "/nix")]
    {
        converge.env(name, value);
    }
    assert!(converge.output().unwrap().status.success());
    let app = environment(host.pid());
    for wanted in ["LC_TIME=C", "NIX_PATH=/nix", "GREETING=hello"] {
        assert!(app.iter().any(|entry| entry == wanted), "{wanted}: {app:?}");
    }
    assert!(app.iter().any(|entry| entry.starts_with("PATH=/")), "{app:?}");
    for pid in [host.pid(), supervisor(&host)] {
        assert!(!environment(pid).iter().any(|entry| entry.contains("hush")));
    }
}

#[test]
fn the_records_have_a_writer_each_and_go_with_the_process() {
    let host = running("exec sleep 600");
    let folder = host.path("run/apps").join(APP);
    let record = host.process_record();
    host.kill_app();
    let ended = folder.join("ended.json");
    assert!(eventually(LONG, || ended.exists()));
    let ended: Value = serde_json::from_slice(&fs::read(&ended).unwrap()).unwrap();
    assert_eq!(ended["code"], 137);
    assert_eq!(host.process_record(), record, "what was written at the start is never written again");
    assert_eq!(host.run(&["retire", APP]).code, 0);
    let left = fs::read_dir(&folder).into_iter().flatten().count();
    assert_eq!(left, 0);
}

#[test]
fn a_demo_that_is_asked_to_end_clears_its_stage() {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let host = Host::new();
        let mut demo = Command::new(binary());
        demo.arg("demo").env("TMPDIR", host.dir.path()).stdout(Stdio::null()).stderr(Stdio::piped());
        let demo = demo.spawn().unwrap();
        assert!(eventually(LONG, || !host.processes().is_empty()));
        signal(i32::try_from(demo.id()).unwrap(), name);
        let ran = common::ran(demo.wait_with_output().unwrap());
        assert_eq!(ran.code, code, "{ran:?}");
        assert!(ran.stderr.contains("everything was stopped and removed"), "{ran:?}");
        assert_eq!(host.processes(), Vec::<i32>::new());
        let entries = fs::read_dir(host.dir.path()).unwrap().flatten();
        let left: Vec<_> = entries.map(|entry| entry.file_name()).collect();
        assert!(!left.iter().any(|entry| entry.to_string_lossy().starts_with("warmkeep-demo-")), "{left:?}");
    }
}
