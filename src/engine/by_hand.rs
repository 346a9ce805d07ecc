//! What people ask for by name: exactly this version, back to that one, let this through.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::app::{existing, takes_snapshot, with_subject};
use super::{Context, Subject};
use crate::config::model::App;
use crate::error::{Error, Result};
use crate::plan::converge::{Decision, Intent, World, by_hand, rollback, within_bounds};
use crate::plan::progress::{Fault, Progress};
use crate::plan::transaction::{Leg, Reach, Replaced, Step, Transaction};
use crate::record::journal::Journal;
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
        let settled = self.settle_for_a_person()?;
        let state = self.state()?;
        let observed = self.observe(&state)?;
        let here = observed.current.as_ref() == Some(version);
        if here && observed.trouble.is_none() && !observed.drifted && settled.replaced.is_none() {
            let reason = Some("it is there already, and healthy".to_owned());
            let report = AppReport::new(&self.app.name, Outcome::Noop);
            return Ok(AppReport {
                from: Some(version.clone()),
                to: Some(version.clone()),
                reason,
                ..report
            });
        }
        let overrides = self.overridden(&state, observed.current.as_ref(), version);
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
        let (state, transaction) = settled.into_force(state.clone(), by_hand(&world, version, overrides));
        self.transact_bounded(state, transaction)
    }

    /// What the safety gate would have said: recorded, not obeyed. A source that is down does not keep a person from a
    /// version.
    fn overridden(&self, state: &AppState, current: Option<&Version>, version: &Version) -> Vec<String> {
        let releases = match self.releases() {
            Ok(releases) => releases,
            Err(e) => {
                return vec![format!("its versions could not be listed: {}", self.redact.clean(&e.chain()))];
            }
        };
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
        overrides
    }

    fn transact_bounded(&self, state: AppState, transaction: Transaction) -> Result<AppReport> {
        if takes_snapshot(&transaction) {
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
        let settled = self.settle_for_a_person()?;
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
            (self.version_before(&state, &from, to)?, None)
        } else {
            let snapshot = self.snapshot_before(&state, &from, to)?;
            expect_same_volumes(&snapshot, &volumes)?;
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
        let (state, transaction) = settled.into_force(state.clone(), planned);
        self.transact_bounded(state, transaction)
    }

    fn version_before(&self, state: &AppState, from: &Version, to: Option<&str>) -> Result<Version> {
        if let Some(text) = to {
            return Version::new(text)
                .map_err(|e| Error::usage(format!("`{text}` is no version")).because(e));
        }
        let (entries, _) = crate::record::history::read(&self.layout.history())?;
        let before = entries
            .iter()
            .rev()
            .filter(|entry| entry.report.to.as_ref() == Some(from))
            .filter_map(|entry| entry.report.from.clone())
            .find(|version| lies_behind(state, version, from));
        before.ok_or_else(|| {
            Error::new(format!("no version of {} before {from} is known", self.app.name))
                .remedy(format!("name it: `warmkeep rollback {} --to VERSION`", self.app.name))
        })
    }

    fn snapshot_before(&self, state: &AppState, from: &Version, to: Option<&str>) -> Result<Snapshot> {
        let mut snapshots = self.store.list()?.snapshots;
        let known: Vec<String> = snapshots.iter().map(|s| format!("{} ({})", s.id, s.version)).collect();
        snapshots.retain(|snapshot| match to {
            Some(text) => snapshot.id.to_string() == text || snapshot.version.as_str() == text,
            None => lies_behind(state, &snapshot.version, from),
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

    /// Before a person's wish: an unfinished transaction is finished if it can be. A broken way back must not block the
    /// way out: one that cannot be finished is overridden. Its journal stays in force until another one takes its place.
    fn settle_for_a_person(&self) -> Result<Settled> {
        let recovered = self.recover();
        if !files::exists(&self.layout.journal()) {
            return recovered.map(|_| Settled::default());
        }
        let (overridden, progress) = match (&recovered, Journal::peek(&self.layout.journal())) {
            (Ok(_), Ok(progress)) => ("a transaction that was stuck", progress),
            (_, unreadable) => {
                let why = recovered.err().or(unreadable.err()).map(|e| e.chain()).unwrap_or_default();
                tracing::warn!(name: "journal.overridden", app = self.app.name, error = why);
                ("a transaction whose journal could not be followed", None)
            }
        };
        let replaced =
            Replaced { journal: self.layout.next_abandoned()?, data_of: progress.as_ref().and_then(data_of) };
        let to_blame = progress.filter(|progress| {
            progress.turned_back.as_ref().is_some_and(|back| back.fault == Fault::Version)
        });
        let to_blame =
            to_blame.map(|p| (p.transaction.to, p.turned_back.map(|b| b.cause).unwrap_or_default()));
        Ok(Settled { overrides: vec![overridden.to_owned()], replaced: Some(replaced), to_blame })
    }
}

/// Whether a version is one to go back to without being named: not the same, not one that failed, not a newer one.
fn lies_behind(state: &AppState, version: &Version, from: &Version) -> bool {
    let newer = match (version.parsed(), from.parsed()) {
        (Some(version), Some(from)) => version.precedence(&from).is_gt(),
        _ => false,
    };
    version != from && !newer && !state.quarantined.iter().any(|q| q.version == *version)
}

/// Data goes back to where it came from, or nowhere.
fn expect_same_volumes(snapshot: &Snapshot, volumes: &[PathBuf]) -> Result<()> {
    let held: BTreeSet<&PathBuf> = snapshot.volumes.iter().map(|volume| &volume.path).collect();
    if held == volumes.iter().collect() {
        return Ok(());
    }
    let list = |paths: BTreeSet<&PathBuf>| {
        paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
    };
    Err(Error::new(format!(
        "the snapshot {} is of {}, and the data is now in {}",
        snapshot.id,
        list(held),
        list(volumes.iter().collect())
    ))
    .remedy(
        "put `data.paths` back as it was for the rollback, or deploy the version you want on today's data",
    ))
}

/// What became of an unfinished transaction before a person's wish is carried out.
#[derive(Debug, Default)]
struct Settled {
    /// What is overridden.
    overrides: Vec<String>,
    /// The transaction whose place is taken.
    replaced: Option<Replaced>,
    /// The version that it had failed with, and why: it is in quarantine whatever a person does next.
    to_blame: Option<(Version, String)>,
}

impl Settled {
    fn into_force(self, mut state: AppState, planned: Transaction) -> (AppState, Transaction) {
        if let Some((version, cause)) = self.to_blame {
            state.quarantine(version, clock::now(), cause);
        }
        let overrides = [self.overrides, planned.overrides].concat();
        (state, Transaction { overrides, replaces: self.replaced, ..planned })
    }
}

/// The version whose data an unfinished transaction has left in place.
fn data_of(progress: &Progress) -> Option<Version> {
    let ran = progress.reach() == Reach::Changed && !progress.has_ended(Leg::Back, Step::Restore);
    if ran { Some(progress.transaction.to.clone()) } else { progress.transaction.from.clone() }
}
