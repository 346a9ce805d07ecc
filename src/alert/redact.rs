//! Secrets are taken out of everything that is written down or shown: by value, wherever they stand.

use crate::config::model::{App, Driver, Probe};
use crate::sys::files;

/// Shorter values would mask ordinary words.
const SHORTEST: usize = 6;
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
    /// The secrets of an app: environment values and headers whose names say so, and the password files of its checks.
    pub fn of(app: &App) -> Self {
        let mut secrets: Vec<String> = environment(&app.driver)
            .filter(|(name, _)| names_a_secret(name))
            .map(|(_, value)| value.clone())
            .collect();
        for check in app.health.checks.values() {
            if let Probe::Http(http) = &check.probe {
                secrets.extend(
                    http.headers.iter().filter(|(name, _)| names_a_secret(name)).map(|(_, v)| v.clone()),
                );
                secrets.extend(http.basic_auth.iter().filter_map(|auth| password(&auth.password_file)));
            }
        }
        secrets.retain(|secret| secret.len() >= SHORTEST);
        // The longest first: a secret may hold another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self { secrets }
    }

    /// The text without its secrets.
    pub fn clean(&self, text: &str) -> String {
        self.secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, MASK))
    }
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
    let bytes = files::read_if_exists(path, 64 << 10).ok()??;
    Some(String::from_utf8(bytes).ok()?.trim_end().to_owned())
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
    fn a_secret_is_masked_wherever_it_stands() {
        let redact = Redactor { secrets: vec!["hunter2-long".into(), "hunter2".into()] };
        assert_eq!(redact.clean("a=hunter2-long;b=hunter2"), "a=«masked»;b=«masked»");
    }
}
