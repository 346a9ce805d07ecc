//! A night is journaled: one that was cut short, or that a newer binary carries on, repeats nothing.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How far a night has come. Each phase is written down before it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// The system is rebuilt.
    Rebuild,
    /// The apps are converged.
    Converge,
}

/// Whether an unfinished night is carried on, or a new one begun: until its deadline, and unless the clock was set back
/// since.
pub fn is_carried_on(started_at: Timestamp, now: Timestamp, deadline: Duration) -> bool {
    let age = now.duration_since(started_at);
    !age.is_negative() && age.unsigned_abs() <= deadline
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seconds: i64) -> bool {
        let at = |second| Timestamp::from_second(second).unwrap();
        is_carried_on(at(1000), at(1000 + seconds), Duration::from_secs(3600))
    }

    #[test]
    fn an_unfinished_night_is_carried_on_until_its_deadline() {
        assert!(after(0) && after(3600));
        assert!(!after(3601));
    }

    #[test]
    fn a_night_that_began_in_the_future_is_not_believed() {
        assert!(!after(-1));
    }
}
