//! Holds a tree to its shape. Everything that does not fit is reported, and something that does is put in its place, so
//! that whatever else is wrong is found in the same run.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::at::At;
use super::diagnostic::Problem;
use super::printable::{cut, quoted};
use super::quantity;
use super::report::Report;
use super::shape::{Record, Shape, ticked};
use super::spanned::{Kind, Member, Node};
use super::suggest::closest;

/// Checks the report's tree. The value that is returned has the shape, whatever the tree had.
pub(super) fn check(report: &mut Report<'_>, shape: &Shape) -> Value {
    let tree = report.tree();
    Checker { report }.value(tree, shape, &At::ROOT)
}

struct Checker<'r, 'a> {
    report: &'r mut Report<'a>,
}

impl Checker<'_, '_> {
    fn value(&mut self, node: &Node<'_>, shape: &Shape, at: &At<'_>) -> Value {
        match (shape, &node.kind) {
            (Shape::Nullable(_), Kind::Null) => Value::Null,
            (Shape::Nullable(inner), _) => self.value(node, inner, at),
            (Shape::Any, _) => node.plain(),
            (Shape::Flag, Kind::Flag(flag)) => Value::Bool(*flag),
            (Shape::Whole(..), Kind::Number(spelled)) => self.whole(node, spelled, shape, at),
            (Shape::Text, Kind::Text(text)) => self.text(node, text, shape, at),
            (Shape::Time | Shape::Size, Kind::Text(text)) => self.quantity(node, text, shape, at),
            (Shape::Word(words), Kind::Text(text)) => self.word(node, text, words, at),
            (Shape::List(inner), Kind::List(items)) => self.list(items, inner, at),
            (Shape::Map(inner), Kind::Object(members)) => self.map(members, inner, at),
            (Shape::Record(record), Kind::Object(members)) => self.record(node, members, record, at),
            _ => self.wrong(node, shape, at, mistyped(node, shape)),
        }
    }

    /// Reports what stands at a node, and carries on with something valid.
    fn wrong(&mut self, node: &Node<'_>, shape: &Shape, at: &At<'_>, problem: Problem) -> Value {
        self.report.span(node.mark(), at, problem);
        self.report.mark_unsound(at);
        shape.stand_in()
    }

    fn whole(&mut self, node: &Node<'_>, spelled: &str, shape: &Shape, at: &At<'_>) -> Value {
        let Shape::Whole(least, most) = shape else { return Value::Null };
        if let Some(number) = spelled.parse::<u64>().ok().filter(|number| (least..=most).contains(&number)) {
            return Value::from(number);
        }
        let problem = Problem::new(format!("expected {}, found {}", shape.noun(), cut(spelled)));
        self.wrong(node, shape, at, problem.expected(shape.noun()))
    }

    fn text(&mut self, node: &Node<'_>, text: &str, shape: &Shape, at: &At<'_>) -> Value {
        if text.contains('\0') {
            let problem = Problem::new("a NUL character stands in this string");
            let problem = problem.remedy("Remove it: no program, path or variable can carry one.");
            return self.wrong(node, shape, at, problem);
        }
        Value::String(text.to_owned())
    }

    fn quantity(&mut self, node: &Node<'_>, text: &str, shape: &Shape, at: &At<'_>) -> Value {
        let outcome = match shape {
            Shape::Time => quantity::parse_duration(text).map(drop),
            _ => quantity::parse_size(text).map(drop),
        };
        match outcome {
            Ok(()) => Value::String(text.to_owned()),
            Err(invalid) => {
                let problem = Problem::new(format!("{} is {invalid}", quoted(text)));
                let instead = invalid.suggestion().map_or_else(|| shape.noun(), quoted);
                let problem = problem.expected(shape.noun()).meant(invalid.suggestion());
                self.wrong(node, shape, at, problem.remedy(format!("Write {instead}.")))
            }
        }
    }

    fn word(&mut self, node: &Node<'_>, text: &str, words: &[String], at: &At<'_>) -> Value {
        if words.iter().any(|word| word == text) {
            return Value::String(text.to_owned());
        }
        let shape = Shape::Word(words.to_vec());
        let meant = closest(text, words.iter().map(String::as_str));
        let problem =
            Problem::new(format!("{} is not known here", quoted(text))).expected(shape.noun()).meant(meant);
        let problem = problem.remedy(format!("Use {}.", shape.noun()));
        self.wrong(node, &shape, at, problem)
    }

    fn list(&mut self, items: &[Node<'_>], inner: &Shape, at: &At<'_>) -> Value {
        items.iter().enumerate().map(|(index, item)| self.value(item, inner, &at.item(index))).collect()
    }

    fn map(&mut self, members: &[Member<'_>], inner: &Shape, at: &At<'_>) -> Value {
        self.duplicates(members, at);
        let mut map = Map::new();
        for member in members {
            let here = at.key(&member.key);
            if member.key.contains('\0') {
                self.report.span(member.key_span, &here, Problem::new("a NUL character stands in this key"));
                self.report.mark_unsound(&here);
            }
            map.insert(member.key.to_string(), self.value(&member.value, inner, &here));
        }
        Value::Object(map)
    }

    fn record(&mut self, node: &Node<'_>, members: &[Member<'_>], record: &Record, at: &At<'_>) -> Value {
        self.duplicates(members, at);
        let mut map = Map::new();
        for member in members {
            let here = at.key(&member.key);
            match record.fields.get(member.key.as_ref()) {
                Some(field) => {
                    map.insert(member.key.to_string(), self.value(&member.value, &field.shape, &here));
                }
                None => self.unknown(member, members, record, at),
            }
        }
        self.missing(node, &mut map, record, at);
        self.choice(node, &mut map, record, at);
        Value::Object(map)
    }

    fn duplicates(&mut self, members: &[Member<'_>], at: &At<'_>) {
        for pair in members.windows(2) {
            let [first, again] = pair else { continue };
            if first.key == again.key {
                let places = (self.report.place(first.key_span), self.report.place(again.key_span));
                let problem = Problem::new(format!(
                    "the key {} is set twice: at {} and at {}",
                    quoted(&again.key),
                    places.0,
                    places.1
                ));
                self.report.span(
                    again.key_span,
                    &at.key(&again.key),
                    problem.remedy("Remove one of the two."),
                );
            }
        }
    }

    fn unknown(&mut self, member: &Member<'_>, members: &[Member<'_>], record: &Record, at: &At<'_>) {
        // Members are sorted by key.
        let free = |key: &&str| members.binary_search_by(|other| other.key.as_ref().cmp(key)).is_err();
        let meant = closest(&member.key, record.fields.keys().map(String::as_str).filter(free));
        let known: Vec<String> = record.fields.keys().cloned().collect();
        let mut problem = Problem::new(format!("unknown key {}", quoted(&member.key))).meant(meant);
        problem = match (known.as_slice(), meant) {
            ([], _) => {
                problem.expected("no keys at all").remedy("Remove it: this object is always empty, `{}`.")
            }
            (_, Some(meant)) => problem.remedy(format!("Rename it to `{meant}`, or remove it.")),
            _ => problem.remedy(format!("Remove it. Known here: {}.", ticked(&known))),
        };
        self.report.span(member.key_span, &at.key(&member.key), problem);
        if let Some(meant) = meant {
            self.report.mark_unsound(&at.key(meant));
        }
    }

    fn missing(&mut self, node: &Node<'_>, map: &mut Map<String, Value>, record: &Record, at: &At<'_>) {
        for (key, field) in record.fields.iter().filter(|(_, field)| field.required) {
            let here = at.key(key);
            if map.contains_key(key) {
                continue;
            }
            // A misspelled key was reported as such already.
            if self.report.is_sound(&here) {
                let span = self.nearest_key(node, at);
                let problem =
                    Problem::new(format!("the key `{key}` is missing")).expected(field.shape.noun());
                self.report.span(
                    span,
                    &here,
                    problem.remedy(format!("Add `{key}`: {}.", field.shape.noun())),
                );
                self.report.mark_unsound(&here);
            }
            map.insert(key.clone(), field.shape.stand_in());
        }
    }

    /// Where something that is not there is missed: at the key of the object that lacks it.
    fn nearest_key(&self, node: &Node<'_>, at: &At<'_>) -> super::source::Span {
        let steps = at.steps();
        if steps.is_empty() { node.mark() } else { self.report.tree().locate_key(&steps) }
    }

    fn choice(&mut self, node: &Node<'_>, map: &mut Map<String, Value>, record: &Record, at: &At<'_>) {
        let Some(first) = record.choice.first() else { return };
        let there = |key: &&String| map.get(key.as_str()).is_some_and(|value| !value.is_null());
        let chosen: Vec<String> = record.choice.iter().filter(there).cloned().collect();
        if chosen.len() == 1 {
            return;
        }
        let misspelled = record.choice.iter().any(|key| !self.report.is_sound(&at.key(key)));
        if !chosen.is_empty() || !misspelled {
            let problem = choice_problem(&chosen, &record.choice);
            let span = self.nearest_key(node, at);
            self.report.span(span, at, problem);
        }
        self.report.mark_unsound(at);
        let keep = chosen.first().unwrap_or(first);
        record.choice.iter().filter(|key| *key != keep).for_each(|key| drop(map.remove(key)));
        if chosen.is_empty()
            && let Some(field) = record.fields.get(first)
        {
            map.insert(first.clone(), field.shape.within().stand_in());
        }
    }
}

fn choice_problem(chosen: &[String], choice: &[String]) -> Problem {
    let expected = format!("exactly one of {}", ticked(choice));
    let problem = if chosen.is_empty() {
        Problem::new(format!("{expected} is needed here, and there is none")).remedy("Add the one you mean.")
    } else {
        Problem::new(format!("only one of {} can stand here", ticked(chosen)))
            .remedy("Keep the one you mean.")
    };
    problem.expected(expected)
}

fn mistyped(node: &Node<'_>, shape: &Shape) -> Problem {
    let problem =
        Problem::new(format!("expected {}, found {}", shape.noun(), node.noun())).expected(shape.noun());
    let (meant, remedy) = hint(node, shape);
    let problem = problem.meant(meant);
    match remedy {
        Some(remedy) => problem.remedy(remedy),
        None => problem,
    }
}

/// What was probably meant by a value of the wrong type, as JSON.
fn hint(node: &Node<'_>, shape: &Shape) -> (Option<String>, Option<&'static str>) {
    let text = match &node.kind {
        Kind::Text(text) if text.len() <= 60 => text.clone(),
        Kind::Number(spelled) if spelled.len() <= 60 => Cow::Borrowed(*spelled),
        Kind::Null => return (None, Some("Leave the key out to get its default.")),
        _ => return (None, None),
    };
    match (shape, &node.kind) {
        (Shape::Record(record), Kind::Text(_)) if record.choice.iter().any(|key| *key == text) => {
            (Some(format!("{{\"{text}\": {{}}}}")), None)
        }
        (Shape::List(inner), Kind::Text(_)) if matches!(**inner, Shape::Text) => {
            (Some(format!("[{}]", Value::from(text))), None)
        }
        (Shape::Flag, Kind::Text(_)) if matches!(&*text, "true" | "false") => {
            (Some(text.into_owned()), Some("Write it without the quotes."))
        }
        (Shape::Whole(..), Kind::Text(_)) if text.parse::<u64>().is_ok() => {
            (Some(text.into_owned()), Some("Write it without the quotes."))
        }
        (Shape::Time, Kind::Number(_)) => (suggested(quantity::parse_duration(&text).err()), None),
        (Shape::Size, Kind::Number(_)) => (suggested(quantity::parse_size(&text).err()), None),
        (Shape::Text, Kind::Number(_)) => (Some(format!("\"{text}\"")), Some("Write it in quotes.")),
        _ => (None, None),
    }
}

fn suggested(invalid: Option<quantity::Invalid>) -> Option<String> {
    invalid.and_then(|invalid| invalid.suggestion().map(|meant| format!("\"{meant}\"")))
}
