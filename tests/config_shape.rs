//! What a configuration may hold at all: keys, types, words, quantities; and that everything wrong is told at once.

mod config_app;
mod config_common;

use config_app::{app_with, check, fine, in_app, one, set, small_app, with, with_app, wrong};
use config_common::{load_bytes, load_files};
use serde_json::{Value, json};

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
