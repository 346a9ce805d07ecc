//! `rebuild`: upgrade the system itself, or find that it is current.

use clap::Args;
use comfy_table::Cell;

use super::{Session, output};
use crate::error::{Error, Result};
use crate::rebuild::closure::{Diff, Package};
use crate::rebuild::report::{Outcome, RebuildReport};
use crate::rebuild::{self};
use crate::record::layout::Layout;
use crate::sys::signals;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Activate a flake that is older than the one that runs.
    #[arg(long)]
    allow_older: bool,
}

pub(super) fn run(session: &Session, options: &Options) -> Result<u8> {
    let config = session.config()?;
    let spec = config.nightly.rebuild.as_ref();
    if spec.is_none() && !rebuild::is_unfinished(&Layout::new(&config.host)) {
        return Err(Error::usage("no rebuild is configured: the configuration has no `nightly.rebuild`")
            .remedy(r#"add "nightly": { "rebuild": { "flake": "/etc/nixos#host" } }, with your own flake and host"#));
    }
    signals::listen()?;
    let ctx = session.context(&config)?;
    let run = rebuild::run_alone(&ctx, spec, rebuild::Options { allow_older: options.allow_older })?;
    if session.global.json {
        output::json(&run)?;
    } else {
        show(&run.rebuild)?;
    }
    Ok(run.rebuild.outcome.exit_code())
}

/// Prints a rebuild for people.
pub(super) fn show(report: &RebuildReport) -> Result<()> {
    if let Some(diff) = report.diff.as_ref().filter(|diff| !diff.is_empty()) {
        output::line(&changes(diff))?;
    }
    output::line(&summary(report))
}

/// What changed, as a table.
fn changes(diff: &Diff) -> String {
    let mut table = output::table(&["", "package", "version", "size"]);
    for package in &diff.added {
        table.add_row(row("+", package, 1));
    }
    for package in &diff.removed {
        table.add_row(row("-", package, -1));
    }
    for changed in &diff.changed {
        let versions = format!("{} → {}", versions(&changed.before), versions(&changed.after));
        let size = grown(changed.difference);
        table.add_row([Cell::new("~"), Cell::new(&changed.name), Cell::new(versions), Cell::new(size)]);
    }
    let rows = diff.added.len() + diff.removed.len() + diff.changed.len();
    let count = |count: usize, what: &str| format!("{count} {what}");
    let counts = [
        count(diff.added.len(), "added"),
        count(diff.removed.len(), "removed"),
        count(diff.changed.len(), "changed"),
        count(diff.rebuilt, "rebuilt in the same version"),
    ];
    let size = format!(
        "size {} → {} ({})",
        output::size(diff.bytes_before),
        output::size(diff.bytes_after),
        grown(diff.difference)
    );
    let table = if rows > 0 { format!("{table}\n") } else { String::new() };
    format!("{table}{}; {size}", counts.join(", "))
}

fn row(sign: &str, package: &Package, direction: i64) -> [Cell; 4] {
    let size = grown(i64::try_from(package.bytes).unwrap_or(i64::MAX) * direction);
    [Cell::new(sign), Cell::new(&package.name), Cell::new(versions(&package.versions)), Cell::new(size)]
}

fn versions(versions: &[String]) -> String {
    let shown = |version: &String| if version.is_empty() { "–".to_owned() } else { version.clone() };
    let all: Vec<String> = versions.iter().map(shown).collect();
    if all.is_empty() { "∅".to_owned() } else { all.join(", ") }
}

fn grown(bytes: i64) -> String {
    let size = output::size(bytes.unsigned_abs());
    match bytes {
        0 => "±0 B".to_owned(),
        1.. => format!("+{size}"),
        _ => format!("-{size}"),
    }
}

fn summary(report: &RebuildReport) -> String {
    let (style, sign) = match report.outcome {
        Outcome::Noop => (anstyle::Style::new(), "·"),
        Outcome::Switched => (anstyle::AnsiColor::Green.on_default(), "✓"),
        Outcome::RebootNeeded => (anstyle::AnsiColor::Cyan.on_default(), "↻"),
        Outcome::RolledBack => (anstyle::AnsiColor::Yellow.on_default(), "↩"),
        Outcome::Busy => (anstyle::AnsiColor::Yellow.on_default(), "…"),
        Outcome::Failed => (anstyle::AnsiColor::Red.on_default(), "✗"),
        Outcome::Stuck => (anstyle::AnsiColor::Red.on_default(), "‼"),
    };
    let mut text = format!("{style}{sign} {}{style:#}", report.outcome.word());
    let mut add = |label: &str, value: Option<&str>| {
        if let Some(value) = value {
            text.push_str(&format!("\n  {label:<6} {}", value.replace('\n', "\n         ")));
        }
    };
    let path = |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.display().to_string());
    add("from:", path(&report.from).as_deref());
    add("to:", path(&report.to).filter(|_| report.to != report.from).as_deref());
    add("flake:", report.flake.as_ref().map(|flake| flake.url.as_str()));
    match &report.causes {
        Some(causes) => {
            add("why:", Some(&causes.upgrade));
            add("then:", Some(&causes.rollback));
        }
        None => add("why:", report.cause.as_deref().or(report.reason.as_deref())),
    }
    for note in &report.notes {
        add("note:", Some(note));
    }
    add("help:", report.remedy.as_deref());
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rebuild::closure::Closure;
    use crate::record::report::Causes;

    const HASH: &str = "/nix/store/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-";

    fn closure(paths: &[(&str, u64)]) -> Closure {
        let text: Vec<String> = paths.iter().map(|(name, size)| format!("{HASH}{name}\t{size}\n")).collect();
        Closure::parse(&text.concat()).unwrap()
    }

    #[test]
    fn a_difference_reads_as_a_table() {
        let before =
            closure(&[("bash-5.2", 1 << 20), ("glibc-2.39", 30 << 20), ("etc", 4096), ("old-1", 10)]);
        let after = closure(&[("bash-5.2", 1 << 20), ("glibc-2.40", 31 << 20), ("etc", 4096), ("new", 2048)]);
        insta::assert_snapshot!(changes(&Diff::new(&before, &after)));
    }

    #[test]
    fn a_rollback_tells_why_and_how_it_went() {
        let report = RebuildReport {
            from: Some("/nix/store/old".into()),
            to: Some("/nix/store/new".into()),
            causes: Some(Causes {
                upgrade: "exit code 2\nits last lines of output:\nno".into(),
                rollback: "rolled back".into(),
            }),
            remedy: Some("change it".into()),
            ..RebuildReport::new(Outcome::RolledBack, "switch")
        };
        insta::assert_snapshot!(anstream::adapter::strip_str(&summary(&report)).to_string());
    }
}
