//! What people ask for by name: exactly this version, back to that one, let this through.

use super::app::{existing, with_subject};
use super::{Context, Subject};
use crate::config::model::App;
use crate::error::{Error, Result};
use crate::plan::converge::{Decision, Intent, World, by_hand, rollback, within_bounds};
use crate::plan::transaction::Transaction;
use crate::record::report::{AppReport, Outcome};
use crate::record::state::AppState;
use crate::snapshot::{Snapshot, Store};
use crate::sys::{clock, files};
use crate::version::Version;
use crate::versions::gate::{self, Choice, Question};
use crate::versions::source::Release;

/// Deploys exactly `version`, with the same transaction, gates and way back as any upgrade.
pub fn deploy(ctx: &Context<'_>, app: &App, version: &Version) -> AppReport {
    with_subject(ctx, app, |subject| subject.deploy_by_hand(version))
}

/// Goes back: to the version before, to a version, or to a snapshot.
pub fn roll_back(ctx: &Context<'_>, app: &App, to: Option<&str>) -> AppReport {
    with_subject(ctx, app, |subject| subject.roll_back_by_hand(to))
}

impl Subject<'_> {
    fn deploy_by_hand(&self, version: &Version) -> Result<AppReport> {
        let mut overrides = self.settle_for_a_person()?;
        let state = self.state()?;
        let observed = self.observe(&state)?;
        let here = observed.current.as_ref() == Some(version);
        if here && observed.trouble.is_none() && !observed.drifted && overrides.is_empty() {
            let reason = Some("it is there already, and healthy".to_owned());
            let report = AppReport::new(&self.app.name, Outcome::Noop);
            return Ok(AppReport {
                from: Some(version.clone()),
                to: Some(version.clone()),
                reason,
                ..report
            });
        }
        overrides.extend(self.overridden(&state, observed.current.as_ref(), version)?);
        let volumes = self.volumes()?;
        let choice = Choice::default();
        let world = World {
            app: self.app,
            last_good: state.last_good_version(),
            observed: &observed,
            choice: &choice,
            volumes: &volumes,
            intent: Intent::Latest,
        };
        let transaction = by_hand(&world, version, overrides);
        self.transact_bounded(state, transaction)
    }

    /// What the safety gate would have said: recorded, not obeyed.
    fn overridden(
        &self,
        state: &AppState,
        current: Option<&Version>,
        version: &Version,
    ) -> Result<Vec<String>> {
        let releases = self.releases()?;
        let (quarantined, approved) = (state.quarantined_versions(), state.approved_versions());
        let question = Question {
            rules: &self.app.versions,
            current,
            listing: &releases,
            quarantined: &quarantined,
            approved: &approved,
            now: clock::now(),
        };
        let mut overrides: Vec<String> =
            gate::judge(&question, version).map(|refusal| refusal.explain()).into_iter().collect();
        if !releases.iter().any(|release: &Release| release.version == *version) {
            overrides.push("its source does not list it".into());
        }
        Ok(overrides)
    }

    fn transact_bounded(&self, state: AppState, transaction: Transaction) -> Result<AppReport> {
        if transaction.is_stateful() {
            let bounds = self.bounds(&state, &existing(&transaction), Store::survey)?;
            if let Decision::Held { why, .. } =
                within_bounds(Decision::Act(transaction.clone()), self.app, &bounds)
            {
                return Err(Error::new(why).remedy("free some space, or raise `snapshots.maxBytes`"));
            }
        }
        self.transact(state, transaction)
    }

    fn roll_back_by_hand(&self, to: Option<&str>) -> Result<AppReport> {
        let overrides = self.settle_for_a_person()?;
        let state = self.state()?;
        let observed = self.observe(&state)?;
        let Some(from) = observed.current.clone() else {
            return Err(Error::new(format!(
                "{} was never deployed: there is nothing to go back from",
                self.app.name
            )));
        };
        let volumes = self.volumes()?;
        let (target, snapshot) = if volumes.is_empty() {
            (self.version_before(&from, to)?, None)
        } else {
            let snapshot = self.snapshot_before(&from, to)?;
            (snapshot.version.clone(), Some(snapshot.id))
        };
        let choice = Choice::default();
        let world = World {
            app: self.app,
            last_good: state.last_good_version(),
            observed: &observed,
            choice: &choice,
            volumes: &volumes,
            intent: Intent::Latest,
        };
        let planned = rollback(&world, &from, &target, snapshot);
        self.transact_bounded(state, Transaction { overrides, ..planned })
    }

    fn version_before(&self, from: &Version, to: Option<&str>) -> Result<Version> {
        if let Some(text) = to {
            return Version::new(text)
                .map_err(|e| Error::usage(format!("`{text}` is no version")).because(e));
        }
        let (entries, _) = crate::record::history::read(&self.layout.history())?;
        let before = entries
            .iter()
            .rev()
            .find(|entry| entry.report.to.as_ref() == Some(from) && entry.report.from.as_ref() != Some(from))
            .and_then(|entry| entry.report.from.clone());
        before.ok_or_else(|| {
            Error::new(format!("no version of {} before {from} is known", self.app.name))
                .remedy(format!("name it: `warmkeep rollback {} --to VERSION`", self.app.name))
        })
    }

    fn snapshot_before(&self, from: &Version, to: Option<&str>) -> Result<Snapshot> {
        let mut snapshots = self.store.list()?.snapshots;
        let known: Vec<String> = snapshots.iter().map(|s| format!("{} ({})", s.id, s.version)).collect();
        snapshots.retain(|snapshot| match to {
            Some(text) => snapshot.id.to_string() == text || snapshot.version.as_str() == text,
            None => snapshot.version != *from,
        });
        snapshots.pop().ok_or_else(|| {
            let wanted = to.map_or_else(|| format!("of a version before {from}"), |to| format!("of {to}"));
            let known = if known.is_empty() { "there is none at all".to_owned() } else { known.join(", ") };
            Error::new(format!("{} has no snapshot {wanted}: {known}", self.app.name)).remedy(format!(
                "choose one with `--to`, or keep today's data and run `warmkeep deploy {} VERSION`",
                self.app.name
            ))
        })
    }

    /// Before a person's wish: an unfinished transaction is finished if it can be. One that cannot is set aside, kept,
    /// and recorded as overridden: a broken way back must not block the way out.
    fn settle_for_a_person(&self) -> Result<Vec<String>> {
        let overridden = match self.recover() {
            Ok(Some(report)) if report.outcome == Outcome::Stuck => "a transaction that was stuck",
            Ok(_) => return Ok(Vec::new()),
            Err(e) if files::exists(&self.layout.journal()) => {
                tracing::warn!(name: "journal.abandoned", app = self.app.name, error = e.chain());
                "a transaction whose journal could not be followed"
            }
            Err(e) => return Err(e),
        };
        if files::exists(&self.layout.journal()) {
            files::rename(&self.layout.journal(), &self.layout.abandoned_journal())?;
        }
        Ok(vec![overridden.to_owned()])
    }
}
