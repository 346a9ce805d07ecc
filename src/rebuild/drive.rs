//! Walks the stages of a rebuild from wherever its journal stands to its end.

use std::collections::BTreeSet;
use std::time::Duration;

use super::decide::Running;
use super::folder::{Folder, Last};
use super::journal::{Journal, Order, Settled, Stage, TurnedBack};
use super::report::{Outcome, RebuildReport};
use super::switcher::{Carried, Switcher};
use super::verdict::{Evidence, Verdict, judge};
use super::{Patience, Turn, system, tell};
use crate::config::model::RebuildAction;
use crate::engine::Context;
use crate::engine::events::Event;
use crate::error::{Error, Result};
use crate::record::document::SCHEMA;
use crate::record::report::StepReport;
use crate::sys::clock::{self, Stopwatch};
use crate::sys::nix;

/// How a stage ended.
enum Went {
    /// As it should.
    On,
    /// The rebuild is settled like this.
    Settled(Settled),
    /// It goes back.
    Back(TurnedBack),
    /// The way back failed.
    Stuck(String),
    /// A switch runs on, or is left to the next run.
    Running,
}

/// A rebuild under way.
pub(super) struct Drive<'a> {
    ctx: &'a Context<'a>,
    folder: &'a Folder,
    switcher: Switcher<'a>,
    journal: Journal,
}

impl<'a> Drive<'a> {
    pub(super) fn new(
        ctx: &'a Context<'a>,
        limit: Duration,
        folder: &'a Folder,
        journal: Journal,
        patience: Patience,
    ) -> Self {
        let switcher = Switcher { folder, patience, limit };
        Self { ctx, folder, switcher, journal }
    }

    /// Begins with what was just built.
    pub(super) fn begin(mut self) -> Result<Turn> {
        let first = match self.journal.action {
            RebuildAction::Test => Stage::Activating,
            RebuildAction::Switch | RebuildAction::Boot => Stage::SettingProfile,
        };
        self.enter(first)?;
        self.walk()
    }

    /// Goes on where the journal stands; a way back that had failed is gone from its beginning.
    pub(super) fn resume(mut self) -> Result<Turn> {
        if self.journal.stuck.take().is_some()
            && let Some(first) = self.journal.way_back().first().copied()
        {
            self.enter(first)?;
        }
        self.walk()
    }

    fn walk(mut self) -> Result<Turn> {
        loop {
            if self.journal.stage == Stage::Closing {
                return self.close();
            }
            self.ctx.events.happened(&Event::Rebuilding { step: self.journal.stage.step().word() });
            let watch = Stopwatch::start();
            let went = self.act()?;
            self.note_step(&went, watch);
            match went {
                Went::On => self.go_on()?,
                Went::Settled(settled) => self.settle(settled)?,
                Went::Back(back) => {
                    self.journal.turned_back = Some(back);
                    self.go_back()?;
                }
                Went::Stuck(cause) => return self.stuck(cause),
                Went::Running => return Ok(Turn::Switching(Box::new(self.unfinished()))),
            }
        }
    }

    fn act(&mut self) -> Result<Went> {
        match self.journal.stage {
            Stage::SettingProfile | Stage::RestoringProfile
                if system::which(&self.journal)? == Running::Other =>
            {
                left()
            }
            Stage::SettingProfile => Ok(self.set_profile()),
            Stage::RestoringProfile => Ok(self.restore_profile()),
            stage => match self.journal.order(stage) {
                Some(order) => self.carry_out(&order),
                None => Ok(Went::On),
            },
        }
    }

    fn is_going_back(&self) -> bool {
        self.journal.turned_back.is_some()
    }

    /// The outcome where nothing was activated. That is not so where more orders were given than these, which did nothing:
    /// one of them was interrupted, nobody knows where, and the whole way back has to be gone.
    fn unless_begun(&self, idle_orders: u32, outcome: Outcome) -> Outcome {
        if self.journal.attempts > idle_orders { Outcome::RolledBack } else { outcome }
    }

    /// A failure of this stage: on the way there it turns back, on the way back it is stuck.
    fn failed(&self, cause: String, outcome: Outcome) -> Went {
        if self.is_going_back() { Went::Stuck(cause) } else { Went::Back(TurnedBack { cause, outcome }) }
    }

    fn set_profile(&self) -> Went {
        let Some(to) = &self.journal.to else { return Went::On };
        match nix::set_profile(&nix::system_profile(), to) {
            Ok(()) => Went::On,
            Err(e) => {
                self.failed(format!("the system's profile could not be set: {}", e.chain()), Outcome::Failed)
            }
        }
    }

    fn restore_profile(&self) -> Went {
        match self.put_profile_back() {
            Ok(()) => Went::On,
            Err(e) => Went::Stuck(format!("the system's profile could not be put back: {}", e.chain())),
        }
    }

    /// The generation it was, where that still is the same system.
    fn put_profile_back(&self) -> Result<()> {
        let profile = nix::system_profile();
        let before = &self.journal.before;
        // Where there was none, what failed must not be the profile all the same.
        let now = nix::generation(&profile)?;
        if now.as_ref().is_some_and(|now| self.journal.to.as_ref() != Some(&now.path)) {
            // It was never set, is put back already, or somebody else has set it since.
            return Ok(());
        }
        let Some(path) = &before.profile else { return nix::set_profile(&profile, &before.running) };
        if now.is_some_and(|now| now.path == *path && now.number == before.generation) {
            return Ok(());
        }
        match before.generation {
            Some(number) if nix::holds(&profile, number, path)? => nix::switch_generation(&profile, number),
            _ => nix::set_profile(&profile, path),
        }
    }

    fn carry_out(&mut self, order: &Order) -> Result<Went> {
        Ok(match self.switcher.carry_out(&mut self.journal, order)? {
            Carried::Running => Went::Running,
            Carried::NotBegun(e) => {
                let outcome = self.unless_begun(1, Outcome::Failed);
                self.failed(format!("the switch could not be begun: {}", e.chain()), outcome)
            }
            Carried::Busy => {
                let outcome = self.unless_begun(0, Outcome::Busy);
                self.failed("another switch of this system is running".into(), outcome)
            }
            Carried::Left => left()?,
            Carried::Ended(end, output) => {
                let after = system::failed_units()?;
                let verdict = judge(&Evidence {
                    action: order.action,
                    end: &end,
                    output: &output,
                    before: &self.journal.before.failed_units,
                    after: &after,
                    is_running: system::running()? == order.system,
                });
                self.judged(verdict, &output, after)
            }
        })
    }

    fn judged(&mut self, verdict: Verdict, output: &str, after: BTreeSet<String>) -> Went {
        match verdict {
            Verdict::Good(note) => {
                self.journal.notes.extend(note);
                if self.is_going_back() { Went::On } else { Went::Settled(self.good(after)) }
            }
            Verdict::RebootNeeded if self.is_going_back() => {
                Went::Stuck("what ran before needs a reboot to run again (exit code 100)".into())
            }
            Verdict::RebootNeeded => {
                Went::Settled(Settled { outcome: Outcome::RebootNeeded, cause: None, failed_units: after })
            }
            Verdict::Busy => {
                let outcome = self.unless_begun(1, Outcome::Busy);
                self.failed("another switch holds NixOS's own lock".into(), outcome)
            }
            Verdict::Bad(cause) => self.failed(tell::with_output(&cause, output), Outcome::RolledBack),
        }
    }

    fn good(&self, failed_units: BTreeSet<String>) -> Settled {
        let outcome = match self.journal.action {
            RebuildAction::Boot => Outcome::RebootNeeded,
            RebuildAction::Switch | RebuildAction::Test => Outcome::Switched,
        };
        Settled { outcome, cause: None, failed_units }
    }

    fn go_on(&mut self) -> Result<()> {
        if !self.is_going_back() {
            return self.enter(Stage::Activating);
        }
        let way = self.journal.way_back();
        let here = way.iter().position(|stage| *stage == self.journal.stage);
        match here.and_then(|here| way.get(here + 1)) {
            Some(next) => self.enter(*next),
            None => self.settle_back(),
        }
    }

    fn go_back(&mut self) -> Result<()> {
        if let Some(back) = &self.journal.turned_back {
            tracing::warn!(name: "rebuild.turnedBack", cause = back.cause);
        }
        match self.journal.way_back().first().copied() {
            Some(first) => self.enter(first),
            None => self.settle_back(),
        }
    }

    fn settle_back(&mut self) -> Result<()> {
        let outcome = self.journal.turned_back.as_ref().map_or(Outcome::RolledBack, |back| back.outcome);
        let failed_units = system::failed_units()?;
        self.settle(Settled { outcome, cause: None, failed_units })
    }

    fn settle(&mut self, settled: Settled) -> Result<()> {
        self.journal.settled = Some(settled);
        self.enter(Stage::Closing)
    }

    /// Writes down that a stage begins.
    fn enter(&mut self, stage: Stage) -> Result<()> {
        let from = self.journal.stage;
        if !from.may_follow(stage) && stage != Stage::Closing {
            return Err(Error::new(format!("a rebuild cannot go from {from:?} to {stage:?}"))
                .remedy("this is a fault of warmkeep; please report it with stateDir/rebuild/journal.json"));
        }
        self.journal.stage = stage;
        self.journal.serial += 1;
        self.journal.attempts = 0;
        self.folder.keep(&self.journal)
    }

    fn note_step(&mut self, went: &Went, watch: Stopwatch) {
        let result = match went {
            Went::On | Went::Settled(Settled { cause: None, .. }) => "ok",
            Went::Settled(_) | Went::Back(_) | Went::Stuck(_) => "failed",
            Went::Running => return,
        };
        let step = self.journal.stage.step().word().to_owned();
        self.journal.steps.push(StepReport { step, ms: watch.ms(), result: result.to_owned() });
    }

    /// The journal stays: the next run tries the way back again.
    fn stuck(mut self, cause: String) -> Result<Turn> {
        self.journal.stuck = Some(cause);
        self.folder.keep(&self.journal)?;
        Ok(self.told().0)
    }

    fn close(self) -> Result<Turn> {
        let activated = self.journal.settled.as_ref().map(|settled| settled.outcome);
        if let (Some(Outcome::Switched | Outcome::RebootNeeded), Some(to)) = (activated, &self.journal.to) {
            self.folder.keep_last(&Last {
                schema: SCHEMA,
                path: to.clone(),
                flake: self.journal.flake.clone(),
                at: clock::now(),
                needs_reboot: activated == Some(Outcome::RebootNeeded),
            })?;
        }
        let folder = self.folder;
        let (turn, is_alerted) = self.told();
        if is_alerted {
            folder.forget()?;
        }
        Ok(turn)
    }

    /// Tells how it ended, and whether whoever has to be alerted was: where not, the next run tells it again. What hinders
    /// that makes no other end of it.
    fn told(self) -> (Turn, bool) {
        let generation = system::generation().unwrap_or_else(|e| {
            tracing::warn!(name: "rebuild.profileUnreadable", error = e.chain());
            None
        });
        let mut report = tell::report(&self.journal, generation);
        let alerted = tell::alert(self.ctx, &report);
        if let Err(e) = &alerted {
            tracing::error!(name: "alert.notWritten", error = e.chain());
            report.notes.push(format!("nobody could be alerted: {}", e.chain()));
        }
        self.ctx.events.happened(&Event::Rebuilt);
        (Turn::Done(Box::new(report)), alerted.is_ok())
    }

    fn unfinished(&self) -> RebuildReport {
        self.ctx.events.happened(&Event::Rebuilt);
        tell::running_on(&self.journal)
    }
}

/// Somebody switched to a third system meanwhile.
fn left() -> Result<Went> {
    let cause = format!(
        "{} runs now, which somebody else has activated meanwhile: it is left as it is",
        system::running()?.display()
    );
    let failed_units = system::failed_units()?;
    Ok(Went::Settled(Settled { outcome: Outcome::Failed, cause: Some(cause), failed_units }))
}
