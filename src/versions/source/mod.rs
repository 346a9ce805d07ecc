//! Where versions are listed: a folder of releases, a repository's tags, a program, the configuration.

mod command;
mod directory;
mod git;

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use crate::config::model::{Order, Source};
use crate::error::{Error, Result};
use crate::version::Version;

/// One release as its source tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Its version.
    pub version: Version,
    /// When it was released, where the source knows.
    pub released_at: Option<Timestamp>,
    /// Its release notes, where it has any.
    pub notes: Option<String>,
    /// Where it lies, for a release that is a folder or a program on this host.
    pub path: Option<PathBuf>,
}

/// What a source lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The releases: oldest first by semantic version (opaque ones before all others), or in the order of the source
    /// where versions are ordered as listed.
    pub releases: Vec<Release>,
    /// What was listed and is no release.
    pub passed_over: Vec<PassedOver>,
}

/// A listed text that is no release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    /// The text.
    pub text: String,
    /// Why it is none.
    pub why: String,
}

/// A question to a source.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The source.
    pub source: &'a Source,
    /// How its versions are ordered.
    pub order: Order,
    /// A folder that belongs to this source alone; only `git` sources keep something in it, and it may be removed at
    /// any time.
    pub cache: &'a Path,
    /// How long the answer may take.
    pub timeout: Duration,
}

/// Lists the versions of a source.
///
/// # Errors
/// The source cannot be read: a missing folder, an unreachable repository, a program that fails or prints nonsense.
pub fn list(ask: &Ask<'_>) -> Result<Listing> {
    let found = match ask.source {
        Source::Directory { path } => directory::list(path, ask.order)?,
        Source::Git { url, tag_prefix } => git::Remote::new(url, ask)?.list(tag_prefix)?,
        Source::Command { run } => command::list(run, ask.timeout)?,
        Source::List { versions } => versions.iter().map(Found::named).collect(),
        Source::Recipe => {
            return Err(Error::new("the versions of a recipe are the tags of its repository")
                .remedy("list them as a git source with the recipe's folder as its url"));
        }
    };
    Ok(settle(found, ask.order))
}

/// A child, tag or line that may be a release.
#[derive(Debug, Default)]
struct Found {
    text: String,
    released_at: Option<Timestamp>,
    notes: Option<String>,
    path: Option<PathBuf>,
    refused: Option<String>,
}

impl Found {
    fn named(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    fn refused(text: impl Into<String>, why: impl Into<String>) -> Self {
        Self { text: text.into(), refused: Some(why.into()), ..Self::default() }
    }

    fn release(self) -> Result<Release, PassedOver> {
        let Self { text, released_at, notes, path, refused } = self;
        if let Some(why) = refused {
            return Err(PassedOver { text, why });
        }
        match Version::new(text.as_str()) {
            Ok(version) => Ok(Release { version, released_at, notes, path }),
            Err(invalid) => Err(PassedOver { text, why: invalid.to_string() }),
        }
    }
}

/// Drops what is no version and what was listed before, and orders the rest.
fn settle(found: Vec<Found>, order: Order) -> Listing {
    let mut listing = Listing::default();
    let mut seen = std::collections::HashSet::new();
    for item in found {
        match item.release() {
            Ok(release) if seen.insert(release.version.clone()) => listing.releases.push(release),
            Ok(_) => {}
            Err(passed_over) => listing.passed_over.push(passed_over),
        }
    }
    if order == Order::Semver {
        listing.releases = by_precedence(listing.releases);
    }
    listing
}

fn by_precedence(releases: Vec<Release>) -> Vec<Release> {
    let mut keyed: Vec<_> = releases.into_iter().map(|r| (r.version.parsed(), r)).collect();
    keyed.sort_by(|(a, _), (b, _)| match (a, b) {
        (Some(a), Some(b)) => a.precedence(b),
        (a, b) => a.is_some().cmp(&b.is_some()),
    });
    keyed.into_iter().map(|(_, release)| release).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn texts(listing: &Listing) -> Vec<&str> {
        listing.releases.iter().map(|r| r.version.as_str()).collect()
    }

    fn listed(versions: &[&str], order: Order) -> Listing {
        let source = Source::List { versions: versions.iter().map(ToString::to_string).collect() };
        let ask = Ask { source: &source, order, cache: Path::new("/none"), timeout: Duration::from_secs(1) };
        list(&ask).unwrap()
    }

    #[test]
    fn semver_order_sorts_oldest_first_with_opaque_ones_before_all() {
        let listing = listed(&["1.10.0", "tip", "1.2.0", "v1.9.0", "2.0.0-rc.1"], Order::Semver);
        assert_eq!(texts(&listing), ["tip", "1.2.0", "v1.9.0", "1.10.0", "2.0.0-rc.1"]);
    }

    #[test]
    fn listed_order_is_kept_as_it_is() {
        assert_eq!(texts(&listed(&["c3", "a1", "b2"], Order::Listed)), ["c3", "a1", "b2"]);
    }

    #[test]
    fn duplicates_collapse_to_the_first_and_other_spellings_stay() {
        let listing = listed(&["b", "1.0.0", "b", "v1.0.0", "1.0.0"], Order::Listed);
        assert_eq!(texts(&listing), ["b", "1.0.0", "v1.0.0"]);
    }

    #[test]
    fn a_text_that_is_no_version_is_passed_over_with_the_reason() {
        let listing = listed(&["1.0.0", "../evil", "a b"], Order::Semver);
        assert_eq!(texts(&listing), ["1.0.0"]);
        let [evil, spaced] = listing.passed_over.as_slice() else { panic!("{listing:?}") };
        assert_eq!(evil.text, "../evil");
        assert!(spaced.why.contains("' '"), "{}", spaced.why);
    }

    #[test]
    fn a_recipe_source_says_how_it_is_listed() {
        let ask = Ask {
            source: &Source::Recipe,
            order: Order::Semver,
            cache: Path::new("/none"),
            timeout: Duration::from_secs(1),
        };
        assert!(list(&ask).unwrap_err().hint().unwrap().contains("git source"));
    }
}
