//! The life of one transaction: each step is journaled before it acts and after; a step that fails turns it back; a
//! step that fails on the way back leaves it stuck, with its journal kept for the next run and for a person.

use std::path::PathBuf;

use super::Subject;
use super::events::Event;
use super::tell;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::plan::progress::{Fault, Progress, Record};
use crate::plan::recovery::{Recovery, recover};
use crate::plan::transaction::{Kind, Leg, Reach, Step, Transaction};
use crate::record::journal::Journal;
use crate::record::report::AppReport;
use crate::record::state::AppState;
use crate::sys::clock::Stopwatch;
use crate::sys::files::{self, Room};
use crate::sys::signals::asked_to_end;
use crate::sys::systemd;

/// Set aside for what must be written when the disk is full: state, alert, history, the folders around a clone.
const RESERVE: Room = Room { bytes: 1 << 20, inodes: 32 };
/// With less than this left, an app's failure says nothing about its version.
const FULL: Room = Room { bytes: 1 << 20, inodes: 16 };

/// Runs one transaction to its end.
pub struct Runner<'s, 'a> {
    pub(super) subject: &'s Subject<'a>,
    pub(super) journal: Journal,
    pub(super) state: AppState,
}

impl<'s, 'a> Runner<'s, 'a> {
    /// Opens a transaction.
    pub fn begin(subject: &'s Subject<'a>, state: AppState, transaction: Transaction) -> Result<Self> {
        set_aside(subject, transaction.kind)?;
        let journal = Journal::open(&subject.layout.journal(), transaction).inspect_err(|_| {
            // Nothing was begun; what cannot be removed now, the next run removes.
            let _ = files::give_up(&subject.layout.reserve());
        })?;
        Ok(Self { subject, journal, state })
    }

    /// Takes up what an earlier run left unfinished; `None`: there is nothing.
    pub fn take_up(subject: &'s Subject<'a>, state: AppState) -> Result<Option<Self>> {
        match Journal::take_up(&subject.layout.journal())? {
            Some(journal) => Ok(Some(Self { subject, journal, state })),
            None => {
                // A run that died before its first record has only set space aside.
                files::give_up(&subject.layout.reserve())?;
                Ok(None)
            }
        }
    }

    /// Runs a new transaction.
    pub fn run(mut self) -> AppReport {
        match self.drive() {
            Ok(()) => self.close(),
            Err(e) => self.give_up(&e),
        }
    }

    /// Finishes an unfinished transaction.
    pub fn recover(mut self) -> AppReport {
        let resumed =
            self.subject.driver.end_strays().and_then(|()| self.resume()).and_then(|()| self.drive());
        match resumed {
            Ok(()) => self.close(),
            Err(e) => self.give_up(&e),
        }
    }

    pub(super) fn progress(&self) -> &Progress {
        self.journal.progress()
    }

    fn resume(&mut self) -> Result<()> {
        let leg = self.progress().leg();
        match recover(self.progress()) {
            Recovery::Resume(from) => self.write(Record::Resumed { leg, from }),
            Recovery::TurnBack => {
                let cause = format!("warmkeep was interrupted {}", where_it_stood(self.progress()));
                self.turn_back(&Error::new(cause), Fault::Interrupted)
            }
        }
    }

    fn drive(&mut self) -> Result<()> {
        while let Some(step) = self.progress().next_step() {
            let leg = self.progress().leg();
            if let Err(asked) = self.may_begin(step) {
                self.turn_back(&asked, Fault::Machine)?;
                continue;
            }
            let Err(error) = self.step(leg, step) else { continue };
            let ends = leg == Leg::Back || matches!(step, Step::Commit | Step::Tidy);
            if ends || error.kind() == ErrorKind::CutShort {
                return Err(error);
            }
            let error = self.with_the_disk_in_mind(error);
            let fault = fault_of(step, &error);
            self.turn_back(&error, fault)?;
        }
        self.write(Record::Closed)
    }

    /// Asked to end, a transaction that has touched nothing yet is given up. One that has is brought to its end: a
    /// half-done one would leave the app down until the next run.
    fn may_begin(&self, step: Step) -> Result<()> {
        let progress = self.progress();
        let touches = progress.transaction.reach_of(step) > Reach::Nothing;
        let untouched = progress.leg() == Leg::Forward && progress.reach() == Reach::Nothing;
        if touches && untouched && asked_to_end() {
            return Err(Error::new("warmkeep was asked to end before anything was touched"));
        }
        Ok(())
    }

    fn step(&mut self, leg: Leg, step: Step) -> Result<()> {
        let app = self.subject.app.name.as_str();
        self.subject.ctx.events.happened(&Event::Step { app, leg, step });
        self.write(Record::Begun { leg, step })?;
        let watch = Stopwatch::start();
        let acted = self.act_on_any_disk(leg, step).map_err(unless_shutting_down);
        let ms = watch.ms();
        match &acted {
            Ok(()) => {
                tracing::info!(name: "step.ended", app, step = step.name(), ms);
                self.write(Record::Ended { leg, step, ms })?;
            }
            // As after a power cut: the step stays open in the journal, and the boot takes it up.
            Err(e) if e.kind() == ErrorKind::CutShort => {
                tracing::info!(name: "step.cutShort", app, step = step.name(), ms);
            }
            Err(e) => {
                let error = self.subject.redact.clean(&e.chain());
                tracing::info!(name: "step.failed", app, step = step.name(), ms, error);
                self.write(Record::Failed { leg, step, ms, error })?;
            }
        }
        acted
    }

    /// An app that is down must come up on a full disk too: what was set aside is given up for it, and the step tried
    /// once more. On the way forward it is not, the way back may need it.
    fn act_on_any_disk(&mut self, leg: Leg, step: Step) -> Result<()> {
        let urgent = leg == Leg::Back || self.progress().transaction.kind == Kind::Repair;
        match self.act(leg, step) {
            Err(e) if e.kind() == ErrorKind::DiskFull && urgent => {
                self.give_up_reserve();
                self.subject.ctx.layout.give_up_spare()?;
                self.act(leg, step)
            }
            other => other,
        }
    }

    /// A version that fails on a full disk may be sound: it is not blamed, and the disk is told.
    fn with_the_disk_in_mind(&self, error: Error) -> Error {
        let volumes = &self.progress().transaction.volumes;
        let full = volumes.iter().map(PathBuf::as_path).chain([self.subject.layout.dir()]).find(|path| {
            files::space(path).is_ok_and(|space| {
                space.free_bytes < FULL.bytes
                    || space.free_inodes.is_some_and(|free| free < u64::from(FULL.inodes))
            })
        });
        match full {
            Some(path) if error.kind() == ErrorKind::Failed => {
                let what = format!("{}; the disk of {} is full", error.chain(), path.display());
                Error::new(what).because(std::io::Error::from(std::io::ErrorKind::StorageFull))
            }
            _ => error,
        }
    }

    fn turn_back(&mut self, error: &Error, fault: Fault) -> Result<()> {
        let (cause, remedy) = (self.subject.redact.clean(&error.chain()), error.hint().map(str::to_owned));
        let steps = self.progress().transaction.way_back(self.progress().reach());
        if self.progress().reach() > Reach::Nothing {
            self.subject
                .ctx
                .events
                .happened(&Event::TurningBack { app: &self.subject.app.name, cause: &cause });
        }
        self.write(Record::TurnedBack { cause, remedy, fault, steps })
    }

    /// Writes a journal record. When the disk is full, the space that was set aside is given up for it.
    pub(super) fn write(&mut self, record: Record) -> Result<()> {
        match self.journal.write(record.clone()) {
            Err(e) if e.kind() == ErrorKind::DiskFull => {
                self.give_up_reserve();
                self.journal.write(record)
            }
            other => other,
        }
    }

    /// Frees the space that was set aside.
    pub(super) fn give_up_reserve(&self) {
        if let Err(e) = files::give_up(&self.subject.layout.reserve()) {
            tracing::warn!(name: "reserve.kept", app = self.subject.app.name, error = e.chain());
        }
    }

    pub(super) fn close(self) -> AppReport {
        let mut report = tell::report(self.journal.progress());
        self.give_up_reserve();
        if let Err(e) = self.journal.remove() {
            // Closed is closed: the next run only removes the file.
            let left =
                format!("the finished journal is still there ({}); the next run removes it", e.chain());
            report.remedy = Some(report.remedy.map_or(left.clone(), |remedy| format!("{remedy}; {left}")));
        }
        report
    }

    /// The transaction cannot go on. Its journal stays: the next run tries again from here.
    fn give_up(mut self, error: &Error) -> AppReport {
        let cause = self.subject.redact.clean(&error.chain());
        if error.kind() == ErrorKind::CutShort {
            self.give_up_reserve();
            return tell::cut_short(self.journal.progress(), cause);
        }
        let report = tell::unfinished(self.journal.progress(), &cause, error.hint());
        self.give_up_reserve();
        if report.outcome == crate::record::report::Outcome::Stuck {
            tracing::error!(name: "transaction.stuck", app = self.subject.app.name, cause);
            self.state.stuck = Some(cause);
        }
        let kept = self.keep(&report);
        if let Err(e) = kept {
            tracing::error!(name: "outcome.notKept", app = self.subject.app.name, error = e.chain());
        }
        report
    }
}

/// Nothing is begun that could not be recorded to its end. Only an app that is down is brought up all the same, with
/// the space of the whole host.
fn set_aside(subject: &Subject<'_>, kind: Kind) -> Result<()> {
    match files::reserve(&subject.layout.reserve(), RESERVE) {
        Err(e) if e.kind() == ErrorKind::DiskFull && kind == Kind::Repair => {
            subject.ctx.layout.give_up_spare()
        }
        other => other,
    }
}

/// A host that shuts down ends the apps under warmkeep's hands, and lets it start none: what fails then is nobody's fault.
fn unless_shutting_down(error: Error) -> Error {
    if !systemd::is_going_down() {
        return error;
    }
    let what = format!("the host is shutting down ({}); the next start finishes this", error.chain());
    Error::cut_short(what)
}

/// Whose fault a failed step is. Only what the version itself did wrong quarantines it.
fn fault_of(step: Step, error: &Error) -> Fault {
    match step {
        Step::Deploy | Step::AfterDeploy | Step::Gate if error.kind() != ErrorKind::DiskFull => {
            Fault::Version
        }
        _ => Fault::Machine,
    }
}

fn where_it_stood(progress: &Progress) -> String {
    match progress.tried.last() {
        Some(tried) if tried.ms.is_none() => format!("in the step {}", tried.step.name()),
        Some(tried) => format!("after the step {}", tried.step.name()),
        None => "before the first step".to_owned(),
    }
}
