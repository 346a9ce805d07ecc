//! JSON with positions: a tree whose every node knows where it stands. `serde_json` does the parsing; the raw slices that
//! it hands out lie in the text itself, so an offset is the distance between two addresses.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::at::Step;
use super::source::{Source, Span};

/// How deep the tree goes; the format itself is 10 levels deep. Reading is linear because this is bounded.
const DEEPEST: usize = 16;

/// One value.
#[derive(Debug)]
pub(super) struct Node<'a> {
    /// Where it stands.
    pub(super) span: Span,
    /// What it is.
    pub(super) kind: Kind<'a>,
}

/// What a value is.
#[derive(Debug)]
pub(super) enum Kind<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Flag(bool),
    /// A number, as it is spelled.
    Number(&'a str),
    /// A string, unescaped.
    Text(Cow<'a, str>),
    /// A list.
    List(Vec<Node<'a>>),
    /// An object, sorted by key; equal keys stay in the order of the text.
    Object(Vec<Member<'a>>),
    /// A list or an object too deep to matter, as it is spelled.
    Deep(&'a str),
}

/// A key and its value.
#[derive(Debug)]
pub(super) struct Member<'a> {
    /// The key, unescaped.
    pub(super) key: Cow<'a, str>,
    /// Where the key stands, quotes included.
    pub(super) key_span: Span,
    /// The value.
    pub(super) value: Node<'a>,
}

/// Reads the text of a file that is known to be well-formed JSON.
pub(super) fn read(file: usize, source: &Source) -> Result<Node<'_>, serde_json::Error> {
    let raw: &RawValue = serde_json::from_str(&source.text)?;
    Reader { file, text: &source.text }.node(raw, 0)
}

struct Reader<'a> {
    file: usize,
    text: &'a str,
}

impl<'a> Reader<'a> {
    fn span(&self, raw: &str) -> Span {
        let start = raw.as_ptr().addr().saturating_sub(self.text.as_ptr().addr());
        Span { file: self.file, start, end: start + raw.len() }
    }

    fn node(&self, raw: &'a RawValue, depth: usize) -> Result<Node<'a>, serde_json::Error> {
        let spelled = raw.get();
        let kind = match spelled.as_bytes().first() {
            Some(b'{' | b'[') if depth >= DEEPEST => Kind::Deep(spelled),
            Some(b'{') => Kind::Object(self.object(spelled, depth)?),
            Some(b'[') => Kind::List(self.list(spelled, depth)?),
            Some(b'"') => Kind::Text(unescaped(spelled)?),
            Some(b't') => Kind::Flag(true),
            Some(b'f') => Kind::Flag(false),
            Some(b'n') => Kind::Null,
            _ => Kind::Number(spelled),
        };
        Ok(Node { span: self.span(spelled), kind })
    }

    fn list(&self, spelled: &'a str, depth: usize) -> Result<Vec<Node<'a>>, serde_json::Error> {
        let items: Vec<&RawValue> = serde_json::from_str(spelled)?;
        items.into_iter().map(|item| self.node(item, depth + 1)).collect()
    }

    fn object(&self, spelled: &'a str, depth: usize) -> Result<Vec<Member<'a>>, serde_json::Error> {
        let Pairs(pairs) = serde_json::from_str(spelled)?;
        let mut members = pairs
            .into_iter()
            .map(|(key, value)| {
                Ok(Member {
                    key: unescaped(key.get())?,
                    key_span: self.span(key.get()),
                    value: self.node(value, depth + 1)?,
                })
            })
            .collect::<Result<Vec<_>, serde_json::Error>>()?;
        members.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(members)
    }
}

/// Nearly no string has an escape in it: those are borrowed.
fn unescaped(spelled: &str) -> Result<Cow<'_, str>, serde_json::Error> {
    match spelled.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(plain) if !plain.contains('\\') => Ok(Cow::Borrowed(plain)),
        _ => serde_json::from_str::<String>(spelled).map(Cow::Owned),
    }
}

/// The members of an object in the order of the text, duplicates included.
struct Pairs<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Pairs<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

impl Node<'_> {
    /// What a label points at: the whole of a plain value, the bracket that opens a composite one.
    pub(super) fn mark(&self) -> Span {
        match self.kind {
            Kind::List(_) | Kind::Object(_) | Kind::Deep(_) => Span { end: self.span.start + 1, ..self.span },
            _ => self.span,
        }
    }

    /// What it is, with an article.
    pub(super) fn noun(&self) -> &'static str {
        match &self.kind {
            Kind::Null => "null",
            Kind::Flag(true) => "true",
            Kind::Flag(false) => "false",
            Kind::Number(_) => "a number",
            Kind::Text(_) => "a string",
            Kind::Object(_) => "an object",
            Kind::Deep(spelled) if spelled.starts_with('{') => "an object",
            Kind::List(_) | Kind::Deep(_) => "a list",
        }
    }

    /// The same value without positions. What cannot be read is null: the text was checked before.
    pub(super) fn plain(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Flag(flag) => Value::Bool(*flag),
            Kind::Text(text) => Value::String(text.clone().into_owned()),
            Kind::Number(spelled) | Kind::Deep(spelled) => serde_json::from_str(spelled).unwrap_or_default(),
            Kind::List(items) => items.iter().map(Node::plain).collect(),
            Kind::Object(members) => {
                members.iter().map(|member| (member.key.to_string(), member.value.plain())).collect()
            }
        }
    }

    /// The member with this key.
    pub(super) fn member(&self, key: &str) -> Option<&Member<'_>> {
        let Kind::Object(members) = &self.kind else { return None };
        let first = members.partition_point(|member| member.key.as_ref() < key);
        members.get(first).filter(|member| member.key == key)
    }

    /// Whether a path of keys leads to something.
    pub(super) fn has(&self, steps: &[Step<'_>]) -> bool {
        let found = steps.iter().try_fold(self, |here, step| match step {
            Step::Key(key) => here.member(key).map(|member| &member.value),
            Step::Item(_) => None,
        });
        found.is_some()
    }

    /// Where a path leads: to a plain value itself, to the key of a composite one, and where the path leads beyond what
    /// is written, to the nearest that is.
    pub(super) fn locate(&self, steps: &[Step<'_>]) -> Span {
        self.follow(steps, |member| match member.value.kind {
            Kind::List(_) | Kind::Object(_) | Kind::Deep(_) => member.key_span,
            _ => member.value.span,
        })
    }

    /// As [`Node::locate`], but to the key even where the value is plain.
    pub(super) fn locate_key(&self, steps: &[Step<'_>]) -> Span {
        self.follow(steps, |member| member.key_span)
    }

    fn follow(&self, steps: &[Step<'_>], of_member: impl Fn(&Member<'_>) -> Span) -> Span {
        let mut here = self;
        let mut found = self.mark();
        for (index, step) in steps.iter().enumerate() {
            match step {
                Step::Key(key) => {
                    let Some(member) = here.member(key) else { break };
                    let last = index + 1 == steps.len();
                    found = if last { of_member(member) } else { member.key_span };
                    here = &member.value;
                }
                Step::Item(item) => {
                    let Kind::List(items) = &here.kind else { break };
                    let Some(node) = items.get(*item) else { break };
                    found = node.mark();
                    here = node;
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new("x".into(), text.into())
    }

    fn spelled(source: &Source, span: Span) -> &str {
        &source.text[span.start..span.end]
    }

    #[test]
    fn every_node_knows_where_it_stands() {
        let source = source(r#" {"b": [1, {"\u0063": "x"}], "a": true} "#);
        let root = read(0, &source).unwrap();
        let steps = [Step::Key("b"), Step::Item(1), Step::Key("c")];
        assert_eq!(spelled(&source, root.locate(&steps)), r#""x""#);
        assert_eq!(spelled(&source, root.locate_key(&steps)), r#""\u0063""#);
        assert_eq!(spelled(&source, root.locate(&steps[..2])), "{");
        assert_eq!(spelled(&source, root.locate(&steps[..1])), r#""b""#);
        assert_eq!(spelled(&source, root.locate(&[Step::Key("a")])), "true");
    }

    #[test]
    fn a_path_beyond_what_is_written_leads_to_the_nearest_key() {
        let source = source(r#"{"a": {"b": 1}}"#);
        let root = read(0, &source).unwrap();
        assert_eq!(
            spelled(&source, root.locate(&[Step::Key("a"), Step::Key("z"), Step::Key("y")])),
            r#""a""#
        );
        assert_eq!(spelled(&source, root.locate(&[Step::Key("z")])), "{");
    }

    #[test]
    fn duplicates_are_kept_in_the_order_of_the_text() {
        let source = source(r#"{"a": 1, "b": 2, "a": 3}"#);
        let root = read(0, &source).unwrap();
        let Kind::Object(members) = &root.kind else { panic!("no object") };
        let values: Vec<_> =
            members.iter().map(|m| (m.key.as_ref(), spelled(&source, m.value.span))).collect();
        assert_eq!(values, [("a", "1"), ("a", "3"), ("b", "2")]);
    }

    #[test]
    fn the_plain_value_is_what_serde_json_reads() {
        let text = r#"{"a": [null, true, 1.5, "\n", {}], "b": {"c": -3}}"#;
        let source = source(text);
        assert_eq!(read(0, &source).unwrap().plain(), serde_json::from_str::<Value>(text).unwrap());
    }

    #[test]
    fn what_is_too_deep_to_matter_keeps_its_value() {
        let text = format!("{}7{}", "[".repeat(100), "]".repeat(100));
        let source = source(&text);
        assert_eq!(read(0, &source).unwrap().plain().to_string(), text);
    }
}
