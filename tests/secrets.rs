//! Secrets reach the app and nobody else; what is written down is for its owner alone.

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
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use common::{APP, Host, eventually};
use serde_json::json;

const PASSWORD: &str = "correct-horse-battery";
const TOKEN: &str = "tok-7f3e9a2b1c";
const HEADER: &str = "hdr-55aa77cc99";
const FILE: &str = "file-kept-password";
const URL: &str = "url-kept-password";
const DSN: &str = "dsn-kept-password";
const ALL: [&str; 6] = [PASSWORD, TOKEN, HEADER, FILE, URL, DSN];

/// A host whose app has every sort of secret, and tells them to whoever listens.
fn talkative() -> Host {
    let host = Host::new();
    fs::write(host.path("password"), format!("{FILE}\n")).unwrap();
    let file = host.path("password");
    let url = format!("http://127.0.0.1:{}", host.port);
    host.configure(|app| {
        app["driver"]["process"]["env"] = json!({
            "DB_PASSWORD": PASSWORD, "API_TOKEN": TOKEN, "LANG": "C",
            "DATABASE_URL": format!("postgres://notes:{DSN}@127.0.0.1/notes")
        });
        app["hooks"]["afterDeploy"] = json!(["true"]);
        app["health"]["checks"] = json!({
            "http": { "http": {
                "url": format!("{url}/healthz"),
                "headers": { "X-Api-Token": HEADER },
                "basicAuth": { "user": "warmkeep", "passwordFile": file }
            } },
            "other": { "http": { "url": format!("{url}/version") } }
        });
    });
    host
}

/// The app of 1.1.0 prints every secret and dies.
fn blabbing(host: &Host) {
    host.release("1.1.0", "");
    let demo = host.demo_app(host.port);
    let words: Vec<String> =
        demo.as_array().unwrap().iter().map(|w| w.as_str().unwrap().to_owned()).collect();
    let script = format!(
        "test {{version}} = 1.0.0 && exec \"$@\"; sleep 0.1; echo \"password $DB_PASSWORD, token $API_TOKEN, \
         at $DATABASE_URL with {DSN}\"; cat {}; echo {HEADER}; exit 1",
        host.path("password").display()
    );
    host.configure(|app| {
        let mut argv = vec!["sh".to_owned(), "-c".to_owned(), script, "sh".to_owned()];
        argv.extend(words.clone());
        app["driver"]["process"]["command"] = json!(argv);
    });
}

#[track_caller]
fn assert_none(text: &str, place: &str) {
    for secret in ALL {
        assert!(!text.contains(secret), "{secret} is in {place}: {text}");
    }
}

/// The command lines of all processes but this test's own.
fn command_lines() -> Vec<String> {
    let own = std::process::id().to_string();
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| {
            entry.file_name().to_str().is_some_and(|name| name.parse::<u32>().is_ok() && name != own)
        })
        .map(|entry| {
            String::from_utf8_lossy(&fs::read(entry.path().join("cmdline")).unwrap_or_default()).into_owned()
        })
        .collect()
}

#[test]
fn the_app_gets_its_secrets_and_no_command_line_shows_them() {
    let host = talkative();
    // Command lines are looked at again and again while warmkeep works.
    let (running, seen) = (AtomicBool::new(true), AtomicUsize::new(0));
    let installed = std::thread::scope(|scope| {
        scope.spawn(|| {
            while running.load(Ordering::SeqCst) {
                for line in command_lines() {
                    assert_none(&line, "a command line");
                }
                seen.fetch_add(1, Ordering::SeqCst);
            }
        });
        let installed = host.converge();
        running.store(false, Ordering::SeqCst);
        installed
    });
    assert_eq!(installed.outcome(APP), "installed");
    assert!(seen.into_inner() > 3, "they were looked at while it worked");
    assert_eq!(host.converge().outcome(APP), "noop");
    let environment = fs::read(format!("/proc/{}/environ", host.pid())).unwrap();
    assert!(String::from_utf8_lossy(&environment).contains(&format!("DB_PASSWORD={PASSWORD}")));
    let supervisor = host.process_record()["supervisor"]["pid"].to_string();
    let environment = fs::read(format!("/proc/{supervisor}/environ")).unwrap();
    assert_none(&String::from_utf8_lossy(&environment), "the supervisor's environment");
}

#[test]
fn what_an_app_blabs_reaches_no_report_no_log_no_alert_and_no_state() {
    let host = talkative();
    host.install();
    blabbing(&host);
    for arguments in [&["converge", "--json", "-vv"][..], &["converge", "-vv", "--log-format", "json"]] {
        let ran = host.run(arguments);
        assert!(matches!(ran.code, 0 | 1 | 4), "{ran:?}");
        assert_none(&ran.stdout, "stdout");
        assert_none(&ran.stderr, "the log");
    }
    let masked = host.run(&["history", "--json"]).stdout;
    assert!(masked.contains("masked"), "what it said was there to be masked: {masked}");
    for verb in [
        &["history", "--json"][..],
        &["alerts", "list", "--json"],
        &["status", "--json"],
        &["plan", "--json"],
    ] {
        assert_none(&host.run(verb).stdout, verb[0]);
    }
    for folder in ["state", "run"] {
        common::walk(&host.path(folder), &mut |path| {
            // The app's own output is the app's own affair.
            if path.is_file() && !path.file_name().unwrap().to_string_lossy().starts_with("output.log") {
                assert_none(&String::from_utf8_lossy(&fs::read(path).unwrap()), &path.display().to_string());
            }
        });
    }
}

#[test]
fn a_check_that_fails_tells_no_secret() {
    let host = talkative();
    host.install();
    host.configure(|app| {
        for check in ["http", "other"] {
            app["health"]["checks"][check]["http"]["status"] = json!([418]);
        }
        app["health"]["timeout"] = json!("200ms");
    });
    let ran = host.run(&["converge", "--json", "-vv"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.contains("418"), "{ran:?}");
    assert_none(&ran.stdout, "the report");
    assert_none(&ran.stderr, "the log");
    assert_none(&host.run(&["status"]).stdout, "status");
    assert_none(&host.run(&["alerts", "list", "--json"]).stdout, "alerts");
}

#[test]
fn a_configuration_error_beside_a_secret_does_not_show_it() {
    let host = talkative();
    host.configure(|app| {
        app["driver"]["process"]["env"]["API_TOKEN"] = json!([TOKEN]);
        app["health"]["checks"]["other"]["http"]["url"] = json!(format!("http://user:{URL}@127.0.0.1/"));
    });
    for verb in [&["check"][..], &["check", "--json"], &["converge"]] {
        let ran = host.run(verb);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert_none(&ran.stdout, "stdout");
        assert_none(&ran.stderr, "stderr");
    }
}

#[test]
fn a_password_file_that_is_missing_is_named_and_the_app_is_not_deployed_as_healthy() {
    let host = talkative();
    fs::remove_file(host.path("password")).unwrap();
    host.configure(|app| app["health"]["timeout"] = json!("200ms"));
    let ran = host.converge();
    assert_eq!((ran.code, ran.outcome(APP).as_str()), (1, "failed"), "{ran:?}");
    assert!(ran.app(APP)["cause"].as_str().unwrap().contains("password"), "{ran:?}");
}

fn modes(root: &Path, skip: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    common::walk(root, &mut |path| {
        let meta = fs::symlink_metadata(path).unwrap();
        let inside = path.strip_prefix(root).unwrap().display().to_string();
        let wanted = if meta.is_dir() { 0o700 } else { 0o600 };
        if !inside.contains(skip) && meta.permissions().mode() & 0o7777 != wanted {
            wrong.push(format!("{inside} {:o}", meta.permissions().mode()));
        }
    });
    wrong
}

#[test]
fn folders_of_state_are_for_their_owner_alone_and_so_are_files() {
    let host = Host::new();
    host.list_versions("1.0.0\n");
    host.configure(|app| app["driver"]["process"]["prepare"] = json!(["true"]));
    // A careless umask must not matter.
    let mut command = host.command(&["converge"]);
    let run = |command: &mut std::process::Command| command.output().unwrap().status.code();
    let mut careless = std::process::Command::new("sh");
    careless.args(["-c", "umask 000; exec \"$@\"", "sh"]).arg(command.get_program()).args(command.get_args());
    assert_eq!(run(&mut careless), Some(0));
    assert_eq!(run(&mut command), Some(0));
    host.write_note("kept");
    host.list_versions("1.0.0\n1.1.0\n2.0.0\n");
    assert_eq!(host.converge().outcome(APP), "upgraded");
    host.run(&["nightly"]);
    assert!(eventually(Duration::from_secs(5), || host.app_dir().join("output.log").exists()));
    // Inside a copy of the data, modes are those of the data.
    for folder in ["state", "run"] {
        assert_eq!(modes(&host.path(folder), "/0/data"), Vec::<String>::new(), "{folder}");
        let mode = fs::metadata(host.path(folder)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o700, "{folder}");
    }
}
