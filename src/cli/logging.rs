//! Log lines on stderr, as text or JSON. Their times are RFC 3339 in UTC; each begins with the stable name of its event.

use std::fmt;
use std::io::IsTerminal;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::{Global, LogFormat, output};
use crate::sys::clock;

/// Starts logging. It is the first thing that happens, so that no warning is lost.
pub(super) fn start(global: &Global) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => LevelFilter::ERROR,
        (_, 0) => LevelFilter::WARN,
        (_, 1) => LevelFilter::INFO,
        _ => LevelFilter::DEBUG,
    };
    let ansi = std::io::stderr().is_terminal() && !output::no_color();
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(ansi)
        .with_writer(std::io::stderr)
        .event_format(Lines { format: global.log_format })
        .init();
}

/// One line an event.
struct Lines {
    format: LogFormat,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>, N: for<'a> FormatFields<'a> + 'static> FormatEvent<S, N>
    for Lines
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        match self.format {
            LogFormat::Json => json(writer, event, fields),
            LogFormat::Text => text(writer, event, fields),
        }
    }
}

/// An event of a library has no name of its own, only the place in its source.
fn name<'a>(event: &'a Event<'_>) -> &'a str {
    let metadata = event.metadata();
    if metadata.name().starts_with("event ") { metadata.target() } else { metadata.name() }
}

fn json(mut writer: Writer<'_>, event: &Event<'_>, fields: Fields) -> fmt::Result {
    let mut line = Map::new();
    line.insert("timestamp".into(), clock::now().to_string().into());
    line.insert("level".into(), event.metadata().level().as_str().into());
    line.insert("event".into(), name(event).into());
    line.extend(fields.0);
    writeln!(writer, "{}", Value::Object(line))
}

fn text(mut writer: Writer<'_>, event: &Event<'_>, mut fields: Fields) -> fmt::Result {
    let level = *event.metadata().level();
    let style = if writer.has_ansi_escapes() { color(level) } else { anstyle::Style::new() };
    write!(writer, "{} {style}{level:>5}{style:#} {}", clock::now(), name(event))?;
    if let Some(Value::String(message)) = fields.0.remove("message") {
        write!(writer, ": {}", message.escape_debug())?;
    }
    for (field, value) in fields.0 {
        write!(writer, " {field}={value}")?;
    }
    writer.write_char('\n')
}

fn color(level: Level) -> anstyle::Style {
    let color = match level {
        Level::ERROR => anstyle::AnsiColor::Red,
        Level::WARN => anstyle::AnsiColor::Yellow,
        _ => anstyle::AnsiColor::Green,
    };
    color.on_default()
}

/// The fields of an event, by name.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn keep(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.keep(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.keep(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.keep(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.keep(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.keep(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.keep(field, format!("{value:?}"));
    }
}
