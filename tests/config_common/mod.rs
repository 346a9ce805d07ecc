//! Configurations in temporary folders, for the tests of the configuration.

use std::path::Path;

use serde_json::{Value, json};
use warmkeep::config::model::Config;
use warmkeep::config::{Invalid, load};

/// Loads one file that holds these bytes. The folder's name does not stand in what is reported.
pub fn load_bytes(bytes: &[u8]) -> Result<Config, Invalid> {
    load_files(&[("warmkeep.json", bytes)]).map_err(|(invalid, _)| invalid)
}

/// Loads a folder of files; an error comes with its report, without the folder's name.
pub fn load_files(files: &[(&str, &[u8])]) -> Result<Config, (Invalid, String)> {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let path = if files.len() == 1 { folder.path().join(files[0].0) } else { folder.path().to_owned() };
    load(&path).map_err(|invalid| {
        let report = without_folder(&invalid.render(false), folder.path());
        (invalid, report)
    })
}

/// The report on one file that holds this text.
pub fn report(text: &str) -> String {
    let (_, report) = load_files(&[("warmkeep.json", text.as_bytes())]).unwrap_err();
    let lines: Vec<&str> = report.lines().map(str::trim_end).collect();
    lines.join("\n")
}

/// A text without the name of a temporary folder.
pub fn without_folder(text: &str, folder: &Path) -> String {
    text.replace(&format!("{}/", folder.display()), "")
}

/// What is wrong with a value, as `path: message` in the order of the report.
pub fn wrong(value: &Value) -> Vec<String> {
    let text = serde_json::to_string_pretty(value).unwrap();
    match load_bytes(text.as_bytes()) {
        Ok(_) => Vec::new(),
        Err(invalid) => invalid.diagnostics.iter().map(|d| format!("{}: {}", d.path, d.message)).collect(),
    }
}

/// An app that is valid and says as little as it can.
pub fn small_app() -> Value {
    json!({
        "driver": { "process": { "command": ["{release}/run"] } },
        "versions": { "source": { "directory": { "path": "/srv/releases" } } },
    })
}

/// A configuration with one app.
pub fn with_app(app: &Value) -> Value {
    json!({ "schema": 1, "apps": { "notes": app } })
}

/// The small app with one value put at a JSON pointer; missing objects on the way are made.
pub fn app_with(pointer: &str, value: Value) -> Value {
    let mut app = small_app();
    set(&mut app, pointer, value);
    with_app(&app)
}

/// Puts a value at a JSON pointer; missing objects on the way are made.
pub fn set(root: &mut Value, pointer: &str, value: Value) {
    let mut here = root;
    for key in pointer.split('/').skip(1) {
        here = here.as_object_mut().unwrap().entry(key).or_insert_with(|| json!({}));
    }
    *here = value;
}
