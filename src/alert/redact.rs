//! Secrets are taken out of everything that is written down or shown: by value, wherever they stand.

use std::ops::Range;

use crate::config::model::{App, Driver, Probe, Sink, Source};
use crate::credential;
use crate::percent::decoded;

/// Shorter values are no secrets.
const SHORTEST: usize = 4;
/// Shorter ones are masked only where they stand as a word of their own: parts of ordinary words look like them.
const DISTINCT: usize = 6;
/// What settings are often set to whose names are like those of secrets.
const ORDINARY: [&str; 4] = ["true", "false", "none", "null"];
const MASK: &str = "«masked»";

/// Knows an app's secrets and masks them.
#[derive(Clone, Default)]
pub struct Redactor {
    secrets: Vec<String>,
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Redactor({} secrets)", self.secrets.len())
    }
}

impl Redactor {
    /// The secrets of an app: environment values and headers whose names say so, the passwords in those that hold a
    /// url, and the password files of its checks.
    pub fn of(app: &App) -> Self {
        let mut secrets: Vec<String> = environment(&app.driver).flat_map(secrets_of).collect();
        for check in app.health.checks.values() {
            if let Probe::Http(http) = &check.probe {
                secrets.extend(http.headers.iter().flat_map(secrets_of));
                secrets.extend(http.basic_auth.iter().filter_map(|auth| password(&auth.password_file)));
            }
        }
        if let Source::Git { url, .. } = &app.versions.source {
            secrets.extend(passwords_in(url));
        }
        Self::new(secrets)
    }

    /// The secrets of a sink: its token or password, headers whose names say so, and all that stands behind the host in
    /// an address, since who knows the address of a webhook can write to it.
    pub fn of_sink(sink: &Sink) -> Self {
        let mut secrets = Vec::new();
        match sink {
            Sink::Webhook(hook) => {
                secrets.extend(behind_the_host(&hook.url));
                secrets.extend(hook.headers.iter().flat_map(secrets_of));
                let files =
                    hook.bearer_file.iter().chain(hook.basic_auth.iter().map(|auth| &auth.password_file));
                secrets.extend(files.filter_map(|file| password(file)));
            }
            Sink::Command { run } => {
                secrets.extend(run.iter().flat_map(|word| passwords_in(word)));
                secrets.extend(run.iter().flat_map(|word| behind_the_host(word)));
            }
        }
        Self::new(secrets)
    }

    fn new(mut secrets: Vec<String>) -> Self {
        secrets.retain(|secret| secret.len() >= SHORTEST && !ORDINARY.contains(&secret.as_str()));
        // The longest first: a secret may hold another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self { secrets }
    }

    /// The text without its secrets, and without the password of any url.
    pub fn clean(&self, text: &str) -> String {
        mask_urls(&self.secrets.iter().fold(text.to_owned(), |text, secret| mask(&text, secret)))
    }
}

fn mask(text: &str, secret: &str) -> String {
    if secret.len() >= DISTINCT {
        return text.replace(secret, MASK);
    }
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    let apart = |c: Option<char>| !c.is_some_and(char::is_alphanumeric);
    while let Some(at) = rest.find(secret) {
        let (before, after) = (&rest[..at], &rest[at + secret.len()..]);
        masked.push_str(before);
        let alone = apart(masked.chars().next_back()) && apart(after.chars().next());
        masked.push_str(if alone { MASK } else { secret });
        rest = after;
    }
    masked + rest
}

fn mask_urls(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (head, tail) = rest.split_at(at + "://".len());
        masked.push_str(head);
        rest = match password_at(tail) {
            Some(password) => {
                masked.push_str(&tail[..password.start]);
                masked.push_str(MASK);
                &tail[password.end..]
            }
            None => tail,
        };
    }
    masked + rest
}

/// Where the password is in what comes after the `://` of a url.
fn password_at(tail: &str) -> Option<Range<usize>> {
    let until = |text: &str, ends: fn(char) -> bool| text.find(ends).unwrap_or(text.len());
    let word = &tail[..until(tail, |c| c.is_whitespace() || c == '"')];
    let authority = &word[..until(word, |c| matches!(c, '/' | '?' | '#'))];
    let end = authority.rfind('@').or_else(|| {
        // Passwords are often not spelled as a url wants it: what stands in the place of the port is not one.
        let (_, port) = authority.split_once(':').filter(|_| !authority.starts_with('['))?;
        if port.bytes().all(|c| c.is_ascii_digit()) { None } else { word.rfind('@') }
    })?;
    let start = word[..end].find(':')? + 1;
    (start < end).then_some(start..end)
}

/// A name's value, if the name is one of a secret, and the passwords in it.
fn secrets_of((name, value): (&String, &String)) -> Vec<String> {
    let mut secrets = passwords_in(value);
    if names_a_secret(name) {
        secrets.push(value.clone());
    }
    secrets
}

/// The passwords of the urls in a text, each as it is spelled and as it is meant. Only what is long enough to be told
/// from a word is taken: without a name, and outside of its url, nothing else says that it is a secret.
fn passwords_in(text: &str) -> Vec<String> {
    let urls = text.match_indices("://").map(|(at, mark)| &text[at + mark.len()..]);
    let passwords = urls.filter_map(|tail| password_at(tail).map(|password| &tail[password]));
    let both = passwords.flat_map(|password| [password.to_owned(), decoded(password)]);
    both.filter(|password| password.len() >= DISTINCT).collect()
}

/// What stands behind the host of a url, whole and in its parts, each as it is spelled and as it is meant. What is too
/// short to be told from a word is left out.
fn behind_the_host(url: &str) -> Vec<String> {
    let Some((_, tail)) = url.split_once("://") else { return Vec::new() };
    let Some((_, behind)) = tail.split_once(['/', '?']) else { return Vec::new() };
    let parts = behind.split(['/', '?', '&', '=', '#', ';']).chain([behind]);
    let both = parts.flat_map(|part| [part.to_owned(), decoded(part)]);
    both.filter(|part| part.len() >= DISTINCT).collect()
}

fn environment(driver: &Driver) -> impl Iterator<Item = (&String, &String)> {
    match driver {
        Driver::Process(spec) => spec.env.iter(),
        Driver::Compose(spec) => spec.env.iter(),
        Driver::Swarm(spec) => spec.env.iter(),
        Driver::Abra(spec) => spec.env.iter(),
        Driver::Command(_) => std::collections::btree_map::Iter::default(),
    }
}

fn password(path: &std::path::Path) -> Option<String> {
    Some(credential::read(path).ok()?.trim_end().to_owned())
}

/// Whether a name is one of a secret: it holds SECRET, PASSWORD, PASSWD, TOKEN, CREDENTIAL, AUTHORIZATION or COOKIE, or
/// has KEY, PASS or PASSPHRASE as a word of its own.
pub fn names_a_secret(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let words = ["SECRET", "PASSWORD", "PASSWD", "TOKEN", "CREDENTIAL", "AUTHORIZATION", "COOKIE"];
    words.iter().any(|word| upper.contains(word))
        || upper
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(|segment| matches!(segment, "KEY" | "APIKEY" | "PASS" | "PASSPHRASE"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known_and_others_are_not() {
        for name in [
            "DB_PASSWORD",
            "apiToken",
            "SECRET_BASE",
            "Authorization",
            "SIGNING_KEY",
            "x-api-key",
            "SMTP_PASS",
        ] {
            assert!(names_a_secret(name), "{name}");
        }
        for name in ["MONKEY", "KEYBOARD", "BYPASS_CACHE", "LANG", "PORT", "HOME"] {
            assert!(!names_a_secret(name), "{name}");
        }
    }

    #[test]
    fn the_path_of_a_webhook_is_masked_whole_and_in_parts() {
        let sink = Sink::Command {
            run: vec!["post".into(), "https://h.example/services/T0001/B1/s3cr%3Atx?x=1".into()],
        };
        let redact = Redactor::of_sink(&sink);
        assert_eq!(
            redact.clean("https://h.example/services/T0001/B1/s3cr%3Atx?x=1 has no s3cr:tx"),
            "https://h.example/«masked» has no «masked»"
        );
    }

    fn with_env(env: &[(&str, &str)]) -> Redactor {
        let mut app = App::undeclared("notes", &[]);
        if let Driver::Process(spec) = &mut app.driver {
            spec.env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        }
        Redactor::of(&app)
    }

    #[test]
    fn a_secret_is_masked_wherever_it_stands() {
        let redact = Redactor::new(vec!["hunter2".into(), "hunter2-long".into()]);
        assert_eq!(redact.clean("a=hunter2-long;b=xhunter2x"), "a=«masked»;b=x«masked»x");
    }

    #[test]
    fn a_short_secret_is_masked_where_its_name_says_so_and_it_stands_alone() {
        let redact = with_env(&[("DB_PASS", "note"), ("PIN", "4711"), ("TOKEN", "abc"), ("SECRET", "true")]);
        assert_eq!(
            redact.clean("(note) of notes 4711 abc is true, note"),
            "(«masked») of notes 4711 abc is true, «masked»"
        );
    }

    #[test]
    fn the_password_of_a_url_is_masked_in_any_text() {
        let none = Redactor::default();
        for (text, clean) in [
            ("to postgres://u:pw@h:5432/db failed", "to postgres://u:«masked»@h:5432/db failed"),
            ("redis://:pw@h, amqp://u:p@ss@h/v", "redis://:«masked»@h, amqp://u:«masked»@h/v"),
            ("postgres://u:a/b?c#d@h/db", "postgres://u:«masked»@h/db"),
            (
                "{\"url\":\"https://u:pw@h\",\"mail\":\"a:b@c\"}",
                "{\"url\":\"https://u:«masked»@h\",\"mail\":\"a:b@c\"}",
            ),
        ] {
            assert_eq!(none.clean(text), clean);
            assert_eq!(none.clean(clean), clean, "masking twice changes nothing");
        }
    }

    #[test]
    fn a_url_without_a_password_stays_as_it_is() {
        for text in [
            "http://127.0.0.1:8081/healthz: status 500",
            "ssh://git@host/repo",
            "http://[::1]:8081/users/a@b",
            "http://h:80/a@b, https://h/c:d@e",
            "://",
            "sqlite:///var/lib/é.db",
        ] {
            assert_eq!(Redactor::default().clean(text), text);
        }
    }

    #[test]
    fn the_password_of_a_url_in_the_environment_is_masked_outside_of_it_too() {
        let redact = with_env(&[("DATABASE_URL", "postgres://app:c0rrect%21horse@db/app")]);
        assert_eq!(
            redact.clean("no login with c0rrect!horse (c0rrect%21horse) for app"),
            "no login with «masked» («masked») for app"
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_the_search_for_urls(text in "[a-z:/@?#\"é \\[0-9]{0,40}") {
            let once = Redactor::default().clean(&text);
            proptest::prop_assert_eq!(Redactor::default().clean(&once), once);
        }
    }
}
