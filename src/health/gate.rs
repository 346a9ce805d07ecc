//! The health gate: enough rounds that pass one after the other, then a soak without a failure, all within one hard
//! timeout. It reads no clock; the caller says when each round ended.

use std::time::Duration;

use crate::config::model::Health;

/// What the gate says after a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Another round is needed.
    Waiting,
    /// The app is healthy, and was so for long enough.
    Passed,
    /// It was not in time; with the last failure.
    Failed(String),
}

/// A gate in use.
///
/// A failure before the gate has passed, in the soak too, starts the counting anew: an app that stumbles once while
/// it warms up has until the timeout to prove itself. A verdict other than [`Verdict::Waiting`] is final.
#[derive(Debug, Clone)]
pub struct Gate {
    passes: u32,
    soak: Duration,
    timeout: Duration,
    in_a_row: u32,
    soaking_since: Option<Duration>,
    last_failure: Option<String>,
    verdict: Verdict,
}

impl Gate {
    /// A gate as the app's configuration asks for it. It takes one pass, if it should take none.
    pub fn new(health: &Health) -> Self {
        Self {
            passes: health.passes.max(1),
            soak: health.soak,
            timeout: health.timeout,
            in_a_row: 0,
            soaking_since: None,
            last_failure: None,
            verdict: Verdict::Waiting,
        }
    }

    /// Takes in a round that ended `at` after the gate began: whether it was healthy, and if not, why.
    pub fn observe(&mut self, at: Duration, healthy: bool, failure: Option<&str>) -> Verdict {
        if self.verdict == Verdict::Waiting {
            if healthy {
                self.count(at);
            } else {
                self.start_anew(failure);
            }
            self.verdict = self.decide(at);
        }
        self.verdict.clone()
    }

    fn count(&mut self, at: Duration) {
        self.in_a_row += 1;
        if self.in_a_row == self.passes {
            self.soaking_since = Some(at);
        }
    }

    fn start_anew(&mut self, failure: Option<&str>) {
        self.in_a_row = 0;
        self.soaking_since = None;
        self.last_failure = failure.map(str::to_owned).or(self.last_failure.take());
    }

    fn decide(&self, at: Duration) -> Verdict {
        let soaked = self.soaking_since.is_some_and(|since| at.saturating_sub(since) >= self.soak);
        if soaked && at <= self.timeout {
            Verdict::Passed
        } else if at >= self.timeout {
            Verdict::Failed(self.complaint())
        } else {
            Verdict::Waiting
        }
    }

    fn complaint(&self) -> String {
        let last = self.last_failure.as_deref();
        if self.in_a_row == 0 {
            return format!("not healthy within {:?}: {}", self.timeout, last.unwrap_or("no check said why"));
        }
        let before = last.map(|last| format!("; before that: {last}")).unwrap_or_default();
        format!("healthy, but not for long enough within {:?}{before}", self.timeout)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn health(passes: u32, soak: u64, timeout: u64) -> Health {
        Health {
            checks: BTreeMap::new(),
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(timeout),
            passes,
            soak: Duration::from_secs(soak),
        }
    }

    /// The verdict after each round, one a second; `.` passes, `x` fails.
    fn verdicts(passes: u32, soak: u64, timeout: u64, rounds: &str) -> Vec<Verdict> {
        let mut gate = Gate::new(&health(passes, soak, timeout));
        let observe = |(at, mark)| gate.observe(Duration::from_secs(at), mark == '.', Some("status 503"));
        (1..).zip(rounds.chars()).map(observe).collect()
    }

    /// How many rounds it took to pass.
    fn passed_after(passes: u32, soak: u64, rounds: &str) -> Option<usize> {
        let verdicts = verdicts(passes, soak, 100, rounds);
        verdicts.iter().position(|verdict| *verdict == Verdict::Passed).map(|at| at + 1)
    }

    #[test]
    fn passes_must_follow_one_another() {
        assert_eq!(passed_after(3, 0, "..x.x...."), Some(8));
        assert_eq!(passed_after(3, 0, "..x..x"), None);
    }

    #[test]
    fn the_soak_begins_with_the_last_pass_that_is_needed() {
        assert_eq!(passed_after(3, 5, "........."), Some(8));
    }

    #[test]
    fn a_failure_in_the_soak_starts_the_counting_anew() {
        assert_eq!(passed_after(2, 3, "....x......"), Some(10));
    }

    #[test]
    fn one_pass_is_needed_even_where_none_is_asked_for() {
        assert_eq!(passed_after(0, 0, "x."), Some(2));
    }

    #[test]
    fn at_the_timeout_it_fails_with_the_last_failure() {
        let verdicts = verdicts(1, 0, 3, "xxx");
        assert_eq!(verdicts[1], Verdict::Waiting);
        assert_eq!(verdicts[2], Verdict::Failed("not healthy within 3s: status 503".to_owned()));
    }

    #[test]
    fn health_that_came_too_late_fails_and_says_so() {
        let verdicts = verdicts(3, 0, 3, "x..");
        let late = "healthy, but not for long enough within 3s; before that: status 503";
        assert_eq!(verdicts[2], Verdict::Failed(late.to_owned()));
    }

    #[test]
    fn a_round_that_ends_after_the_timeout_cannot_pass() {
        let mut gate = Gate::new(&health(1, 0, 3));
        let verdict = gate.observe(Duration::from_millis(3001), true, None);
        assert!(matches!(verdict, Verdict::Failed(_)), "{verdict:?}");
    }

    #[test]
    fn a_verdict_is_final() {
        assert_eq!(verdicts(1, 0, 5, ".xxxxxx").last(), Some(&Verdict::Passed));
        assert!(matches!(verdicts(9, 0, 2, "......").last(), Some(Verdict::Failed(_))));
    }

    /// The same told without state: look back from each round.
    fn oracle(health: &Health, rounds: &[(u64, bool)]) -> &'static str {
        for end in 1..=rounds.len() {
            let seen = &rounds[..end];
            let at = seen[end - 1].0;
            let streak = seen.iter().rev().take_while(|(_, healthy)| *healthy).count();
            let row = &seen[end - streak..];
            let needed = health.passes.max(1) as usize;
            let soaked = row.get(needed - 1).is_some_and(|(since, _)| at - since >= health.soak.as_secs());
            match (soaked, at, health.timeout.as_secs()) {
                (true, at, timeout) if at <= timeout => return "passed",
                (_, at, timeout) if at >= timeout => return "failed",
                _ => {}
            }
        }
        "waiting"
    }

    proptest! {
        #[test]
        fn it_agrees_with_looking_back(
            passes in 0_u32..5,
            soak in 0_u64..10,
            timeout in 1_u64..40,
            steps in prop::collection::vec((0_u64..5, prop::bool::weighted(0.8)), 1..25),
        ) {
            let health = health(passes, soak, timeout);
            let rounds: Vec<(u64, bool)> = steps
                .iter()
                .scan(0, |at, (step, healthy)| { *at += step; Some((*at, *healthy)) })
                .collect();
            let mut gate = Gate::new(&health);
            let observe = |(at, healthy): &(u64, bool)| gate.observe(Duration::from_secs(*at), *healthy, Some("down"));
            let word = match rounds.iter().map(observe).last() {
                Some(Verdict::Passed) => "passed",
                Some(Verdict::Failed(_)) => "failed",
                _ => "waiting",
            };
            prop_assert_eq!(word, oracle(&health, &rounds));
        }
    }
}
