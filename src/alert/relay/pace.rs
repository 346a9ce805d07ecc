//! When a sink is tried, and with which alert. Pure.
//!
//! A sink that fails is left alone for longer and longer, one that works is told a few alerts at a time. One alert that
//! a sink will never take must not keep others from it: after a failure the alert that was tried least comes next.

use std::time::Duration;

use jiff::Timestamp;

/// The most deliveries to one sink that are tried in one run.
pub(super) const AT_ONCE: usize = 20;
/// How long a sink rests after that many, where more wait: a week's alerts are no flood.
pub(super) const REST: Duration = Duration::from_secs(15 * 60);
/// After so many failures in a row the sink is left alone.
const ENOUGH: usize = 2;
/// The pause after the first failure.
const FIRST: Duration = Duration::from_secs(60);
/// No pause is longer, but for the chance in it.
pub(super) const LONGEST: Duration = Duration::from_secs(60 * 60);

/// How long to wait after so many failures in a row: twice as long each time, a quarter more or less by `chance`, so
/// that many hosts do not come back at once.
pub(super) fn pause(failures: u32, chance: u8) -> Duration {
    let doubled = FIRST.saturating_mul(1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    let least = doubled.min(LONGEST) / 4 * 3;
    least + least / 3 * 2 * u32::from(chance) / 255
}

/// Whether the time has come. A time that is farther away than any pause is one of a clock that was set back since.
pub(super) fn is_due(next: Option<Timestamp>, now: Timestamp) -> bool {
    let farthest = now.checked_add(LONGEST * 5 / 4).unwrap_or(Timestamp::MAX);
    next.is_none_or(|next| next <= now || next > farthest)
}

/// An alert that waits for a sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Waiting {
    /// The name of its file.
    pub(super) name: String,
    /// How often it was tried in vain.
    pub(super) attempts: u32,
}

/// One run's deliveries to one sink.
#[derive(Debug)]
pub(super) struct Round {
    waiting: Vec<Waiting>,
    tried: Vec<usize>,
    delivered: usize,
    failures_in_a_row: usize,
}

/// How a round ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Nothing was tried.
    Idle,
    /// The sink takes alerts.
    Works,
    /// It does, and has had enough of them for now.
    Rests,
    /// It does not.
    Fails,
}

impl Round {
    /// A round over what waits, oldest first.
    pub(super) fn new(waiting: Vec<Waiting>) -> Self {
        Self { waiting, tried: Vec::new(), delivered: 0, failures_in_a_row: 0 }
    }

    /// The alert that is tried next; `None`: the round is over.
    pub(super) fn pick(&mut self) -> Option<Waiting> {
        if self.tried.len() >= AT_ONCE || self.failures_in_a_row >= ENOUGH {
            return None;
        }
        let left = (0..self.waiting.len()).filter(|place| !self.tried.contains(place));
        let place = if self.failures_in_a_row == 0 {
            left.into_iter().next()
        } else {
            left.min_by_key(|place| self.waiting[*place].attempts)
        }?;
        self.tried.push(place);
        Some(self.waiting[place].clone())
    }

    /// What came of it.
    pub(super) fn answered(&mut self, delivered: bool) {
        self.delivered += usize::from(delivered);
        self.failures_in_a_row = if delivered { 0 } else { self.failures_in_a_row + 1 };
    }

    /// The sink asked to be left alone.
    pub(super) fn stop(&mut self) {
        self.failures_in_a_row = self.failures_in_a_row.max(ENOUGH);
    }

    /// How many were delivered.
    pub(super) fn delivered(&self) -> usize {
        self.delivered
    }

    /// How it ended.
    pub(super) fn ending(&self) -> Ending {
        let failed = self.failures_in_a_row > 0;
        match (self.tried.len(), self.delivered) {
            (0, _) => Ending::Idle,
            (_, 0) if failed => Ending::Fails,
            _ if self.failures_in_a_row >= ENOUGH => Ending::Fails,
            (AT_ONCE.., _) if self.waiting.len() > self.tried.len() => Ending::Rests,
            _ => Ending::Works,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn waiting(attempts: &[u32]) -> Vec<Waiting> {
        let one = |(place, attempts): (usize, &u32)| Waiting { name: place.to_string(), attempts: *attempts };
        attempts.iter().enumerate().map(one).collect()
    }

    /// The names that are tried, where the sink takes all but these.
    fn play(attempts: &[u32], refused: &[&str]) -> (Vec<String>, Ending) {
        let mut round = Round::new(waiting(attempts));
        let mut tried = Vec::new();
        while let Some(one) = round.pick() {
            round.answered(!refused.contains(&one.name.as_str()));
            tried.push(one.name);
        }
        (tried, round.ending())
    }

    #[test]
    fn the_oldest_come_first_and_all_do() {
        assert_eq!(play(&[0, 0, 0], &[]), (vec!["0".into(), "1".into(), "2".into()], Ending::Works));
        assert_eq!(play(&[], &[]), (Vec::new(), Ending::Idle));
    }

    #[test]
    fn a_sink_that_takes_nothing_is_left_alone_after_two() {
        assert_eq!(play(&[0, 0, 0], &["0", "1", "2"]), (vec!["0".into(), "1".into()], Ending::Fails));
    }

    #[test]
    fn an_alert_that_is_never_taken_keeps_no_other_back() {
        let (tried, ending) = play(&[3, 3, 0, 0], &["0", "1"]);
        assert_eq!(tried, ["0", "2", "1", "3"]);
        assert_eq!(ending, Ending::Works);
    }

    #[test]
    fn many_alerts_are_told_a_few_at_a_time() {
        let (tried, ending) = play(&[0; 50], &[]);
        assert_eq!((tried.len(), ending), (AT_ONCE, Ending::Rests));
    }

    #[test]
    fn pauses_double_up_to_an_hour_and_vary_by_a_quarter() {
        let seconds = |failures, chance| pause(failures, chance).as_secs();
        assert_eq!([seconds(1, 0), seconds(2, 0), seconds(3, 0)], [45, 90, 180]);
        assert_eq!([seconds(1, 255), seconds(2, 255)], [75, 150]);
        assert_eq!([seconds(40, 0), seconds(u32::MAX, 255)], [45 * 60, 75 * 60]);
    }

    #[test]
    fn a_clock_that_was_set_back_silences_no_sink() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let at = |seconds: i64| Some(Timestamp::from_second(1_800_000_000 + seconds).unwrap());
        assert!(is_due(None, now) && is_due(at(0), now) && is_due(at(-5), now) && is_due(at(10_000), now));
        assert!(!is_due(at(1), now) && !is_due(at(75 * 60), now));
    }

    proptest! {
        #[test]
        fn a_pause_is_never_longer_than_the_clock_check_allows(failures: u32, chance: u8) {
            prop_assert!(pause(failures, chance) <= LONGEST * 5 / 4);
        }

        #[test]
        fn nothing_is_tried_twice_and_the_fresh_are_always_reached(
            attempts in prop::collection::vec(0_u32..5, 0..60),
            refused in prop::collection::vec(0_usize..60, 0..60),
        ) {
            let refused: Vec<String> = refused.iter().map(usize::to_string).collect();
            let refused: Vec<&str> = refused.iter().map(String::as_str).collect();
            let (tried, _) = play(&attempts, &refused);
            let mut once = tried.clone();
            once.sort();
            once.dedup();
            prop_assert_eq!(once.len(), tried.len());
            prop_assert!(tried.len() <= AT_ONCE);
            prop_assert!(attempts.is_empty() || tried.contains(&"0".to_owned()));
        }
    }
}
