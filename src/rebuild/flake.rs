//! What Nix says of a flake: which one exactly, and whether it is older than what runs.

use std::path::Path;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::alert::redact::Redactor;
use crate::error::{Error, Result};

/// What Nix says where it could not reach a source and took what it had instead. A rebuild of that would be stale.
const STALE: [&str; 2] = ["using cached version", "continuing with the most recent version"];
/// What Nix says where it does not even try.
const OFFLINE: &str = "you don't have Internet access";

/// A flake and a host in it, as the configuration names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The flake reference.
    pub reference: String,
    /// The host.
    pub host: String,
}

impl Target {
    /// Takes `FLAKE#HOST` apart. Without a host it is this machine's.
    pub fn new(text: &str, host_name: &str) -> Self {
        let (reference, host) = text.split_once('#').unwrap_or((text, ""));
        let host = if host.is_empty() { host_name } else { host };
        Self { reference: reference.to_owned(), host: host.to_owned() }
    }

    /// The folder that the reference names, if it is one. Nix takes no link for it, so that it has to be resolved.
    pub fn folder(&self) -> Option<&Path> {
        self.reference.starts_with(['/', '.']).then(|| Path::new(self.reference.as_str()))
    }

    /// What has to be built, of a flake given by its exact address.
    pub fn installable(&self, url: &str) -> String {
        format!("{url}#nixosConfigurations.\"{}\".config.system.build.toplevel", self.host)
    }
}

/// Which flake it is, exactly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Flake {
    /// Its address, locked wherever Nix can lock it; without passwords.
    pub url: String,
    /// The revision; null where it has none, such as a working tree with changes.
    pub revision: Option<String>,
    /// When it was last changed; null where Nix does not know.
    pub last_modified: Option<Timestamp>,
}

/// A flake with the address to build it from, which may hold a password and is written down nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locked {
    /// The address.
    pub url: String,
    /// What may be told of it.
    pub flake: Flake,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    url: String,
    revision: Option<String>,
    dirty_revision: Option<String>,
    last_modified: Option<i64>,
    resolved: Option<Resolved>,
}

#[derive(Deserialize)]
struct Resolved {
    #[serde(rename = "type")]
    kind: String,
    url: Option<String>,
}

impl Metadata {
    fn is_local(&self) -> bool {
        self.resolved.as_ref().is_some_and(|resolved| {
            resolved.kind == "path" || resolved.url.as_deref().is_some_and(|url| url.starts_with("file:"))
        })
    }
}

/// Understands `nix flake metadata --json`. What it complained of tells whether it really asked the source.
pub fn metadata(stdout: &[u8], stderr: &str) -> Result<Locked> {
    let metadata: Metadata = serde_json::from_slice(stdout).map_err(|e| {
        Error::new("`nix flake metadata` printed something else than its JSON")
            .because(e)
            .remedy("warmkeep works with Nix 2.8 and newer")
    })?;
    let local = metadata.is_local();
    let told =
        |line: &&str| STALE.iter().any(|mark| line.contains(mark)) || (line.contains(OFFLINE) && !local);
    if let Some(line) = stderr.lines().find(told) {
        return Err(Error::new(format!("the flake could not be fetched anew: {}", line.trim()))
            .remedy("see that its source can be reached; what Nix has of it from before is not activated"));
    }
    let flake = Flake {
        url: Redactor::default().clean(&metadata.url),
        revision: metadata.revision.or(metadata.dirty_revision),
        last_modified: metadata.last_modified.and_then(|seconds| Timestamp::from_second(seconds).ok()),
    };
    Ok(Locked { url: metadata.url, flake })
}

/// How a flake compares with the one that was activated last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// It is the same age, or newer.
    Fine,
    /// It was last changed before the one that runs.
    Older {
        /// When this one was changed.
        this: Timestamp,
        /// When the one that runs was.
        running: Timestamp,
    },
    /// One of the two is not known.
    Unknown,
}

/// Compares a flake with the one that what runs was built from.
pub fn age(flake: &Flake, running: Option<&Flake>) -> Age {
    match (flake.last_modified, running.and_then(|flake| flake.last_modified)) {
        (Some(this), Some(running)) if this < running => Age::Older { this, running },
        (Some(_), Some(_)) => Age::Fine,
        _ => Age::Unknown,
    }
}

/// The day of a system's packages, as NixOS puts it into the system's version (`26.05.20261121.9f70abc`).
pub fn packages_of(version: &str) -> Option<Date> {
    let mut parts = version.trim().rsplit('.');
    let (revision, day) = (parts.next()?, parts.next()?);
    let is_revision = revision.len() >= 7 && revision.chars().all(|c| c.is_ascii_hexdigit());
    let is_day = day.len() == 8 && day.chars().all(|c| c.is_ascii_digit());
    if !(is_revision && is_day) {
        return None;
    }
    Date::strptime("%Y%m%d", day).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_names_a_flake_and_a_host_or_takes_the_machines_name() {
        let target = Target::new("/etc/nixos#web", "db");
        assert_eq!(
            target.installable("git+file:///etc/nixos?rev=1"),
            "git+file:///etc/nixos?rev=1#nixosConfigurations.\"web\".config.system.build.toplevel"
        );
        assert_eq!(target.folder(), Some(Path::new("/etc/nixos")));
        for text in ["github:a/b", "github:a/b#"] {
            let target = Target::new(text, "db");
            assert_eq!((target.reference.as_str(), target.host.as_str()), ("github:a/b", "db"));
            assert_eq!(target.folder(), None);
        }
    }

    const GIT: &str = r#"{"lastModified":1795260849,"revision":"9f70","url":"git+https://ada:hunter22@git.example/n?rev=9f70",
        "resolved":{"type":"git","url":"https://ada:hunter22@git.example/n"}}"#;

    #[test]
    fn a_flake_is_built_from_its_locked_address_and_told_without_its_password() {
        let locked = metadata(GIT.as_bytes(), "warning: Git tree '/x' is dirty").unwrap();
        assert_eq!(locked.url, "git+https://ada:hunter22@git.example/n?rev=9f70");
        assert_eq!(locked.flake.url, "git+https://ada:«masked»@git.example/n?rev=9f70");
        assert_eq!(locked.flake.revision.as_deref(), Some("9f70"));
        assert_eq!(locked.flake.last_modified.unwrap().to_string(), "2026-11-21T11:34:09Z");
    }

    #[test]
    fn what_nix_had_from_before_is_no_answer() {
        for said in [
            "warning: unable to download 'https://api.github.com/x': Couldn't resolve host name (6); using cached version",
            "warning: could not update local clone of Git repository 'https://git.example/n'; continuing with the most \
             recent version",
            "warning: you don't have Internet access; disabling some network-dependent features",
        ] {
            let error = metadata(GIT.as_bytes(), said).unwrap_err();
            assert!(error.to_string().contains(said.trim()), "{error}");
        }
    }

    #[test]
    fn a_flake_of_this_machine_needs_no_network() {
        let said = "warning: you don't have Internet access; disabling some network-dependent features";
        let path =
            r#"{"lastModified":1,"url":"path:/f?lastModified=1","resolved":{"type":"path","path":"/f"}}"#;
        let git = r#"{"url":"git+file:///f","dirtyRevision":"9f-dirty","resolved":{"type":"git","url":"file:///f"}}"#;
        assert!(metadata(path.as_bytes(), said).is_ok());
        let dirty = metadata(git.as_bytes(), said).unwrap().flake;
        assert_eq!((dirty.revision.as_deref(), dirty.last_modified), (Some("9f-dirty"), None));
    }

    #[test]
    fn what_is_no_metadata_is_said_to_be_none() {
        let error = metadata(b"{}", "").unwrap_err();
        assert!(error.chain().contains("url"), "{}", error.chain());
    }

    #[test]
    fn the_day_of_the_packages_is_read_only_where_nixos_wrote_one() {
        let day = packages_of("26.05.20261121.9f70abc\n").unwrap();
        assert!(day > packages_of("25.11pre.20261120.9f70abc").unwrap());
        for none in ["", "26.05", "26.05.20261399.9f70abc", "26.05.20261121.dirty", "25.11pre-git", "a.b.c.d"]
        {
            assert_eq!(packages_of(none), None, "{none}");
        }
    }

    #[test]
    fn a_flake_is_older_only_where_both_ages_are_known() {
        let flake = |seconds: Option<i64>| Flake {
            url: String::new(),
            revision: None,
            last_modified: seconds.map(|s| Timestamp::from_second(s).unwrap()),
        };
        let older = age(&flake(Some(1)), Some(&flake(Some(2))));
        assert!(matches!(older, Age::Older { this, running } if this < running));
        assert_eq!(age(&flake(Some(2)), Some(&flake(Some(2)))), Age::Fine);
        assert_eq!(age(&flake(Some(2)), Some(&flake(None))), Age::Unknown);
        assert_eq!([age(&flake(None), Some(&flake(Some(1)))), age(&flake(Some(1)), None)], [Age::Unknown; 2]);
    }
}
