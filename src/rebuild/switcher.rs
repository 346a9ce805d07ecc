//! Carries out one order to `switch-to-configuration`, in the transient unit of NixOS, whoever began it.

use std::time::Duration;

use super::decide::{Decision, Seen, Unit, decide};
use super::folder::Folder;
use super::journal::{Journal, Order};
use super::runner::{self, Run};
use super::verdict::End;
use super::{Patience, system, word};
use crate::error::{Error, Result};
use crate::sys::clock::{Deadline, sleep};
use crate::sys::signals::asked_to_end;
use crate::sys::systemd::{self, Transient};
use crate::sys::{env, proc};

/// The unit in which `nixos-rebuild` switches: there is one switch at a time.
const UNIT: &str = "nixos-rebuild-switch-to-configuration.service";
/// How long somebody else's switch is waited for.
const OTHER: Duration = Duration::from_secs(30);
/// By how much the unit may outlive the time that its program has.
const SLACK: Duration = Duration::from_secs(60);
/// How long systemd may take to end what does not want to end.
const STOP: Duration = Duration::from_secs(180);
/// How often it is looked whether the switch has ended.
const GLANCE: Duration = Duration::from_millis(100);
/// After so many glances systemd is asked.
const GLANCES: u32 = 10;

/// How carrying out an order ended.
#[derive(Debug)]
pub(super) enum Carried {
    /// It was carried out, and ended like this, having printed that.
    Ended(End, String),
    /// It could not be begun.
    NotBegun(Error),
    /// It runs on and is not waited for, or is left to whoever comes next.
    Running,
    /// Somebody else's switch runs, and does not end soon.
    Busy,
    /// Somebody has made another system the running one.
    Left,
}

/// Carries out orders.
pub(super) struct Switcher<'a> {
    pub(super) folder: &'a Folder,
    pub(super) patience: Patience,
    /// How long one run may take.
    pub(super) limit: Duration,
}

impl Switcher<'_> {
    /// Carries out the order of the journal's stage, or finds how far it was carried out.
    pub(super) fn carry_out(&self, journal: &mut Journal, order: &Order) -> Result<Carried> {
        let other = Deadline::after(OTHER);
        loop {
            if let Some(ended) = runner::result(&self.folder.result(), &journal.mark())? {
                return Ok(Carried::Ended(ended.end(), ended.output));
            }
            match decide(&self.see(journal)?) {
                // The next round takes it.
                Decision::Judge => {}
                Decision::Leave => return Ok(Carried::Left),
                Decision::GiveUp => return Ok(gone()),
                Decision::Wait if !self.waits() => return Ok(Carried::Running),
                Decision::Wait => {
                    if let Some(carried) = self.wait(journal)? {
                        return Ok(carried);
                    }
                }
                Decision::Stop => systemd::stop(UNIT, STOP)?,
                Decision::LetEnd if other.passed() || !self.waits() => return Ok(Carried::Busy),
                Decision::LetEnd => sleep(GLANCE * 5),
                // Who is asked to end begins nothing: what was interrupted may have been ended with the whole host.
                Decision::Begin if asked_to_end() => return Ok(Carried::Running),
                Decision::Begin => {
                    journal.attempts += 1;
                    self.folder.keep(journal)?;
                    if let Err(e) = self.begin(journal, order)
                        && unit(journal)? == Unit::Idle
                    {
                        return self.not_begun(journal, e);
                    }
                }
            }
        }
    }

    /// A host on its way down starts nothing any more. That is no fault of the system that was to be activated.
    fn not_begun(&self, journal: &mut Journal, error: Error) -> Result<Carried> {
        if !systemd::is_going_down() {
            return Ok(Carried::NotBegun(error));
        }
        journal.attempts -= 1;
        self.folder.keep(journal)?;
        Ok(Carried::Running)
    }

    /// A process that is asked to end does not wait: it may be the switch that asks.
    fn waits(&self) -> bool {
        self.patience == Patience::Wait && !asked_to_end()
    }

    fn see(&self, journal: &Journal) -> Result<Seen> {
        // The unit first: what has ended by then has left its result.
        let unit = unit(journal)?;
        Ok(Seen {
            stage: journal.stage,
            unit,
            has_result: runner::result(&self.folder.result(), &journal.mark())?.is_some(),
            running: system::which(journal)?,
            attempts: journal.attempts,
        })
    }

    fn begin(&self, journal: &Journal, order: &Order) -> Result<()> {
        let program = system::activator(&order.system).to_string_lossy().into_owned();
        let argv = vec![program, word(order.action).to_owned()];
        let run = Run::new(self.folder.result(), journal.mark(), self.limit, argv);
        if !proc::init_is_systemd() {
            return runner::run(&run);
        }
        let mut argv = vec![env::own_binary_for_others().to_string_lossy().into_owned()];
        argv.extend(run.words());
        // What failed there before, and was not collected, holds the name.
        if systemd::unit(UNIT)?.is_some_and(|unit| !unit.is_active) {
            systemd::forget_failure(UNIT)?;
        }
        let service = Transient {
            unit: UNIT,
            description: &journal.mark(),
            env: &environment(),
            limit: self.limit.saturating_add(SLACK),
            argv: &argv,
        };
        service.start()
    }

    /// Waits until the switch has ended; `Some`: it does not, or is not waited for any longer.
    fn wait(&self, journal: &Journal) -> Result<Option<Carried>> {
        let deadline = Deadline::after(self.limit.saturating_add(SLACK * 2));
        let mut glances = 0_u32;
        loop {
            if runner::result(&self.folder.result(), &journal.mark())?.is_some() {
                return Ok(None);
            }
            if !self.waits() {
                return Ok(Some(Carried::Running));
            }
            if deadline.passed() {
                systemd::stop(UNIT, STOP)?;
                return Ok(Some(Carried::Ended(End::TimedOut, String::new())));
            }
            glances += 1;
            if glances.is_multiple_of(GLANCES) && unit(journal)? != Unit::Ours {
                return Ok(None);
            }
            sleep(GLANCE);
        }
    }
}

/// Waits a while for a switch that somebody else has begun; whether none runs.
pub(super) fn others_ended() -> Result<bool> {
    if !proc::init_is_systemd() {
        return Ok(true);
    }
    let deadline = Deadline::after(OTHER);
    loop {
        let found = system::patiently(|| systemd::unit(UNIT))?;
        if !found.is_some_and(|unit| unit.is_active) {
            return Ok(true);
        }
        if deadline.passed() || asked_to_end() {
            return Ok(false);
        }
        sleep(GLANCE * 5);
    }
}

fn gone() -> Carried {
    let why = "switch-to-configuration was ended again and again before it had come to its end";
    Carried::Ended(End::Broken(why.into()), String::new())
}

/// What the unit runs.
fn unit(journal: &Journal) -> Result<Unit> {
    if !proc::init_is_systemd() {
        return Ok(Unit::Idle);
    }
    let found = system::patiently(|| systemd::unit(UNIT))?;
    Ok(match found.filter(|unit| unit.is_active) {
        None => Unit::Idle,
        Some(unit) if unit.description == journal.mark() => Unit::Ours,
        Some(unit) if unit.description.starts_with(&journal.mark_of_all()) => Unit::Given,
        Some(_) => Unit::Foreign,
    })
}

/// What `nixos-rebuild` lets through to `switch-to-configuration`, where it is set.
fn environment() -> Vec<(&'static str, String)> {
    let passed = ["LOCALE_ARCHIVE", "NIXOS_NO_CHECK"];
    let set = |name| Some((name, env::var(name)?.into_string().ok()?));
    let bootloader = ("NIXOS_INSTALL_BOOTLOADER", "0".to_owned());
    passed.into_iter().filter_map(set).chain([bootloader]).collect()
}
