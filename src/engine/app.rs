//! One app's converge: lock → recover → observe → decide → act.

use super::events::Event;
use super::observe::Measure;
use super::transaction::Runner;
use super::{Context, Subject};
use crate::config::model::App;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::plan::converge::{Decision, Intent, Observed, World, decide, within_bounds};
use crate::plan::transaction::{Kind, Reach, Step, Transaction};
use crate::record::report::{AppReport, Outcome};
use crate::record::state::AppState;
use crate::snapshot::Store;
use crate::sys::lock::{self, Lock};
use crate::sys::signals::asked_to_end;
use crate::versions::gate::Choice;

/// Converges one app. What goes wrong is in the report, never an error of the run.
pub fn converge(ctx: &Context<'_>, app: &App, intent: Intent) -> AppReport {
    with_subject(ctx, app, |subject| subject.converge(intent))
}

/// Locks an app and does something to it; tells of the end.
pub(super) fn with_subject(
    ctx: &Context<'_>,
    app: &App,
    work: impl FnOnce(&Subject<'_>) -> Result<AppReport>,
) -> AppReport {
    ctx.events.happened(&Event::Looking { app: &app.name });
    let layout = ctx.layout.app(&app.name);
    let worked = layout
        .create()
        .and_then(|()| lock_app(&layout.lock(), &app.name))
        .and_then(|_held| work(&Subject::new(ctx, app, &layout)?));
    let report = worked.unwrap_or_else(|e| refused(ctx, app, &e));
    ctx.events.happened(&Event::Done { report: &report });
    tracing::info!(name: "app.done", app = app.name, outcome = report.outcome.word());
    report
}

pub(super) fn lock_app(path: &std::path::Path, app: &str) -> Result<Lock> {
    lock::exclusive(path).map_err(|e| match e.kind() {
        ErrorKind::Busy => Error::busy(format!("another run is at work on {app}"))
            .remedy("wait for it to end; `warmkeep status` shows what it does"),
        _ => e,
    })
}

/// The report of an app that nothing was done to.
fn refused(ctx: &Context<'_>, app: &App, error: &Error) -> AppReport {
    let redact = crate::alert::redact::Redactor::of(app);
    let outcome = if error.kind() == ErrorKind::Busy { Outcome::Busy } else { Outcome::Failed };
    let report = AppReport {
        cause: Some(redact.clean(&error.chain())),
        reason: (outcome == Outcome::Busy).then(|| error.to_string()),
        remedy: error.hint().map(str::to_owned),
        ..AppReport::new(&app.name, outcome)
    };
    if outcome == Outcome::Failed {
        let layout = ctx.layout.app(&app.name);
        let told = Subject::new(ctx, app, &layout).and_then(|subject| subject.tell(&report));
        if let Err(e) = told {
            tracing::error!(name: "alert.notWritten", app = app.name, error = e.chain());
        }
    }
    report
}

impl Subject<'_> {
    fn converge(&self, intent: Intent) -> Result<AppReport> {
        let recovered = self.recover()?;
        match &recovered {
            Some(report) if matches!(report.outcome, Outcome::Stuck | Outcome::Failed) => Ok(report.clone()),
            Some(report) if report.outcome == Outcome::RolledBack => {
                // The old version was healthy at its gate; whether it still is (a reboot may lie between) is seen now.
                let report = self.converge_settled(Intent::Up)?;
                Ok(join(recovered, report))
            }
            _ => {
                let report = self.converge_settled(intent)?;
                Ok(join(recovered, report))
            }
        }
    }

    /// Finishes what an earlier run left; `None`: there was nothing, or nothing that had touched the app, or it had been
    /// recorded already. One that had taken another's place may give it back: that one is finished next.
    pub(super) fn recover(&self) -> Result<Option<AppReport>> {
        let mut told = None;
        // At most the transaction that replaced another, that other one, and one that was only to be removed.
        for _ in 0..3 {
            let Some(runner) = Runner::take_up(self, self.state()?)? else { break };
            let progress = runner.progress();
            if progress.closed {
                // It was over, and recorded as such; only its journal was not removed any more.
                runner.close();
                continue;
            }
            let recorded = progress.has_ended(progress.leg(), Step::Commit);
            let untouched = progress.reach() == Reach::Nothing;
            let report = runner.recover();
            let silent = recorded || (untouched && report.outcome == Outcome::Recovered);
            if !silent || report.outcome == Outcome::Stuck {
                told = Some(report);
            }
            if told.as_ref().is_some_and(|report| matches!(report.outcome, Outcome::Stuck | Outcome::Failed))
            {
                break;
            }
        }
        Ok(told)
    }

    fn converge_settled(&self, intent: Intent) -> Result<AppReport> {
        let state = self.state()?;
        let observed = self.observe(&state)?;
        let observed = self.have_patience(&state, observed)?;
        let look = self.look(&state, intent, observed)?;
        let decision = self.decide(&state, &look, intent, Store::survey)?;
        self.act_on(state, &look, decision)
    }

    /// Everything else that a decision is made from.
    pub(super) fn look(&self, state: &AppState, intent: Intent, observed: Observed) -> Result<Look> {
        let needs_versions = intent == Intent::Latest || observed.current.is_none();
        let choice = if needs_versions && observed.trouble.is_none() {
            self.choose(state, observed.current.as_ref(), &self.releases()?)
        } else {
            Choice::default()
        };
        Ok(Look { observed, choice })
    }

    /// An app that runs but fails its first probe may be busy or starting: it has as long as a gate would give it to
    /// pass once, and is only then restarted.
    fn have_patience(&self, state: &AppState, first: Observed) -> Result<Observed> {
        use crate::plan::converge::Trouble;
        let limit = crate::sys::clock::Deadline::after(self.app.health.timeout);
        let mut observed = first;
        while matches!(observed.trouble, Some(Trouble::Unhealthy(_))) && !limit.passed() && !asked_to_end() {
            crate::sys::clock::sleep(self.app.health.interval.min(limit.left()));
            observed = self.observe(state)?;
        }
        Ok(observed)
    }

    /// What converge would do now, without doing it.
    pub(super) fn foresee(&self, intent: Intent) -> Result<(Observed, Decision)> {
        let state = self.state()?;
        let observed = self.observe(&state)?;
        let look = self.look(&state, intent, observed)?;
        let decision = self.decide(&state, &look, intent, Store::estimate)?;
        Ok((look.observed, decision))
    }

    /// The decision, with the room for its snapshot looked at where it needs one.
    fn decide(&self, state: &AppState, look: &Look, intent: Intent, measure: Measure) -> Result<Decision> {
        let volumes = self.volumes()?;
        let world = World {
            app: self.app,
            last_good: state.last_good_version(),
            observed: &look.observed,
            choice: &look.choice,
            volumes: &volumes,
            intent,
        };
        let decision = decide(&world);
        match &decision {
            Decision::Act(transaction) if takes_snapshot(transaction) => {
                let bounds = self.bounds(state, &existing(transaction), measure)?;
                Ok(within_bounds(decision, self.app, &bounds))
            }
            Decision::Act(transaction) => {
                self.expect_data(transaction)?;
                Ok(decision)
            }
            _ => Ok(decision),
        }
    }

    /// An app whose data is not there would begin anew in its place, over a mount that failed for one.
    fn expect_data(&self, transaction: &Transaction) -> Result<()> {
        let gone = existing(transaction).into_iter().find(|volume| !crate::sys::files::is_dir(volume));
        let Some(gone) = gone else { return Ok(()) };
        Err(Error::new(format!("the data folder {} of {} is gone", gone.display(), self.app.name)).remedy(
            format!(
                "nothing was started: put it back (is it mounted?). If it is lost, make an empty folder in its place \
                 and run `warmkeep rollback {} --to SNAPSHOT`",
                self.app.name
            ),
        ))
    }

    fn act_on(&self, state: AppState, look: &Look, decision: Decision) -> Result<AppReport> {
        self.tell_holds(&look.choice)?;
        let current = look.observed.current.clone();
        let report = |outcome| AppReport {
            from: current.clone(),
            to: current.clone(),
            ..AppReport::new(&self.app.name, outcome)
        };
        let report = match decision {
            Decision::Act(transaction) => return self.transact(state, transaction),
            Decision::Noop { note } => AppReport { reason: note, ..report(Outcome::Noop) },
            Decision::Held { version, why } => {
                if look.choice.target.as_ref() == Some(&version) {
                    self.tell_no_room(&version, &why)?;
                }
                AppReport { to: Some(version), reason: Some(why), ..report(Outcome::Held) }
            }
            Decision::Refused { why, remedy } => return Err(Error::new(why).remedy(remedy)),
        };
        self.adopt(state, look)?;
        self.remember(&look.observed, &look.choice);
        Ok(report)
    }

    /// Runs a transaction, and keeps how the app was afterwards.
    pub(super) fn transact(&self, state: AppState, transaction: Transaction) -> Result<AppReport> {
        let report = Runner::begin(self, state, transaction)?.run();
        if let Err(e) = self.look_back() {
            // What was done was done: that it cannot be looked at afterwards changes nothing of it.
            tracing::warn!(name: "status.notKept", app = self.app.name, error = e.chain());
        }
        Ok(report)
    }

    fn look_back(&self) -> Result<()> {
        let state = self.state()?;
        let observed = self.observe(&state)?;
        let choice = self.choose(&state, observed.current.as_ref(), &self.releases()?);
        self.remember(&observed, &choice);
        Ok(())
    }

    /// A healthy app whose state is not recorded (a state file that was lost) is recorded as it runs.
    fn adopt(&self, mut state: AppState, look: &Look) -> Result<()> {
        let (Some(current), None) = (&look.observed.current, &look.observed.trouble) else { return Ok(()) };
        let known =
            state.last_good.is_some() && state.current.as_ref() == Some(current) && state.stuck.is_none();
        if known {
            return Ok(());
        }
        let snapshot = state.last_good.as_ref().and_then(|good| good.snapshot.clone());
        state.commit(current, crate::sys::clock::now(), snapshot);
        state.volumes = self.volumes()?;
        state.write(&self.layout.state_file())
    }
}

/// An install makes the folders that are not there yet; any other transaction needs them all.
pub(super) fn existing(transaction: &Transaction) -> Vec<std::path::PathBuf> {
    let all = transaction.volumes.iter();
    if transaction.kind == Kind::Install {
        return all.filter(|volume| crate::sys::files::exists(volume)).cloned().collect();
    }
    all.cloned().collect()
}

pub(super) fn takes_snapshot(transaction: &Transaction) -> bool {
    transaction.steps.contains(&Step::Snapshot) && !existing(transaction).is_empty()
}

/// What was seen before a decision.
pub(super) struct Look {
    pub(super) observed: Observed,
    pub(super) choice: Choice,
}

/// A recovery with nothing after it is what happened; with something after it, it is told as the reason.
fn join(recovered: Option<AppReport>, report: AppReport) -> AppReport {
    let Some(recovered) = recovered else { return report };
    if matches!(report.outcome, Outcome::Noop | Outcome::Held) {
        return recovered;
    }
    if recovered.outcome == Outcome::RolledBack && report.outcome == Outcome::Repaired {
        let repaired = "it was down again after that, and was repaired";
        let reason = recovered.reason.as_deref().map_or(repaired.to_owned(), |r| format!("{r}; {repaired}"));
        return AppReport { reason: Some(reason), downtime_ms: report.downtime_ms, ..recovered };
    }
    let before = recovered.cause.or(recovered.reason).unwrap_or_default();
    let reason = report.reason.clone().unwrap_or_default();
    AppReport {
        reason: Some(format!("{reason}; before that an interrupted transaction was finished: {before}")),
        ..report
    }
}
