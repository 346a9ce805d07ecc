//! What to do with a transaction that somebody left unfinished.

use crate::plan::progress::Progress;
use crate::plan::transaction::{Kind, Leg, Reach, Step};

/// How an unfinished transaction is finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// It goes on where it is, beginning with this step again; `None`: all steps have ended and it is only closed.
    Resume(Option<Step>),
    /// It goes back.
    TurnBack,
}

/// Decides. Before `stop` it is forgotten; after it and before the target ran, the old version starts again on untouched
/// data; once the target may have run, the gate decides; on the way back, it goes on going back.
pub fn recover(progress: &Progress) -> Recovery {
    let next = progress.next_step();
    if progress.leg() == Leg::Back {
        return Recovery::Resume(back_from(progress, next));
    }
    if progress.has_ended(Leg::Forward, Step::Gate) {
        return Recovery::Resume(next);
    }
    if progress.transaction.kind == Kind::Repair {
        return Recovery::TurnBack;
    }
    match progress.reach() {
        Reach::Nothing | Reach::Stopped => Recovery::TurnBack,
        Reach::Changed if next == Some(Step::Restore) => Recovery::TurnBack,
        Reach::Changed => Recovery::Resume(Some(Step::Deploy)),
    }
}

/// A version that was started on the way back is started again if it is not up: the machine may have been rebooted. What
/// is not recorded yet is proven anew before it is.
fn back_from(progress: &Progress, next: Option<Step>) -> Option<Step> {
    match next {
        Some(Step::Gate | Step::Commit) if progress.steps().contains(&Step::Deploy) => {
            progress.steps().contains(&Step::Deploy).then_some(Step::Deploy)
        }
        other => other,
    }
}
