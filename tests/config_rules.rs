//! Every rule of the configuration: what is refused, where it is pointed at, and that all of it is told at once.
#![expect(clippy::disallowed_methods, reason = "tests drive the real system")]

mod config_common;

use config_common::{load_bytes, load_files};
use serde_json::{Value, json};

/// What is wrong with a value, as `path: message` in the order of the report.
fn wrong(value: &Value) -> Vec<String> {
    let text = format!("{value:#}");
    match load_bytes(text.as_bytes()) {
        Ok(_) => Vec::new(),
        Err(invalid) => invalid.diagnostics.iter().map(|d| format!("{}: {}", d.path, d.message)).collect(),
    }
}

/// An app that is valid and says as little as it can.
fn small_app() -> Value {
    json!({
        "driver": { "process": { "command": ["{release}/run"] } },
        "versions": { "source": { "directory": { "path": "/srv/releases" } } },
    })
}

fn with_app(app: &Value) -> Value {
    json!({ "schema": 1, "apps": { "notes": app } })
}

/// The small app with one value put at a JSON pointer.
fn app_with(pointer: &str, value: Value) -> Value {
    let mut app = small_app();
    set(&mut app, pointer, value);
    with_app(&app)
}

/// Puts a value at a JSON pointer; missing objects on the way are made.
fn set(root: &mut Value, pointer: &str, value: Value) {
    let here = pointer.split('/').skip(1).fold(root, |here, key| &mut here[key]);
    *here = value;
}

/// Exactly one thing is wrong, at this path, and its message has this in it.
#[track_caller]
fn one(value: &Value, path: &str, message: &str) {
    let all = wrong(value);
    assert_eq!(all.len(), 1, "{all:#?}");
    let start = format!("{path}: ");
    assert!(all[0].starts_with(&start) && all[0].contains(message), "{}", all[0]);
}

#[track_caller]
fn fine(value: &Value) {
    assert_eq!(wrong(value), Vec::<String>::new());
}

/// As [`one`], with a value put into the small app; the path is the pointer.
#[track_caller]
fn in_app(pointer: &str, value: Value, path: &str, message: &str) {
    one(&app_with(pointer, value), &format!("apps.notes.{path}"), message);
}

fn with(pointer: &str, value: Value) -> Value {
    let mut config = with_app(&small_app());
    set(&mut config, pointer, value);
    config
}

fn check(probe: Value) -> Value {
    app_with("/health/checks/c", probe)
}

#[test]
fn the_schema_must_be_named() {
    one(&json!({}), "schema", "missing");
    one(&json!({ "schema": 0 }), "schema", "no schema 0");
    one(&json!({ "schema": "1" }), "schema", "found a string");
}

#[test]
fn a_newer_schema_is_all_that_is_told() {
    one(&json!({ "schema": 2, "novelty": true }), "schema", "this warmkeep knows schema 1");
}

#[test]
fn unknown_keys_are_told_where_they_stand() {
    one(&json!({ "schema": 1, "banana": {} }), "banana", "unknown key \"banana\"");
    in_app("/driver/process/comand", json!([]), "driver.process.comand", "unknown key");
    in_app("/versions/source/directory/pth", json!(""), "versions.source.directory.pth", "unknown key");
}

#[test]
fn a_misspelled_required_key_is_one_mistake_and_not_two() {
    let app = json!({ "driver": { "process": { "command": ["x"] } }, "verions": { "source": { "list": { "versions": [] } } } });
    one(&with_app(&app), "apps.notes.verions", "unknown key");
    let app = json!({ "driver": { "proces": { "command": ["x"] } }, "versions": { "source": { "list": { "versions": [] } } } });
    one(&with_app(&app), "apps.notes.driver.proces", "unknown key");
}

#[test]
fn missing_keys_are_told_at_the_object_that_lacks_them() {
    let app = json!({ "driver": { "process": { "command": ["x"] } } });
    one(&with_app(&app), "apps.notes.versions", "the key `versions` is missing");
    let app = json!({ "versions": { "source": { "list": { "versions": [] } } } });
    one(&with_app(&app), "apps.notes.driver", "the key `driver` is missing");
}

#[test]
fn a_choice_takes_exactly_one_key() {
    let two = json!({ "tcp": { "address": "a:1" }, "command": { "run": ["x"] } });
    one(&check(two), "apps.notes.health.checks.c", "only one of `tcp` and `command`");
    one(&check(json!({ "critical": true })), "apps.notes.health.checks.c", "exactly one of");
    in_app("/driver", json!({}), "driver", "exactly one of");
    in_app("/versions/source", json!("recipe"), "versions.source", "found a string");
}

#[test]
fn wrong_types_say_what_is_expected_and_what_was_found() {
    in_app("/after", json!("traefik"), "after", "expected a list of strings, found a string");
    in_app("/health/passes", json!(2.5), "health.passes", "expected a whole number from 1, found 2.5");
    in_app("/health/passes", json!(0), "health.passes", "found 0");
    in_app("/health/soak", json!(5), "health.soak", "expected a duration such as \"10s\", found a number");
    in_app("/health/soak", json!(null), "health.soak", "found null");
    in_app("/data", json!({ "paths": ["/x"], "discover": "no" }), "data.discover", "found a string");
    in_app("/snapshots/keepLast", json!(5_000_000_000_u64), "snapshots.keepLast", "whole number");
    let status = json!({ "http": { "url": "http://a/", "status": [200, 99, 600] } });
    assert_eq!(wrong(&check(status)).len(), 2);
}

#[test]
fn durations_and_sizes_are_held_to_their_form() {
    in_app("/health/soak", json!("5 minutes"), "health.soak", "not a duration");
    in_app("/timeouts/stop", json!("99999999d"), "timeouts.stop", "longer than");
    in_app("/snapshots/maxBytes", json!("20GB"), "snapshots.maxBytes", "not a size");
}

#[test]
fn words_are_held_to_those_that_are_known() {
    in_app("/versions/policy", json!("latest"), "versions.policy", "\"latest\" is not known here");
    one(&with("/sweep/when", json!("nightly")), "sweep.when", "not known");
}

#[test]
fn null_stands_for_an_absent_optional_key() {
    for pointer in ["/data", "/versions/pin", "/versions/policy", "/isolation"] {
        fine(&app_with(pointer, Value::Null));
    }
    fine(&with("/nightly/rebuild", Value::Null));
    fine(&with("/gc/nix", Value::Null));
}

#[test]
fn a_key_that_is_set_twice_is_told_with_both_places() {
    let text = "{\"schema\": 1,\n \"gc\": {}, \"gc\": {}}";
    let invalid = load_bytes(text.as_bytes()).unwrap_err();
    let message = &invalid.diagnostics[0].message;
    assert!(message.contains(":2:2 and at ") && message.ends_with(":2:12"), "{message}");
}

#[test]
fn files_of_a_folder_are_merged() {
    let app = small_app().to_string();
    let first = format!("{{\"schema\":1,\"apps\":{{\"a\":{app}}},\"gc\":{{\"highWatermark\":90}}}}");
    let second = format!("{{\"schema\":1,\"apps\":{{\"b\":{app}}},\"gc\":{{\"lowWatermark\":50}}}}");
    let files =
        [("a.json", first.as_bytes()), ("b.json", second.as_bytes()), ("c.txt", b"?"), (".d.json", b"?")];
    let config = load_files(&files).unwrap();
    assert_eq!(config.apps.keys().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!((config.gc.high_watermark, config.gc.low_watermark), (90, 50));
}

#[test]
fn what_two_files_set_is_told_with_both_names() {
    let app = small_app().to_string();
    let text = format!("{{\"schema\":1,\"host\":{{\"stateDir\":\"/x\"}},\"apps\":{{\"a\":{app}}}}}");
    let (invalid, _) = load_files(&[("1.json", text.as_bytes()), ("2.json", text.as_bytes())]).unwrap_err();
    let paths: Vec<_> = invalid.diagnostics.iter().map(|d| d.path.as_str()).collect();
    assert_eq!(paths, ["host.stateDir", "apps.a"]);
    assert!(
        invalid
            .diagnostics
            .iter()
            .all(|d| d.message.contains("1.json:1:") && d.message.contains("2.json:1:"))
    );
}

#[test]
fn a_broken_file_does_not_hide_mistakes_in_another_nor_make_some_up() {
    let app = app_with("/after", json!(["elsewhere"]));
    let mut other = app;
    set(&mut other, "/apps/notes/health/soak", json!("x"));
    let other = other.to_string();
    let (invalid, _) = load_files(&[("1.json", b"{"), ("2.json", other.as_bytes())]).unwrap_err();
    let told: Vec<_> = invalid.diagnostics.iter().map(|d| d.path.as_str()).collect();
    assert_eq!(told, ["", "apps.notes.health.soak"]);
}

#[test]
fn names_of_apps_and_recipes_are_safe_as_file_names() {
    for name in ["", ".hidden", "-x", "a/b", "a b", "größe", &"x".repeat(65)] {
        let config = json!({ "schema": 1, "apps": { name: small_app() } });
        assert_eq!(wrong(&config).len(), 1, "{name}");
        let config = json!({ "schema": 1, "sweep": { "recipes": { name: { "run": ["x"] } } } });
        assert_eq!(wrong(&config).len(), 1, "{name}");
    }
    fine(&json!({ "schema": 1, "apps": { "A.b_c-1": small_app(), "x".repeat(64): small_app() } }));
}

#[test]
fn names_in_after_and_needs_must_be_apps() {
    in_app("/after", json!(["traefik"]), "after[0]", "there is no app \"traefik\"");
    one(
        &with("/sweep/recipes/r", json!({ "run": ["x"], "needs": ["note"] })),
        "sweep.recipes.r.needs[0]",
        "no app",
    );
    assert!(wrong(&app_with("/after", json!(["x", "x"])))[1].contains("named twice"));
}

fn chain(after: &[(&str, &[&str])]) -> Value {
    let mut config = json!({ "schema": 1, "apps": {} });
    for (name, before) in after {
        let mut app = small_app();
        set(&mut app, "/after", json!(before));
        config["apps"][*name] = app;
    }
    config
}

#[test]
fn apps_that_wait_for_each_other_are_named() {
    let config = chain(&[("a", &["b"]), ("b", &["c"]), ("c", &["a"]), ("d", &["a"])]);
    one(&config, "apps.c.after[0]", "\"a\" → \"b\" → \"c\" → \"a\"");
    one(&chain(&[("a", &["a"])]), "apps.a.after[0]", "cannot come after itself");
}

fn with_paths(all: &[(&str, &[&str])]) -> Value {
    let mut config = json!({ "schema": 1, "apps": {} });
    for (name, paths) in all {
        let mut app = small_app();
        set(&mut app, "/data/paths", json!(paths));
        config["apps"][*name] = app;
    }
    config
}

#[test]
fn data_folders_are_absolute_and_belong_to_one_app() {
    one(&with_paths(&[("a", &["data"])]), "apps.a.data.paths[0]", "relative");
    one(&with_paths(&[("a", &["/x/../y"])]), "apps.a.data.paths[0]", "`..`");
    one(&with_paths(&[("a", &["/"])]), "apps.a.data.paths[0]", "whole system");
    one(
        &with_paths(&[("a", &["/x"]), ("b", &["/x/"])]),
        "apps.b.data.paths[0]",
        "is also data of the app \"a\"",
    );
    one(&with_paths(&[("a", &["/x/./y", "/x"])]), "apps.a.data.paths[0]", "lies in \"/x\", data of this app");
    one(
        &with_paths(&[("a", &["/x"]), ("b", &["/x-y", "/x/y/z"])]),
        "apps.b.data.paths[1]",
        "data of the app \"a\"",
    );
    fine(&with_paths(&[("a", &["/x", "/xy"]), ("b", &["/x-y"])]));
}

#[test]
fn data_and_state_are_kept_apart() {
    one(&with_paths(&[("a", &["/var/lib/warmkeep"])]), "apps.a.data.paths[0]", "is also `host.stateDir`");
    one(&with_paths(&[("a", &["/var/lib/warmkeep/a"])]), "apps.a.data.paths[0]", "lies in `host.stateDir`");
    one(&with_paths(&[("a", &["/var/lib"])]), "apps.a.data.paths[0]", "has `host.stateDir` in it");
}

#[test]
fn a_process_has_no_volumes_to_discover() {
    in_app("/data", json!({ "paths": ["/x"], "discover": true }), "data.discover", "no volumes to discover");
    in_app("/data", json!({ "paths": ["/x"], "exclude": ["v"] }), "data.exclude", "no volumes to discover");
    in_app("/data", json!({}), "data", "none is named");
}

#[test]
fn a_stack_name_leaves_room_for_its_services() {
    let swarm = |stack: String| json!({ "swarm": { "files": ["/s.yml"], "stack": stack } });
    in_app("/driver", swarm("x".repeat(63)), "driver.swarm.stack", "too long for swarm's 64");
    fine(&app_with("/driver", swarm("x".repeat(62))));
    let domain = format!("{}.example.org", "x".repeat(60));
    in_app("/driver", json!({ "abra": { "domain": domain } }), "driver.abra.domain", "too long");
}

#[test]
fn two_apps_never_share_a_stack() {
    let mut other = small_app();
    other["driver"] = json!({ "swarm": { "files": ["/s.yml"], "stack": "c_org" } });
    let mut abra = small_app();
    abra["driver"] = json!({ "abra": { "domain": "c.org" } });
    let config = json!({ "schema": 1, "apps": { "a": abra, "b": other } });
    one(&config, "apps.b.driver.swarm.stack", "the stack \"c_org\" is the app \"a\"'s");
}

#[test]
fn programs_are_there_where_they_are_needed() {
    in_app("/driver/process/command", json!([]), "driver.process.command", "a program is needed");
    in_app("/driver/process/command", json!([""]), "driver.process.command[0]", "empty");
    in_app("/hooks/beforeStop", json!(["", "x"]), "hooks.beforeStop[0]", "empty");
    one(&check(json!({ "command": { "run": [] } })), "apps.notes.health.checks.c.command.run", "needed");
    let command = json!({ "command": { "deploy": ["d"], "stop": [], "status": ["s"] } });
    in_app("/driver", command, "driver.command.stop", "needed");
    one(
        &with("/nightly/busy/ci", json!({ "command": { "run": [] } })),
        "nightly.busy.ci.command.run",
        "needed",
    );
    one(
        &with("/alerts/sinks/s", json!({ "command": { "run": [] } })),
        "alerts.sinks.s.command.run",
        "needed",
    );
    one(&with("/sweep/recipes/r", json!({ "run": [] })), "sweep.recipes.r.run", "needed");
}

#[test]
fn a_stop_signal_is_one_that_ends_a_process() {
    for good in ["SIGTERM", "TERM", "SIGINT", "QUIT", "SIGKILL"] {
        fine(&app_with("/driver/process/stopSignal", json!(good)));
    }
    in_app("/driver/process/stopSignal", json!("SIGSTOP"), "driver.process.stopSignal", "ends no process");
    in_app("/driver/process/stopSignal", json!("SIGTREM"), "driver.process.stopSignal", "is no signal");
}

#[test]
fn placeholders_are_those_that_are_filled() {
    let command = json!(["{release}/x", "{versoin}", "{\"a\":1}", "${HOME}", "{{x}}"]);
    in_app(
        "/driver/process/command",
        command,
        "driver.process.command[1]",
        "unknown placeholder `{versoin}`",
    );
    in_app("/driver/process/env", json!({ "A": "{x}" }), "driver.process.env.A", "`{x}`");
    in_app(
        "/driver/process/workingDirectory",
        json!("{relase}/x"),
        "driver.process.workingDirectory",
        "`{relase}`",
    );
    in_app("/driver/process/command", json!(["x", "{data}"]), "driver.process.command[1]", "no `data.paths`");
    let mut config = app_with("/driver/process/command", json!(["x", "{data}"]));
    set(&mut config, "/apps/notes/data/paths", json!(["/x"]));
    fine(&config);
}

#[test]
fn patterns_are_regular_expressions() {
    in_app(
        "/versions/holdNotes",
        json!(["ok", "(oops"]),
        "versions.holdNotes[1]",
        "is no regular expression: unclosed",
    );
    one(&with("/gc/orphans", json!({ "pattern": "[" })), "gc.orphans.pattern", "no regular expression");
    one(&with("/gc/orphans", json!({ "pattern": "" })), "gc.orphans.pattern", "every stack");
}

#[test]
fn pin_deny_and_list_hold_versions_and_agree() {
    in_app("/versions/pin", json!("a b"), "versions.pin", "is no version");
    in_app("/versions/deny", json!(["1.0.0", ""]), "versions.deny[1]", "is no version");
    in_app(
        "/versions/source",
        json!({ "list": { "versions": ["a/b"] } }),
        "versions.source.list.versions[0]",
        "no version",
    );
    in_app(
        "/versions/source",
        json!({ "list": { "versions": ["1", "1"] } }),
        "versions.source.list.versions[1]",
        "twice",
    );
    let mut config = app_with("/versions/pin", json!("1.0.0"));
    set(&mut config, "/apps/notes/versions/deny", json!(["1.0.0"]));
    one(&config, "apps.notes.versions.pin", "pinned and denied");
}

#[test]
fn policy_and_order_go_together() {
    in_app("/versions/policy", json!("any"), "versions.policy", "goes with the order \"listed\"");
    let mut config = app_with("/versions/policy", json!("minor"));
    set(&mut config, "/apps/notes/versions/order", json!("listed"));
    one(&config, "apps.notes.versions.policy", "knows no larger and smaller steps");
}

#[test]
fn the_recipe_source_is_for_recipes() {
    in_app(
        "/versions/source",
        json!({ "recipe": {} }),
        "versions.source.recipe",
        "only an app of the abra driver",
    );
    let recipe = json!({ "run": ["x"], "versions": { "source": { "recipe": {} } } });
    fine(&with("/sweep/recipes/r", recipe));
}

#[test]
fn addresses_are_whole() {
    let http = "apps.notes.health.checks.c.http.url";
    let url = |url: &str| check(json!({ "http": { "url": url } }));
    one(&url("ftp://a/"), http, "only http and https");
    one(&url("localhost:8080"), http, "");
    one(&url("http://"), http, "no address");
    one(&url("http:///x"), http, "");
    one(&url("http://me:secret@a/"), http, "must not carry a user or password");
    assert!(!wrong(&url("http://me:secret@a/"))[0].contains("secret@"));
    fine(&url("https://[::1]:8443/x?y=z"));
    let tcp = |address: &str| check(json!({ "tcp": { "address": address } }));
    for bad in ["localhost", "localhost:", "localhost:0", "localhost:99999", ":80", "::1:80"] {
        assert_eq!(wrong(&tcp(bad)).len(), 1, "{bad}");
    }
    fine(&tcp("[::1]:80"));
    fine(&tcp("db.example.org:5432"));
}

#[test]
fn an_http_check_makes_sense() {
    let http = |rest: Value| {
        let mut http = json!({ "url": "http://a/" });
        http.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        check(json!({ "http": http }))
    };
    let at = |key: &str| format!("apps.notes.health.checks.c.http.{key}");
    one(&http(json!({ "status": [] })), &at("status"), "no status");
    one(&http(json!({ "jsonIn": ["UP"] })), &at("jsonIn"), "without `jsonPointer`");
    one(&http(json!({ "jsonPointer": "status" })), &at("jsonPointer"), "no JSON pointer");
    one(&http(json!({ "jsonPointer": "/a~2" })), &at("jsonPointer"), "no JSON pointer");
    one(&http(json!({ "headers": { "X": "a\nb" } })), &at("headers.X"), "cannot be sent");
    one(&http(json!({ "headers": { "X Y": "a" } })), &at("headers.\"X Y\""), "no name for a header");
    one(
        &http(json!({ "basicAuth": { "user": "a:b", "passwordFile": "/p" } })),
        &at("basicAuth.user"),
        "no `:`",
    );
    one(
        &http(json!({ "basicAuth": { "user": "a", "passwordFile": "p" } })),
        &at("basicAuth.passwordFile"),
        "relative",
    );
    let both =
        json!({ "basicAuth": { "user": "a", "passwordFile": "/p" }, "headers": { "authorization": "x" } });
    one(&http(both), &at("basicAuth"), "both authorize");
    one(&http(json!({ "timeout": "0s" })), &at("timeout"), "cannot be 0");
    fine(&http(json!({ "jsonPointer": "", "jsonIn": [null, {"a": [1]}] })));
}

#[test]
fn containers_are_looked_at_where_there_are_some() {
    one(
        &check(json!({ "containers": {} })),
        "apps.notes.health.checks.c.containers",
        "`process` has no containers",
    );
}

#[test]
fn times_are_more_than_nothing_and_fit_each_other() {
    in_app("/health/interval", json!("0s"), "health.interval", "cannot be 0");
    in_app("/health/timeout", json!("0ms"), "health.timeout", "cannot be 0");
    in_app("/timeouts/gone", json!("0s"), "timeouts.gone", "cannot be 0");
    in_app("/driver/process/stopTimeout", json!("3m"), "driver.process.stopTimeout", "`timeouts.stop`, 2m");
    let mut config = check(json!({ "tcp": { "address": "a:1" } }));
    set(&mut config, "/apps/notes/health/timeout", json!("7s"));
    one(&config, "apps.notes.health.timeout", "take 8s");
    set(&mut config, "/apps/notes/health/timeout", json!("8s"));
    fine(&config);
    one(&with("/nightly/deadline", json!("0s")), "nightly.deadline", "cannot be 0");
}

#[test]
fn limits_leave_room() {
    in_app("/snapshots/maxBytes", json!("0B"), "snapshots.maxBytes", "0 bytes");
    one(&with("/gc/lowWatermark", json!(80)), "gc.lowWatermark", "never stop");
    one(&with("/gc/highWatermark", json!(101)), "gc.highWatermark", "from 1 to 100");
    one(&with("/sweep/jobs", json!(0)), "sweep.jobs", "found 0");
}

#[test]
fn paths_are_absolute_everywhere() {
    one(&with("/host/stateDir", json!("state")), "host.stateDir", "relative");
    one(&with("/host/stateDir", json!("/")), "host.stateDir", "whole system");
    in_app(
        "/versions/source",
        json!({ "directory": { "path": "" } }),
        "versions.source.directory.path",
        "empty",
    );
    in_app("/driver", json!({ "compose": { "files": ["c.yml"] } }), "driver.compose.files[0]", "relative");
    in_app("/driver", json!({ "compose": { "files": [] } }), "driver.compose.files", "at least one file");
    one(&with("/gc/leftovers", json!(["/*"])), "gc.leftovers[0]", "whole system");
    one(&with("/gc/logs/l", json!({ "paths": ["x/*.log"] })), "gc.logs.l.paths[0]", "relative");
    let canonical = json!({ "run": ["x"], "canonical": { "paths": ["c"] } });
    one(&with("/sweep/recipes/r", canonical), "sweep.recipes.r.canonical.paths[0]", "relative");
}

#[test]
fn names_for_docker_and_abra_are_theirs() {
    let compose = |project: &str| json!({ "compose": { "files": ["/c.yml"], "project": project } });
    in_app("/driver", compose("My App"), "driver.compose.project", "no name for a compose project");
    let tag = json!({ "compose": { "files": ["/c.yml"], "tagVariable": "A=B" } });
    in_app("/driver", tag, "driver.compose.tagVariable", "no name for a variable");
    in_app("/driver/process/env", json!({ "1A": "" }), "driver.process.env.1A", "no name for a variable");
    in_app("/driver", json!({ "abra": { "domain": "--help" } }), "driver.abra.domain", "no domain");
    in_app(
        "/driver",
        json!({ "abra": { "domain": "a.b", "server": "-x" } }),
        "driver.abra.server",
        "abra knows",
    );
}

#[test]
fn what_becomes_an_option_or_a_line_of_a_unit_is_refused() {
    in_app(
        "/versions/source",
        json!({ "git": { "url": "--upload-pack=x" } }),
        "versions.source.git.url",
        "begin with `-`",
    );
    one(&with("/nightly/onCalendar", json!("03:00\nX=y")), "nightly.onCalendar", "control character");
    one(&with("/nightly/rebuild", json!({ "flake": "--impure" })), "nightly.rebuild.flake", "begin with `-`");
    in_app("/driver/process/command", json!(["a\0b"]), "driver.process.command[0]", "NUL");
}

#[test]
fn a_mistake_in_the_driver_brings_no_echoes() {
    let mut config = app_with("/driver", json!({ "swarn": { "files": ["/s.yml"] } }));
    set(&mut config, "/apps/notes/data/discover", json!(true));
    set(&mut config, "/apps/notes/health/checks/c", json!({ "containers": {} }));
    one(&config, "apps.notes.driver.swarn", "unknown key \"swarn\"");
}

#[test]
fn twelve_mistakes_of_every_sort_are_told_in_one_go() {
    let text = r#"{
  "schema": 1,
  "hots": { "stateDir": "/s" },
  "apps": {
    "a": {
      "driver": { "swarm": { "files": ["/a.yml"], "stack": "a-name-that-is-longer-than-any-that-a-swarm-could-ever-be-asked-to-take" } },
      "versions": { "source": { "recipe": {} }, "policy": "mayor" },
      "health": { "soak": "5 min", "passes": "3" },
      "after": ["b"],
      "data": { "paths": ["/d/x"] }
    },
    "b": {
      "driver": { "process": { "command": ["{relase}/x"], "stopSignal": "SIGTREM" } },
      "versions": { "source": { "list": { "versions": ["1.0.0"] } }, "holdNotes": ["("] },
      "after": ["a", "ab"],
      "data": { "paths": ["/d"] }
    }
  },
  "gc": { "highWatermark": 50 }
}"#;
    let invalid = load_bytes(text.as_bytes()).unwrap_err();
    let told: Vec<_> = invalid.diagnostics.iter().map(|d| (d.line, d.column, d.path.as_str())).collect();
    let expected = [
        (3, 3, "hots"),
        (6, 60, "apps.a.driver.swarm.stack"),
        (7, 33, "apps.a.versions.source.recipe"),
        (7, 59, "apps.a.versions.policy"),
        (8, 27, "apps.a.health.soak"),
        (8, 46, "apps.a.health.passes"),
        (10, 27, "apps.a.data.paths[0]"),
        (13, 44, "apps.b.driver.process.command[0]"),
        (13, 73, "apps.b.driver.process.stopSignal"),
        (14, 84, "apps.b.versions.holdNotes[0]"),
        (15, 17, "apps.b.after[0]"),
        (15, 22, "apps.b.after[1]"),
        (19, 28, "gc.highWatermark"),
    ];
    assert_eq!(told, expected);
    assert_eq!(invalid.to_string(), "13 errors in the configuration");
}

#[test]
fn an_error_for_programs_has_every_field() {
    let text = "{\"schema\": 1, \"apsp\": {}}";
    let invalid = load_bytes(text.as_bytes()).unwrap_err();
    let mut told = invalid.to_json();
    told[0]["file"] = json!(told[0]["file"].as_str().unwrap().rsplit('/').next());
    let expected = json!([{
        "file": "warmkeep.json", "line": 1, "column": 15, "path": "apsp", "message": "unknown key \"apsp\"",
        "expected": null, "suggestion": "apps", "remedy": "Rename it to `apps`, or remove it.",
    }]);
    assert_eq!(told, expected);
    assert_eq!(invalid.to_string(), "1 error in the configuration");
}
