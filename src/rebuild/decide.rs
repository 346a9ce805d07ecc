//! What to do in a stage in which `switch-to-configuration` runs, or ran, when whoever began it may have died: pure.

use super::journal::{ATTEMPTS, Stage};

/// What the transient unit is, in which every switch of NixOS runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// It does not run.
    Idle,
    /// It runs this very step.
    Ours,
    /// It still runs an earlier step of the same rebuild, which was given up.
    Given,
    /// It runs what somebody else asked for.
    Foreign,
}

/// Which system runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Running {
    /// The one that ran before.
    Previous,
    /// The new one.
    Target,
    /// Another one: somebody else has switched since.
    Other,
}

/// What can be seen of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The step.
    pub stage: Stage,
    /// The unit.
    pub unit: Unit,
    /// Whether the step has left its result.
    pub has_result: bool,
    /// What runs.
    pub running: Running,
    /// How often the step was begun.
    pub attempts: u32,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Begin the step: activation can be repeated.
    Begin,
    /// Wait until it ends.
    Wait,
    /// Judge by its result.
    Judge,
    /// Stop the unit, then look again.
    Stop,
    /// Wait until the other switch ends, then look again.
    LetEnd,
    /// It ended again and again without a result: it failed.
    GiveUp,
    /// Leave everything as it is: the host is somebody else's now.
    Leave,
}

/// Decides.
pub fn decide(seen: &Seen) -> Decision {
    match (seen.unit, seen.has_result) {
        // A result is complete when it is there; its unit ends by itself.
        (_, true) => Decision::Judge,
        (Unit::Ours, false) => Decision::Wait,
        (Unit::Given, false) => Decision::Stop,
        (Unit::Foreign, false) => Decision::LetEnd,
        (Unit::Idle, false) if seen.running == Running::Other => Decision::Leave,
        (Unit::Idle, false) if seen.attempts >= ATTEMPTS => Decision::GiveUp,
        (Unit::Idle, false) => Decision::Begin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Decision::{Begin, GiveUp, Judge, Leave, LetEnd, Stop, Wait};
    use Running::{Other, Previous, Target};
    use Unit::{Foreign, Given, Idle, Ours};

    #[test]
    fn every_state_in_which_a_switch_can_be_found_has_one_way_on() {
        let table = [
            // While it runs, nothing else matters.
            (Ours, false, Previous, 1, Wait),
            (Ours, false, Target, 9, Wait),
            // It has ended and left its result.
            (Idle, true, Target, 1, Judge),
            (Idle, true, Previous, 9, Judge),
            (Ours, true, Target, 1, Judge),
            (Foreign, true, Other, 1, Judge),
            // Power failed, or the unit was killed: whatever of both runs, activating is safe to repeat.
            (Idle, false, Previous, 0, Begin),
            (Idle, false, Previous, 1, Begin),
            (Idle, false, Target, 1, Begin),
            (Idle, false, Target, 2, GiveUp),
            (Idle, false, Previous, 3, GiveUp),
            // Somebody has switched to something else since.
            (Idle, false, Other, 1, Leave),
            // The way back begins while the way forward hangs.
            (Given, false, Target, 0, Stop),
            // Somebody switches now.
            (Foreign, false, Previous, 0, LetEnd),
            (Foreign, false, Other, 1, LetEnd),
        ];
        for (unit, has_result, running, attempts, expected) in table {
            for stage in [Stage::Activating, Stage::RestoringBoot, Stage::ActivatingPrevious] {
                let seen = Seen { stage, unit, has_result, running, attempts };
                assert_eq!(decide(&seen), expected, "{seen:?}");
            }
        }
    }
}
