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

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::id::RunId;
    use crate::plan::progress::{Fault, Record};
    use crate::plan::transaction::{HookSteps, Transaction, forward};
    use crate::record::document::SCHEMA;
    use crate::snapshot::SnapshotId;
    use crate::version::Version;

    fn snapshot() -> SnapshotId {
        SnapshotId::parse("20261121T030000Z-0001").unwrap()
    }

    fn transaction(kind: Kind, stateful: bool, hooks: bool) -> Transaction {
        let restores = kind == Kind::Rollback && stateful;
        let hooks = HookSteps { before_stop: hooks, after_deploy: hooks };
        Transaction {
            app: "notes".into(),
            kind,
            from: (kind != Kind::Install).then(|| Version::new("1.0.0").unwrap()),
            to: Version::new("1.1.0").unwrap(),
            volumes: if stateful { vec!["/data".into()] } else { vec![] },
            steps: forward(kind, stateful, restores, hooks),
            restore: restores.then(snapshot),
            overrides: vec![],
            replaces: None,
            why: String::new(),
        }
    }

    /// A run of warmkeep over a transaction, without an app: what happens at each record is drawn.
    struct Play {
        progress: Progress,
        /// What was done to the app, in order.
        done: Vec<(Leg, Step)>,
        fate: std::vec::IntoIter<Fate>,
    }

    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Fate {
        Well,
        Fails,
        Killed,
    }

    /// Why a run ended.
    #[derive(Debug, PartialEq, Eq)]
    enum End {
        Closed,
        Killed,
        Stuck,
    }

    impl Play {
        fn begin(transaction: Transaction, fate: Vec<Fate>) -> Self {
            let opened = Record::Opened {
                schema: SCHEMA,
                txn: RunId::new().unwrap(),
                transaction: Box::new(transaction),
            };
            let progress = Progress::open(opened, Timestamp::UNIX_EPOCH).unwrap();
            Self { progress, done: Vec::new(), fate: fate.into_iter() }
        }

        /// Writes a record, which must be legal; says whether the run dies after it.
        fn write(&mut self, record: Record) -> Result<Fate, TestCaseError> {
            let told = format!("{record:?}");
            let applied = self.progress.apply(record, Timestamp::UNIX_EPOCH);
            prop_assert!(applied.is_ok(), "{told}: {applied:?} after {:?}", self.done);
            Ok(self.fate.next().unwrap_or(Fate::Well))
        }

        fn turn_back(&mut self, fault: Fault) -> Result<Fate, TestCaseError> {
            let steps = self.progress.transaction.way_back(self.progress.reach());
            self.write(Record::TurnedBack { cause: "it failed".into(), remedy: None, fault, steps })
        }

        /// Goes on until the end, or until it dies.
        fn run(&mut self) -> Result<End, TestCaseError> {
            while let Some(step) = self.progress.next_step() {
                let leg = self.progress.leg();
                if self.write(Record::Begun { leg, step })? == Fate::Killed {
                    return Ok(End::Killed);
                }
                self.done.push((leg, step));
                if (leg, step) == (Leg::Forward, Step::Snapshot)
                    && self.write(Record::Snapshot { id: snapshot() })? == Fate::Killed
                {
                    return Ok(End::Killed);
                }
                let fails = self.fate.next() == Some(Fate::Fails);
                let error = "no".to_owned();
                let fate = if fails {
                    self.write(Record::Failed { leg, step, ms: 1, error })?
                } else {
                    self.write(Record::Ended { leg, step, ms: 1 })?
                };
                let dies = fate == Fate::Killed;
                if fails && !dies && (leg == Leg::Back || matches!(step, Step::Commit | Step::Tidy)) {
                    return Ok(End::Stuck);
                }
                if dies || fails && self.turn_back(Fault::Version)? == Fate::Killed {
                    return Ok(End::Killed);
                }
            }
            self.write(Record::Closed).map(|_| End::Closed)
        }

        /// Takes up what the last run left.
        fn recover(&mut self) -> Result<End, TestCaseError> {
            if self.progress.closed {
                return Ok(End::Closed);
            }
            let fate = match recover(&self.progress) {
                Recovery::Resume(from) => {
                    let leg = self.progress.leg();
                    self.write(Record::Resumed { leg, from })?
                }
                Recovery::TurnBack => self.turn_back(Fault::Interrupted)?,
            };
            if fate == Fate::Killed { Ok(End::Killed) } else { self.run() }
        }

        /// Whether something was last done to the app before something else.
        fn last(&self, leg: Leg, step: Step) -> Option<usize> {
            self.done.iter().rposition(|done| *done == (leg, step))
        }
    }

    fn kinds() -> impl Strategy<Value = Kind> {
        prop::sample::select(vec![Kind::Install, Kind::Upgrade, Kind::Repair, Kind::Rollback])
    }

    fn fates() -> impl Strategy<Value = Vec<Fate>> {
        let fate = prop_oneof![6 => Just(Fate::Well), 1 => Just(Fate::Fails), 1 => Just(Fate::Killed)];
        prop::collection::vec(fate, 0..120)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Whatever fails and wherever it dies, each record is legal, and once luck is back the next run closes it.
        #[test]
        fn every_history_is_legal_and_comes_to_its_end(
            kind in kinds(), stateful: bool, hooks: bool, fates in fates(),
        ) {
            let mut play = Play::begin(transaction(kind, stateful, hooks), fates);
            let mut end = play.run()?;
            let mut runs = 1;
            while end != End::Closed {
                end = play.recover()?;
                runs += 1;
                prop_assert!(runs < 130, "{:?}", play.done);
            }
            prop_assert!(play.progress.closed && play.progress.next_step().is_none());
            prop_assert_eq!(play.recover()?, End::Closed, "a recovery of what is closed does nothing");
        }

        /// Data that the target may have touched is taken back before the old version starts on it, with nothing running.
        #[test]
        fn the_old_version_never_starts_on_data_that_the_new_one_had(
            kind in kinds(), hooks: bool, fates in fates(),
        ) {
            let mut play = Play::begin(transaction(kind, true, hooks), fates);
            let mut end = play.run()?;
            while end != End::Closed {
                end = play.recover()?;
            }
            let (deployed, back) = (play.last(Leg::Forward, Step::Deploy), play.last(Leg::Back, Step::Deploy));
            if let (Some(deployed), Some(back)) = (deployed, back) {
                let restored = play.last(Leg::Back, Step::Restore);
                let gone = play.last(Leg::Back, Step::WaitGone);
                prop_assert!(deployed < back, "{:?}", play.done);
                prop_assert!(gone.is_some_and(|at| deployed < at), "{:?}", play.done);
                prop_assert!(restored > gone && restored < Some(back), "{:?}", play.done);
            }
        }

        /// The target does not start before there is a copy of the data that it could spoil.
        #[test]
        fn no_version_starts_before_the_data_was_copied(
            kind in kinds().prop_filter("a repair has no copy", |kind| *kind != Kind::Repair),
            hooks: bool,
            fates in fates(),
        ) {
            let mut play = Play::begin(transaction(kind, true, hooks), fates);
            let mut end = play.run()?;
            while end != End::Closed {
                end = play.recover()?;
            }
            let deployed = play.done.iter().position(|done| *done == (Leg::Forward, Step::Deploy));
            prop_assert!(deployed.is_none() || play.progress.snapshot.is_some());
            let copied = play.done.iter().position(|done| *done == (Leg::Forward, Step::Snapshot));
            prop_assert!(deployed.is_none() || copied < deployed, "{:?}", play.done);
        }
    }

    /// What was interrupted before anything was stopped is undone by nothing that touches the app.
    #[test]
    fn before_stop_it_is_forgotten() {
        let mut met = 0;
        for (stateful, hooks, dies_after) in [false, true]
            .into_iter()
            .flat_map(|s| [false, true].map(|h| (s, h)))
            .flat_map(|(s, h)| (0..6).map(move |n| (s, h, n)))
        {
            let fates = [vec![Fate::Well; dies_after], vec![Fate::Killed]].concat();
            let mut play = Play::begin(transaction(Kind::Upgrade, stateful, hooks), fates);
            if play.run().unwrap() != End::Killed || play.progress.reach() != Reach::Nothing {
                continue;
            }
            met += 1;
            assert_eq!(recover(&play.progress), Recovery::TurnBack);
            let before = play.done.len();
            assert_eq!(play.recover().unwrap(), End::Closed);
            assert_eq!(&play.done[before..], &[(Leg::Back, Step::Commit), (Leg::Back, Step::Tidy)]);
        }
        assert!(met > 5, "{met}");
    }
}
