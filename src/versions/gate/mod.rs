//! The safety gate: which listed version may be taken with nobody watching. Pure: what is listed, what is known and
//! what time it is come in as one [`Question`].

mod refusal;
mod view;

use jiff::Timestamp;

use super::source::Release;
use crate::config::model::Versions;
use crate::version::Version;
pub use refusal::Refusal;
use view::{Entry, View};

/// All that the gate decides by.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The app's rules.
    pub rules: &'a Versions,
    /// What is deployed; `None`: nothing yet, this is an install.
    pub current: Option<&'a Version>,
    /// What is listed, oldest first (in the source's order where versions are ordered as listed).
    pub listing: &'a [Release],
    /// Versions that failed the health gate.
    pub quarantined: &'a [Version],
    /// Versions that a person let through.
    pub approved: &'a [Version],
    /// Now.
    pub now: Timestamp,
}

/// What the gate answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    /// The newest version that may be taken and is newer than the current one (at an install: the newest that may be
    /// taken). `None`: stay.
    pub target: Option<Version>,
    /// Versions newer than the target (or the current one) that were refused, newest first, opaque ones last. A
    /// refused pin stands before all others: it is the one that was asked for.
    pub held: Vec<Hold>,
}

/// A version that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The version.
    pub version: Version,
    /// Why.
    pub refusal: Refusal,
    /// The notes of the versions on the way to it and its own, oldest first: of at most 20 versions, and of each at
    /// most 8 KiB.
    pub notes: Vec<(Version, String)>,
}

/// Picks the newest version that may be taken.
pub fn choose(q: &Question<'_>) -> Choice {
    let view = View::of(q);
    let mut choice = Choice::default();
    for entry in view.newer() {
        match view.refuse(&entry) {
            None => {
                choice.target = Some(entry.version.clone());
                break;
            }
            Some(refusal) => choice.held.push(hold(&view, &entry, refusal)),
        }
    }
    for entry in view.unordered() {
        match view.refuse(&entry) {
            None => choice.target = choice.target.or_else(|| Some(entry.version.clone())),
            Some(refusal) => choice.held.push(hold(&view, &entry, refusal)),
        }
    }
    let Some(pin) = view.pin() else { return choice };
    if view.is_older(&view.entry(&pin)) {
        let refusal = view.refuse(&view.entry(&pin));
        choice.held.extend(refusal.map(|refusal| hold(&view, &view.entry(&pin), refusal)));
    }
    choice.held.sort_by_key(|hold| !hold.version.same_as(&pin));
    choice
}

/// What speaks against one version, whether it is listed or not; `None`: nothing. This is what a deploy by hand
/// overrides.
pub fn judge(q: &Question<'_>, version: &Version) -> Option<Refusal> {
    let view = View::of(q);
    view.refuse(&view.entry(version))
}

fn hold(view: &View<'_>, entry: &Entry<'_>, refusal: Refusal) -> Hold {
    Hold { version: entry.version.clone(), refusal, notes: view.notes(entry) }
}

#[cfg(test)]
mod tests;
