//! The few lines of a file that a report shows: safe to print, short, and without secrets.

use std::ops::Range;
use std::sync::LazyLock;

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};
use regex::Regex;

use super::printable::visible;
use super::source::{Source, Span};

/// The longest line that is shown whole, and the most that is shown of any other, in characters.
const WIDTH: usize = 100;

/// How much of a long line is shown before the label, and the most that is shown of what is labelled.
const BEFORE: usize = 40;
const LABELLED: usize = 48;

/// How far around the label secrets are looked for, in characters.
const AROUND: usize = 4096;

/// A line with a label, and its neighbours.
#[derive(Debug)]
pub(super) struct Snippet {
    name: String,
    text: String,
    /// What is labelled, in `text`.
    pub(super) label: SourceSpan,
    first_line: usize,
    position: (usize, usize),
}

impl Snippet {
    /// The lines around a stretch of text that begins at a line and column.
    pub(super) fn new(source: &Source, span: Span, position: (usize, usize)) -> Option<Self> {
        let line = source.line(position.0)?;
        let before = position.0.checked_sub(1).and_then(|number| neighbour(source, number));
        let mut snippet = Self {
            name: source.name.clone(),
            first_line: position.0 - usize::from(before.is_some()),
            text: before.map_or_else(String::new, |line| line + "\n"),
            label: SourceSpan::from((0, 0)),
            position,
        };
        let start = span.start.min(line.end);
        snippet.labelled(&source.text, &line, start..span.end.clamp(start, line.end));
        if let Some(after) = neighbour(source, position.0 + 1) {
            snippet.text.push('\n');
            snippet.text.push_str(&after);
        }
        Some(snippet)
    }

    /// Adds the line with the label: all of it, or of a long one the part around the label.
    fn labelled(&mut self, text: &str, line: &Range<usize>, label: Range<usize>) {
        let whole = ahead(text, line.clone(), WIDTH) == line.end;
        let from = if whole { line.start } else { back(text, line.start..label.start, BEFORE) };
        let cut = if whole { label.end } else { ahead(text, label.clone(), LABELLED) };
        let used = text.get(from..cut).unwrap_or_default().chars().count();
        let until = if whole { line.end } else { ahead(text, cut..line.end, WIDTH.saturating_sub(used)) };
        let around = back(text, line.start..label.start, AROUND)..ahead(text, until..line.end, AROUND);
        let secrets = secrets(text, around);
        let show = |range| shown(text, range, &secrets);
        let dots = |missing: bool| if missing { "…" } else { "" };
        self.text.push_str(dots(from > line.start));
        self.text.push_str(&show(from..label.start));
        let start = self.text.len();
        self.text.push_str(&show(label.start..cut));
        self.text.push_str(dots(cut < label.end));
        self.label = SourceSpan::from((start, self.text.len() - start));
        if cut == label.end {
            self.text.push_str(&show(cut..until));
            self.text.push_str(dots(until < line.end));
        }
    }
}

/// A line beside the labelled one, if there is something on it.
fn neighbour(source: &Source, number: usize) -> Option<String> {
    let line = source.line(number)?;
    let until = ahead(&source.text, line.clone(), WIDTH);
    // A key and its value need not stand on one line.
    let from = back(&source.text, 0..line.start, AROUND);
    let secrets = secrets(&source.text, from..ahead(&source.text, until..line.end, AROUND));
    let text = shown(&source.text, line.start..until, &secrets);
    let dots = if until < line.end { "…" } else { "" };
    Some(text + dots).filter(|line| !line.trim().is_empty())
}

/// So many characters back from the end of a range, but not beyond its start.
fn back(text: &str, range: Range<usize>, characters: usize) -> usize {
    let piece = text.get(range.clone()).unwrap_or_default();
    piece.char_indices().rev().take(characters).last().map_or(range.end, |(at, _)| range.start + at)
}

/// So many characters on from the start of a range, but not beyond its end.
fn ahead(text: &str, range: Range<usize>, characters: usize) -> usize {
    let piece = text.get(range.clone()).unwrap_or_default();
    piece.char_indices().nth(characters).map_or(range.end, |(at, _)| range.start + at)
}

/// A piece of text as it is shown: nothing that garbles a terminal, and a dot or two for a secret.
fn shown(text: &str, range: Range<usize>, secrets: &[Range<usize>]) -> String {
    let mut shown = String::new();
    let mut hidden = None;
    for (at, c) in text.get(range.clone()).unwrap_or_default().char_indices() {
        match secrets.iter().position(|secret| secret.contains(&(range.start + at))) {
            Some(secret) if hidden == Some(secret) => {}
            Some(secret) => {
                shown.push('…');
                hidden = Some(secret);
            }
            None if c == '\t' => shown.push_str("  "),
            None => shown.push_str(&visible(c)),
        }
    }
    shown
}

/// A key that holds a secret by its name, and its value; or the password in an address.
const SECRET: &str = r#"(?x)
    "[^"]*(?i:password|passwd|secret|token|authorization|api[_-]?key)[^"]*"\s*:\s*\[?\s*
        "(?<value> [^"/] (?:[^"\\]|\\.)* )
    | ://[^/@"\s]*:(?<password>[^/@"\s]+)@"#;

static SECRETS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(SECRET).ok());

/// Where in a stretch of text secrets are. The path of a file that holds one is none.
fn secrets(text: &str, around: Range<usize>) -> Vec<Range<usize>> {
    let (Some(pattern), Some(piece)) = (SECRETS.as_ref(), text.get(around.clone())) else {
        return Vec::new();
    };
    pattern
        .captures_iter(piece)
        .filter_map(|found| found.name("value").or_else(|| found.name("password")))
        .map(|secret| around.start + secret.start()..around.start + secret.end())
        .collect()
}

impl SourceCode for Snippet {
    fn read_span<'a>(
        &'a self,
        _: &SourceSpan,
        lines_before: usize,
        _: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        // miette asks without context only to learn line and column, for its headline.
        let (line, column) = if lines_before == 0 { self.position } else { (self.first_line, 1) };
        let contents = MietteSpanContents::new_named(
            self.name.clone(),
            self.text.as_bytes(),
            SourceSpan::from((0, self.text.len())),
            line - 1,
            column - 1,
            self.text.lines().count(),
        );
        Ok(Box::new(contents))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(text: &str, label: &str) -> String {
        let source = Source::new("x.json".into(), text.into());
        let start = text.find(label).unwrap();
        let span = Span { file: 0, start, end: start + label.len() };
        Snippet::new(&source, span, source.position(start)).unwrap().text
    }

    #[test]
    fn a_line_comes_with_its_neighbours() {
        assert_eq!(around("one\ntwo\nthree\nfour", "three"), "two\nthree\nfour");
    }

    #[test]
    fn an_endless_line_is_cut_around_the_label() {
        let text = format!("{}{}{}", "a".repeat(500_000), "LABEL", "b".repeat(500_000));
        let shown = around(&text, "LABEL");
        assert_eq!(shown, format!("…{}LABEL{}…", "a".repeat(BEFORE), "b".repeat(WIDTH - BEFORE - 5)));
    }

    #[test]
    fn an_endless_label_is_cut() {
        let text = format!("\"{}\"", "x".repeat(1_000_000));
        assert_eq!(around(&text, &text).chars().count(), LABELLED + 1);
    }

    #[test]
    fn secrets_are_not_shown() {
        let text = r#"{"API_TOKEN": "hunter2\" x", "a": 1, "url": "http://me:hunter2@x/", "passwordFile": "/run/p"}"#;
        let shown = r#"{"API_TOKEN": "…", "a": 1, "url": "http://me:…@x/", "passwordFile": "/run/p"}"#;
        assert_eq!(around(text, "1"), shown);
    }

    #[test]
    fn a_labelled_secret_is_not_shown_either() {
        assert_eq!(around(r#"{"password": "hunter2"}"#, r#""hunter2""#), r#"{"password": "…"}"#);
    }

    #[test]
    fn control_characters_are_shown_as_escapes() {
        assert_eq!(around("\u{1b}[2Jx\0\ty", "x"), r"\u{1b}[2Jx\0  y");
    }
}
