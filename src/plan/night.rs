//! A night is journaled: one that was cut short, or that a newer binary carries on, repeats nothing.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::RunId;

/// How far a night has come. Each phase is written down before it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// The system is rebuilt.
    Rebuild,
    /// The apps are converged.
    Converge,
}

/// A night that has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// Its run.
    pub run: RunId,
    /// When it began.
    pub started_at: Timestamp,
    /// How far it has come.
    pub phase: Phase,
}

/// Which night is worked on now: the unfinished one, unless its deadline has passed (or its clock cannot be trusted), or
/// else a new one.
pub fn carry_on(unfinished: Option<Begun>, now: Timestamp, deadline: Duration) -> Option<Begun> {
    unfinished.filter(|night| {
        let age = now.duration_since(night.started_at);
        !age.is_negative() && age.unsigned_abs() <= deadline
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn night(started_at: i64) -> Begun {
        let started_at = Timestamp::from_second(started_at).unwrap();
        Begun { run: RunId::new().unwrap(), started_at, phase: Phase::Converge }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn an_unfinished_night_is_carried_on_until_its_deadline() {
        let begun = night(1000);
        assert_eq!(carry_on(Some(begun.clone()), at(1000), HOUR), Some(begun.clone()));
        assert_eq!(carry_on(Some(begun.clone()), at(4600), HOUR), Some(begun.clone()));
        assert_eq!(carry_on(Some(begun), at(4601), HOUR), None);
    }

    #[test]
    fn a_night_that_began_in_the_future_is_not_believed() {
        assert_eq!(carry_on(Some(night(1000)), at(999), HOUR), None);
    }

    #[test]
    fn without_an_unfinished_night_a_new_one_begins() {
        assert_eq!(carry_on(None, at(0), HOUR), None);
    }
}
