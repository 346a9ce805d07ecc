//! The command line as a person and a program meet it: tables, help, exit codes, JSON, logs.

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
use std::process::Command;

use common::{APP, Host, Ran, binary, ran};
use serde_json::{Value, json};

/// A host on 1.0.0 with 1.1.0, which is sick, and 2.0.0, a major step.
fn eventful() -> Host {
    let host = Host::new();
    host.install();
    host.release("1.1.0", "sick");
    host.release("2.0.0", "");
    host
}

/// A verb on a screen of 80 columns.
fn on_a_screen(host: &Host, arguments: &[&str]) -> Ran {
    ran(host.command(arguments).env("COLUMNS", "80").output().unwrap())
}

fn plain(arguments: &[&str]) -> Ran {
    ran(Command::new(binary()).args(arguments).env_remove("WARMKEEP_CONFIG").output().unwrap())
}

/// Takes a snapshot of what was shown, without what is different each time.
macro_rules! assert_shown {
    ($host:expr, $ran:expr, @$expected:literal) => {
        insta::with_settings!({ filters => vec![
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "[-------time------]Z"),
            (r"(\d+ ms|\d\.\d s) +", "[took] "),
            (r"\b\d s ago +", "[age] "),
            (r"disk \d+ % used, .* free", "disk [used]"),
        ] }, { insta::assert_snapshot!($ran.stdout.replace(&*$host.dir.path().to_string_lossy(), "[DIR]"), @$expected) });
        let widest = $ran.stdout.lines().filter(|line| line.starts_with('│')).map(|line| line.chars().count()).max();
        assert!(widest.is_some_and(|width| width <= 80), "{widest:?} columns: {}", $ran.stdout);
    };
}

#[test]
fn what_would_be_done_reads_well() {
    let host = eventful();
    assert_shown!(host, on_a_screen(&host, &["plan"]), @r"
    ┌──────────────────────────────────────────────────────────────────────────────┐
    │ app     now     would              steps                    why              │
    ╞══════════════════════════════════════════════════════════════════════════════╡
    │ notes   1.0.0   upgrade to 1.1.0   prefetch stop waitGone   it is the latest │
    │                                    snapshot deploy seal     safe version     │
    │                                    gate commit tidy                          │
    └──────────────────────────────────────────────────────────────────────────────┘
    ");
}

#[test]
fn what_was_done_reads_well() {
    let host = eventful();
    let ran = on_a_screen(&host, &["converge"]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert_shown!(host, ran, @r"
    ┌─────────────────────────────────────────────────────────────────────────┐
    │ app     outcome        version         down for   why                   │
    ╞═════════════════════════════════════════════════════════════════════════╡
    │ notes   ↩ rolledBack   1.0.0 → 1.1.0   [took] it is the latest safe │
    │                                                   version               │
    └─────────────────────────────────────────────────────────────────────────┘

    notes
      why:  upgrade to 1.1.0 failed in the step gate: 1.1.0 did not become healthy: not healthy within 1s: http: status 500, wanted 200
      then: rolled back: 1.0.0 is healthy again on its own data
    ");
}

#[test]
fn how_things_are_and_what_happened_and_what_to_answer_read_well() {
    let host = eventful();
    assert_eq!(host.converge().code, 4);
    assert_shown!(host, on_a_screen(&host, &["status"]), @r"
    ┌──────────────────────────────────────────────────────────────────────────────┐
    │ app     health      version   seen      last outcome   to know               │
    ╞══════════════════════════════════════════════════════════════════════════════╡
    │ notes   ● healthy   1.0.0     [age] ↩ rolledBack   2.0.0 held: it is a   │
    │                                                        major step, and the   │
    │                                                        policy is minor;      │
    │                                                        1.1.0 in quarantine   │
    └──────────────────────────────────────────────────────────────────────────────┘
    2 open alerts: `warmkeep alerts list` · disk [used]
    ");
    assert_shown!(host, on_a_screen(&host, &["history"]), @r"
    ┌──────────────────────────────────────────────────────────────────────────────┐
    │ when                   app     outcome        version         why            │
    ╞══════════════════════════════════════════════════════════════════════════════╡
    │ [-------time------]Z   notes   ✓ installed    → 1.0.0         it was never   │
    │                                                               deployed       │
    │ [-------time------]Z   notes   ↩ rolledBack   1.0.0 → 1.1.0   upgrade to     │
    │                                                               1.1.0 failed   │
    │                                                               in the step    │
    │                                                               gate: 1.1.0    │
    │                                                               did not become │
    │                                                               healthy: not   │
    │                                                               healthy within │
    │                                                               1s: http:      │
    │                                                               status 500,    │
    │                                                               wanted 200     │
    └──────────────────────────────────────────────────────────────────────────────┘
    ");
    assert_shown!(host, on_a_screen(&host, &["alerts", "list"]), @r"
    ┌──────────────────────────────────────────────────────────────────────────────┐
    │ when                   kind       what          answer                       │
    ╞══════════════════════════════════════════════════════════════════════════════╡
    │ [-------time------]Z   hold       notes 2.0.0   warmkeep approve notes 2.0.0 │
    │                                   is held: it                                │
    │                                   is a major                                 │
    │                                   step, and                                  │
    │                                   the policy                                 │
    │                                   is minor                                   │
    │ [-------time------]Z   rollback   notes 1.1.0   warmkeep release notes 1.1.0 │
    │                                   failed and                                 │
    │                                   was rolled                                 │
    │                                   back                                       │
    └──────────────────────────────────────────────────────────────────────────────┘
    ");
}

#[test]
fn a_noop_says_little_and_nothing_on_stderr() {
    let host = Host::new();
    host.install();
    let ran = on_a_screen(&host, &["converge"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    assert_shown!(host, ran, @r"
    ┌────────────────────────────────────────────┐
    │ app     outcome   version   down for   why │
    ╞════════════════════════════════════════════╡
    │ notes   · noop    1.0.0                    │
    └────────────────────────────────────────────┘
    ");
    for verb in [&["plan"][..], &["status"], &["history"], &["alerts", "list"], &["check"]] {
        let ran = host.run(verb);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{verb:?}");
    }
}

#[test]
fn an_app_that_nobody_declared_is_a_usage_error_with_what_was_meant() {
    let host = Host::new();
    for verb in [
        &["plan", "note"][..],
        &["converge", "note"],
        &["deploy", "note", "1.0.0"],
        &["rollback", "note"],
        &["retire", "note"],
        &["approve", "note", "1.0.0"],
        &["release", "note", "1.0.0"],
        &["history", "note"],
    ] {
        let ran = host.run(verb);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{verb:?}: {ran:?}");
        assert!(ran.stderr.contains("`note`") && ran.stderr.contains("did you mean `notes`?"), "{ran:?}");
    }
    let ran = host.run(&["converge", "something-else"]);
    assert!(ran.stderr.contains("declared are: notes"), "{ran:?}");
    assert!(!host.path("state").exists(), "a slip of the finger makes no folders");
}

#[test]
fn every_failure_is_one_json_document_where_json_is_asked_for() {
    let host = Host::new();
    for (verb, message) in [
        (&["converge", "nope"][..], "there is no app `nope`"),
        (&["plan", "nope"], "there is no app `nope`"),
        (&["history", "nope"], "there is no app `nope`"),
        (&["retire", "nope"], "there is no app `nope`"),
        (&["deploy", APP, "a b"], "`a b` is no version"),
        (&["deploy", APP], "required arguments"),
        (&["convrege"], "unrecognized subcommand"),
    ] {
        let ran = host.run(&[verb, &["--json"]].concat());
        let error = ran.json()["error"].clone();
        assert_eq!((ran.code, &ran.json()["schema"], &error["kind"]), (2, &json!(1), &json!("usage")));
        assert!(error["message"].as_str().unwrap().contains(message), "{error}");
        assert!(ran.stderr.contains(message), "{ran:?}");
    }
    let nope = host.run(&["converge", "note", "--json"]).json();
    assert_eq!(nope["error"]["remedy"], "did you mean `notes`?");
    let failed = host.run(&["release", APP, "1.0.0", "--json"]);
    assert_eq!((failed.code, &failed.json()["error"]["kind"]), (1, &json!("failed")));
}

#[test]
fn wrong_usage_is_exit_2_and_help_is_exit_0() {
    for arguments in [
        &["convrege"][..],
        &["converge", "--nonsense"],
        &["deploy", "notes"],
        &["-q", "-v", "status"],
        &["alerts"],
    ] {
        let ran = plain(arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{arguments:?}: {ran:?}");
    }
    assert!(plain(&["convrege"]).stderr.contains("converge"), "a near verb is named");
    for arguments in [&["--help"][..], &["-h"], &["--version"], &["converge", "--help"]] {
        let ran = plain(arguments);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{arguments:?}: {ran:?}");
    }
    let help = plain(&["--help"]).stdout;
    for verb in [
        "check",
        "plan",
        "converge",
        "deploy",
        "rollback",
        "retire",
        "approve",
        "release",
        "snapshot",
        "nightly",
        "status",
        "history",
        "alerts",
        "schema",
        "demo",
        "completions",
        "man",
    ] {
        assert!(help.lines().any(|line| line.trim_start().starts_with(verb)), "{verb}: {help}");
    }
    assert!(!help.contains("internal"), "{help}");
    assert!(help.contains("75"), "exit codes are told: {help}");
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let ran = plain(&["--config", "/nowhere/warmkeep", "converge"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("/nowhere/warmkeep"), "{ran:?}");
}

#[test]
fn the_configuration_comes_from_the_environment_too_and_a_folder_is_merged() {
    let host = Host::new();
    let folder = host.path("config.d");
    fs::create_dir(&folder).unwrap();
    let mut rest = host.config();
    let apps = rest.as_object_mut().unwrap().remove("apps").unwrap();
    fs::write(folder.join("host.json"), rest.to_string()).unwrap();
    fs::write(folder.join("notes.json"), json!({ "schema": 1, "apps": apps }).to_string()).unwrap();
    let output =
        Command::new(binary()).args(["check", "--json"]).env("WARMKEEP_CONFIG", &folder).output().unwrap();
    let ran = ran(output);
    assert_eq!(
        (ran.code, &ran.json()["valid"], &ran.json()["apps"]),
        (0, &json!(true), &json!(1)),
        "{ran:?}"
    );
}

#[test]
fn check_lists_every_error_for_programs() {
    let host = Host::new();
    host.configure(|app| {
        app["helth"] = json!({});
        app["versions"]["policy"] = json!("mnor");
        app["health"]["interval"] = json!("soon");
    });
    let ran = host.run(&["check", "--json"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    let document = ran.json();
    assert_eq!((&document["schema"], &document["valid"]), (&json!(1), &json!(false)));
    let errors = document["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 3, "{document}");
    for error in errors {
        assert!(error["file"].as_str().unwrap().ends_with("warmkeep.json"), "{error}");
        assert!(error["line"].as_u64() > Some(1) && error["column"].as_u64() > Some(0), "{error}");
        assert!(error["path"].as_str().unwrap().starts_with("apps.notes."), "{error}");
    }
    assert!(errors.iter().any(|error| error["suggestion"] == "minor"), "{document}");
    // Every verb that needs the configuration says the same, in the same document.
    let converge = host.run(&["converge", "--json"]);
    assert_eq!((converge.code, converge.json()), (2, document));
}

#[test]
fn a_reading_that_is_older_than_a_day_is_marked_as_stale() {
    let host = Host::new();
    host.install();
    assert!(!host.run(&["status"]).stdout.contains("stale"));
    let file = host.path("state/status/notes.json");
    let mut probe: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    probe["capturedAt"] = json!("2020-01-01T00:00:00Z");
    fs::write(&file, probe.to_string()).unwrap();
    let status = host.run(&["status"]).stdout;
    assert!(status.contains("d ago (stale)"), "{status}");
    let age = host.run(&["status", "--json"]).json()["apps"][0]["lastProbeAgeS"].as_i64();
    assert!(age.is_some_and(|age| age > 86_400), "{age:?}");
}

#[test]
fn a_night_whose_report_cannot_be_kept_still_tells_how_it_went() {
    let host = Host::new();
    let night = host.run(&["nightly", "--json"]);
    assert_eq!((night.code, night.outcome(APP).as_str()), (0, "installed"), "{night:?}");
    assert_eq!(fs::read_dir(host.path("state/runs")).unwrap().count(), 1);
    // Even root cannot write there.
    fs::remove_dir_all(host.path("state/runs")).unwrap();
    std::os::unix::fs::symlink("/proc/self/fdinfo", host.path("state/runs")).unwrap();
    let night = host.run(&["nightly", "--json"]);
    assert_eq!((night.code, night.outcome(APP).as_str()), (1, "noop"), "{night:?}");
    assert!(night.stderr.contains("error:") && night.stderr.contains("runs"), "{night:?}");
    host.release("1.1.0", "sick");
    let night = host.run(&["nightly", "--json"]);
    assert_eq!((night.code, night.outcome(APP).as_str()), (4, "rolledBack"), "{night:?}");
}

#[test]
fn json_is_one_document_and_nothing_else() {
    let host = eventful();
    host.converge();
    for verb in [
        &["plan"][..],
        &["converge"],
        &["status"],
        &["history"],
        &["alerts", "list"],
        &["check"],
        &["nightly"],
        &["approve", APP, "2.0.0"],
        &["release", APP, "1.1.0"],
    ] {
        let ran = host.run(&[verb, &["--json"]].concat());
        assert_eq!(ran.json()["schema"], 1, "{verb:?}: {ran:?}");
    }
}

#[test]
fn log_lines_are_json_on_request_each_with_a_time_and_a_level() {
    let host = eventful();
    let ran = host.run(&["converge", "--log-format", "json", "-v"]);
    assert_eq!(ran.code, 4, "{ran:?}");
    let lines: Vec<Value> = ran
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    assert!(lines.len() > 5, "{ran:?}");
    for line in &lines {
        assert!(line["timestamp"].as_str().is_some_and(|at| at.ends_with('Z')), "{line}");
        assert!(line["level"].is_string(), "{line}");
    }
    let failed =
        lines.iter().find(|line| line["event"] == "step.failed").unwrap_or_else(|| panic!("{lines:?}"));
    assert_eq!((&failed["step"], &failed["app"]), (&json!("gate"), &json!(APP)));
}

#[test]
fn quiet_is_quiet_and_verbose_tells_the_steps() {
    let host = eventful();
    let quiet = host.run(&["converge", "-q"]);
    assert_eq!((quiet.code, quiet.stderr.as_str()), (4, ""), "{quiet:?}");
    host.release("1.2.0", "");
    let verbose = host.run(&["converge", "-v"]);
    assert!(verbose.stderr.contains("waitGone"), "{verbose:?}");
}

#[test]
fn no_escape_leaves_a_run_without_a_terminal() {
    let host = eventful();
    for verb in
        [&["plan"][..], &["converge"], &["status"], &["history"], &["alerts", "list"], &["converge", "nots"]]
    {
        let mut command = host.command(verb);
        let ran = ran(command.env_remove("NO_COLOR").output().unwrap());
        assert!(!(ran.stdout + &ran.stderr).contains('\u{1b}'), "{verb:?}");
    }
}

#[test]
fn the_schema_is_a_json_schema_that_names_the_parts() {
    let ran = plain(&["schema"]);
    let schema: Value = ran.json();
    assert!(
        schema["$schema"].as_str().is_some_and(|s| s.contains("json-schema.org")),
        "{}",
        schema["$schema"]
    );
    for key in ["schema", "host", "apps", "sweep", "nightly", "gc", "alerts"] {
        assert!(schema["properties"][key].is_object(), "{key}");
    }
}

#[test]
fn completions_and_the_manual_page_are_there() {
    for shell in ["bash", "zsh", "fish"] {
        let ran = plain(&["completions", shell]);
        assert!(ran.code == 0 && ran.stdout.contains("converge"), "{shell}: {ran:?}");
    }
    let bash = plain(&["completions", "bash"]).stdout;
    let checked = Command::new("bash").args(["-nc", &bash]).output();
    assert!(checked.map_or(true, |output| output.status.success()), "bash cannot read it");
    let man = plain(&["man"]);
    assert!(man.code == 0 && man.stdout.starts_with(".ie") | man.stdout.contains(".TH"), "{man:?}");
    assert!(man.stdout.contains("converge") && !man.stdout.contains("internal-supervise"), "{man:?}");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let host = Host::new();
    host.install();
    let pipe =
        format!("'{}' --config '{}' schema | head -c 1", binary(), host.path("warmkeep.json").display());
    let ran = ran(Command::new("bash").args(["-o", "pipefail", "-c", &pipe]).output().unwrap());
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
}

#[test]
fn a_state_folder_that_cannot_be_made_is_an_error_with_its_path() {
    let host = Host::new();
    let mut config = host.config();
    fs::write(host.path("file"), "").unwrap();
    config["host"]["stateDir"] = json!(host.path("file/state"));
    host.write_config(&config);
    let ran = host.run(&["converge"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("file/state"), "{ran:?}");
    assert!(Path::new(&host.path("data")).exists());
}
