//! Collects what is wrong, each problem with its place.

use std::collections::BTreeSet;

use super::at::{At, Step, written};
use super::diagnostic::{Diagnostic, Problem};
use super::source::{Source, Span};
use super::spanned::Node;

/// More than this many problems help nobody, and a hostile file could fill the memory with them.
const MOST: usize = 10_000;

/// What was found so far.
#[derive(Debug)]
pub(super) struct Report<'a> {
    sources: &'a [Source],
    tree: &'a Node<'a>,
    unsound: BTreeSet<String>,
    found: Vec<Diagnostic>,
}

impl<'a> Report<'a> {
    /// An empty report on a tree.
    pub(super) fn new(sources: &'a [Source], tree: &'a Node<'a>) -> Self {
        Self { sources, tree, unsound: BTreeSet::new(), found: Vec::new() }
    }

    /// The tree that is reported on.
    pub(super) fn tree(&self) -> &'a Node<'a> {
        self.tree
    }

    /// A problem with the value at a path, unless what stands there is not what was written.
    pub(super) fn value(&mut self, at: &At<'_>, problem: Problem) {
        let steps = at.steps();
        let span = self.tree.locate(&steps);
        self.unless_unsound(&steps, span, problem);
    }

    /// A problem with the key at a path.
    pub(super) fn key(&mut self, at: &At<'_>, problem: Problem) {
        let steps = at.steps();
        let span = self.tree.locate_key(&steps);
        self.unless_unsound(&steps, span, problem);
    }

    /// A problem with a stretch of text.
    pub(super) fn span(&mut self, span: Span, at: &At<'_>, problem: Problem) {
        self.push(span, &at.steps(), problem);
    }

    /// Remembers that what stands at a path was made up, because what is written there is wrong: later problems at or
    /// below it would only be echoes of the first.
    pub(super) fn mark_unsound(&mut self, at: &At<'_>) {
        self.unsound.insert(exact(&at.steps()));
    }

    /// Whether the value at a path is the one that was written.
    pub(super) fn is_sound(&self, at: &At<'_>) -> bool {
        self.are_sound(&at.steps())
    }

    /// Of several keys under a path, the first that is written there; of a rule between keys, defaults are not at fault.
    pub(super) fn first_written<'k>(&self, at: &At<'_>, keys: &[&'k str]) -> &'k str {
        let written = keys.iter().find(|key| self.tree.has(&at.key(key).steps()));
        written.or(keys.first()).copied().unwrap_or_default()
    }

    /// All that was found.
    pub(super) fn into_found(self) -> Vec<Diagnostic> {
        self.found
    }

    /// Where a stretch of text is, for messages.
    pub(super) fn place(&self, span: Span) -> String {
        self.sources.get(span.file).map_or_else(String::new, |source| {
            let (line, column) = source.position(span.start);
            format!("{}:{line}:{column}", source.name)
        })
    }

    fn unless_unsound(&mut self, steps: &[Step<'_>], span: Span, problem: Problem) {
        if self.are_sound(steps) {
            self.push(span, steps, problem);
        }
    }

    fn are_sound(&self, steps: &[Step<'_>]) -> bool {
        self.unsound.is_empty()
            || !(0..=steps.len())
                .any(|end| self.unsound.contains(&exact(steps.get(..end).unwrap_or_default())))
    }

    fn push(&mut self, span: Span, steps: &[Step<'_>], problem: Problem) {
        if self.found.len() < MOST {
            self.found.push(Diagnostic::at(self.sources, span, written(steps), problem));
        }
    }
}

/// A path without ambiguity, whatever is in its keys.
fn exact(steps: &[Step<'_>]) -> String {
    steps.iter().fold(String::new(), |path, step| match step {
        Step::Item(index) => format!("{path}/{index}"),
        Step::Key(key) => format!("{path}/{}", key.replace('~', "~0").replace('/', "~1")),
    })
}
