//! Configurations with one small app, and what is wrong with them.

use serde_json::{Value, json};

use crate::config_common::load_bytes;

/// What is wrong with a value, as `path: message` in the order of the report.
pub(crate) fn wrong(value: &Value) -> Vec<String> {
    let text = format!("{value:#}");
    match load_bytes(text.as_bytes()) {
        Ok(_) => Vec::new(),
        Err(invalid) => invalid.diagnostics.iter().map(|d| format!("{}: {}", d.path, d.message)).collect(),
    }
}

/// An app that is valid and says as little as it can.
pub(crate) fn small_app() -> Value {
    json!({
        "driver": { "process": { "command": ["{release}/run"] } },
        "versions": { "source": { "directory": { "path": "/srv/releases" } } },
    })
}

pub(crate) fn with_app(app: &Value) -> Value {
    json!({ "schema": 1, "apps": { "notes": app } })
}

/// The small app with one value put at a JSON pointer.
pub(crate) fn app_with(pointer: &str, value: Value) -> Value {
    let mut app = small_app();
    set(&mut app, pointer, value);
    with_app(&app)
}

/// Puts a value at a JSON pointer; missing objects on the way are made.
pub(crate) fn set(root: &mut Value, pointer: &str, value: Value) {
    let here = pointer.split('/').skip(1).fold(root, |here, key| &mut here[key]);
    *here = value;
}

/// Exactly one thing is wrong, at this path, and its message has this in it.
#[track_caller]
pub(crate) fn one(value: &Value, path: &str, message: &str) {
    let all = wrong(value);
    assert_eq!(all.len(), 1, "{all:#?}");
    let start = format!("{path}: ");
    assert!(all[0].starts_with(&start) && all[0].contains(message), "{}", all[0]);
}

#[track_caller]
pub(crate) fn fine(value: &Value) {
    assert_eq!(wrong(value), Vec::<String>::new());
}

/// As [`one`], with a value put into the small app; the path is the pointer.
#[track_caller]
pub(crate) fn in_app(pointer: &str, value: Value, path: &str, message: &str) {
    one(&app_with(pointer, value), &format!("apps.notes.{path}"), message);
}

pub(crate) fn with(pointer: &str, value: Value) -> Value {
    let mut config = with_app(&small_app());
    set(&mut config, pointer, value);
    config
}

pub(crate) fn check(probe: Value) -> Value {
    app_with("/health/checks/c", probe)
}
