//! What each step does. Every one of them can be run again after it was interrupted anywhere.

use std::collections::{BTreeMap, BTreeSet};

use super::gate::Proof;
use super::hooks::{self, Phase};
use super::tell;
use super::transaction::Runner;
use crate::driver::{Convergence, Up};
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::plan::progress::{Fault, Record, Tried};
use crate::plan::transaction::{Kind, Leg, Reach, Step, Transaction};
use crate::record::history;
use crate::record::report::{AppReport, Outcome};
use crate::record::state::LastOutcome;
use crate::snapshot::{Listing, Request, SnapshotId, retention};
use crate::sys::{clock, files};
use crate::version::Version;

/// The most that is read of an overridden journal.
const EVIDENCE: u64 = 16 << 20;

impl Runner<'_, '_> {
    pub(super) fn act(&mut self, leg: Leg, step: Step) -> Result<()> {
        let subject = self.subject;
        match step {
            Step::Prefetch => {
                subject.driver.prefetch(&self.target(leg)?)?;
                self.secure_way_back()?;
                self.look_for_room_before_stop(step)
            }
            Step::BeforeStop => {
                self.run_hook(leg, "beforeStop", &subject.app.hooks.before_stop)?;
                self.look_for_room_before_stop(step)
            }
            Step::Stop => subject.driver.stop(),
            Step::WaitGone => subject.driver.wait_gone(),
            Step::Snapshot => self.take_snapshot(),
            Step::Restore => self.restore(leg),
            Step::Deploy => {
                self.end_what_failed(leg)?;
                let target = self.target(leg)?;
                match leg {
                    Leg::Forward => subject.driver.deploy(&target),
                    Leg::Back => subject.driver.return_to(&target),
                }
            }
            Step::AfterDeploy => self.run_hook(leg, "afterDeploy", &subject.app.hooks.after_deploy),
            Step::Seal => {
                self.seal();
                Ok(())
            }
            Step::Gate => self.gate(leg),
            Step::Commit => self.commit(),
            Step::Tidy => {
                self.tidy();
                Ok(())
            }
        }
    }

    /// A process that failed its gate on an earlier attempt gets no second look: it is started anew.
    fn end_what_failed(&self, leg: Leg) -> Result<()> {
        let failed = |tried: &&Tried| tried.leg == leg && tried.step == Step::Gate && tried.error.is_some();
        if !self.progress().tried.iter().any(|tried| failed(&tried)) {
            return Ok(());
        }
        self.subject.driver.stop()?;
        self.subject.driver.wait_gone()
    }

    /// What runs is stopped only if it could be started again: its release may have gone, or its program with a change
    /// of the configuration.
    fn secure_way_back(&self) -> Result<()> {
        let Transaction { app, from: Some(from), kind: Kind::Upgrade | Kind::Rollback, .. } =
            &self.progress().transaction
        else {
            return Ok(());
        };
        let driver = &self.subject.driver;
        if driver.current()?.up != Up::Yes {
            return Ok(());
        }
        driver.prefetch(from).and_then(|()| driver.can_return_to(from)).map_err(|e| {
            let remedy = format!(
                "put back what it needs, so that there is a way back. To go on without one, end the processes of {app} \
                 by hand first, then deploy"
            );
            Error::new(format!("{from}, which runs, could not be started again")).because(e).remedy(remedy)
        })
    }

    fn target(&self, leg: Leg) -> Result<Version> {
        let transaction = &self.progress().transaction;
        match leg {
            Leg::Forward => Ok(transaction.to.clone()),
            Leg::Back => {
                transaction.from.clone().ok_or_else(|| Error::new("there is no version to go back to"))
            }
        }
    }

    pub(super) fn run_hook(&self, leg: Leg, name: &str, argv: &[String]) -> Result<()> {
        hooks::run(name, argv, &self.variables(leg))
    }

    /// On the way back, the app comes from the version that failed.
    fn variables(&self, leg: Leg) -> BTreeMap<String, String> {
        let progress = self.progress();
        let Transaction { kind, from, to, .. } = &progress.transaction;
        let (phase, version, from) = match (leg, from) {
            (Leg::Forward, from) => (Phase::In(*kind), to, from.as_ref()),
            (Leg::Back, Some(old)) => (Phase::Back, old, Some(to)),
            (Leg::Back, None) => (Phase::Back, to, None),
        };
        // A rollback by hand is about the snapshot that it takes back, and not about the one it takes for safety.
        let taken_back = progress.transaction.restore.as_ref().filter(|_| leg == Leg::Forward);
        self.subject.variables(phase, version, from, taken_back.or(progress.snapshot.as_ref()))
    }

    /// What was fetched, or a hook, may have filled the disk: that is seen while the old version still serves.
    fn look_for_room_before_stop(&self, step: Step) -> Result<()> {
        let transaction = &self.progress().transaction;
        let stops_next = transaction.steps.windows(2).any(|pair| pair == [step, Step::Stop]);
        if !stops_next || !transaction.steps.contains(&Step::Snapshot) {
            return Ok(());
        }
        let survey = self.subject.store.survey(&transaction.volumes)?;
        survey.shortfall().map_or(Ok(()), |shortfall| Err(shortfall.into()))
    }

    fn take_snapshot(&mut self) -> Result<()> {
        let progress = self.progress();
        let transaction = &progress.transaction;
        for volume in transaction.volumes.iter().filter(|_| transaction.kind == Kind::Install) {
            if !files::exists(volume) {
                files::create_dir_private(volume)?;
            }
        }
        let request = Request {
            version: transaction.data_of().clone(),
            reason: format!("before {} to {}", transaction.kind.word(), transaction.to),
            volumes: transaction.volumes.clone(),
            txn: progress.txn.to_string(),
        };
        let snapshot = self.subject.store.create(&request)?;
        self.write(Record::Snapshot { id: snapshot.id })
    }

    /// Hashing comes after the app is up again. That it fails is told, but is no reason to take a healthy app back. An
    /// app that is dead already does not wait for it.
    fn seal(&self) {
        let target = &self.progress().transaction.to;
        if matches!(self.subject.driver.converged(target), Ok(Convergence::Dead(_))) {
            return;
        }
        if let Some(id) = &self.progress().snapshot
            && let Err(e) = self.subject.store.seal(id)
        {
            tracing::warn!(name: "snapshot.notSealed", app = self.subject.app.name, error = e.chain());
        }
    }

    fn gate(&mut self, leg: Leg) -> Result<()> {
        let version = self.target(leg)?;
        let subject = self.subject;
        let proof = Proof { version: &version, env: self.variables(leg) };
        subject.pass_gate(&proof, || self.write(Record::Up { leg }))
    }

    /// Records the result: state, history, alert. With the disk full, what was set aside is used for it.
    fn commit(&mut self) -> Result<()> {
        let mut report = tell::report(self.progress());
        // The last step tried is this one, and it has not ended.
        report.steps.pop();
        self.settle();
        self.state.last = Some(LastOutcome { outcome: report.outcome, at: clock::now() });
        match self.record(&report) {
            Err(e) if e.kind() == ErrorKind::DiskFull => {
                self.give_up_reserve();
                self.record(&report)
            }
            other => other,
        }
    }

    fn record(&self, report: &AppReport) -> Result<()> {
        let progress = self.progress();
        if progress.leg() == Leg::Forward {
            self.subject.driver.prove(&progress.transaction.to)?;
        }
        self.keep(report)
    }

    fn settle(&mut self) {
        let progress = self.journal.progress();
        let transaction = &progress.transaction;
        let now = clock::now();
        self.state.volumes.clone_from(&transaction.volumes);
        self.subject.app.driver.name().clone_into(&mut self.state.driver);
        let Some(back) = &progress.turned_back else {
            self.state.commit(&transaction.to, now, progress.snapshot.clone());
            // Earlier data of the same version is no verdict on the version.
            if let (Kind::Rollback, Some(from)) = (transaction.kind, &transaction.from)
                && *from != transaction.to
            {
                self.state.quarantine(from.clone(), now, "rolled back by hand".into());
            }
            return;
        };
        if back.fault == Fault::Version && transaction.kind != Kind::Repair {
            self.state.quarantine(transaction.to.clone(), now, back.cause.clone());
        }
        if progress.reach() > Reach::Nothing
            && transaction.kind != Kind::Repair
            && transaction.replaces.is_none()
        {
            self.state.current.clone_from(&transaction.from);
            self.state.stuck = None;
        }
    }

    /// Writes state, history and alert for a report.
    pub(super) fn keep(&self, report: &AppReport) -> Result<()> {
        let subject = self.subject;
        self.state.write(&subject.layout.state_file())?;
        if report.outcome == Outcome::Noop {
            return Ok(());
        }
        let entry = history::Entry::new(self.progress().txn.clone(), clock::now(), report.clone());
        history::append(&subject.layout.history(), &entry)?;
        subject.tell(report)
    }

    /// Removes what is no longer needed. What cannot be removed now is removed next time.
    fn tidy(&self) {
        let steps: [(&str, Result<()>); 4] = [
            ("snapshot", self.drop_needless_snapshot()),
            ("snapshots", self.apply_retention()),
            ("releases", self.subject.driver.tidy(&self.versions_kept())),
            ("leftovers", self.subject.store.sweep().map(drop)),
        ];
        for (what, outcome) in steps {
            if let Err(e) = outcome {
                tracing::warn!(name: "tidy.failed", app = self.subject.app.name, what, error = e.chain());
            }
        }
    }

    /// A snapshot of data that nobody touched afterwards says nothing that the data does not say.
    fn drop_needless_snapshot(&self) -> Result<()> {
        let progress = self.progress();
        match &progress.snapshot {
            Some(id) if progress.leg() == Leg::Back && progress.reach() <= Reach::Stopped => {
                self.subject.store.discard(id)
            }
            _ => Ok(()),
        }
    }

    fn versions_kept(&self) -> Vec<Version> {
        let good = self.state.last_good.as_ref().map(|good| good.version.clone());
        self.state.current.iter().cloned().chain(good).collect()
    }

    /// What the journal of an overridden transaction names stays with it, even where that journal is damaged.
    fn named_by_evidence(&self, listing: &Listing) -> Result<BTreeSet<SnapshotId>> {
        let mut named = BTreeSet::new();
        for journal in self.subject.layout.abandoned_journals()? {
            let bytes = files::read_if_exists(&journal, EVIDENCE)?.unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            let ids = listing.snapshots.iter().map(|snapshot| &snapshot.id);
            named.extend(ids.filter(|id| text.contains(id.as_str())).cloned());
        }
        Ok(named)
    }

    fn apply_retention(&self) -> Result<()> {
        let subject = self.subject;
        let listing = subject.store.list()?;
        let mut protected: BTreeSet<SnapshotId> = self.named_by_evidence(&listing)?;
        protected.extend(self.state.last_good.iter().filter_map(|good| good.snapshot.clone()));
        protected.extend(self.progress().snapshot.clone());
        let facts: Vec<retention::Fact> = listing.snapshots.iter().map(retention::Fact::from).collect();
        let plan = retention::plan(&facts, &protected, &subject.app.snapshots, clock::now());
        for id in &plan.delete {
            subject.store.discard(id)?;
        }
        Ok(())
    }
}
