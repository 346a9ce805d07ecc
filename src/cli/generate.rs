//! `generate`: units for this configuration, as NixOS modules or plain unit files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use similar::TextDiff;

use super::{FAILED, Session, output};
use crate::error::{Error, Result};
use crate::sys::publish::Folder;
use crate::sys::{env, files, hash};
use crate::units::files::{Change, File, Found};
use crate::units::{self, Settings};

/// The largest file that is compared, in bytes.
const LARGEST: u64 = 64 << 20;
/// Where NixOS has the programs of the running system.
const ON_NIXOS: &str = "/run/current-system/sw/bin/warmkeep";

#[derive(Debug, Args)]
pub(super) struct Options {
    /// What is written.
    #[arg(long, value_enum)]
    format: Format,
    /// The folder it is written to. Files of this format that were generated and are no longer needed are removed from it.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Write nothing; exit 1 and show the difference if the folder has drifted.
    #[arg(long)]
    check: bool,
    /// The warmkeep that units run. Without it, this very program, or with `nixos` the one of the running system.
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// The configuration that units name. Without it, the one of `--config`.
    #[arg(long, value_name = "PATH")]
    settings: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// NixOS modules, and a default.nix that imports them.
    Nixos,
    /// Plain unit files.
    Systemd,
}

impl Format {
    fn resolved(self) -> units::files::Format {
        match self {
            Self::Nixos => units::files::Format::Nixos,
            Self::Systemd => units::files::Format::Systemd,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Nixos => "nixos",
            Self::Systemd => "systemd",
        }
    }
}

pub(super) fn run(session: &Session, options: &Options) -> Result<u8> {
    let config = session.config()?;
    let settings = settings(session, options)?;
    let digest = |text: &str| hash::short(text.as_bytes(), 32);
    let wanted = units::files::of(units::of(&config, &settings), options.format.resolved(), digest);
    if options.check {
        let changes = changes(options, wanted)?;
        return show_drift(session, options, &changes);
    }
    let folder = Folder::take(&options.out)?;
    let changes = changes(options, wanted)?;
    let format = options.format.resolved();
    folder.tidy(|name| format.claims(name))?;
    carry_out(&folder, &options.out, &changes)?;
    show_done(session, options, &changes)
}

fn settings(session: &Session, options: &Options) -> Result<Settings> {
    let program = match (&options.program, options.format) {
        (Some(program), _) => program.clone(),
        (None, Format::Nixos) => ON_NIXOS.into(),
        (None, Format::Systemd) => env::own_binary_path().ok_or_else(|| {
            Error::new("it cannot be told where this warmkeep is").remedy("name it with --program")
        })?,
    };
    let config = match &options.settings {
        Some(settings) => settings.clone(),
        None => files::absolute(&session.global.config)?,
    };
    Settings::new(&program, &config)
}

fn changes(options: &Options, wanted: Vec<File>) -> Result<Vec<Change>> {
    let found = found(&options.out, options.format.resolved())?;
    units::files::changes(wanted, found).map_err(|foreign| {
        let shown: Vec<&str> = foreign.iter().take(5).map(String::as_str).collect();
        let more = foreign.len() - shown.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let (out, names) = (options.out.display(), shown.join(", "));
        Error::new(format!("not written by warmkeep, and in the way in {out}: {names}{more}"))
            .remedy("move it away, or name another folder with --out")
    })
}

/// What the folder has under names that this format uses.
fn found(folder: &Path, format: units::files::Format) -> Result<BTreeMap<String, Found>> {
    let mut all = BTreeMap::new();
    for path in files::list(folder)? {
        let Some(name) = path.file_name().and_then(|name| name.to_str()).filter(|name| format.claims(name))
        else {
            continue;
        };
        all.insert(name.to_owned(), look(&path)?);
    }
    Ok(all)
}

/// A link is somebody else's doing, whatever it leads to.
fn look(path: &Path) -> Result<Found> {
    if !files::facts(path)?.is_some_and(|facts| facts.is_file) {
        return Ok(Found::Foreign);
    }
    let text = String::from_utf8(files::read(path, LARGEST)?);
    Ok(text.map_or(Found::Foreign, Found::new))
}

fn carry_out(folder: &Folder, out: &Path, changes: &[Change]) -> Result<()> {
    let wanted = changes.iter().filter(|change| change.is_one());
    let wanted: Vec<(&str, &str)> =
        wanted.filter_map(|change| Some((change.name.as_str(), change.after.as_deref()?))).collect();
    folder.write(&wanted)?;
    let mut stale = changes.iter().filter(|change| change.after.is_none());
    stale.try_for_each(|change| files::remove_file(&out.join(&change.name)))
}

fn show_done(session: &Session, options: &Options, changes: &[Change]) -> Result<u8> {
    let state = |change: &Change| match &change.after {
        None => "removed",
        Some(_) if change.is_one() => "written",
        Some(_) => "unchanged",
    };
    if session.global.json {
        let files = changes.iter().map(|change| json!({ "name": change.name, "state": state(change) }));
        output::json(&document(options, &files.collect::<Vec<_>>()))?;
        return Ok(0);
    }
    let count = |word: &str| changes.iter().filter(|change| state(change) == word).count();
    let (written, unchanged, removed) = (count("written"), count("unchanged"), count("removed"));
    let out = options.out.display();
    output::line(&format!("{out}: {written} written, {unchanged} unchanged, {removed} removed"))?;
    Ok(0)
}

fn show_drift(session: &Session, options: &Options, changes: &[Change]) -> Result<u8> {
    let drifted = changes.iter().filter(|change| change.is_one()).count();
    if session.global.json {
        output::json(&document(options, &changes.iter().map(drift).collect::<Vec<_>>()))?;
    } else {
        for change in changes.iter().filter(|change| change.is_one()) {
            output::line(&coloured(&difference(change)))?;
        }
        let out = options.out.display();
        output::line(&match (drifted, changes.len()) {
            (0, all) => format!("{out}: all {all} files are as they should be"),
            (some, all) => {
                format!("{out}: {some} of {all} files have drifted; generate without --check mends it")
            }
        })?;
    }
    Ok(if drifted == 0 { 0 } else { FAILED })
}

fn document(options: &Options, files: &[Value]) -> Value {
    let (format, out) = (options.format.word(), options.out.display().to_string());
    json!({ "schema": 1, "format": format, "out": out, "check": options.check, "files": files })
}

fn drift(change: &Change) -> Value {
    if !change.is_one() {
        return json!({ "name": change.name, "state": "unchanged" });
    }
    let why = match (&change.before, &change.after) {
        (None, _) => "missing",
        (_, None) => "stale",
        (Some(_), Some(_)) => "changed",
    };
    json!({ "name": change.name, "state": "drifted", "why": why, "diff": difference(change) })
}

/// From what is there to what should be, as `diff -u` shows it.
fn difference(change: &Change) -> String {
    let name = |side: char, text: &Option<String>| match text {
        Some(_) => format!("{side}/{}", change.name),
        None => "/dev/null".to_owned(),
    };
    let [before, after] = [&change.before, &change.after].map(|text| text.as_deref().unwrap_or_default());
    let diff = TextDiff::from_lines(before, after);
    let text = diff.unified_diff().header(&name('a', &change.before), &name('b', &change.after)).to_string();
    text.trim_end_matches('\n').to_owned()
}

fn coloured(diff: &str) -> String {
    let lines: Vec<String> = diff.lines().enumerate().map(|(at, line)| coloured_line(at, line)).collect();
    lines.join("\n")
}

/// The first two lines name the files.
fn coloured_line(at: usize, line: &str) -> String {
    let style = match line.chars().next() {
        _ if at < 2 => anstyle::Style::new().bold(),
        Some('+') => anstyle::AnsiColor::Green.on_default(),
        Some('-') => anstyle::AnsiColor::Red.on_default(),
        Some('@') => anstyle::AnsiColor::Cyan.on_default(),
        _ => return line.to_owned(),
    };
    format!("{style}{line}{style:#}")
}
