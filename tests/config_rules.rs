//! Every rule between keys and about single values: what is refused, and where it is pointed at.

mod config_app;
mod config_common;

use config_app::{app_with, check, fine, in_app, one, set, small_app, with, wrong};
use serde_json::{Value, json};

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
    in_app("/driver/process/env", json!({ "A": "{ap}" }), "driver.process.env.A", "`{ap}`");
    // What is not nearly a placeholder, and what stands in a script, is the program's own.
    fine(&app_with("/driver/process/command", json!(["awk", "{print}", "python3 -c 'f\"{versoin}\"'"])));
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
    set(&mut config, "/apps/notes/health/timeout", json!("6s"));
    one(&config, "apps.notes.health.timeout", "take 7s");
    set(&mut config, "/apps/notes/health/timeout", json!("7s"));
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
    in_app(
        "/driver/process/env",
        json!({ "WARMKEEP_OWNER": "x" }),
        "driver.process.env.WARMKEEP_OWNER",
        "is reserved",
    );
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
    one(&with("/nightly/onCalendar", json!("03:00\nX=y")), "nightly.onCalendar", "would not take");
    one(&with("/nightly/rebuild", json!({ "flake": "--impure" })), "nightly.rebuild.flake", "begin with `-`");
    in_app("/driver/process/command", json!(["a\0b"]), "driver.process.command[0]", "NUL");
}

#[test]
fn a_flake_is_one_that_nix_can_be_asked_for_and_has_time() {
    for (flake, complaint) in
        [("#host", "cannot be empty"), ("/f#a\"b", "host of this name"), ("/f#a^out", "host of this name")]
    {
        one(&with("/nightly/rebuild", json!({ "flake": flake })), "nightly.rebuild.flake", complaint);
    }
    for key in ["buildTimeout", "switchTimeout"] {
        let rebuild = json!({ "flake": "/f#h", key: "0s" });
        one(&with("/nightly/rebuild", rebuild), &format!("nightly.rebuild.{key}"), "cannot be 0");
    }
}
