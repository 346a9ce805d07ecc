//! The health gate: rounds of probes until enough have passed for long enough, or the time is over.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Subject;
use crate::driver::Convergence;
use crate::error::{Error, Result};
use crate::health::gate::{Gate, Verdict};
use crate::sys::clock::{self, Stopwatch};
use crate::version::Version;

/// What is to be proven.
pub(super) struct Proof<'a> {
    /// The version that must be healthy.
    pub(super) version: &'a Version,
    /// The environment of `command` checks.
    pub(super) env: BTreeMap<String, String>,
}

impl Subject<'_> {
    /// Waits until `version` is proven healthy; `up` is called at its first healthy answer.
    pub(super) fn pass_gate(&self, proof: &Proof<'_>, mut up: impl FnMut() -> Result<()>) -> Result<()> {
        let version = proof.version;
        let watch = Stopwatch::start();
        let mut gate = Gate::new(&self.app.health);
        let mut seen_up = false;
        let mut last: Option<String> = None;
        loop {
            let left = self.app.health.timeout.saturating_sub(watch.elapsed());
            let trouble = self.trouble_of(proof, left)?;
            // A round that the end of the gate cut short says less than the one before it.
            let trouble =
                if watch.elapsed() >= self.app.health.timeout { last.clone().or(trouble) } else { trouble };
            last.clone_from(&trouble);
            if trouble.is_none() && !seen_up {
                seen_up = true;
                up()?;
            }
            match gate.observe(watch.elapsed(), trouble.is_none(), trouble.as_deref()) {
                Verdict::Passed => return Ok(()),
                Verdict::Failed(why) => return Err(self.not_healthy(version, &self.with_last_lines(why))),
                Verdict::Waiting => clock::sleep(self.app.health.interval),
            }
        }
    }

    /// One look: why the version is not healthy at this moment. That it will never be is an error.
    fn trouble_of(&self, proof: &Proof<'_>, limit: Duration) -> Result<Option<String>> {
        match self.driver.converged(proof.version)? {
            Convergence::Dead(why) => Err(self.not_healthy(proof.version, &why)),
            Convergence::Starting(why) => Ok(Some(why)),
            Convergence::Converged => {
                let round = self.probe(proof.version, &proof.env, limit);
                Ok((!round.healthy()).then(|| round.failures()))
            }
        }
    }

    /// The failed version's output is gone once another one is started: its last lines belong to the failure.
    fn with_last_lines(&self, why: String) -> String {
        match self.driver.recent_logs(5).as_slice() {
            [] => why,
            lines => format!("{why}; its last lines: {}", lines.join(" | ")),
        }
    }

    fn not_healthy(&self, version: &Version, why: &str) -> Error {
        Error::new(format!("{version} did not become healthy: {}", self.redact.clean(why)))
    }
}
