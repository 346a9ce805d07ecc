//! What the units of a configuration say.

use serde_json::{Value as Json, json};

use super::*;
use crate::config;
use crate::sys::files::write_cache;

/// An app, with these keys besides those that it must have.
fn app(keys: &Json) -> Json {
    let mut app = json!({
        "driver": { "process": { "command": ["run"], "stopTimeout": "1s" } },
        "versions": { "source": { "list": { "versions": ["1.0.0"] } } }
    });
    merge(&mut app, keys);
    app
}

fn merge(into: &mut Json, keys: &Json) {
    for (key, value) in keys.as_object().into_iter().flatten() {
        into[key] = value.clone();
    }
}

/// The files of the units of a configuration with these keys, by name.
fn units(keys: &Json) -> std::collections::BTreeMap<String, String> {
    let mut whole = json!({ "schema": 1 });
    merge(&mut whole, keys);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("warmkeep.json");
    write_cache(&path, whole.to_string().as_bytes()).unwrap();
    let config = config::load(&path).unwrap_or_else(|invalid| panic!("{}", invalid.render(false)));
    let settings = Settings::new(Path::new("/bin/warmkeep"), Path::new("/etc/warmkeep")).unwrap();
    let units = of(&config, &settings).flat_map(|group| group.units);
    units.map(|unit| (unit.file_name(), text::render(&unit))).collect()
}

/// The lines of a directive.
fn lines(unit: &str, key: &str) -> Vec<String> {
    let start = format!("{key}=");
    unit.lines().filter_map(|line| line.strip_prefix(&start)).map(str::to_owned).collect()
}

/// A check that needs a password.
fn with_password(file: &str) -> Json {
    let auth = json!({ "user": "u", "passwordFile": file });
    json!({ "checks": { "c": { "http": { "url": "http://127.0.0.1:1/", "basicAuth": auth } } } })
}

#[test]
fn an_app_starts_behind_what_it_leans_on() {
    let compose = json!({ "compose": { "files": ["/srv/c.yml"] } });
    let all = units(
        &json!({ "apps": { "a": app(&json!({ "driver": compose, "after": ["b"] })), "b": app(&json!({})) } }),
    );
    let a = &all["warmkeep-a.service"];
    assert_eq!(lines(a, "After"), ["docker.service network-online.target warmkeep-b.service"]);
    assert_eq!(lines(a, "After"), lines(a, "Wants"));
    assert_eq!(lines(&all["warmkeep-b.service"], "After"), ["network-online.target"]);
    assert_eq!(lines(&all["warmkeep-nightly.service"], "After"), ["docker.service network-online.target"]);
}

#[test]
fn an_app_needs_the_mounts_of_its_data_and_of_the_state() {
    let data = json!({ "paths": ["/srv/my data", "/srv/50%"] });
    let all = units(&json!({ "apps": { "a": app(&json!({ "data": data })) } }));
    let needed = lines(&all["warmkeep-a.service"], "RequiresMountsFor");
    assert_eq!(needed, ["/var/lib/warmkeep \"/srv/my data\" /srv/50%%"]);
}

#[test]
fn a_stop_waits_for_the_way_forward_and_the_way_back() {
    let keys = json!({
        "timeouts": { "stop": "1m", "gone": "2m", "deploy": "3m" }, "health": { "timeout": "4m" },
        "hooks": { "beforeStop": ["true"], "afterRestore": ["true"] }
    });
    let mut stateful = keys.clone();
    stateful["data"] = json!({ "paths": ["/srv/a"] });
    let all = units(&json!({ "apps": { "a": app(&keys), "b": app(&stateful) } }));
    let stop = |unit: &str| lines(&all[unit], "TimeoutStopSec");
    assert_eq!(stop("warmkeep-a.service"), ["40min"]);
    assert_eq!(stop("warmkeep-b.service"), ["2h 40min"]);
    assert_eq!(stop("warmkeep-nightly.service"), stop("warmkeep-b.service"), "the longest of them");
}

#[test]
fn a_unit_is_given_the_secrets_that_its_work_reads() {
    let isolation = json!({ "keycloak": { "url": "http://127.0.0.1:1", "adminPasswordFile": "/k/admin" } });
    let all = units(&json!({
        "apps": {
            "a": app(&json!({ "after": ["b"], "isolation": isolation })),
            "b": app(&json!({ "after": ["c"], "health": with_password("/k/b") })),
            "c": app(&json!({ "health": with_password("/k/c") })),
            "d": app(&json!({}))
        },
        "alerts": { "sinks": { "s": { "webhook": { "url": "http://127.0.0.1:1/", "bearerFile": "/k/s" } } } }
    }));
    let files = |unit: &str| -> Vec<String> {
        let lines = lines(&all[unit], "LoadCredential");
        lines.iter().map(|line| line.split_once(':').unwrap().1.to_owned()).collect()
    };
    assert_eq!(files("warmkeep-a.service"), ["/k/b", "/k/c"], "those of all that it comes after");
    assert_eq!(files("warmkeep-c.service"), ["/k/c"]);
    assert!(files("warmkeep-d.service").is_empty());
    assert_eq!(files("warmkeep-alerts.service"), ["/k/s"]);
    assert_eq!(files("warmkeep-nightly.service"), ["/k/admin", "/k/b", "/k/c", "/k/s"]);
}

#[test]
fn each_credential_has_a_blank_one_to_fall_back_to_and_the_id_that_readers_look_for() {
    let all = units(&json!({ "apps": { "a": app(&json!({ "health": with_password("/k/p") })) } }));
    let (a, id) = (&all["warmkeep-a.service"], crate::credential::id(Path::new("/k/p")));
    assert_eq!(lines(a, "LoadCredential"), [format!("{id}:/k/p")]);
    assert_eq!(lines(a, "SetCredential"), [format!("{id}:\\n")]);
}

#[test]
fn a_secret_whose_path_no_unit_can_name_is_read_from_its_file() {
    let all = units(&json!({ "apps": { "a": app(&json!({ "health": with_password("/k/p\\") })) } }));
    assert!(!all["warmkeep-a.service"].contains("Credential"));
}

#[test]
fn without_sinks_nothing_waits_for_alerts() {
    let names: Vec<String> = units(&json!({})).into_keys().collect();
    assert_eq!(names, ["warmkeep-nightly.service", "warmkeep-nightly.timer"]);
}

#[test]
fn the_relay_still_reaches_what_lies_in_folders_that_it_would_hide() {
    let webhook = json!({ "s": { "webhook": { "url": "http://127.0.0.1:1/" } } });
    let hidden = |state: &str| {
        let all = units(&json!({ "host": { "stateDir": state }, "alerts": { "sinks": webhook } }));
        let unit = &all["warmkeep-alerts.service"];
        [lines(unit, "ProtectHome").join(""), lines(unit, "PrivateTmp").join("")]
    };
    assert_eq!(hidden("/var/lib/warmkeep"), ["true", "true"]);
    assert_eq!(hidden("/home/me/state"), ["read-only", "true"]);
    assert_eq!(hidden("/var/tmp/state"), ["true", "false"]);
    let secret =
        json!({ "s": { "webhook": { "url": "http://127.0.0.1:1/", "bearerFile": "/root/my token" } } });
    let all = units(&json!({ "alerts": { "sinks": secret } }));
    assert_eq!(lines(&all["warmkeep-alerts.service"], "ProtectHome"), ["read-only"], "it is no credential");
}

#[test]
fn a_program_that_tells_people_may_write_its_own_files() {
    let all = units(&json!({ "alerts": { "sinks": { "s": { "command": { "run": ["tell"] } } } } }));
    let unit = &all["warmkeep-alerts.service"];
    assert_eq!(lines(unit, "ProtectSystem"), ["true"]);
    assert!(!unit.contains("CapabilityBoundingSet") && !unit.contains("ProtectHome"));
}

#[test]
fn a_switch_leaves_only_the_nightly_run_alone() {
    let all = units(&json!({ "apps": { "a": app(&json!({})) } }));
    let alone =
        |unit: &str| [lines(&all[unit], "X-RestartIfChanged"), lines(&all[unit], "X-StopOnRemoval")].concat();
    assert_eq!(alone("warmkeep-nightly.service"), ["false", "false"]);
    assert!(alone("warmkeep-a.service").is_empty() && alone("warmkeep-nightly.timer").is_empty());
}
