//! What is wrong with a configuration, for programs and for people.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::printable::visible;
use super::render;
use super::source::{Source, Span};

/// One thing that is wrong, and where.
#[derive(Debug, Clone, Serialize)]
pub struct Diagnostic {
    /// The file, or the folder where it is about one.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1, in characters.
    pub column: usize,
    /// The key's path, such as `apps.notes.versions.policy`; empty for the whole file.
    pub path: String,
    /// What is wrong, in one line.
    pub message: String,
    /// What should stand there, where that can be said.
    pub expected: Option<String>,
    /// What was probably meant.
    pub suggestion: Option<String>,
    /// What to do about it.
    pub remedy: Option<String>,
    /// What the report underlines; `None` where there is no text to show.
    #[serde(skip)]
    pub(super) span: Option<Span>,
}

impl Diagnostic {
    /// A problem with a file or folder as such.
    pub(super) fn of_file(file: String, problem: Problem) -> Self {
        let Problem { message, expected, suggestion, remedy } = problem;
        Self {
            file,
            line: 1,
            column: 1,
            path: String::new(),
            message,
            expected,
            suggestion,
            remedy,
            span: None,
        }
    }

    /// A problem at a place in a file.
    pub(super) fn at(sources: &[Source], span: Span, path: String, problem: Problem) -> Self {
        let source = sources.get(span.file);
        let (line, column) = source.map_or((1, 1), |source| source.position(span.start));
        let file = source.map(|source| source.name.clone()).unwrap_or_default();
        Self { line, column, path, span: Some(span), ..Self::of_file(file, problem) }
    }
}

/// What is wrong, before it is known where.
#[derive(Debug, Clone)]
pub(super) struct Problem {
    message: String,
    expected: Option<String>,
    suggestion: Option<String>,
    remedy: Option<String>,
}

impl Problem {
    /// Says what is wrong, in one line.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: plain(message.into()), expected: None, suggestion: None, remedy: None }
    }

    /// Says what should stand there.
    pub(super) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    /// Says what was probably meant, if that is known.
    pub(super) fn meant(mut self, suggestion: Option<impl Into<String>>) -> Self {
        self.suggestion = suggestion.map(Into::into);
        self
    }

    /// Says what to do about it.
    pub(super) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// Whatever a message quotes, and however: nothing in it may garble a terminal.
fn plain(message: String) -> String {
    if message.contains(char::is_control) { message.chars().map(visible).collect() } else { message }
}

/// A configuration that cannot be used, with everything that is wrong with it.
#[derive(Debug)]
pub struct Invalid {
    /// What is wrong, by file and position.
    pub diagnostics: Vec<Diagnostic>,
    sources: Vec<Source>,
}

impl Invalid {
    /// Sorts what was found.
    pub(super) fn new(mut diagnostics: Vec<Diagnostic>, sources: Vec<Source>) -> Self {
        diagnostics
            .sort_by(|a, b| (&a.file, a.line, a.column, &a.path).cmp(&(&b.file, b.line, b.column, &b.path)));
        Self { diagnostics, sources }
    }

    /// All diagnostics, as a list of objects with `file line column path message expected suggestion remedy`.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(&self.diagnostics).unwrap_or_default()
    }

    /// A report for people: each diagnostic with the lines it is about.
    pub fn render(&self, color: bool) -> String {
        render::report(&self.diagnostics, &self.sources, &self.to_string(), color)
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.diagnostics.len() {
            1 => f.write_str("1 error in the configuration"),
            count => write!(f, "{count} errors in the configuration"),
        }
    }
}

impl std::error::Error for Invalid {}
