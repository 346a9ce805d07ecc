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
        match text.chars().find(|c| *c == '/' || c.is_control() || c.is_whitespace() || is_invisible(*c)) {
            Some(bad) => Err(Invalid::Character(bad)),
            None => Ok(Self(text)),
        }
    }

    /// The version's own spelling.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether both name one release: a leading `v` before a number is no difference.
    pub fn same_as(&self, other: &Self) -> bool {
        self.bare() == other.bare()
    }

    /// The spelling without that `v`.
    pub(super) fn bare(&self) -> &str {
        let rest = self.0.strip_prefix('v').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
        rest.unwrap_or(&self.0)
    }

    /// Reads it as `x.y.z[-pre][+upstream]` (a leading `v` is allowed); `None`: opaque.
    pub fn parsed(&self) -> Option<Parsed> {
        let text = self.0.strip_prefix('v').unwrap_or(&self.0);
        let main = semver::Version::parse(text).ok().or_else(|| lenient_build(text))?;
        Some(Parsed { main, upstream: upstream_part(text) })
    }
}

/// Characters that take no room or turn the direction of writing: two versions would look alike with them.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
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
    /// Reads the text after the plus; `None` where it is no version (a commit, a word).
    fn read(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let (numbers, rest) = leading_numbers(text)?;
        let is_hash = !text[..text.len() - rest.len()].contains('.')
            && rest.starts_with(|c: char| c.is_ascii_alphanumeric());
        if is_hash {
            return None;
        }
        Some(Self { numbers, pre: names_a_pre_release(rest), rest: rest.to_owned() })
    }
}

/// Up to three numbers with dots between them, and what follows.
fn leading_numbers(text: &str) -> Option<((u64, u64, u64), &str)> {
    let (major, mut rest) = leading_number(text)?;
    let mut further = [0, 0];
    for number in &mut further {
        let Some((value, after)) = rest.strip_prefix('.').and_then(leading_number) else { break };
        (*number, rest) = (value, after);
    }
    Some(((major, further[0], further[1]), rest))
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

/// Whether a word of the rest marks a pre-release: `-rc1`, `rc.1`, `-alpine-beta`, but not `-alpine` or `-prefork`.
fn names_a_pre_release(rest: &str) -> bool {
    const MARKS: [&str; 9] =
        ["rc", "alpha", "beta", "preview", "pre", "dev", "snapshot", "nightly", "canary"];
    let lower = rest.to_ascii_lowercase();
    lower.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| {
        MARKS.iter().any(|mark| {
            word.strip_prefix(mark).is_some_and(|after| !after.starts_with(|c: char| c.is_ascii_alphabetic()))
        })
    })
}

impl Ord for Upstream {
    fn cmp(&self, other: &Self) -> Ordering {
        // A release is newer than its own pre-release; other rests (`-alpine`) say nothing about age, but keep the
        // order total.
        self.numbers
            .cmp(&other.numbers)
            .then_with(|| other.pre.cmp(&self.pre))
            .then_with(|| natural(&self.rest, &other.rest))
            .then_with(|| self.rest.cmp(&other.rest))
    }
}

/// Compares text with the numbers in it as numbers: `-ls9` is before `-ls10`.
fn natural(mut a: &str, mut b: &str) -> Ordering {
    while !a.is_empty() && !b.is_empty() {
        let ((x, after_a), (y, after_b)) = (first_run(a), first_run(b));
        let ordering = run_key(x).cmp(&run_key(y));
        if ordering != Ordering::Equal {
            return ordering;
        }
        (a, b) = (after_a, after_b);
    }
    a.len().cmp(&b.len())
}

/// The digits or the non-digits at the beginning, and what follows.
fn first_run(text: &str) -> (&str, &str) {
    let digits = text.starts_with(|c: char| c.is_ascii_digit());
    let end = text.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(text.len());
    text.split_at(end)
}

/// Numbers come before words, and a longer number (without its zeros) is larger, however long it is.
fn run_key(run: &str) -> (bool, usize, &str) {
    if run.starts_with(|c: char| c.is_ascii_digit()) {
        let number = run.trim_start_matches('0');
        (false, number.len(), number)
    } else {
        (true, 0, run)
    }
}

impl PartialOrd for Upstream {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version(text: &str) -> Version {
        Version::new(text).unwrap()
    }

    fn parsed(text: &str) -> Parsed {
        version(text).parsed().unwrap()
    }

    #[test]
    fn each_version_of_an_ascending_row_is_newer_than_the_one_before() {
        let row = [
            "0.9.0",
            "1.0.0-rc.1",
            "1.0.0-rc.2",
            "1.0.0",
            "1.0.0+25.0.0",
            "1.0.0+v26.0.0-rc1",
            "1.0.0+v26.0.0",
            "1.0.0+v26.0.0-ls9",
            "1.0.0+v26.0.0-ls10",
            "1.0.0+v26.0.0.1",
            "1.0.0+v26.1.0",
            "v1.0.1",
            "1.10.0",
            "2.0.0",
        ];
        for pair in row.windows(2) {
            let (a, b) = (parsed(pair[0]), parsed(pair[1]));
            assert_eq!(a.precedence(&b), Ordering::Less, "{pair:?}");
            assert_eq!(b.precedence(&a), Ordering::Greater, "{pair:?}");
        }
    }

    #[test]
    fn a_step_is_the_larger_of_the_two_parts_steps() {
        let cases = [
            ("1.0.0", "1.0.1", Step::Patch),
            ("1.0.0", "1.1.0", Step::Minor),
            ("1.9.9", "2.0.0", Step::Major),
            ("1.0.0+v26.1.0", "1.0.1+v26.1.4", Step::Patch),
            ("1.0.0+v26.1.0", "1.0.1+v26.2.0", Step::Minor),
            ("1.0.0+v26.1.0", "1.0.1+v27.0.0", Step::Major),
            ("1.0.0+v26.1.0", "2.0.0+v26.1.0", Step::Major),
            ("1.0.0", "1.0.1+v26.1.0", Step::Major),
            ("1.0.0+v26.1.0", "1.0.1", Step::Major),
        ];
        for (from, to, step) in cases {
            assert_eq!(parsed(from).step_to(&parsed(to)), step, "{from} -> {to}");
        }
    }

    #[test]
    fn a_pre_release_is_seen_in_either_part() {
        for pre in
            ["1.0.0-rc.1", "1.0.0+v26.0.0-rc1", "1.0.0+26.0.0rc2", "1.0.0+2.4.1-alpine-beta.1", "1.0.0-0"]
        {
            assert!(parsed(pre).is_pre_release(), "{pre}");
        }
        for release in ["1.0.0", "1.0.0+v26.0.0", "1.0.0+2.4.1-alpine", "1.0.0+2.4.1-prefork", "1.0.0+1.1.1w"]
        {
            assert!(!parsed(release).is_pre_release(), "{release}");
        }
    }

    #[test]
    fn a_commit_after_the_plus_is_no_version_of_the_app() {
        assert_eq!(parsed("1.0.0+5114f85").upstream, None);
        assert_eq!(parsed("1.0.0+5114f85").precedence(&parsed("1.0.0+6114f85")), Ordering::Equal);
    }

    #[test]
    fn an_upstream_version_that_semver_does_not_allow_is_read() {
        assert!(parsed("1.0.0+2:1.0").main.build.is_empty());
        assert_eq!(parsed("1.0.0+1.0_rc1").step_to(&parsed("1.0.0+2.0_rc1")), Step::Major);
    }

    #[test]
    fn what_is_not_of_the_form_is_opaque() {
        for text in ["1.2", "latest", "5114f85", "1.2.3.4", "01.2.3"] {
            assert_eq!(version(text).parsed(), None, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_a_file_name_is_no_version() {
        for text in ["", ".", "..", "../x", "a/b", "-rf", "a b", "a\nb", "a\u{202e}b", &"x".repeat(201)] {
            assert!(Version::new(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_leading_v_is_no_other_release() {
        assert!(version("v1.2.0").same_as(&version("1.2.0")));
        assert!(!version("vanilla").same_as(&version("anilla")));
    }

    fn any_version() -> impl Strategy<Value = Parsed> {
        "v?[0-2]\\.[0-2]\\.[0-2](-(rc\\.[0-2]|0))?(\\+v?[0-2](\\.[0-2]){0,3}(-(rc|ls|alpine)?[0-9]{0,2})?)?"
            .prop_map(|text| parsed(&text))
    }

    proptest! {
        #[test]
        fn the_order_is_total(a in any_version(), b in any_version(), c in any_version()) {
            prop_assert_eq!(a.precedence(&b), b.precedence(&a).reverse());
            let mut row = [a, b, c];
            row.sort_by(Parsed::precedence);
            prop_assert_ne!(row[0].precedence(&row[2]), Ordering::Greater);
        }

        #[test]
        fn equal_upstream_parts_are_the_same_upstream_part(a in any_version(), b in any_version()) {
            let equal = a.upstream.cmp(&b.upstream) == Ordering::Equal;
            prop_assert_eq!(equal, a.upstream == b.upstream);
        }

        #[test]
        fn a_text_is_a_version_or_refused_but_never_a_path(text in "\\PC{0,20}") {
            if let Ok(version) = Version::new(text) {
                let path = std::path::Path::new("/base").join(version.as_str());
                prop_assert_eq!(path.parent(), Some(std::path::Path::new("/base")));
            }
        }
    }
}
