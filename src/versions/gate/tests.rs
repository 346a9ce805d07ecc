//! The gate's rules as a table, and its properties.

use std::sync::LazyLock;
use std::time::Duration;

use proptest::prelude::*;
use regex::Regex;

use super::*;
use crate::config::model::{Order, Policy, Source};
use crate::version::Step;

const NOW: &str = "2026-11-21T03:00:00Z";

static MANUAL: LazyLock<Regex> = LazyLock::new(|| Regex::new("(?i)manual migration").unwrap());

fn version(text: &str) -> Version {
    Version::new(text).unwrap()
}

/// A situation that a test varies; everything newer is allowed and every release is old.
struct Case {
    rules: Versions,
    current: Option<Version>,
    listing: Vec<Release>,
    quarantined: Vec<Version>,
    approved: Vec<Version>,
}

impl Case {
    fn new(current: Option<&str>, listing: &[&str]) -> Self {
        let rules = Versions {
            source: Source::Recipe,
            policy: Policy::Major,
            order: Order::Semver,
            min_age: Duration::ZERO,
            hold_notes: vec![MANUAL.clone()],
            deny: Vec::new(),
            pin: None,
        };
        let listing = listing.iter().map(|text| release(text)).collect();
        Self { rules, current: current.map(version), listing, quarantined: vec![], approved: vec![] }
    }

    fn listed(current: Option<&str>, listing: &[&str]) -> Self {
        let mut case = Self::new(current, listing);
        case.rules.order = Order::Listed;
        case.rules.policy = Policy::Any;
        case
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    fn notes(self, of: &str, notes: &str) -> Self {
        self.with(|case| case.named(of).notes = Some(notes.to_owned()))
    }

    fn named(&mut self, text: &str) -> &mut Release {
        self.listing.iter_mut().find(|r| r.version.as_str() == text).unwrap()
    }

    fn question(&self) -> Question<'_> {
        Question {
            rules: &self.rules,
            current: self.current.as_ref(),
            listing: &self.listing,
            quarantined: &self.quarantined,
            approved: &self.approved,
            now: NOW.parse().unwrap(),
        }
    }

    fn choice(&self) -> Choice {
        choose(&self.question())
    }

    /// The target, and the held versions with the words of their refusals.
    fn outcome(&self) -> (Option<String>, Vec<String>) {
        let choice = self.choice();
        let held = choice.held.iter().map(|h| format!("{} {}", h.version, h.refusal.word())).collect();
        (choice.target.map(String::from), held)
    }
}

fn release(text: &str) -> Release {
    let released_at = Some("2026-01-01T00:00:00Z".parse().unwrap());
    Release { version: version(text), released_at, notes: None, path: None }
}

#[track_caller]
fn expect(case: &Case, target: Option<&str>, held: &[&str]) {
    assert_eq!(case.outcome(), (target.map(str::to_owned), held.iter().map(ToString::to_string).collect()));
}

#[test]
fn the_newest_is_taken() {
    expect(&Case::new(Some("1.2.0"), &["1.3.0", "1.2.0", "1.10.0"]), Some("1.10.0"), &[]);
}

#[test]
fn nothing_newer_is_nothing_to_do() {
    expect(&Case::new(Some("1.3.0"), &["1.2.0", "1.3.0"]), None, &[]);
    expect(&Case::new(Some("1.3.0"), &[]), None, &[]);
}

#[test]
fn an_install_takes_the_newest() {
    expect(&Case::new(None, &["1.2.0", "1.3.0"]), Some("1.3.0"), &[]);
}

#[test]
fn another_spelling_of_the_current_one_is_not_newer() {
    expect(&Case::new(Some("1.3.0"), &["v1.3.0", "1.3.0+abc"]), None, &[]);
}

#[test]
fn an_acceptable_older_one_is_taken_while_the_newest_is_held() {
    let case =
        Case::new(Some("1.2.0"), &["1.3.0", "2.0.0", "3.0.0"]).with(|c| c.rules.policy = Policy::Minor);
    expect(&case, Some("1.3.0"), &["3.0.0 policy", "2.0.0 policy"]);
    assert_eq!(
        case.choice().held[0].refusal,
        Refusal::Policy { policy: "minor".to_owned(), step: Some(Step::Major) }
    );
}

#[test]
fn a_major_step_of_the_app_itself_is_a_major_step() {
    let case = Case::new(Some("1.0.0+v26.1.0"), &["1.0.1+v27.0.0"]).with(|c| c.rules.policy = Policy::Minor);
    expect(&case, None, &["1.0.1+v27.0.0 policy"]);
}

#[test]
fn the_policy_none_refuses_everything_newer_but_not_an_install() {
    let none = |c: &mut Case| c.rules.policy = Policy::None;
    expect(&Case::new(Some("1.2.0"), &["1.2.1"]).with(none), None, &["1.2.1 policy"]);
    expect(&Case::new(None, &["1.2.1"]).with(none), Some("1.2.1"), &[]);
}

#[test]
fn a_pin_is_the_only_candidate() {
    let case =
        Case::new(Some("1.2.0"), &["1.2.0", "1.3.0", "1.4.0"]).with(|c| c.rules.pin = Some("1.3.0".into()));
    expect(&case, Some("1.3.0"), &["1.4.0 pinned"]);
}

#[test]
fn a_pin_is_past_pre_release_policy_and_age() {
    let case = Case::new(Some("1.2.0"), &["2.0.0-rc.1"]).with(|c| {
        c.rules.pin = Some("2.0.0-rc.1".into());
        c.rules.policy = Policy::None;
        c.rules.min_age = Duration::from_secs(1);
        c.listing[0].released_at = None;
    });
    expect(&case, Some("2.0.0-rc.1"), &[]);
}

#[test]
fn a_pin_is_not_past_deny_quarantine_or_notes() {
    let pinned = || Case::new(Some("1.2.0"), &["1.3.0"]).with(|c| c.rules.pin = Some("1.3.0".into()));
    expect(&pinned().with(|c| c.rules.deny = vec!["v1.3.0".into()]), None, &["1.3.0 denied"]);
    expect(&pinned().with(|c| c.quarantined = vec![version("1.3.0")]), None, &["1.3.0 quarantined"]);
    expect(&pinned().notes("1.3.0", "Manual migration!"), None, &["1.3.0 manualMigration"]);
}

#[test]
fn a_pin_older_than_the_current_one_is_held_before_all_others() {
    let case =
        Case::new(Some("1.3.0"), &["1.2.0", "1.3.0", "1.4.0"]).with(|c| c.rules.pin = Some("1.2.0".into()));
    expect(&case, None, &["1.2.0 downgrade", "1.4.0 pinned"]);
    expect(&Case { listing: vec![], ..case }, None, &["1.2.0 downgrade"]);
}

#[test]
fn a_pin_to_what_runs_already_is_nothing_to_do() {
    let case = Case::new(Some("1.3.0"), &["1.2.0", "1.3.0"]).with(|c| c.rules.pin = Some("v1.3.0".into()));
    expect(&case, None, &[]);
}

#[test]
fn a_pre_release_in_either_part_is_held() {
    let case = Case::new(Some("1.2.0+v1.0.0"), &["1.3.0-rc.1+v1.0.0", "1.4.0+v1.1.0-rc1"]);
    expect(&case, None, &["1.4.0+v1.1.0-rc1 preRelease", "1.3.0-rc.1+v1.0.0 preRelease"]);
}

#[test]
fn an_opaque_version_is_held_unless_it_is_the_current_one_or_approved() {
    expect(&Case::new(Some("1.2.0"), &["tip", "1.3.0"]), Some("1.3.0"), &["tip opaque"]);
    expect(&Case::new(None, &["tip"]), None, &["tip opaque"]);
    expect(&Case::new(Some("tip"), &["tip"]), None, &[]);
    let approved = |c: &mut Case| c.approved = vec![version("tip")];
    expect(&Case::new(Some("1.2.0"), &["tip"]).with(approved), Some("tip"), &[]);
    expect(&Case::new(Some("1.2.0"), &["tip", "1.3.0"]).with(approved), Some("1.3.0"), &[]);
}

#[test]
fn nothing_is_newer_than_an_opaque_current_version() {
    let case = Case::new(Some("a1b2c3d"), &["1.2.0", "1.3.0", "tip"]);
    expect(&case, None, &["1.3.0 unordered", "1.2.0 unordered", "tip opaque"]);
    expect(
        &case.with(|c| c.approved = vec![version("1.2.0")]),
        Some("1.2.0"),
        &["1.3.0 unordered", "tip opaque"],
    );
}

#[test]
fn the_notes_of_any_version_stepped_over_hold() {
    let case = Case::new(Some("1.2.0"), &["1.2.0", "1.3.0", "1.4.0", "1.5.0"])
        .notes("1.2.0", "manual migration, done long ago")
        .notes("1.4.0", "# 1.4\n  Needs a MANUAL migration.  \nmore")
        .notes("1.5.0", "fine");
    expect(&case, Some("1.3.0"), &["1.5.0 manualMigration", "1.4.0 manualMigration"]);
    let held = case.choice().held.remove(0);
    let line = "Needs a MANUAL migration.".to_owned();
    assert_eq!(held.refusal, Refusal::ManualMigration { version: version("1.4.0"), line });
    let noted: Vec<&str> = held.notes.iter().map(|(version, _)| version.as_str()).collect();
    assert_eq!(noted, ["1.4.0", "1.5.0"]);
}

#[test]
fn the_notes_of_an_install_are_not_considered() {
    expect(&Case::new(None, &["1.2.0"]).notes("1.2.0", "manual migration"), Some("1.2.0"), &[]);
}

#[test]
fn a_release_must_be_old_enough() {
    let aged = |released_at: Option<&str>| {
        Case::new(Some("1.2.0"), &["1.3.0"]).with(|c| {
            c.rules.min_age = Duration::from_secs(3600);
            c.listing[0].released_at = released_at.map(|at| at.parse().unwrap());
        })
    };
    expect(&aged(Some("2026-11-21T02:00:00Z")), Some("1.3.0"), &[]);
    let young = aged(Some("2026-11-21T02:00:01Z")).choice().held.remove(0).refusal;
    let ready_at = Some("2026-11-21T03:00:01Z".parse().unwrap());
    assert_eq!(young, Refusal::MinAge { age_seconds: Some(3599), min_seconds: 3600, ready_at });
    let unborn = aged(Some("2027-01-01T00:00:00Z")).choice().held.remove(0).refusal;
    assert!(matches!(unborn, Refusal::MinAge { age_seconds: Some(0), .. }), "{unborn:?}");
    let unknown = aged(None).choice().held.remove(0).refusal;
    assert_eq!(unknown, Refusal::MinAge { age_seconds: None, min_seconds: 3600, ready_at: None });
}

#[test]
fn an_approval_lets_a_version_past_what_a_person_may_judge() {
    let case = Case::new(Some("1.2.0"), &["2.0.0-rc.1"]).notes("2.0.0-rc.1", "manual migration").with(|c| {
        c.rules.policy = Policy::Patch;
        c.rules.min_age = Duration::from_secs(1);
        c.listing[0].released_at = None;
        c.approved = vec![version("2.0.0-rc.1")];
    });
    expect(&case, Some("2.0.0-rc.1"), &[]);
}

#[test]
fn an_approval_lets_nothing_past_pin_deny_or_quarantine_and_never_back() {
    let approved =
        || Case::new(Some("1.2.0"), &["1.1.0", "1.3.0"]).with(|c| c.approved = vec![version("1.3.0")]);
    expect(&approved().with(|c| c.rules.pin = Some("1.2.0".into())), None, &["1.3.0 pinned"]);
    expect(&approved().with(|c| c.rules.deny = vec!["1.3.0".into()]), None, &["1.3.0 denied"]);
    expect(&approved().with(|c| c.quarantined = vec![version("v1.3.0")]), None, &["1.3.0 quarantined"]);
    expect(&approved().with(|c| c.current = Some(version("1.4.0"))), None, &[]);
}

#[test]
fn the_first_refusal_in_order_is_the_one_reported() {
    let mut case =
        Case::new(Some("1.2.0"), &["2.0.0-rc.1"]).notes("2.0.0-rc.1", "manual migration").with(|c| {
            c.rules.pin = Some("1.2.0".into());
            c.rules.deny = vec!["2.0.0-rc.1".into()];
            c.quarantined = vec![version("2.0.0-rc.1")];
            c.rules.policy = Policy::Patch;
            c.rules.min_age = Duration::from_secs(1);
            c.listing[0].released_at = None;
        });
    let mut words = Vec::new();
    let lift: [fn(&mut Case); 6] = [
        |c| c.rules.pin = None,
        |c| c.rules.deny.clear(),
        |c| c.quarantined.clear(),
        |c| {
            c.listing[0].version = version("2.0.0");
        },
        |c| c.rules.policy = Policy::Major,
        |c| c.rules.hold_notes.clear(),
    ];
    words.push(case.choice().held[0].refusal.word());
    for step in lift {
        step(&mut case);
        words.push(case.choice().held[0].refusal.word());
    }
    let order = ["pinned", "denied", "quarantined", "preRelease", "policy", "manualMigration", "minAge"];
    assert_eq!(words, order);
}

#[test]
fn in_listed_order_the_last_one_is_the_newest() {
    expect(&Case::listed(Some("b2"), &["a1", "b2", "c3", "d4"]), Some("d4"), &[]);
    expect(&Case::listed(None, &["a1", "b2"]), Some("b2"), &[]);
    expect(&Case::listed(Some("d4"), &["a1", "d4"]), None, &[]);
}

#[test]
fn in_listed_order_notes_between_the_positions_hold() {
    let case = Case::listed(Some("b2"), &["a1", "b2", "c3", "d4"]).notes("c3", "manual migration");
    expect(&case, None, &["d4 manualMigration", "c3 manualMigration"]);
    expect(&Case::listed(Some("b2"), &["a1", "b2", "c3"]).notes("a1", "manual migration"), Some("c3"), &[]);
}

#[test]
fn in_listed_order_the_policy_none_holds_and_a_policy_of_steps_cannot_judge() {
    let with = |policy| Case::listed(Some("a1"), &["a1", "b2"]).with(|c| c.rules.policy = policy);
    expect(&with(Policy::None), None, &["b2 policy"]);
    expect(&with(Policy::Minor), None, &["b2 policy"]);
    expect(&with(Policy::Any), Some("b2"), &[]);
}

#[test]
fn in_listed_order_an_unlisted_current_version_holds_the_last_one_alone() {
    let case = Case::listed(Some("zz"), &["a1", "b2", "c3"]);
    expect(&case, None, &["c3 unordered"]);
    expect(&case.with(|c| c.approved = vec![version("b2")]), Some("b2"), &["c3 unordered"]);
}

#[test]
fn a_version_that_is_not_listed_can_be_judged() {
    let judged = |case: &Case, text: &str| judge(&case.question(), &version(text)).map(|r| r.word());
    let case = Case::new(Some("1.2.0"), &["1.2.0"]).with(|c| c.rules.policy = Policy::Patch);
    assert_eq!(judged(&case, "1.2.1"), None);
    assert_eq!(judged(&case, "1.3.0"), Some("policy"));
    assert_eq!(judged(&case, "1.1.0"), Some("downgrade"));
    assert_eq!(judged(&case, "5114f85"), Some("opaque"));
    assert_eq!(judged(&case, "1.2.0"), None);
    assert_eq!(judged(&Case::listed(Some("a1"), &["a1"]), "b2"), Some("unordered"));
}

#[test]
fn a_hold_carries_the_newest_notes_and_of_each_the_beginning() {
    let texts: Vec<String> = (1..=30).map(|minor| format!("1.{minor}.0")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let case = Case::new(Some("1.0.0"), &texts).with(|c| {
        c.rules.policy = Policy::None;
        c.listing.iter_mut().for_each(|r| r.notes = Some("ä".repeat(6_000)));
    });
    let notes = &case.choice().held[0].notes;
    assert_eq!((notes.len(), notes[19].0.as_str(), notes[0].0.as_str()), (20, "1.30.0", "1.11.0"));
    assert_eq!(notes[0].1.len(), 8 << 10);
}

fn any_version() -> impl Strategy<Value = Version> {
    "([0-2]\\.[0-2]\\.[0-2](-rc\\.[0-1])?(\\+v[0-2]\\.[0-1]\\.0)?|[ab][0-3])".prop_map(|text| version(&text))
}

fn versions(most: usize) -> impl Strategy<Value = Vec<Version>> {
    prop::collection::vec(any_version(), 0..most)
}

fn any_release() -> impl Strategy<Value = Release> {
    let notes = prop::option::of(prop::sample::select(vec!["fine", "a manual migration"]));
    (any_version(), prop::option::of(1_795_000_000_i64..1_795_300_000), notes).prop_map(
        |(version, at, notes)| {
            let released_at = at.map(|at| Timestamp::from_second(at).unwrap());
            Release { version, released_at, notes: notes.map(str::to_owned), path: None }
        },
    )
}

prop_compose! {
    fn any_case()(
        current in prop::option::of(any_version()),
        listing in prop::collection::vec(any_release(), 0..12),
        (quarantined, approved, deny) in (versions(3), versions(3), versions(3)),
        pin in prop::option::weighted(0.2, any_version()),
        policy in prop::sample::select(vec![Policy::Patch, Policy::Minor, Policy::Major, Policy::Any, Policy::None]),
        order in prop::sample::select(vec![Order::Semver, Order::Listed]),
        min_age in 0_u64..200_000,
    ) -> Case {
        Case::new(None, &[]).with(|case| {
            case.rules.policy = policy;
            case.rules.order = order;
            case.rules.min_age = Duration::from_secs(min_age);
            case.rules.deny = deny.into_iter().map(String::from).collect();
            case.rules.pin = pin.map(String::from);
            (case.current, case.listing) = (current, listing);
            (case.quarantined, case.approved) = (quarantined, approved);
        })
    }
}

impl std::fmt::Debug for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.question().fmt(f)
    }
}

proptest! {
    #[test]
    fn a_target_is_listed_and_nothing_speaks_against_it(case in any_case()) {
        if let Some(target) = case.choice().target {
            prop_assert!(case.listing.iter().any(|r| r.version == target));
            prop_assert_eq!(judge(&case.question(), &target), None);
            prop_assert!(!case.current.as_ref().is_some_and(|current| current.same_as(&target)));
        }
    }

    #[test]
    fn whatever_is_held_is_refused(case in any_case()) {
        for hold in case.choice().held {
            prop_assert_eq!(judge(&case.question(), &hold.version).map(|r| r.word()), Some(hold.refusal.word()));
        }
    }

    #[test]
    fn what_is_quarantined_or_denied_is_never_taken(case in any_case()) {
        if let Some(target) = case.choice().target {
            prop_assert!(!case.quarantined.contains(&target));
            prop_assert!(!case.rules.deny.contains(&target.to_string()));
        }
    }

    #[test]
    fn unattended_the_policy_patch_never_crosses_a_minor(case in any_case()) {
        let case = case.with(|c| {
            c.rules.policy = Policy::Patch;
            c.rules.pin = None;
            c.approved.clear();
        });
        let target = case.choice().target.and_then(|target| target.parsed());
        if let Some((from, to)) = case.current.as_ref().and_then(Version::parsed).zip(target) {
            prop_assert_eq!(from.step_to(&to), Step::Patch);
            prop_assert_eq!((from.main.major, from.main.minor), (to.main.major, to.main.minor));
        }
    }

    #[test]
    fn the_same_question_has_the_same_answer(case in any_case()) {
        prop_assert_eq!(case.choice(), case.choice());
    }

    #[test]
    fn the_target_does_not_depend_on_the_order_in_which_versions_were_listed(case in any_case()) {
        let mut case = case.with(|c| {
            c.rules.order = Order::Semver;
            c.listing.retain(|r| r.version.parsed().is_some());
            c.listing.sort_by(|a, b| a.version.cmp(&b.version));
            c.listing.dedup_by(|a, b| a.version == b.version);
        });
        let target = case.choice().target;
        case.listing.reverse();
        prop_assert_eq!(case.choice().target, target);
    }

    #[test]
    fn an_older_release_never_changes_the_target(case in any_case(), older in any_release(), text in "0\\.0\\.[0-9]") {
        let mut case = case.with(|c| {
            c.rules.order = Order::Semver;
            if c.current.as_ref().and_then(Version::parsed).is_none_or(|current| current.main.major == 0) {
                c.current = Some(version("1.0.0"));
            }
        });
        let target = case.choice().target;
        case.listing.insert(0, Release { version: version(&text), ..older });
        prop_assert_eq!(case.choice().target, target);
    }

    #[test]
    fn what_is_approved_is_refused_only_for_what_no_approval_overrides(case in any_case()) {
        for release in &case.listing {
            let refusal = judge(&case.question(), &release.version);
            if case.approved.contains(&release.version) {
                prop_assert!(!refusal.is_some_and(|refusal| refusal.can_be_approved()));
            }
        }
    }
}
