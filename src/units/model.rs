//! What a unit is, before anybody writes it down.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::escape;
use super::span;

/// Units that belong together: an app's, the night's, those that tell people. A NixOS module holds one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// What its files are called before their suffix.
    pub name: String,
    /// Its units; no two have the same name and kind.
    pub units: Vec<Unit>,
}

/// The name of a unit with its suffix.
pub type Name = Cow<'static, str>;

/// One systemd unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its name without the suffix.
    pub name: String,
    /// Which kind it is; the suffix.
    pub kind: Kind,
    /// One line for people.
    pub description: String,
    /// Units that are started with it.
    pub wants: Vec<Name>,
    /// Units that must have started before it.
    pub after: Vec<Name>,
    /// Units that wait for it.
    pub before: Vec<Name>,
    /// Units that start it; what `systemctl enable` looks at.
    pub wanted_by: Vec<Name>,
    /// What else stands in `[Unit]`.
    pub unit: Vec<Directive>,
    /// What a switch of NixOS to another generation does with it.
    pub on_switch: OnSwitch,
    /// Variables of its programs.
    pub environment: BTreeMap<String, String>,
    /// Which programs it finds on NixOS, where no folder has them all.
    pub programs: Programs,
    /// What stands in the section of its kind.
    pub own: Vec<Directive>,
}

/// A kind of unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Runs a program.
    Service,
    /// Starts the service of its name at times.
    Timer,
    /// Starts the service of its name when a file appears.
    Path,
}

/// What a switch to another generation does with a unit that has changed or gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnSwitch {
    /// It is stopped, and started as it is now.
    Restart,
    /// It is left alone: it may be the one that is switching.
    LeaveAlone,
}

/// Which programs a unit finds on NixOS, and which environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Programs {
    /// Those that every unit finds.
    Few,
    /// Those that a user of the system finds.
    System,
    /// Those too, and what NixOS gives to its own upgrade of the system.
    Rebuild,
}

/// One setting in a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// Its name.
    pub key: &'static str,
    /// What it is set to.
    pub value: Value,
}

/// What a directive is set to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A word that systemd knows, or several, as they are.
    Words(&'static str),
    /// Yes or no.
    Flag(bool),
    /// A number.
    Number(u32),
    /// A span of time; `None`: without end.
    Span(Option<Duration>),
    /// A calendar expression.
    Calendar(String),
    /// A program with its arguments, exactly as it is to receive them.
    Command(Vec<String>),
    /// Folders whose mounts are needed.
    Mounts(Vec<PathBuf>),
    /// A folder that stays writable, if it is there.
    Writable(PathBuf),
    /// All files of a folder with this suffix.
    Glob(PathBuf, &'static str),
    /// A directive that may stand several times, each line as systemd reads it.
    List(Vec<String>),
}

/// A value as systemd reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lines<'a> {
    /// Of a directive that stands once.
    One(Cow<'a, str>),
    /// Of a directive that may stand several times.
    Many(&'a [String]),
}

impl Kind {
    /// The suffix of its unit files.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Timer => "timer",
            Self::Path => "path",
        }
    }

    /// The section that only this kind has.
    pub fn section(self) -> &'static str {
        match self {
            Self::Service => "Service",
            Self::Timer => "Timer",
            Self::Path => "Path",
        }
    }
}

impl Unit {
    /// A unit that only has a name and a line for people.
    pub fn new(name: String, kind: Kind, description: String) -> Self {
        Self {
            name,
            kind,
            description,
            wants: Vec::new(),
            after: Vec::new(),
            before: Vec::new(),
            wanted_by: Vec::new(),
            unit: Vec::new(),
            on_switch: OnSwitch::Restart,
            environment: BTreeMap::new(),
            programs: Programs::Few,
            own: Vec::new(),
        }
    }

    /// The name of its file.
    pub fn file_name(&self) -> String {
        format!("{}.{}", self.name, self.kind.suffix())
    }
}

impl Directive {
    /// A directive.
    pub fn new(key: &'static str, value: Value) -> Self {
        Self { key, value }
    }
}

impl Value {
    /// The value as systemd reads it: what stands after the `=` in a unit file, and in NixOS's options.
    pub fn lines(&self) -> Lines<'_> {
        Lines::One(match self {
            Self::Words(words) => (*words).into(),
            Self::Flag(true) => "true".into(),
            Self::Flag(false) => "false".into(),
            Self::Number(number) => number.to_string().into(),
            Self::Span(None) => "infinity".into(),
            Self::Span(Some(span)) => span::written(*span).into(),
            Self::Calendar(expression) => escape::text(expression).into(),
            Self::Command(argv) => escape::command(argv).into(),
            Self::Mounts(paths) => escape::folders(paths).into(),
            Self::Writable(path) => format!("-{}", escape::folder(path)).into(),
            Self::Glob(folder, suffix) => format!("{}/*{suffix}", escape::glob(folder)).into(),
            Self::List(lines) => return Lines::Many(lines),
        })
    }
}
