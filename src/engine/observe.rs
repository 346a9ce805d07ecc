//! Looking at an app before anything is decided: what runs, is it healthy, which versions are there.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::Subject;
use super::hooks::Phase;
use crate::driver::{Convergence, Up};
use crate::error::{Error, Result};
use crate::health::{self, Probing, Round};
use crate::plan::converge::{Bounds, Observed, Trouble};
use crate::record::state::AppState;
use crate::snapshot::{Store, Survey};
use crate::status::{Health, HeldVersion, Probe};
use crate::sys::clock;
use crate::version::Version;
use crate::versions::gate::{self, Choice, Question};
use crate::versions::source::{self, Ask, Release};

/// How long a source may take to list its versions.
const LIST_LIMIT: Duration = Duration::from_secs(2 * 60);

/// How room is measured: by trying, or by looking only.
pub(super) type Measure = fn(&Store, &[PathBuf]) -> Result<Survey>;

impl Subject<'_> {
    /// What runs, and whether it is healthy at one probe of each check.
    pub(super) fn observe(&self, state: &AppState) -> Result<Observed> {
        let running = self.driver.current()?;
        let current = running.version.or_else(|| state.current.clone());
        let mut observed = Observed { current, trouble: None, degraded: None, drifted: false };
        match (&running.up, &observed.current) {
            (_, None) => {}
            (Up::No(why), _) => observed.trouble = Some(Trouble::Down(self.redact.clean(why))),
            (Up::Yes, Some(version)) => {
                observed.drifted = self.driver.has_drifted()?;
                let version = version.clone();
                self.examine(&version, &mut observed)?;
            }
        }
        Ok(observed)
    }

    fn examine(&self, version: &Version, observed: &mut Observed) -> Result<()> {
        let round = match self.driver.converged(version)? {
            Convergence::Converged => {
                self.probe(version, &self.variables(Phase::Watch, version, None, None), Duration::MAX)
            }
            Convergence::Starting(why) | Convergence::Dead(why) => {
                observed.trouble = Some(Trouble::Down(self.redact.clean(&why)));
                return Ok(());
            }
        };
        if !round.healthy() {
            observed.trouble = Some(Trouble::Unhealthy(self.redact.clean(&round.failures())));
        } else if round.degraded() {
            observed.degraded = Some(self.redact.clean(&round.failures()));
        }
        Ok(())
    }

    /// One round of the app's checks, none of which takes longer than `limit`.
    pub(super) fn probe(&self, version: &Version, env: &BTreeMap<String, String>, limit: Duration) -> Round {
        let containers = || match self.driver.converged(version) {
            Ok(Convergence::Converged) => Ok(()),
            Ok(Convergence::Starting(why) | Convergence::Dead(why)) => Err(why),
            Err(e) => Err(e.chain()),
        };
        health::round_within(&self.app.health, &Probing { env, containers: &containers }, limit)
    }

    /// The versions that the source lists.
    pub(super) fn releases(&self) -> Result<Vec<Release>> {
        let versions = &self.app.versions;
        let ask = Ask {
            source: &versions.source,
            order: versions.order,
            cache: self.layout.cache(),
            timeout: LIST_LIMIT,
        };
        let listing = source::list(&ask).map_err(|e| Error::new("cannot list its versions").because(e))?;
        for passed in &listing.passed_over {
            tracing::debug!(name: "versions.passedOver", app = self.app.name, text = passed.text, why = passed.why);
        }
        Ok(listing.releases)
    }

    /// What the safety gate lets through.
    pub(super) fn choose(&self, state: &AppState, current: Option<&Version>, releases: &[Release]) -> Choice {
        let (quarantined, approved) = (state.quarantined_versions(), state.approved_versions());
        gate::choose(&Question {
            rules: &self.app.versions,
            current,
            listing: releases,
            quarantined: &quarantined,
            approved: &approved,
            now: clock::now(),
        })
    }

    /// The app's data. Stateful without a volume is an error.
    pub(super) fn volumes(&self) -> Result<Vec<PathBuf>> {
        let Some(data) = &self.app.data else { return Ok(Vec::new()) };
        let volumes = self.driver.data_paths()?;
        if volumes.is_empty() {
            return Err(Error::new(format!(
                "{} is stateful, and none of its volumes was found",
                self.app.name
            ))
            .remedy(if data.discover {
                "name its data in `data.paths`, or drop `data` if it keeps none"
            } else {
                "name its folders in `data.paths`"
            }));
        }
        Ok(volumes)
    }

    /// What a snapshot of the volumes needs, and what there is.
    pub(super) fn bounds(&self, state: &AppState, volumes: &[PathBuf], measure: Measure) -> Result<Bounds> {
        if volumes.is_empty() {
            // What an install is going to make is not there to be measured.
            return Ok(Bounds { needed: 0, protected: self.protected_bytes(state)?, shortfall: None });
        }
        let survey = measure(&self.store, volumes)?;
        Ok(Bounds {
            needed: survey.allocated_bytes(),
            protected: self.protected_bytes(state)?,
            shortfall: survey.shortfall().map(|shortfall| shortfall.to_string()),
        })
    }

    /// Bytes of the snapshot that may not go: last-good's.
    fn protected_bytes(&self, state: &AppState) -> Result<u64> {
        let listing = self.store.list()?;
        let last_good = state.last_good.as_ref().and_then(|good| good.snapshot.as_ref());
        let protected = listing.snapshots.iter().filter(|snapshot| Some(&snapshot.id) == last_good);
        Ok(protected.map(crate::snapshot::Snapshot::bytes).sum())
    }

    /// Keeps what was seen for `status`. A cache that cannot be written is no reason to fail.
    pub(super) fn remember(&self, observed: &Observed, choice: &Choice) {
        let (health, error) = match (&observed.trouble, &observed.degraded, &observed.current) {
            (_, _, None) => (Health::Unknown, None),
            (Some(Trouble::Down(why)), ..) => (Health::Down, Some(why.clone())),
            (Some(Trouble::Unhealthy(why)), ..) => (Health::Unhealthy, Some(why.clone())),
            (None, Some(why), _) => (Health::Degraded, Some(why.clone())),
            (None, None, _) => (Health::Healthy, None),
        };
        let held = choice
            .held
            .iter()
            .take(5)
            .map(|hold| HeldVersion {
                version: hold.version.clone(),
                why: hold.refusal.explain(),
                refusal: hold.refusal.word().to_owned(),
            })
            .collect();
        if let Err(e) = Probe::new(clock::now(), health, error, held).write(self.layout.probe()) {
            tracing::warn!(name: "status.notKept", app = self.app.name, error = e.chain());
        }
    }
}
