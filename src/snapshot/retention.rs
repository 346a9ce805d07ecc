//! Which snapshots may go. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, tz::TimeZone};

use super::id::SnapshotId;
use super::model::Snapshot;
use crate::config::model::Retention;

/// What retention knows of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Its name.
    pub id: SnapshotId,
    /// Its place in the order.
    pub seq: u64,
    /// When it was taken, by the clock of that moment.
    pub taken_at: Timestamp,
    /// How much is known to be right with it.
    pub state: State,
}

/// How much is known to be right with a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Its record cannot be read; its `seq` and `taken_at` mean nothing.
    Unreadable,
    /// It has no manifest yet.
    Unsealed,
    /// It has one.
    Sealed,
    /// It was found to be what its manifest says.
    Verified,
}

impl From<&Snapshot> for Fact {
    fn from(snapshot: &Snapshot) -> Self {
        let state = match (snapshot.sealed, snapshot.verified_at) {
            (false, _) => State::Unsealed,
            (true, None) => State::Sealed,
            (true, Some(_)) => State::Verified,
        };
        Self { id: snapshot.id.clone(), seq: snapshot.seq, taken_at: snapshot.taken_at, state }
    }
}

/// Why a snapshot stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// The caller protects it: last-good, named by a journal, a canonical.
    Protected,
    /// It is the newest that was verified.
    NewestVerified,
    /// Without it there would be none.
    Only,
    /// One of the newest `keepLast`.
    Last,
    /// The newest of one of `keepDaily` days (UTC).
    Daily,
    /// The newest of one of `keepWeekly` weeks (ISO, UTC).
    Weekly,
}

/// What a person should look at. It stays, and takes no other's slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Odd {
    /// Its record cannot be read.
    Unreadable,
    /// It was taken later than now.
    FutureDated,
    /// One that came after it says it was taken earlier: the clock jumped.
    OutOfOrder,
}

/// What retention decided. Every snapshot is in exactly one of the three.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetentionPlan {
    /// What goes, the oldest first.
    pub delete: Vec<SnapshotId>,
    /// What stays and why, the oldest first.
    pub keep: Vec<(SnapshotId, Why)>,
    /// What stays because it cannot be judged.
    pub reported: Vec<(SnapshotId, Odd)>,
}

/// Decides which snapshots go: those beyond the counts that nothing protects. The order is by `seq`; times only sort
/// snapshots into days and weeks, and one whose time cannot be right is neither deleted nor counted.
pub fn plan(
    snapshots: &[Fact],
    protected: &BTreeSet<SnapshotId>,
    rules: &Retention,
    now: Timestamp,
) -> RetentionPlan {
    let mut ordered: Vec<&Fact> = snapshots.iter().collect();
    ordered.sort_by(|a, b| (a.seq, &a.id).cmp(&(b.seq, &b.id)));
    let odd = odd(&ordered, now);
    let eras = eras(&ordered);
    let sound: Vec<(&Fact, u64)> = ordered.iter().copied().zip(eras).collect();
    let sound: Vec<_> = sound.into_iter().filter(|(fact, _)| !odd.contains_key(&fact.id)).collect();
    let kept = kept(&sound, protected, rules);
    let mut plan = RetentionPlan::default();
    for Fact { id, .. } in ordered {
        match (odd.get(id), kept.get(id)) {
            (Some(odd), _) => plan.reported.push((id.clone(), *odd)),
            (None, Some(why)) => plan.keep.push((id.clone(), *why)),
            (None, None) => plan.delete.push(id.clone()),
        }
    }
    plan
}

fn odd(ordered: &[&Fact], now: Timestamp) -> BTreeMap<SnapshotId, Odd> {
    let mut odd = BTreeMap::new();
    let mut earliest_after = now;
    for fact in ordered.iter().rev() {
        let what = match fact {
            Fact { state: State::Unreadable, .. } => Odd::Unreadable,
            Fact { taken_at, .. } if *taken_at > now => Odd::FutureDated,
            Fact { taken_at, .. } if *taken_at > earliest_after => Odd::OutOfOrder,
            Fact { taken_at, .. } => {
                earliest_after = *taken_at;
                continue;
            }
        };
        odd.insert(fact.id.clone(), what);
    }
    odd
}

/// How often the clock had jumped back when each was taken: the same day in two eras is two days. Whether what made it
/// jump lies in the future does not matter, so that the answer does not depend on the clock's present state.
fn eras(ordered: &[&Fact]) -> Vec<u64> {
    let mut era = 0;
    let mut before = Timestamp::MIN;
    let readable = |fact: &Fact| fact.state != State::Unreadable;
    let at = |fact: &&Fact| {
        if readable(fact) {
            era += u64::from(fact.taken_at < before);
            before = fact.taken_at;
        }
        era
    };
    ordered.iter().map(at).collect()
}

/// `sound`: the oldest first, with their eras. The first reason found is the one that is told.
fn kept(
    sound: &[(&Fact, u64)],
    protected: &BTreeSet<SnapshotId>,
    rules: &Retention,
) -> BTreeMap<SnapshotId, Why> {
    let mut kept = BTreeMap::new();
    let mut keep = |fact: &Fact, why| {
        kept.entry(fact.id.clone()).or_insert(why);
    };
    let in_eras = || sound.iter().rev().copied();
    let newest_first = || in_eras().map(|(fact, _)| fact);
    newest_first().filter(|fact| protected.contains(&fact.id)).for_each(|fact| keep(fact, Why::Protected));
    newest_first()
        .find(|fact| fact.state == State::Verified)
        .into_iter()
        .for_each(|fact| keep(fact, Why::NewestVerified));
    newest_first().take(count(rules.keep_last)).for_each(|fact| keep(fact, Why::Last));
    let date = |fact: &Fact| fact.taken_at.to_zoned(TimeZone::UTC).date();
    first_of_each(in_eras(), count(rules.keep_daily), date).for_each(|fact| keep(fact, Why::Daily));
    let week = |fact: &Fact| {
        let week = date(fact).iso_week_date();
        (week.year(), week.week())
    };
    first_of_each(in_eras(), count(rules.keep_weekly), week).for_each(|fact| keep(fact, Why::Weekly));
    if kept.is_empty() {
        kept.extend(sound.last().map(|(fact, _)| (fact.id.clone(), Why::Only)));
    }
    kept
}

fn count(rule: u32) -> usize {
    usize::try_from(rule).unwrap_or(usize::MAX)
}

fn first_of_each<'a, K: Ord>(
    facts: impl Iterator<Item = (&'a Fact, u64)>,
    periods: usize,
    period: impl Fn(&Fact) -> K,
) -> impl Iterator<Item = &'a Fact> {
    let mut seen = BTreeSet::new();
    facts.filter(move |(fact, era)| seen.insert((*era, period(fact)))).map(|(fact, _)| fact).take(periods)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: i64 = 86_400;

    fn fact(seq: u64, second: i64, state: State) -> Fact {
        let taken_at = Timestamp::from_second(second).unwrap();
        Fact { id: SnapshotId::new(taken_at, seq), seq, taken_at, state }
    }

    fn days(days: &[i64]) -> Vec<Fact> {
        let numbered = days.iter().zip(1..);
        numbered.map(|(day, seq)| fact(seq, day * DAY + 3600, State::Sealed)).collect()
    }

    fn rules(keep_last: u32, keep_daily: u32, keep_weekly: u32) -> Retention {
        Retention { keep_last, keep_daily, keep_weekly, max_bytes: u64::MAX }
    }

    fn on_day(day: i64) -> Timestamp {
        Timestamp::from_second(day * DAY + 7200).unwrap()
    }

    fn deleted(facts: &[Fact], rules: &Retention, now: Timestamp) -> Vec<u64> {
        let plan = plan(facts, &BTreeSet::new(), rules, now);
        seqs(facts, &plan.delete)
    }

    fn seqs(facts: &[Fact], ids: &[SnapshotId]) -> Vec<u64> {
        facts.iter().filter(|fact| ids.contains(&fact.id)).map(|fact| fact.seq).collect()
    }

    #[test]
    fn the_newest_by_sequence_stay() {
        assert_eq!(deleted(&days(&[1, 2, 3, 4]), &rules(2, 0, 0), on_day(5)), [1, 2]);
    }

    #[test]
    fn each_day_keeps_its_newest() {
        assert_eq!(deleted(&days(&[1, 1, 2, 3, 3]), &rules(0, 2, 0), on_day(5)), [1, 2, 4]);
    }

    #[test]
    fn each_week_keeps_its_newest() {
        // Day 4 after the epoch is a Monday.
        assert_eq!(deleted(&days(&[3, 4, 9, 10, 11]), &rules(0, 0, 2), on_day(12)), [1, 2, 3]);
    }

    #[test]
    fn the_newest_verified_stays_beyond_the_counts() {
        let mut facts = days(&[1, 2, 3, 4]);
        facts[0].state = State::Verified;
        facts[1].state = State::Verified;
        assert_eq!(deleted(&facts, &rules(1, 0, 0), on_day(5)), [1, 3]);
    }

    #[test]
    fn the_last_one_stays_though_no_rule_keeps_any() {
        let facts = days(&[1, 2]);
        let plan = plan(&facts, &BTreeSet::new(), &rules(0, 0, 0), on_day(5));
        assert_eq!(plan.keep, [(facts[1].id.clone(), Why::Only)]);
    }

    #[test]
    fn what_cannot_be_read_or_lies_in_the_future_takes_no_slot() {
        let mut facts = days(&[1, 2, 3, 99]);
        facts[2].state = State::Unreadable;
        let plan = plan(&facts, &BTreeSet::new(), &rules(1, 0, 0), on_day(5));
        assert_eq!(seqs(&facts, &plan.delete), [1]);
        let odd: Vec<Odd> = plan.reported.iter().map(|(_, odd)| *odd).collect();
        assert_eq!(odd, [Odd::Unreadable, Odd::FutureDated]);
    }

    #[test]
    fn a_snapshot_taken_while_the_clock_was_back_takes_no_older_ones_slot() {
        // The sixth was taken on day 6, but its clock said day 1.
        let facts = days(&[1, 2, 3, 4, 5, 1]);
        assert_eq!(deleted(&facts, &rules(0, 7, 0), on_day(7)), Vec::<u64>::new());
    }

    fn facts() -> impl Strategy<Value = Vec<Fact>> {
        let state = prop_oneof![
            Just(State::Unreadable),
            Just(State::Unsealed),
            Just(State::Sealed),
            Just(State::Verified)
        ];
        let one = (0..40 * DAY, state);
        proptest::collection::vec(one, 0..20).prop_map(|all| {
            let numbered = all.into_iter().zip(1..);
            numbered.map(|((second, state), seq)| fact(seq, second, state)).collect()
        })
    }

    fn any_rules() -> impl Strategy<Value = Retention> {
        (0_u32..4, 0_u32..4, 0_u32..4).prop_map(|(last, daily, weekly)| rules(last, daily, weekly))
    }

    proptest! {
        #[test]
        fn a_protected_one_is_never_deleted(
            facts in facts(), rules in any_rules(), now in 0..50_i64, picks: Vec<bool>,
        ) {
            let picked = facts.iter().zip(picks).filter(|(_, picked)| *picked);
            let protected: BTreeSet<_> = picked.map(|(fact, _)| fact.id.clone()).collect();
            let plan = plan(&facts, &protected, &rules, on_day(now));
            prop_assert!(plan.delete.iter().all(|id| !protected.contains(id)));
        }

        #[test]
        fn never_all_are_deleted(facts in facts(), rules in any_rules(), now in 0..50_i64) {
            let plan = plan(&facts, &BTreeSet::new(), &rules, on_day(now));
            prop_assert!(plan.delete.is_empty() || !plan.keep.is_empty());
        }

        #[test]
        fn the_newest_verified_one_is_never_deleted(
            facts in facts(), rules in any_rules(), now in 0..50_i64,
        ) {
            let plan = plan(&facts, &BTreeSet::new(), &rules, on_day(now));
            if let Some(newest) = facts.iter().rev().find(|fact| fact.state == State::Verified) {
                prop_assert!(!plan.delete.contains(&newest.id));
            }
        }

        #[test]
        fn no_more_are_kept_than_the_counts_and_what_is_protected(
            facts in facts(), rules in any_rules(), now in 0..50_i64,
        ) {
            let protected: BTreeSet<_> = facts.iter().take(2).map(|fact| fact.id.clone()).collect();
            let plan = plan(&facts, &protected, &rules, on_day(now));
            let counts = rules.keep_last + rules.keep_daily + rules.keep_weekly;
            prop_assert!(plan.keep.len() <= usize::try_from(counts).unwrap() + protected.len() + 1);
        }

        #[test]
        fn each_is_decided_once_and_the_order_they_come_in_does_not_matter(
            facts in facts(), rules in any_rules(), now in 0..50_i64,
        ) {
            let one = plan(&facts, &BTreeSet::new(), &rules, on_day(now));
            let reversed: Vec<Fact> = facts.iter().rev().cloned().collect();
            prop_assert_eq!(&one, &plan(&reversed, &BTreeSet::new(), &rules, on_day(now)));
            prop_assert_eq!(one.delete.len() + one.keep.len() + one.reported.len(), facts.len());
        }

        #[test]
        fn a_clock_that_jumps_back_deletes_nothing_that_would_have_stayed(
            facts in facts(), rules in any_rules(), now in 0..50_i64, back in 0..50_i64,
        ) {
            let protected = BTreeSet::new();
            let right = plan(&facts, &protected, &rules, on_day(now));
            let jumped = plan(&facts, &protected, &rules, on_day(now - back));
            prop_assert!(jumped.delete.iter().all(|id| right.delete.contains(id)));
        }

        #[test]
        fn what_was_planned_once_and_done_leaves_nothing_more_to_delete(
            count in 0..20_i64, rules in any_rules(),
        ) {
            let all = days(&(0..count).collect::<Vec<_>>());
            let first = plan(&all, &BTreeSet::new(), &rules, on_day(50));
            let left: Vec<Fact> = all.into_iter().filter(|fact| !first.delete.contains(&fact.id)).collect();
            prop_assert_eq!(plan(&left, &BTreeSet::new(), &rules, on_day(50)).delete, vec![]);
        }
    }
}
