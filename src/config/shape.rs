//! What values the wire types take, read out of their JSON Schema: one description for the checker, for editors and for
//! the key reference.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

use super::{quantity, wire};

/// What may stand somewhere.
#[derive(Debug)]
pub(super) enum Shape {
    /// Anything.
    Any,
    /// `true` or `false`.
    Flag,
    /// A whole number between two others, those included.
    Whole(u64, u64),
    /// A string.
    Text,
    /// A duration.
    Time,
    /// A size.
    Size,
    /// One of some words.
    Word(Vec<String>),
    /// A list.
    List(Box<Shape>),
    /// An object with keys of the user's choice.
    Map(Box<Shape>),
    /// An object with keys of ours.
    Record(Record),
    /// As inside, or null.
    Nullable(Box<Shape>),
}

/// An object with fixed keys.
#[derive(Debug, Default)]
pub(super) struct Record {
    /// Its keys.
    pub(super) fields: BTreeMap<String, Field>,
    /// Keys of which exactly one stands there; empty where there are none such.
    pub(super) choice: Vec<String>,
}

/// A key of an object.
#[derive(Debug)]
pub(super) struct Field {
    /// What may stand there.
    pub(super) shape: Shape,
    /// Whether something must.
    pub(super) required: bool,
}

static CONFIG: LazyLock<Shape> = LazyLock::new(|| {
    let schema = schema();
    let types = schema.get("$defs").cloned().unwrap_or_default();
    Compiler { types: &types }.shape(&schema)
});

/// The shape of a whole configuration.
pub(super) fn config() -> &'static Shape {
    &CONFIG
}

/// The JSON Schema of the configuration (draft 2020-12).
pub(super) fn schema() -> Value {
    let generator = schemars::generate::SchemaSettings::draft2020_12().into_generator();
    let mut schema = generator.into_root_schema_for::<wire::Config>().to_value();
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".into(), "warmkeep configuration".into());
    }
    describe_variants(&mut schema);
    schema
}

/// Gives the key of each variant the description that schemars puts beside it.
fn describe_variants(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            let text = object.get("description").cloned();
            let only =
                object.get_mut("properties").and_then(Value::as_object_mut).filter(|all| all.len() == 1);
            if let (Some(text), Some((_, property))) = (text, only.and_then(|all| all.iter_mut().next()))
                && let Some(property) = property.as_object_mut()
            {
                property.entry("description").or_insert(text);
            }
            object.values_mut().for_each(describe_variants);
        }
        Value::Array(items) => items.iter_mut().for_each(describe_variants),
        _ => {}
    }
}

struct Compiler<'a> {
    types: &'a Value,
}

impl Compiler<'_> {
    fn shape(&self, schema: &Value) -> Shape {
        if let Some(named) = schema.get("$ref").and_then(Value::as_str) {
            return self.shape(definition(self.types, named));
        }
        if let Some(inner) = nullable_part(schema) {
            return Shape::Nullable(Box::new(self.shape(inner)));
        }
        match type_of(schema) {
            (Some("null"), _) | (None, true) => Shape::Any,
            (Some(plain), true) => Shape::Nullable(Box::new(self.typed(schema, plain))),
            (Some(plain), false) => self.typed(schema, plain),
            (None, false) => self.untyped(schema),
        }
    }

    fn typed(&self, schema: &Value, plain: &str) -> Shape {
        match plain {
            "boolean" => Shape::Flag,
            "integer" => whole(schema),
            "string" => text(schema),
            "array" => {
                Shape::List(Box::new(schema.get("items").map_or(Shape::Any, |items| self.shape(items))))
            }
            "object" => self.object(schema),
            _ => Shape::Any,
        }
    }

    /// A schema without a type is an enumeration, of words or of tagged variants, or takes anything.
    fn untyped(&self, schema: &Value) -> Shape {
        let Some(variants) = schema.get("oneOf").and_then(Value::as_array) else { return Shape::Any };
        let words: Vec<String> =
            variants.iter().filter_map(|v| v.get("const")?.as_str().map(str::to_owned)).collect();
        if words.len() == variants.len() {
            return Shape::Word(words);
        }
        let mut record = Record::default();
        for variant in variants {
            let tagged = self.fields(variant);
            record.choice.extend(tagged.keys().cloned());
            record
                .fields
                .extend(tagged.into_iter().map(|(key, field)| (key, Field { required: false, ..field })));
        }
        Shape::Record(record)
    }

    fn object(&self, schema: &Value) -> Shape {
        match schema.get("additionalProperties") {
            Some(values) if values.is_object() => Shape::Map(Box::new(self.shape(values))),
            _ => Shape::Record(Record { fields: self.fields(schema), choice: choice(schema) }),
        }
    }

    fn fields(&self, schema: &Value) -> BTreeMap<String, Field> {
        let required = |key: &str| {
            let listed = schema.get("required").and_then(Value::as_array);
            listed.is_some_and(|keys| keys.iter().any(|listed| listed == key))
        };
        let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
        properties
            .map(|(key, schema)| (key.clone(), Field { shape: self.shape(schema), required: required(key) }))
            .collect()
    }
}

/// What a `$ref` names.
pub(super) fn definition<'a>(types: &'a Value, named: &str) -> &'a Value {
    let name = named.rsplit('/').next().unwrap_or_default();
    types.get(name).unwrap_or(&Value::Null)
}

/// The other half of `anyOf: [x, null]`.
pub(super) fn nullable_part(schema: &Value) -> Option<&Value> {
    let either = schema.get("anyOf")?.as_array()?;
    either.iter().find(|part| part.get("type").is_none_or(|kind| kind != "null"))
}

/// The type of a schema, and whether null is taken as well.
pub(super) fn type_of(schema: &Value) -> (Option<&str>, bool) {
    match schema.get("type") {
        Some(Value::Array(kinds)) => {
            let plain = kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null");
            (plain, kinds.iter().any(|kind| kind == "null"))
        }
        kind => (kind.and_then(Value::as_str), false),
    }
}

/// The keys of which exactly one must stand there.
pub(super) fn choice(schema: &Value) -> Vec<String> {
    let variants = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    variants.filter_map(|v| Some(v.get("required")?.get(0)?.as_str()?.to_owned())).collect()
}

fn whole(schema: &Value) -> Shape {
    let bound = |key, default| schema.get(key).and_then(Value::as_u64).unwrap_or(default);
    let most = match schema.get("format").and_then(Value::as_str) {
        Some("uint8") => u64::from(u8::MAX),
        Some("uint16") => u64::from(u16::MAX),
        Some("uint32") => u64::from(u32::MAX),
        _ => u64::MAX,
    };
    Shape::Whole(bound("minimum", 0), bound("maximum", most))
}

fn text(schema: &Value) -> Shape {
    let words = schema.get("enum").and_then(Value::as_array);
    match (schema.get("pattern").and_then(Value::as_str), words) {
        (Some(quantity::DURATION_PATTERN), _) => Shape::Time,
        (Some(quantity::SIZE_PATTERN), _) => Shape::Size,
        (_, Some(words)) => Shape::Word(words.iter().filter_map(|w| w.as_str().map(str::to_owned)).collect()),
        _ => Shape::Text,
    }
}

impl Shape {
    /// What is expected, with an article.
    pub(super) fn noun(&self) -> String {
        match self {
            Self::Any => "a value".into(),
            Self::Flag => "true or false".into(),
            Self::Whole(least, most) if *most >= u64::from(u32::MAX) && *least == 0 => {
                "a whole number".into()
            }
            Self::Whole(least, most) if *most >= u64::from(u32::MAX) => {
                format!("a whole number from {least}")
            }
            Self::Whole(least, most) => format!("a whole number from {least} to {most}"),
            Self::Text => "a string".into(),
            Self::Time => "a duration such as \"10s\"".into(),
            Self::Size => "a size such as \"20GiB\"".into(),
            Self::Word(words) => one_of(words),
            Self::List(inner) => format!("a list of {}", inner.plural()),
            Self::Map(_) => "an object".into(),
            Self::Record(record) if record.choice.is_empty() => "an object".into(),
            Self::Record(record) => format!("an object with exactly one of {}", ticked(&record.choice)),
            Self::Nullable(inner) => inner.noun(),
        }
    }

    fn plural(&self) -> &'static str {
        match self {
            Self::Text | Self::Word(_) => "strings",
            Self::Whole(..) => "whole numbers",
            _ => "values",
        }
    }

    /// Something valid to carry on with where what is written is not.
    pub(super) fn stand_in(&self) -> Value {
        match self {
            Self::Any | Self::Nullable(_) => Value::Null,
            Self::Flag => Value::Bool(false),
            Self::Whole(least, _) => Value::from(*least),
            Self::Text => Value::String(String::new()),
            Self::Time => Value::String("0s".into()),
            Self::Size => Value::String("0B".into()),
            Self::Word(words) => words.first().cloned().map_or(Value::Null, Value::String),
            Self::List(_) => Value::Array(Vec::new()),
            Self::Map(_) => Value::Object(serde_json::Map::new()),
            Self::Record(record) => record.stand_in(),
        }
    }
}

impl Record {
    fn stand_in(&self) -> Value {
        let needed =
            self.fields.iter().filter(|(key, field)| field.required || self.choice.first() == Some(key));
        needed.map(|(key, field)| (key.clone(), field.shape.within().stand_in())).collect()
    }
}

impl Shape {
    /// The shape without the possibility of null.
    pub(super) fn within(&self) -> &Self {
        match self {
            Self::Nullable(inner) => inner,
            other => other,
        }
    }
}

/// Some words as a person lists them: `a`, `b` or `c`, each in quotes.
fn one_of(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    listed(&quoted, "or")
}

/// Some keys as a person lists them.
pub(super) fn ticked(keys: &[String]) -> String {
    let ticked: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
    listed(&ticked, "and")
}

fn listed(words: &[String], last: &str) -> String {
    match words {
        [] => String::new(),
        [only] => only.clone(),
        [most @ .., end] => format!("{} {last} {end}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(path: &[&str]) -> &'static Shape {
        path.iter().fold(config(), |shape, key| match shape.within() {
            Shape::Record(record) => &record.fields[*key].shape,
            Shape::Map(inner) | Shape::List(inner) => inner,
            other => panic!("no way on from {other:?}"),
        })
    }

    #[test]
    fn every_sort_of_value_is_recognized() {
        let nouns = |path: &[&str]| at(path).noun();
        let app = ["apps", "*"];
        let in_app = |rest: &[&'static str]| nouns(&[&app[..], rest].concat());
        assert_eq!(in_app(&["health", "soak"]), "a duration such as \"10s\"");
        assert_eq!(in_app(&["snapshots", "maxBytes"]), "a size such as \"20GiB\"");
        assert_eq!(in_app(&["versions", "order"]), "\"semver\" or \"listed\"");
        assert_eq!(in_app(&["versions", "pin"]), "a string");
        assert_eq!(in_app(&["after"]), "a list of strings");
        assert_eq!(in_app(&["health", "passes"]), "a whole number from 1");
        assert_eq!(
            in_app(&["health", "checks", "*", "http", "status", "*"]),
            "a whole number from 100 to 599"
        );
        assert_eq!(nouns(&["gc", "highWatermark"]), "a whole number from 1 to 100");
        assert_eq!(nouns(&["sweep", "allowEmpty"]), "true or false");
        let choice = "an object with exactly one of `process`, `compose`, `swarm`, `abra` and `command`";
        assert_eq!(in_app(&["driver"]), choice);
        let choice = "an object with exactly one of `http`, `tcp`, `command` and `containers`";
        assert_eq!(in_app(&["health", "checks", "*"]), choice);
    }

    #[test]
    fn a_stand_in_deserializes() {
        let config: Result<wire::Config, _> = serde_json::from_value(config().stand_in());
        assert!(config.is_ok(), "{config:?}");
        let app: Result<wire::App, _> = serde_json::from_value(at(&["apps", "*"]).stand_in());
        assert!(app.is_ok(), "{app:?}");
        let check: Result<wire::Check, _> =
            serde_json::from_value(at(&["apps", "*", "health", "checks", "*"]).stand_in());
        assert!(check.is_ok(), "{check:?}");
    }
}
