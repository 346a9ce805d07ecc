//! docs/configuration.md is what the types say, and the schema is complete.
#![expect(clippy::disallowed_methods, reason = "tests drive the real system")]

use std::path::Path;

use serde_json::Value;
use warmkeep::config::{reference, schema};

#[test]
fn the_committed_reference_is_the_one_that_the_types_give() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let made = reference();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == made,
        "docs/configuration.md is out of date: run `UPDATE_DOCS=1 cargo test --test config_reference` and commit it"
    );
}

/// Every property in a schema, as `key → its schema`.
fn properties<'a>(schema: &'a Value, found: &mut Vec<(&'a String, &'a Value)>) {
    match schema {
        Value::Object(object) => {
            if let Some(properties) = object.get("properties").and_then(Value::as_object) {
                found.extend(properties);
            }
            object.values().for_each(|value| properties(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| properties(item, found)),
        _ => {}
    }
}

#[test]
fn every_key_is_described() {
    let schema = schema();
    let mut all = Vec::new();
    properties(&schema, &mut all);
    assert!(all.len() > 120, "{} keys", all.len());
    let bare: Vec<_> = all.iter().filter(|(_, schema)| schema.get("description").is_none()).collect();
    assert!(bare.is_empty(), "{bare:?}");
}

#[test]
fn every_key_of_the_contract_is_in_the_reference() {
    let reference = reference();
    for key in [
        "apps.<name>.driver.process",
        "apps.<name>.health.checks.<name>.http",
        "sweep.recipes.<name>.canonical",
        "alerts.sinks.<name>.webhook",
        "gc.logs.<name>",
    ] {
        assert!(reference.contains(&format!("## `{key}`")), "{key}");
    }
}

#[test]
fn objects_take_no_unknown_keys_and_quantities_have_a_pattern() {
    let schema = schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["properties"]["schema"]["const"], 1);
    assert_eq!(schema["$defs"]["Duration"]["pattern"], "^[0-9]+(ms|s|m|h|d)$");
    assert_eq!(schema["$defs"]["Size"]["pattern"], "^[0-9]+(B|KiB|MiB|GiB|TiB)$");
    assert_eq!(schema["$defs"]["Timeouts"]["properties"]["prefetch"]["default"], "30m");
}
