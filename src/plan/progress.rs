//! How far a transaction has come, folded from its journal, and which record may follow which.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::RunId;
use crate::plan::transaction::{Leg, Reach, Step, Transaction};
use crate::snapshot::{Exchange, SnapshotId};

/// One record of a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Record {
    /// The first: what is going to be done.
    Opened {
        /// Schema of the journal.
        schema: u64,
        /// Which transaction.
        txn: RunId,
        /// The plan.
        transaction: Box<Transaction>,
    },
    /// A step is about to act.
    Begun {
        /// Which way.
        leg: Leg,
        /// Which step.
        step: Step,
    },
    /// The step has acted.
    Ended {
        /// Which way.
        leg: Leg,
        /// Which step.
        step: Step,
        /// How long it took, in milliseconds.
        ms: u64,
    },
    /// The step has failed.
    Failed {
        /// Which way.
        leg: Leg,
        /// Which step.
        step: Step,
        /// How long it took, in milliseconds.
        ms: u64,
        /// Why.
        error: String,
    },
    /// A snapshot of the data is complete.
    Snapshot {
        /// Which.
        id: SnapshotId,
    },
    /// These volumes are about to be exchanged, each known by both inodes.
    Exchanges {
        /// Which way.
        leg: Leg,
        /// The volumes.
        exchanges: Vec<Exchange>,
    },
    /// The app answered healthy for the first time after it was touched.
    Up {
        /// Which way.
        leg: Leg,
    },
    /// From here on it goes back.
    TurnedBack {
        /// Why.
        cause: String,
        /// What a person can do about it.
        #[serde(default)]
        remedy: Option<String>,
        /// Whose fault it was.
        fault: Fault,
        /// The steps back.
        steps: Vec<Step>,
    },
    /// A later run took the transaction up again, from this step.
    Resumed {
        /// Which way.
        leg: Leg,
        /// Where it goes on; `None`: all steps have ended.
        from: Option<Step>,
    },
    /// Nothing more is to be done.
    Closed,
}

/// Whose fault it was that a transaction turned back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fault {
    /// The version's: it is quarantined.
    Version,
    /// The machine's (no space, a program that is missing): the version may be tried again.
    Machine,
    /// warmkeep died.
    Interrupted,
}

/// A record that may not follow what came before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Illegal(String);

/// A step that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// Which way.
    pub leg: Leg,
    /// Which step.
    pub step: Step,
    /// How long it took, in milliseconds; `None`: it never came back.
    pub ms: Option<u64>,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// Why and how a transaction goes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TurnedBack {
    /// Why.
    pub cause: String,
    /// What a person can do about it.
    pub remedy: Option<String>,
    /// Whose fault.
    pub fault: Fault,
    /// The steps back.
    pub steps: Vec<Step>,
}

/// How far a transaction has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Which transaction.
    pub txn: RunId,
    /// Its plan.
    pub transaction: Transaction,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// Its snapshot, once complete.
    pub snapshot: Option<SnapshotId>,
    /// The way back, once it is taken.
    pub turned_back: Option<TurnedBack>,
    /// All steps tried, in order.
    pub tried: Vec<Tried>,
    /// When the app was first touched.
    pub down_since: Option<Timestamp>,
    /// When it was last seen to come up again.
    pub up_at: Option<Timestamp>,
    /// Whether a later run took it up.
    pub resumed: bool,
    /// Whether it is over.
    pub closed: bool,
    exchanges: Vec<(Leg, Vec<Exchange>)>,
    ended: Vec<(Leg, Step)>,
    in_flight: Option<(Leg, Step)>,
    reach: Reach,
}

impl Progress {
    /// The progress after the first record.
    pub fn open(record: Record, at: Timestamp) -> Result<Self, Illegal> {
        let Record::Opened { txn, transaction, .. } = record else {
            return Err(Illegal("the first record does not open a transaction".into()));
        };
        Ok(Self {
            txn,
            transaction: *transaction,
            opened_at: at,
            snapshot: None,
            turned_back: None,
            tried: Vec::new(),
            down_since: None,
            up_at: None,
            resumed: false,
            closed: false,
            exchanges: Vec::new(),
            ended: Vec::new(),
            in_flight: None,
            reach: Reach::Nothing,
        })
    }

    /// The progress after one more record.
    pub fn apply(&mut self, record: Record, at: Timestamp) -> Result<(), Illegal> {
        if self.closed {
            return Err(Illegal("a record follows the end of the transaction".into()));
        }
        match record {
            Record::Opened { .. } => return Err(Illegal("a transaction is opened twice".into())),
            Record::Begun { leg, step } => self.begin(leg, step, at)?,
            Record::Ended { leg, step, ms } => self.finish(leg, step, ms, None)?,
            Record::Failed { leg, step, ms, error } => self.finish(leg, step, ms, Some(error))?,
            Record::Snapshot { id } => {
                self.expect_in_flight(Leg::Forward, Step::Snapshot)?;
                self.snapshot = Some(id);
            }
            Record::Exchanges { leg, exchanges } => {
                self.expect_in_flight(leg, Step::Restore)?;
                self.exchanges.retain(|(other, _)| *other != leg);
                self.exchanges.push((leg, exchanges));
            }
            Record::Up { leg } => {
                self.expect_in_flight(leg, Step::Gate)?;
                self.up_at = Some(at);
            }
            Record::TurnedBack { cause, fault, steps, remedy } => {
                self.turn_back(TurnedBack { cause, remedy, fault, steps })?;
            }
            Record::Resumed { leg, from } => self.resume(leg, from)?,
            Record::Closed => self.close()?,
        }
        Ok(())
    }

    fn begin(&mut self, leg: Leg, step: Step, at: Timestamp) -> Result<(), Illegal> {
        if let Some((_, other)) = self.in_flight {
            return Err(Illegal(format!("{} begins while {} is under way", step.name(), other.name())));
        }
        if leg != self.leg() || self.next_step() != Some(step) {
            return Err(Illegal(format!("{} begins out of turn", step.name())));
        }
        self.in_flight = Some((leg, step));
        self.tried.push(Tried { leg, step, ms: None, error: None });
        if leg == Leg::Forward {
            self.reach = self.reach.max(self.transaction.reach_of(step));
        }
        let was_up = self.transaction.from.is_some();
        if was_up && matches!(step, Step::Stop | Step::Restore | Step::Deploy) {
            self.down_since.get_or_insert(at);
        }
        Ok(())
    }

    fn finish(&mut self, leg: Leg, step: Step, ms: u64, error: Option<String>) -> Result<(), Illegal> {
        self.expect_in_flight(leg, step)?;
        self.in_flight = None;
        if error.is_none() {
            self.ended.push((leg, step));
        }
        if let Some(last) = self.tried.last_mut() {
            last.ms = Some(ms);
            last.error = error;
        }
        Ok(())
    }

    fn turn_back(&mut self, back: TurnedBack) -> Result<(), Illegal> {
        if self.turned_back.is_some() {
            return Err(Illegal("a transaction turns back twice".into()));
        }
        if self.has_ended(Leg::Forward, Step::Commit) {
            return Err(Illegal("a committed transaction turns back".into()));
        }
        self.in_flight = None;
        self.turned_back = Some(back);
        Ok(())
    }

    fn resume(&mut self, leg: Leg, from: Option<Step>) -> Result<(), Illegal> {
        if leg != self.leg() {
            return Err(Illegal("a transaction is resumed on the leg that it has left".into()));
        }
        let keep = match from {
            Some(step) => self.steps().iter().position(|s| *s == step),
            None => Some(self.steps().len()),
        };
        let Some(keep) = keep else {
            return Err(Illegal("a transaction is resumed at a step that it does not have".into()));
        };
        let kept: Vec<Step> = self.steps()[..keep].to_vec();
        self.ended.retain(|(of, step)| *of != leg || kept.contains(step));
        self.in_flight = None;
        self.resumed = true;
        Ok(())
    }

    fn close(&mut self) -> Result<(), Illegal> {
        if self.in_flight.is_some() || self.next_step().is_some() {
            return Err(Illegal("a transaction is closed before its last step".into()));
        }
        self.closed = true;
        Ok(())
    }

    fn expect_in_flight(&self, leg: Leg, step: Step) -> Result<(), Illegal> {
        if self.in_flight == Some((leg, step)) {
            return Ok(());
        }
        Err(Illegal(format!("a record of {} stands outside of it", step.name())))
    }

    /// Which way it is going.
    pub fn leg(&self) -> Leg {
        if self.turned_back.is_some() { Leg::Back } else { Leg::Forward }
    }

    /// The steps of the leg that it is on.
    pub fn steps(&self) -> &[Step] {
        self.turned_back.as_ref().map_or(&self.transaction.steps, |back| &back.steps)
    }

    /// The first step of the leg that has not ended.
    pub fn next_step(&self) -> Option<Step> {
        let leg = self.leg();
        self.steps().iter().copied().find(|step| !self.has_ended(leg, *step))
    }

    /// Whether a step has ended well.
    pub fn has_ended(&self, leg: Leg, step: Step) -> bool {
        self.ended.contains(&(leg, step))
    }

    /// How far it has reached into the app.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// The exchanges of a leg, once they were about to happen.
    pub fn exchanges(&self, leg: Leg) -> Option<&[Exchange]> {
        self.exchanges.iter().find(|(of, _)| *of == leg).map(|(_, exchanges)| exchanges.as_slice())
    }

    /// How long the app was down, in milliseconds; `None`: it was not, or is not up again.
    pub fn downtime_ms(&self) -> Option<u64> {
        let span = self.up_at?.as_millisecond() - self.down_since?.as_millisecond();
        Some(u64::try_from(span).unwrap_or(0))
    }
}
