//! The key reference, in Markdown, made from the JSON Schema.

use std::collections::BTreeMap;

use serde_json::Value;

use super::shape::{choice, definition, nullable_part, schema, type_of};

/// Every key of the configuration with its type, its default and what it is for, in Markdown.
pub fn reference() -> String {
    let schema = schema();
    let types = schema.get("$defs").cloned().unwrap_or_default();
    let mut writer = Writer { types: &types, written: BTreeMap::new(), text: String::from(PREFACE) };
    writer.object("", &schema);
    writer.text
}

const PREFACE: &str = "\
# Configuration

<!-- Made from the types in src/config/wire. Do not edit; run `UPDATE_DOCS=1 cargo test --test config_reference`. -->

JSON, in one file or in a folder whose `*.json` files are merged. `warmkeep check` tells everything that is wrong with
it, `warmkeep schema` prints its JSON Schema. Unknown keys are errors.

A **duration** is a whole number and one of `ms`, `s`, `m`, `h`, `d`: `\"250ms\"`, `\"72h\"`. A **size** is a whole number and
one of `B`, `KiB`, `MiB`, `GiB`, `TiB`: `\"20GiB\"`. A **program** is a list: the program and its arguments, without a shell.
";

struct Writer<'a> {
    types: &'a Value,
    /// The path under which each named type was described.
    written: BTreeMap<&'a str, String>,
    text: String,
}

impl<'a> Writer<'a> {
    /// Writes the keys of an object, and then what stands under them.
    fn object(&mut self, path: &str, schema: &'a Value) {
        let properties: Vec<(&'a String, &'a Value)> = properties(schema);
        if !path.is_empty() {
            let text = schema.get("description").and_then(Value::as_str).unwrap_or_default();
            self.text.extend(["\n## `", path, "`\n\n", &one_line(text), "\n"]);
        }
        if !properties.is_empty() {
            self.text.push_str("\n| key | type | default | |\n|---|---|---|---|\n");
        }
        for (key, property) in &properties {
            let row = format!(
                "| `{key}` | {} | {} | {} |\n",
                self.kind(property),
                default(schema, key, property),
                self.description(property)
            );
            self.text.push_str(&row.replace(" |  |", " | |"));
        }
        for (key, property) in properties {
            let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            self.below(&below, property);
        }
    }

    /// Goes on to what stands under a key, unless that was described under another.
    fn below(&mut self, path: &str, schema: &'a Value) {
        if let Some(inner) = nullable_part(schema) {
            return self.below(path, inner);
        }
        if let Some(named) = schema.get("$ref").and_then(Value::as_str) {
            let target = definition(self.types, named);
            if !is_object(target) && !has_fields(target) {
                return;
            }
            if let Some(first) = self.written.get(named) {
                self.text.extend(["\n## `", path, "`\n\nThe same keys as under `", first, "`.\n"]);
            } else {
                self.written.insert(named, path.to_owned());
                self.below(path, target);
            }
            return;
        }
        match map_values(schema) {
            Some(values) => self.below(&format!("{path}.<name>"), values),
            None if is_object(schema) || has_fields(schema) => self.object(path, schema),
            None => {}
        }
    }

    fn kind(&self, schema: &Value) -> String {
        if let Some(inner) = nullable_part(schema) {
            return self.kind(inner);
        }
        if let Some(named) = schema.get("$ref").and_then(Value::as_str) {
            return match named.rsplit('/').next() {
                Some("Duration") => "duration".into(),
                Some("Size") => "size".into(),
                _ => self.kind(definition(self.types, named)),
            };
        }
        match type_of(schema).0 {
            Some("boolean") => "true or false".into(),
            Some("integer") => range(schema),
            Some("string") => "string".into(),
            Some("array") => {
                format!("list of {}", plural(&self.kind(schema.get("items").unwrap_or(&Value::Null))))
            }
            Some("object") => match map_values(schema) {
                Some(values) => format!("name → {}", self.kind(values)),
                None => "object".into(),
            },
            _ => words(schema),
        }
    }

    /// What a key is for, and what each of its words means.
    fn description(&self, schema: &Value) -> String {
        let own = schema.get("description").and_then(Value::as_str).unwrap_or_default();
        let inner = nullable_part(schema).unwrap_or(schema);
        let target = inner.get("$ref").and_then(Value::as_str).map(|named| definition(self.types, named));
        let variants = target.and_then(|target| target.get("oneOf")).and_then(Value::as_array);
        let words = variants.into_iter().flatten().filter_map(|variant| {
            let word = variant.get("const")?.as_str()?;
            let text = variant.get("description")?.as_str()?;
            Some(format!("<br>`\"{word}\"`: {}", one_line(text)))
        });
        one_line(own) + &words.collect::<String>()
    }
}

/// All keys of an object, or of all variants of a choice.
fn properties(schema: &Value) -> Vec<(&String, &Value)> {
    let own = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let variants = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    let of_variants =
        variants.filter_map(|variant| variant.get("properties")).filter_map(Value::as_object).flatten();
    own.chain(of_variants).collect()
}

fn is_object(schema: &Value) -> bool {
    type_of(schema).0 == Some("object")
}

fn has_fields(schema: &Value) -> bool {
    !properties(schema).is_empty()
}

/// What stands under the keys of the user's choice.
fn map_values(schema: &Value) -> Option<&Value> {
    schema.get("additionalProperties").filter(|values| values.is_object())
}

fn default(object: &Value, key: &str, property: &Value) -> String {
    let required = object.get("required").and_then(Value::as_array);
    if required.is_some_and(|keys| keys.iter().any(|required| required == key)) {
        return "**required**".into();
    }
    if choice(object).iter().any(|one| one == key) {
        return "one of these".into();
    }
    match property.get("default") {
        None | Some(Value::Null) => String::new(),
        Some(Value::Object(all)) if all.is_empty() && map_values(property).is_some() => "`{}`".into(),
        Some(Value::Object(_)) => "as below".into(),
        Some(value) => format!("`{value}`"),
    }
}

fn range(schema: &Value) -> String {
    match (schema.get("minimum").and_then(Value::as_u64), schema.get("maximum").and_then(Value::as_u64)) {
        (Some(least), Some(most)) => format!("number, {least} to {most}"),
        (Some(least), None) if least > 0 => format!("number, at least {least}"),
        _ => "number".into(),
    }
}

fn words(schema: &Value) -> String {
    let variants = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    let words: Vec<String> =
        variants.filter_map(|v| v.get("const")?.as_str().map(|word| format!("`\"{word}\"`"))).collect();
    match words.as_slice() {
        [] if has_fields(schema) => "object with one key".into(),
        [] => "anything".into(),
        words => words.join(", "),
    }
}

fn plural(kind: &str) -> String {
    match kind.split_once(", ") {
        Some((noun, rest)) => format!("{noun}s, {rest}"),
        None if kind == "anything" => "anything".into(),
        None => format!("{kind}s"),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
