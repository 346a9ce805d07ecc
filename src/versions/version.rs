//! A version as a source lists it, and what is read out of one.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A version exactly as its source spells it. Safe as a file name: that is checked when one is made.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version(String);

/// Why a text is no version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Nothing is there.
    #[error("a version cannot be empty")]
    Empty,
    /// Longer than a file name may be.
    #[error("a version has at most 200 bytes, this one has {0}")]
    TooLong(usize),
    /// It could name another folder or garble a terminal.
    #[error("a version has no {0:?} in it, and does not begin with `.` or `-`")]
    Character(char),
}

impl Version {
    /// Takes a text as a version.
    pub fn new(text: impl Into<String>) -> Result<Self, Invalid> {
        let text = text.into();
        if text.is_empty() {
            return Err(Invalid::Empty);
        }
        if text.len() > 200 {
            return Err(Invalid::TooLong(text.len()));
        }
        if let Some(first) = text.chars().next().filter(|c| matches!(c, '.' | '-')) {
            return Err(Invalid::Character(first));
        }
        match text.chars().find(|c| *c == '/' || c.is_control() || c.is_whitespace()) {
            Some(bad) => Err(Invalid::Character(bad)),
            None => Ok(Self(text)),
        }
    }

    /// The version's own spelling.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads it as `x.y.z[-pre][+upstream]` (a leading `v` is allowed); `None`: opaque.
    pub fn parsed(&self) -> Option<Parsed> {
        let text = self.0.strip_prefix('v').unwrap_or(&self.0);
        let main = semver::Version::parse(text).ok().or_else(|| lenient_build(text))?;
        Some(Parsed { main, upstream: upstream_part(text) })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Version {
    type Error = Invalid;
    fn try_from(text: String) -> Result<Self, Invalid> {
        Self::new(text)
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.0
    }
}

/// Upstream versions hold characters that semver's build part does not allow (`2:1.0`, `1.0_rc`); the part before the
/// plus decides alone then.
fn lenient_build(text: &str) -> Option<semver::Version> {
    let (main, _) = text.split_once('+')?;
    semver::Version::parse(main).ok()
}

fn upstream_part(text: &str) -> Option<Upstream> {
    let (_, upstream) = text.split_once('+')?;
    Upstream::read(upstream)
}

/// A version read as numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// The part before the plus (build metadata is not compared).
    pub main: semver::Version,
    /// The app's own version after the plus, where it holds one.
    pub upstream: Option<Upstream>,
}

impl Parsed {
    /// Semver precedence, then the upstream part. `Equal` only when neither part is newer.
    pub fn precedence(&self, other: &Self) -> Ordering {
        self.main.cmp_precedence(&other.main).then_with(|| self.upstream.cmp(&other.upstream))
    }

    /// Whether either part is a pre-release.
    pub fn is_pre_release(&self) -> bool {
        !self.main.pre.is_empty() || self.upstream.as_ref().is_some_and(|u| u.pre)
    }

    /// How large the step from `self` to `to` is: the larger of the two parts' steps. An upstream part that appears or
    /// goes away cannot be judged and counts as major.
    pub fn step_to(&self, to: &Self) -> Step {
        let main = Step::between(
            (self.main.major, self.main.minor, self.main.patch),
            (to.main.major, to.main.minor, to.main.patch),
        );
        let upstream = match (&self.upstream, &to.upstream) {
            (None, None) => Step::Patch,
            (Some(a), Some(b)) => Step::between(a.numbers, b.numbers),
            _ => Step::Major,
        };
        main.max(upstream)
    }
}

/// The size of a step between two versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Only the last number.
    Patch,
    /// The middle number.
    Minor,
    /// The first number.
    Major,
}

impl Step {
    fn between(from: (u64, u64, u64), to: (u64, u64, u64)) -> Self {
        match (from, to) {
            (a, b) if a.0 != b.0 => Self::Major,
            (a, b) if a.1 != b.1 => Self::Minor,
            _ => Self::Patch,
        }
    }

    /// The word a person reads.
    pub fn word(self) -> &'static str {
        match self {
            Self::Patch => "patch",
            Self::Minor => "minor",
            Self::Major => "major",
        }
    }
}

/// The app's own version as Co-op Cloud's recipes carry it: up to three numbers and a rest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    numbers: (u64, u64, u64),
    pre: bool,
    rest: String,
}

impl Upstream {
    fn read(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (digits, rest) = text.split_at(end);
        let mut numbers = digits.split('.').map(str::parse::<u64>);
        let major = numbers.next()?.ok()?;
        let minor = numbers.next().and_then(Result::ok).unwrap_or(0);
        let patch = numbers.next().and_then(Result::ok).unwrap_or(0);
        let lower = rest.to_ascii_lowercase();
        let pre = ["-rc", "-alpha", "-beta", "-pre", "-dev"].iter().any(|mark| {
            lower
                .strip_prefix(mark)
                .is_some_and(|after| !after.starts_with(|c: char| c.is_ascii_alphabetic()))
        });
        Some(Self { numbers: (major, minor, patch), pre, rest: rest.to_owned() })
    }
}

impl Ord for Upstream {
    fn cmp(&self, other: &Self) -> Ordering {
        // A release is newer than its own pre-release; other rests (`-alpine`) say nothing about age, but keep the
        // order total.
        self.numbers
            .cmp(&other.numbers)
            .then_with(|| other.pre.cmp(&self.pre))
            .then_with(|| self.rest.cmp(&other.rest))
    }
}

impl PartialOrd for Upstream {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
