//! Rules for single values: paths, programs, addresses, names, durations.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use regex::Regex;
use ureq::http::{HeaderName, HeaderValue, Uri};

use super::Resolver;
use crate::config::at::At;
use crate::config::diagnostic::Problem;
use crate::config::model::BasicAuth;
use crate::config::printable::{cut, quoted};
use crate::config::wire::{self, Time};

/// The longest name of an app, a recipe, a check and so on, in characters.
const LONGEST_NAME: usize = 64;

impl Resolver<'_> {
    /// A path that means the same wherever it is read from.
    pub(super) fn path(&mut self, text: String, at: &At<'_>) -> PathBuf {
        let climbs = || Path::new(&text).components().any(|part| part == Component::ParentDir);
        let wrong = if text.is_empty() {
            Some("the path is empty")
        } else if !text.starts_with('/') {
            Some("the path is relative")
        } else {
            climbs().then_some("the path goes up with `..`")
        };
        if let Some(what) = wrong {
            let problem = Problem::new(format!("{what}: {}", quoted(&text))).expected("an absolute path");
            self.report.value(at, problem.remedy("Write the whole path, from `/` on and without `..`."));
        }
        PathBuf::from(text)
    }

    /// As [`Resolver::path`], each of several.
    pub(super) fn paths(&mut self, texts: Vec<String>, at: &At<'_>) -> Vec<PathBuf> {
        texts.into_iter().enumerate().map(|(index, text)| self.path(text, &at.item(index))).collect()
    }

    /// As [`Resolver::path`], if there is one.
    pub(super) fn path_if(&mut self, text: Option<String>, at: &At<'_>) -> Option<PathBuf> {
        text.map(|text| self.path(text, at))
    }

    /// Globs whose first folder is spelled out: `/*` would be the whole system.
    pub(super) fn globs(&mut self, globs: Vec<String>, at: &At<'_>) -> Vec<String> {
        for (index, glob) in globs.iter().enumerate() {
            let at = at.item(index);
            let plain = self.path(glob.clone(), &at);
            let first = plain.components().nth(1).map(|part| part.as_os_str().to_string_lossy().into_owned());
            let vague = first.is_none_or(|first| first.contains(['*', '?', '[', '{']));
            if vague && glob.starts_with('/') {
                let problem = Problem::new(format!("{} takes in the whole system", quoted(glob)));
                self.report
                    .value(&at, problem.remedy("Spell out at least the first folder, as in `/root/*.prev`."));
            }
        }
        globs
    }

    /// A program that must be there.
    pub(super) fn program(&mut self, argv: Vec<String>, at: &At<'_>) -> Vec<String> {
        if argv.is_empty() {
            let problem = Problem::new("a program is needed here").expected("the program and its arguments");
            self.report.value(at, problem.remedy("Name it, as in [\"my-program\", \"--flag\"]."));
        }
        self.program_if(argv, at)
    }

    /// A program that may be absent: an empty list.
    pub(super) fn program_if(&mut self, argv: Vec<String>, at: &At<'_>) -> Vec<String> {
        if argv.first().is_some_and(|program| program.trim().is_empty()) {
            let problem =
                Problem::new("the program's name is empty").expected("the program and its arguments");
            self.report.value(&at.item(0), problem);
        }
        argv
    }

    /// Variables with names that an environment can carry.
    pub(super) fn env(&mut self, env: BTreeMap<String, String>, at: &At<'_>) -> BTreeMap<String, String> {
        for name in env.keys() {
            if !is_variable(name) {
                let problem = Problem::new(format!("{} is no name for a variable", quoted(name)));
                let remedy = "Use letters, digits and `_`, and no digit first.";
                self.report.key(&at.key(name), problem.remedy(remedy));
            }
        }
        env
    }

    /// A name for a variable.
    pub(super) fn variable(&mut self, name: String, at: &At<'_>) -> String {
        if !is_variable(&name) {
            let problem = Problem::new(format!("{} is no name for a variable", quoted(&name)));
            self.report.value(at, problem.remedy("Use letters, digits and `_`, and no digit first."));
        }
        name
    }

    /// A name that becomes a file's: of an app or a recipe.
    pub(super) fn file_name(&mut self, name: &str, at: &At<'_>) {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let wrong = match name {
            "" => Some("the name is empty".to_owned()),
            name if name.chars().count() > LONGEST_NAME => {
                Some(format!("{} is too long a name", quoted(name)))
            }
            name if name.starts_with(['.', '-']) => {
                Some(format!("the name {} begins with `.` or `-`", quoted(name)))
            }
            name => name
                .chars()
                .find(|c| !fits(*c))
                .map(|c| format!("the name {} has {} in it", quoted(name), quoted(&c.to_string()))),
        };
        if let Some(what) = wrong {
            let problem = Problem::new(what).expected("letters, digits, `.`, `_` and `-`, at most 64");
            self.report.key(at, problem.remedy("Rename it; the name becomes a file's and a unit's."));
        }
    }

    /// A name that only stands in messages: of a check, a sink and so on.
    pub(super) fn label(&mut self, name: &str, at: &At<'_>) {
        let wrong = name.trim().is_empty() || name.chars().count() > LONGEST_NAME;
        if wrong || name.contains(|c: char| c.is_control() || c == '/') {
            let problem = Problem::new(format!("{} is no good name", quoted(name)));
            self.report
                .key(at, problem.remedy("Use 1 to 64 characters, and neither `/` nor control characters."));
        }
    }

    /// A text of one line with something in it.
    pub(super) fn line(&mut self, text: String, at: &At<'_>) -> String {
        if text.trim().is_empty() || text.contains(char::is_control) {
            let what =
                if text.trim().is_empty() { "this is empty" } else { "a control character stands in this" };
            self.report.value(at, Problem::new(what).expected("text in one line"));
        }
        text
    }

    /// An `http` or `https` address without credentials.
    pub(super) fn url(&mut self, text: String, at: &At<'_>) -> String {
        if let Some((what, remedy)) = wrong_url(&text) {
            self.report.value(at, Problem::new(what).expected("an http or https address").remedy(remedy));
        }
        text
    }

    /// A duration that is more than nothing.
    pub(super) fn some_time(&mut self, time: Time, at: &At<'_>) -> Duration {
        if time.0.is_zero() {
            let problem = Problem::new("this cannot be 0").expected("more than 0s");
            self.report.value(at, problem.remedy("Leave the key out to get its default."));
        }
        time.0
    }

    /// Headers that can be sent. A value may be secret and is not repeated.
    pub(super) fn headers(
        &mut self,
        headers: BTreeMap<String, String>,
        at: &At<'_>,
    ) -> BTreeMap<String, String> {
        for (name, value) in &headers {
            let at = at.key(name);
            if HeaderName::from_bytes(name.as_bytes()).is_err() {
                let problem = Problem::new(format!("{} is no name for a header", quoted(name)));
                self.report.key(&at, problem.remedy("Use letters, digits and `-`."));
            }
            if HeaderValue::from_str(value).is_err() {
                let problem =
                    Problem::new(format!("the value of the header {} cannot be sent", quoted(name)));
                self.report.value(&at, problem.remedy("Take out line breaks and other control characters."));
            }
        }
        headers
    }

    /// A user, and the file with the password.
    pub(super) fn basic_auth(&mut self, auth: wire::BasicAuth, at: &At<'_>) -> BasicAuth {
        if auth.user.contains([':', '\r', '\n']) {
            let problem =
                Problem::new("a user name for basic authentication has no `:` and no line break in it");
            self.report.value(&at.key("user"), problem);
        }
        let password_file = self.path(auth.password_file, &at.key("passwordFile"));
        BasicAuth { user: auth.user, password_file }
    }

    /// A regular expression, compiled once however often it is written. `None` where it is none, and reported.
    pub(super) fn pattern(&mut self, text: &str, at: &At<'_>) -> Option<Regex> {
        if let Some(Some(known)) = self.patterns.get(text) {
            return Some(known.clone());
        }
        match Regex::new(text) {
            Ok(pattern) => {
                self.patterns.insert(text.to_owned(), Some(pattern.clone()));
                Some(pattern)
            }
            Err(error) => {
                let why = error.to_string();
                let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ");
                let problem =
                    Problem::new(format!("{} is no regular expression: {}", quoted(text), cut(why)));
                let remedy = "Mend it; a plain text needs `\\\\` before each of `.^$*+?()[]{}|`.";
                self.report.value(at, problem.expected("a regular expression").remedy(remedy));
                None
            }
        }
    }
}

fn is_variable(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.chars().all(fits)
}

/// What is wrong with an address, and what to do about it. The address may hold a secret and is not repeated.
fn wrong_url(text: &str) -> Option<(&'static str, &'static str)> {
    let whole = "Write it out, as in \"http://127.0.0.1:8080/healthz\".";
    let Ok(uri) = text.parse::<Uri>() else { return Some(("this is no address", whole)) };
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    match uri.scheme_str() {
        Some("http" | "https") if authority.contains('@') => Some((
            "an address must not carry a user or password",
            "Use `basicAuth`, with the password in a file.",
        )),
        Some("http" | "https") if uri.host().is_none_or(str::is_empty) => {
            Some(("the address has no host", whole))
        }
        Some("http" | "https") => None,
        Some(_) => Some(("only http and https addresses can be asked", whole)),
        None => Some(("the address has no scheme", whole)),
    }
}
