//! From bytes to well-formed JSON, or to the one place where they stop being it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::diagnostic::Problem;
use super::printable::visible;
use super::source::{Source, Span};

/// A file that is no JSON.
pub(super) type Broken = (Span, Problem);

/// Takes a file's bytes as text. Where they are none, the text is as near as it gets, for the report.
pub(super) fn decode(file: usize, name: String, bytes: Vec<u8>) -> (Source, Option<Broken>) {
    let wide = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
    match String::from_utf8(bytes) {
        Ok(mut text) => {
            if text.starts_with('\u{feff}') {
                text.drain(..'\u{feff}'.len_utf8());
            }
            (Source::new(name, text), None)
        }
        Err(error) => {
            let start = error.utf8_error().valid_up_to();
            let bad = error.as_bytes().get(start).copied().unwrap_or_default();
            let source = Source::new(name, String::from_utf8_lossy(error.as_bytes()).into_owned());
            let what = if wide {
                "this file is UTF-16".into()
            } else {
                format!("the byte 0x{bad:02x} is not UTF-8")
            };
            let problem = Problem::new(what).expected("UTF-8 text").remedy("Save the file as UTF-8.");
            (source, Some((Span { file, start, end: start + '\u{fffd}'.len_utf8() }, problem)))
        }
    }
}

/// Looks for the first place where a text is not JSON.
pub(super) fn check(file: usize, source: &Source) -> Option<Broken> {
    let error = serde_json::from_str::<WellFormed>(&source.text).err()?;
    let start = offset(source, error.line(), error.column());
    let here = source.text.get(start..).and_then(|rest| rest.chars().next());
    let span = Span { file, start, end: start + here.map_or(0, char::len_utf8) };
    Some((span, explained(&error, source, here)))
}

/// `serde_json` counts columns in bytes, and 0 is the break before the line.
fn offset(source: &Source, line: usize, column: usize) -> usize {
    let mut offset = (source.line_start(line) + column).saturating_sub(1).min(source.text.len());
    while !source.text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

fn explained(error: &serde_json::Error, source: &Source, here: Option<char>) -> Problem {
    let full = error.to_string();
    let what = full.split(" at line ").next().unwrap_or(&full);
    let found = here.map_or_else(|| "the end of the file".to_owned(), |c| format!("`{}`", visible(c)));
    match what {
        _ if source.text.trim().is_empty() => {
            Problem::new("the file is empty").expected("an object").remedy("Begin with {\"schema\": 1}.")
        }
        _ if error.is_eof() => Problem::new("the file ends too early")
            .expected("the rest of the configuration")
            .remedy("Close every string, `[` and `{`; the file may have been cut off while it was written."),
        "recursion limit exceeded" => Problem::new("lists and objects are nested too deep")
            .remedy("A configuration is about ten levels deep; more than 127 are not read."),
        "trailing comma" => {
            Problem::new(format!("a comma must not stand before {found}")).remedy("Remove the comma.")
        }
        "trailing characters" => Problem::new(format!("{found} stands after the end of the configuration"))
            .remedy("A file holds one object; remove what follows it."),
        _ if matches!(here, Some('/' | '#')) => Problem::new("JSON has no comments").remedy("Remove it."),
        _ if here == Some('\'') => Problem::new("JSON has no single quotes").remedy("Use double quotes."),
        "key must be a string" => Problem::new(format!("expected a key in double quotes, found {found}"))
            .expected("a key in double quotes"),
        "expected ident" => Problem::new("a word stands here that JSON does not know")
            .expected("true, false, null or a text in quotes"),
        what if what.contains("hex escape") => {
            Problem::new("this \\u escape is broken, or lacks its other half")
                .remedy("Write the character itself, or all of its escape.")
        }
        what if what.starts_with("expected") => Problem::new(format!("{what}, found {found}")),
        _ if what.starts_with("control character") && matches!(here, Some('\n' | '\r')) => {
            Problem::new("this string is not closed before the line ends")
                .remedy("Close it with `\"`; a line break in it is written \\n.")
        }
        what if what.starts_with("control character") => {
            Problem::new("a control character stands in a string")
                .remedy("Write it as an escape, such as \\n or \\t; or close the string before it.")
        }
        what => Problem::new(what),
    }
}

/// Reads everything and keeps nothing. Unlike skipping, this looks into every string and number, and stops at
/// The parser's limit of nesting.
struct WellFormed;

impl<'de> Deserialize<'de> for WellFormed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for WellFormed {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self, A::Error> {
        while items.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        while members.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}
