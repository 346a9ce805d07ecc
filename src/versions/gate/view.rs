//! A question with its versions read once, and the rules one by one.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::time::Duration;

use super::{Question, Refusal};
use crate::config::model::{Order, Policy};
use crate::version::{Parsed, Step, Version};
use crate::versions::source::Release;

/// How many versions' notes a hold carries.
const NOTES_VERSIONS: usize = 20;

/// How much of one version's notes a hold carries, in bytes.
const NOTES_BYTES: usize = 8 << 10;

/// How much of a line of notes a refusal carries, in characters.
const LINE_CHARACTERS: usize = 200;

/// A version with what is known of it.
#[derive(Debug, Clone)]
pub(super) struct Entry<'a> {
    pub(super) version: &'a Version,
    parsed: Option<Parsed>,
    /// Where it stands in the listing.
    at: Option<usize>,
    release: Option<&'a Release>,
}

/// Where a version stands against the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Older,
    Same,
    Newer,
    Unknown,
}

/// A question with its versions read.
pub(super) struct View<'a> {
    q: &'a Question<'a>,
    entries: Vec<Entry<'a>>,
    current: Option<Entry<'a>>,
}

impl<'a> View<'a> {
    pub(super) fn of(q: &'a Question<'a>) -> Self {
        let mut seen = HashSet::new();
        let first = q.listing.iter().enumerate().filter(|(_, release)| seen.insert(release.version.bare()));
        let entries = first.map(|(at, release)| Entry {
            version: &release.version,
            parsed: release.version.parsed(),
            at: Some(at),
            release: Some(release),
        });
        let mut view = Self { q, entries: entries.collect(), current: None };
        view.current = q.current.map(|current| view.entry(current));
        view
    }

    /// A version by name, listed or not.
    pub(super) fn entry<'v>(&self, version: &'v Version) -> Entry<'v>
    where
        'a: 'v,
    {
        let listed = self.entries.iter().find(|entry| entry.version.same_as(version));
        Entry {
            version,
            parsed: version.parsed(),
            at: listed.and_then(|entry| entry.at),
            release: listed.and_then(|entry| entry.release),
        }
    }

    /// The pinned version, where there is one and it can be a version at all.
    pub(super) fn pin(&self) -> Option<Version> {
        self.q.rules.pin.as_deref().and_then(|pin| Version::new(pin).ok())
    }

    pub(super) fn is_older(&self, entry: &Entry<'_>) -> bool {
        self.place(entry) == Place::Older
    }

    /// The listed versions that are newer than the current one, newest first.
    pub(super) fn newer(&self) -> Vec<Entry<'a>> {
        let mut newer = self.standing(Place::Newer);
        newer.sort_by(|a, b| {
            // Which of two spellings without a difference comes first does not matter, only that it is the same one.
            let order = self.compare(b, a).unwrap_or(Ordering::Equal);
            order.then_with(|| b.version.cmp(a.version))
        });
        newer
    }

    /// The listed versions that cannot be placed against the current one, the most likely newest first.
    pub(super) fn unordered(&self) -> Vec<Entry<'a>> {
        let mut unordered = self.standing(Place::Unknown);
        let last = self.entries.last().and_then(|entry| entry.at);
        match self.q.rules.order {
            // The last one stands for all: a list of commits may be long.
            Order::Listed => unordered.retain(|e| e.at == last || self.is_approved(e.version)),
            Order::Semver => unordered.sort_by(|a, b| match (&a.parsed, &b.parsed) {
                (Some(a), Some(b)) => a.precedence(b),
                (a, b) => a.is_some().cmp(&b.is_some()),
            }),
        }
        unordered.reverse();
        unordered
    }

    fn standing(&self, place: Place) -> Vec<Entry<'a>> {
        self.entries.iter().filter(|entry| self.place(entry) == place).cloned().collect()
    }

    fn compare(&self, a: &Entry<'_>, b: &Entry<'_>) -> Option<Ordering> {
        if a.version.same_as(b.version) {
            return Some(Ordering::Equal);
        }
        match self.q.rules.order {
            Order::Semver => Some(a.parsed.as_ref()?.precedence(b.parsed.as_ref()?)),
            Order::Listed => Some(a.at?.cmp(&b.at?)),
        }
    }

    fn place(&self, entry: &Entry<'_>) -> Place {
        let Some(current) = &self.current else {
            let opaque = self.q.rules.order == Order::Semver && entry.parsed.is_none();
            return if opaque { Place::Unknown } else { Place::Newer };
        };
        match self.compare(entry, current) {
            Some(Ordering::Less) => Place::Older,
            Some(Ordering::Equal) => Place::Same,
            Some(Ordering::Greater) => Place::Newer,
            None => Place::Unknown,
        }
    }

    /// The first rule that refuses the version.
    pub(super) fn refuse(&self, entry: &Entry<'_>) -> Option<Refusal> {
        self.never(entry.version).or_else(|| match (self.place(entry), &self.current) {
            (Place::Same, _) => None,
            (Place::Older, Some(current)) => Some(Refusal::Downgrade { from: current.version.clone() }),
            _ if self.is_approved(entry.version) => None,
            _ => self.unattended(entry),
        })
    }

    /// The rules that no approval overrides.
    fn never(&self, version: &Version) -> Option<Refusal> {
        let rules = self.q.rules;
        if let Some(pin) = rules.pin.as_ref().filter(|pin| !names(pin, version)) {
            return Some(Refusal::Pinned { to: pin.clone() });
        }
        if rules.deny.iter().any(|denied| names(denied, version)) {
            return Some(Refusal::Denied);
        }
        let quarantined = self.q.quarantined.iter().any(|failed| failed.same_as(version));
        quarantined.then_some(Refusal::Quarantined)
    }

    /// The rules for a version that no person let through. A pin is named by a person, too, who knows its age and how
    /// far it is, but has perhaps not read all the notes.
    fn unattended(&self, entry: &Entry<'_>) -> Option<Refusal> {
        let chosen = self.q.rules.pin.is_none();
        let early = if chosen { self.pre_release(entry).or_else(|| self.policy(entry)) } else { None };
        early
            .or_else(|| self.unplaced(entry))
            .or_else(|| self.manual_migration(entry))
            .or_else(|| if chosen { self.min_age(entry) } else { None })
    }

    fn is_approved(&self, version: &Version) -> bool {
        self.q.approved.iter().any(|approved| approved.same_as(version))
    }

    fn pre_release(&self, entry: &Entry<'_>) -> Option<Refusal> {
        let readable = self.q.rules.order == Order::Semver;
        let pre = readable && entry.parsed.as_ref().is_some_and(Parsed::is_pre_release);
        pre.then_some(Refusal::PreRelease)
    }

    fn policy(&self, entry: &Entry<'_>) -> Option<Refusal> {
        let current = self.current.as_ref()?;
        let step = current.parsed.as_ref().zip(entry.parsed.as_ref()).map(|(from, to)| from.step_to(to));
        let (word, allowed) = reach(self.q.rules.policy);
        let refused = match (allowed, step) {
            (None, _) => true,
            (Some(allowed), Some(step)) => step > allowed,
            // A step that cannot be read is only as small as a policy wants where the policy wants nothing.
            (Some(allowed), None) => self.q.rules.order == Order::Listed && allowed != Step::Major,
        };
        refused.then(|| Refusal::Policy { policy: word.to_owned(), step })
    }

    fn unplaced(&self, entry: &Entry<'_>) -> Option<Refusal> {
        if self.place(entry) != Place::Unknown {
            return None;
        }
        match &self.current {
            Some(current) if self.q.rules.order == Order::Listed || entry.parsed.is_some() => {
                Some(Refusal::Unordered { current: current.version.clone() })
            }
            _ => Some(Refusal::Opaque),
        }
    }

    fn manual_migration(&self, entry: &Entry<'_>) -> Option<Refusal> {
        self.current.as_ref()?;
        self.way_to(entry).into_iter().find_map(|stepped| {
            let notes = stepped.notes.as_deref()?;
            let holds = |line: &&str| self.q.rules.hold_notes.iter().any(|pattern| pattern.is_match(line));
            let line = notes.lines().find(holds)?;
            let line = line.trim().chars().take(LINE_CHARACTERS).collect();
            Some(Refusal::ManualMigration { version: stepped.version.clone(), line })
        })
    }

    fn min_age(&self, entry: &Entry<'_>) -> Option<Refusal> {
        let min = self.q.rules.min_age;
        if min.is_zero() {
            return None;
        }
        let released_at = entry.release.and_then(|release| release.released_at);
        let age = released_at.map(|at| Duration::try_from(self.q.now.duration_since(at)).unwrap_or_default());
        if age.is_some_and(|age| age >= min) {
            return None;
        }
        Some(Refusal::MinAge {
            age_seconds: age.map(|age| age.as_secs()),
            min_seconds: min.as_secs(),
            ready_at: released_at.and_then(|at| at.checked_add(min).ok()),
        })
    }

    /// The releases after the current one up to this one, oldest first; at an install only this one.
    fn way_to(&self, entry: &Entry<'_>) -> Vec<&'a Release> {
        let stepped_over = |other: &&Entry<'a>| {
            self.current.is_some()
                && self.place(other) == Place::Newer
                && self.compare(other, entry).is_some_and(Ordering::is_le)
        };
        let mut way: Vec<&Entry<'a>> = self.entries.iter().filter(stepped_over).collect();
        way.sort_by(|a, b| self.compare(a, b).unwrap_or(Ordering::Equal));
        let mut way: Vec<&'a Release> = way.into_iter().filter_map(|other| other.release).collect();
        if way.is_empty() {
            way.extend(self.entries.iter().filter(|e| e.at == entry.at).filter_map(|e| e.release));
        }
        way
    }

    /// The notes that a person should read before approving this version.
    pub(super) fn notes(&self, entry: &Entry<'_>) -> Vec<(Version, String)> {
        let own = |release: &&Release| Some((release.version.clone(), beginning(release.notes.as_deref()?)));
        let mut notes: Vec<_> =
            self.way_to(entry).iter().rev().filter_map(own).take(NOTES_VERSIONS).collect();
        notes.reverse();
        notes
    }
}

/// Whether a name in the configuration means this version.
fn names(name: &str, version: &Version) -> bool {
    name == version.as_str() || Version::new(name).is_ok_and(|named| named.same_as(version))
}

/// The policy's word, and the largest step it allows.
fn reach(policy: Policy) -> (&'static str, Option<Step>) {
    match policy {
        Policy::Patch => ("patch", Some(Step::Patch)),
        Policy::Minor => ("minor", Some(Step::Minor)),
        Policy::Major => ("major", Some(Step::Major)),
        Policy::Any => ("any", Some(Step::Major)),
        Policy::None => ("none", None),
    }
}

fn beginning(notes: &str) -> String {
    let mut end = notes.len().min(NOTES_BYTES);
    while !notes.is_char_boundary(end) {
        end -= 1;
    }
    notes[..end].to_owned()
}
