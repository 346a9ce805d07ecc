//! The report that people read.

use std::fmt;

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, SourceCode};

use super::diagnostic::Diagnostic;
use super::snippet::Snippet;
use super::source::Source;

/// More reports than this are not read; the rest is counted.
const MOST: usize = 50;

/// Writes all diagnostics, each with its lines, and the summary.
pub(super) fn report(all: &[Diagnostic], sources: &[Source], summary: &str, color: bool) -> String {
    let theme = if color { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler =
        GraphicalReportHandler::new_themed(theme).with_wrap_lines(false).without_syntax_highlighting();
    let mut text = String::new();
    for diagnostic in all.iter().take(MOST) {
        let card = Card::new(diagnostic, sources);
        // Writing to a string fails only if a card cannot be drawn; its message must not be lost then.
        if handler.render_report(&mut text, &card).is_err() {
            text.extend([
                &diagnostic.file,
                ":",
                &diagnostic.line.to_string(),
                ": ",
                &diagnostic.message,
                "\n",
            ]);
        }
        text.push('\n');
    }
    if let Some(left) = all.len().checked_sub(MOST).filter(|left| *left > 0) {
        text.extend(["… and ", &left.to_string(), " more; `warmkeep check --json` lists them all.\n"]);
    }
    text.push_str(summary);
    text.push('\n');
    text
}

/// One diagnostic as miette draws it.
#[derive(Debug)]
struct Card {
    message: String,
    label: Option<String>,
    help: Option<String>,
    snippet: Option<Snippet>,
}

impl Card {
    fn new(diagnostic: &Diagnostic, sources: &[Source]) -> Self {
        let snippet = diagnostic.span.and_then(|span| {
            let source = sources.get(span.file)?;
            Snippet::new(source, span, (diagnostic.line, diagnostic.column))
        });
        let meant = diagnostic.suggestion.as_ref().map(|meant| format!("did you mean `{meant}`?"));
        let told = |expected: &&String| diagnostic.message.contains(expected.as_str());
        let wanted = diagnostic.expected.as_ref().filter(|expected| !told(expected));
        let wanted = wanted.map(|expected| format!("expected {expected}"));
        let message = match (&snippet, diagnostic.path.as_str()) {
            (None, _) => format!("{}: {}", diagnostic.file, diagnostic.message),
            (Some(_), "") => diagnostic.message.clone(),
            (Some(_), path) => format!("{path}: {}", diagnostic.message),
        };
        Self { message, label: meant.or(wanted), help: diagnostic.remedy.clone(), snippet }
    }
}

impl fmt::Display for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Card {}

impl miette::Diagnostic for Card {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = self.help.as_ref()?;
        Some(Box::new(help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.snippet.as_ref().map(|snippet| snippet as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let snippet = self.snippet.as_ref()?;
        let label = LabeledSpan::new_primary_with_span(self.label.clone(), snippet.label);
        Some(Box::new(std::iter::once(label)))
    }
}
