//! The embedded driver: processes that outlive warmkeep, are found again, and end whole.

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
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use common::{APP, Host, Ran, eventually, is_alive, signal};
use serde_json::{Value, json};

const LONG: Duration = Duration::from_secs(10);

/// A host whose app is this script, running version 1.0.0.
fn running(script: &str) -> Host {
    let host = Host::new();
    host.run_script(script, &["1.0.0"]);
    host.install();
    host
}

fn upgrade(host: &Host) -> Ran {
    host.configure(|app| app["versions"]["source"] = json!({ "list": { "versions": ["1.0.0", "1.1.0"] } }));
    let ran = host.converge();
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (0, "upgraded"), "{ran:?}");
    ran
}

/// Waits for a file with a pid in it.
fn pid_in(path: &Path) -> i32 {
    let read = || fs::read_to_string(path).ok()?.trim().parse().ok();
    assert!(eventually(LONG, || read().is_some()), "no pid in {}", path.display());
    read().unwrap()
}

fn content(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn the_app_outlives_warmkeep_in_a_session_of_its_own() {
    let host = running("exec sleep 600");
    let pid = host.pid();
    let field = |pid: i32, number: usize| {
        let stat = content(Path::new(&format!("/proc/{pid}/stat")));
        stat.rsplit_once(") ").unwrap().1.split(' ').nth(number - 3).unwrap().to_owned()
    };
    let own = i32::try_from(std::process::id()).unwrap();
    assert!(is_alive(pid));
    assert_ne!(field(pid, 6), field(own, 6), "another session");
    assert_eq!(field(pid, 22), host.process_record()["main"]["startTime"].to_string());
    assert_eq!(field(pid, 7), "0", "no terminal");
}

#[test]
fn another_process_that_took_over_the_pid_is_never_signalled() {
    let host = running("exec sleep 600");
    host.kill_app();
    let mut foreign = Command::new("sleep").arg("600").stdout(Stdio::null()).spawn().unwrap();
    let mut record = host.process_record();
    record["main"]["pid"] = json!(foreign.id());
    record["supervisor"]["pid"] = json!(foreign.id());
    record["ended"] = Value::Null;
    fs::write(host.process_file(), serde_json::to_vec(&record).unwrap()).unwrap();
    let ran = host.converge();
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (0, "repaired"), "{ran:?}");
    assert!(foreign.try_wait().unwrap().is_none(), "the foreign process lives");
    assert_ne!(host.pid(), i32::try_from(foreign.id()).unwrap());
    foreign.kill().unwrap();
    foreign.wait().unwrap();
}

#[test]
fn a_record_of_an_earlier_boot_names_nobody() {
    let host = running("exec sleep 600");
    host.kill_app();
    let mut foreign = Command::new("sleep").arg("600").spawn().unwrap();
    let pid = i32::try_from(foreign.id()).unwrap();
    let mut record = host.process_record();
    let line = content(Path::new(&format!("/proc/{pid}/stat")));
    let start: u64 = line.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap().parse().unwrap();
    for who in ["main", "supervisor"] {
        record[who] =
            json!({ "pid": pid, "startTime": start, "bootId": "11111111-2222-3333-4444-555555555555" });
    }
    record["ended"] = Value::Null;
    fs::write(host.process_file(), serde_json::to_vec(&record).unwrap()).unwrap();
    assert_eq!(host.converge().outcome(APP), "repaired");
    assert!(foreign.try_wait().unwrap().is_none(), "the foreign process lives");
    foreign.kill().unwrap();
    foreign.wait().unwrap();
}

#[test]
fn everything_that_the_app_started_ends_with_it() {
    let host = Host::new();
    let at = |name: &str| host.path(name).display().to_string();
    let script = format!(
        "sleep 600 & echo $! > {}; \
         setsid sh -c 'echo $$ > {}; exec sleep 600' & \
         env -i setsid sh -c 'echo $$ > {}; exec sleep 600' & \
         ( ( setsid sh -c 'echo $$ > {}; exec sleep 600' & ) & ) ; \
         exec sleep 600",
        at("child"),
        at("session"),
        at("cleared"),
        at("orphan")
    );
    host.run_script(&script, &["1.0.0"]);
    host.install();
    let pids: Vec<i32> =
        ["child", "session", "cleared", "orphan"].iter().map(|name| pid_in(&host.path(name))).collect();
    let main = host.pid();
    assert!(pids.iter().all(|pid| is_alive(*pid)), "{pids:?}");
    assert_eq!(host.run(&["retire", APP]).code, 0);
    let left: Vec<&i32> = pids.iter().chain([&main]).filter(|pid| is_alive(**pid)).collect();
    assert!(left.is_empty(), "{left:?} of {pids:?}");
}

#[test]
fn what_the_app_left_behind_ends_when_the_app_itself_dies() {
    let host = Host::new();
    let child = host.path("child");
    host.run_script(
        &format!("env -i setsid sh -c 'echo $$ > {}; exec sleep 600' & exec sleep 600", child.display()),
        &["1.0.0"],
    );
    host.install();
    let child = pid_in(&child);
    host.kill_app();
    assert!(eventually(LONG, || !is_alive(child)), "it outlived its app");
}

#[test]
fn the_app_ends_with_its_supervisor_and_is_repaired() {
    let host = running("exec sleep 600");
    let pid = host.pid();
    let supervisor = i32::try_from(host.process_record()["supervisor"]["pid"].as_i64().unwrap()).unwrap();
    signal(supervisor, "KILL");
    assert!(eventually(LONG, || !is_alive(pid)), "an app that nobody watches ends");
    assert_eq!(host.converge().outcome(APP), "repaired");
    assert!(is_alive(host.pid()));
}

#[test]
fn one_that_ignores_the_stop_signal_is_killed_after_its_time() {
    let host = Host::new();
    host.run_script("trap '' TERM; while true; do sleep 0.05; done", &["1.0.0"]);
    host.configure(|app| app["driver"]["process"]["stopTimeout"] = json!("300ms"));
    host.install();
    let pid = host.pid();
    let ran = upgrade(&host);
    assert!(!is_alive(pid));
    let steps = ran.app(APP)["steps"].clone();
    let stop = steps.as_array().unwrap().iter().find(|step| step["step"] == "stop").unwrap()["ms"].as_u64();
    assert!(stop.is_some_and(|ms| (300..5_000).contains(&ms)), "{steps}");
}

#[test]
fn the_stop_signal_is_the_one_that_was_asked_for() {
    let host = Host::new();
    let log = host.path("signals");
    let script = |name: &str| format!("echo {name} >> {}; kill %1; exit 0", log.display());
    host.run_script(
        &format!("trap '{}' INT; trap '{}' TERM; sleep 600 & wait", script("INT"), script("TERM")),
        &["1.0.0"],
    );
    host.configure(|app| app["driver"]["process"]["stopSignal"] = json!("SIGINT"));
    host.install();
    assert_eq!(host.run(&["retire", APP]).code, 0);
    assert_eq!(content(&log), "INT\n");
}

#[test]
fn the_signal_is_the_one_of_the_version_that_runs() {
    let host = Host::new();
    let log = host.path("signals");
    host.run_script(
        &format!(
            "trap 'echo TERM >> {}; kill %1; exit 0' TERM; trap '' INT; sleep 600 & wait",
            log.display()
        ),
        &["1.0.0"],
    );
    host.install();
    host.configure(|app| {
        app["driver"]["process"]["stopSignal"] = json!("SIGINT");
        app["driver"]["process"]["command"] = json!(["sleep", "600"]);
    });
    upgrade(&host);
    assert_eq!(content(&log), "TERM\n");
}

#[test]
fn the_log_is_bounded_and_the_one_before_is_kept() {
    let host = Host::new();
    host.run_script(
        "head -c 6000000 /dev/zero | tr '\\0' 'x' | fold -w 100; touch {data}/written; exec sleep 600",
        &["1.0.0"],
    );
    host.install();
    assert!(eventually(LONG, || host.path("data/written").exists()));
    let size = |name: &str| fs::metadata(host.app_dir().join(name)).map_or(0, |meta| meta.len());
    assert!(eventually(LONG, || size("output.log.1") > 0));
    assert!(size("output.log") + size("output.log.1") <= 2 << 20);
}

#[test]
fn placeholders_environment_and_working_directory_reach_the_app() {
    let host = Host::new();
    let out = host.path("out");
    host.run_script(
        "echo \"$0 $1 $2 $3 $GREETING $PWD\" > $OUT.new; mv $OUT.new $OUT; exec sleep 600",
        &["1.0.0"],
    );
    host.configure(|app| {
        let command = app["driver"]["process"]["command"].as_array_mut().unwrap();
        command.extend(["{app}", "{version}", "{data}", "{release}"].map(|word| json!(word)));
        app["driver"]["process"]["env"] = json!({ "GREETING": "hello-{version}", "OUT": out });
        app["driver"]["process"]["workingDirectory"] = json!("{data}");
    });
    host.install();
    assert!(eventually(LONG, || out.exists()));
    let (data, release) = (host.path("data"), host.app_dir().join("releases/1.0.0"));
    let expected = format!("{APP} 1.0.0 {0} {1} hello-1.0.0 {0}\n", data.display(), release.display());
    assert_eq!(content(&out), expected);
}

#[test]
fn a_release_is_filled_aside_renamed_and_removed_once_nothing_needs_it() {
    let host = Host::new();
    let seen = host.path("seen");
    let script = format!("ls -A {{release}}/.. >> {}; echo {{version}} > {{release}}/filled", seen.display());
    host.run_script("exec sleep 600", &["1.0.0"]);
    host.configure(|app| app["driver"]["process"]["prepare"] = json!(["sh", "-c", script]));
    host.install();
    let releases = || {
        let mut names: Vec<String> = fs::read_dir(host.app_dir().join("releases"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    assert_eq!(releases(), ["1.0.0"]);
    assert_eq!(content(&seen), ".preparing-1.0.0\n", "nothing has the release's name before it is whole");
    upgrade(&host);
    assert_eq!(releases(), ["1.1.0"]);
    assert_eq!(content(&host.app_dir().join("releases/1.1.0/filled")), "1.1.0\n");
}

#[test]
fn a_release_that_failed_is_removed_and_the_one_that_runs_stays() {
    let host = Host::new();
    host.run_script("test {version} = 1.0.0 || exit 3; exec sleep 600", &["1.0.0"]);
    host.install();
    host.configure(|app| app["versions"]["source"] = json!({ "list": { "versions": ["1.0.0", "1.1.0"] } }));
    let ran = host.converge();
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (4, "rolledBack"), "{ran:?}");
    assert!(host.app_dir().join("releases/1.0.0").is_dir());
    assert!(!host.app_dir().join("releases/1.1.0").exists());
}

#[test]
fn how_it_ended_and_its_last_lines_are_in_the_cause() {
    let host = running("exec sleep 600");
    host.configure(|app| {
        app["versions"]["source"] = json!({ "list": { "versions": ["1.0.0", "1.1.0"] } });
        app["driver"]["process"]["command"] = json!([
            "sh",
            "-c",
            "test {version} = 1.0.0 && exec sleep 600; echo first; echo the disk sulks >&2; exit 42"
        ]);
        // Healthy only later, so that the end is met by the gate and not by a race.
        app["health"]["checks"] = json!({ "up": { "command": { "run": ["sh", "-c", "sleep 0.2"] } } });
    });
    let ran = host.converge();
    let app = ran.app(APP);
    assert_eq!(ran.code, 4, "{ran:?}");
    let cause = app["causes"]["upgrade"].as_str().unwrap();
    assert!(cause.contains("exit code 42") && cause.contains("first | the disk sulks"), "{cause}");
}

#[test]
fn what_runs_is_not_stopped_where_it_could_not_be_started_again() {
    let host = Host::new();
    host.run_script("", &["1.0.0"]);
    let program = host.path("notes");
    fs::write(&program, "#!/bin/sh\nexec sleep 600\n").unwrap();
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    host.configure(|app| app["driver"]["process"]["command"] = json!([program.display().to_string()]));
    host.install();
    fs::remove_file(&program).unwrap();
    host.configure(|app| app["versions"]["source"] = json!({ "list": { "versions": ["1.0.0", "1.1.0"] } }));
    let pid = host.pid();
    let ran = host.converge();
    let app = ran.app(APP);
    assert_eq!((ran.code, app["outcome"].as_str()), (1, Some("failed")), "{ran:?}");
    assert!(app["cause"].as_str().unwrap().contains("could not be started again"), "{ran:?}");
    assert!(app["remedy"].as_str().unwrap().contains("way back"), "{ran:?}");
    assert!(is_alive(pid), "{ran:?}");
}

#[test]
fn a_command_that_was_changed_for_a_bad_version_does_not_keep_the_old_one_down() {
    let host = running("exec sleep 600");
    host.configure(|app| {
        app["versions"]["source"] = json!({ "list": { "versions": ["1.0.0", "1.1.0"] } });
        app["driver"]["process"]["command"] = json!(["sh", "-c", "echo unknown flag; exit 2"]);
    });
    let ran = host.converge();
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (4, "rolledBack"), "{ran:?}");
    assert!(is_alive(host.pid()), "the old version runs as it did when it was proven: {ran:?}");
    assert_eq!(host.process_record()["version"], "1.0.0");
}

#[test]
fn a_version_without_its_program_is_rolled_back() {
    let host = Host::new();
    host.run_script("", &["1.0.0"]);
    host.configure(|app| {
        app["driver"]["process"]["command"] = json!(["{release}/run"]);
        app["driver"]["process"]["prepare"] = json!([
            "sh",
            "-c",
            "test {version} = 1.1.0 || { printf '#!/bin/sh\\nexec sleep 600\\n' > {release}/run; chmod +x {release}/run; }"
        ]);
    });
    host.install();
    host.configure(|app| app["versions"]["source"] = json!({ "list": { "versions": ["1.0.0", "1.1.0"] } }));
    let ran = host.converge();
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (4, "rolledBack"), "{ran:?}");
    assert!(ran.app(APP)["cause"].as_str().unwrap().contains("1.1.0/run"), "{ran:?}");
    assert!(is_alive(host.pid()));
}

#[test]
fn the_supervisor_holds_no_file_of_the_caller_open() {
    let host = Host::new();
    host.run_script("exec sleep 600", &["1.0.0"]);
    // A caller that waits for the end of its pipes must not wait for the app.
    let child =
        host.command(&["converge", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let ran = common::ran(child.wait_with_output().unwrap());
    assert_eq!(ran.outcome(APP), "installed");
    let supervisor = host.process_record()["supervisor"]["pid"].to_string();
    let mut open = Vec::new();
    for entry in fs::read_dir(format!("/proc/{supervisor}/fd")).unwrap().flatten() {
        open.push(fs::read_link(entry.path()).unwrap_or_default().display().to_string());
    }
    assert!(!open.iter().any(|path| path.ends_with("lock") || path.ends_with("journal.jsonl")), "{open:?}");
}
