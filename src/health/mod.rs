//! Health: one round of probes, and the gate that judges a row of rounds.
//!
//! [`round`] asks the outside; [`gate::Gate`] is pure and only counts.

mod command;
pub mod gate;
mod http;
mod mixed_content;
#[cfg(test)]
mod server;
mod tcp;
mod url;

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use crate::config::model::{Check, Health, Probe};
use crate::sys::clock::Stopwatch;

/// What the probes of an app lean on.
#[derive(Clone, Copy)]
pub struct Probing<'a> {
    /// The environment of command checks: the `WARMKEEP_*` variables of the phase.
    pub env: &'a BTreeMap<String, String>,
    /// Asks the driver whether its containers have converged; the error says what has not.
    pub containers: &'a (dyn Fn() -> Result<(), String> + Sync),
}

/// What one round of all checks found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Round {
    /// One result a check, by name.
    pub results: Vec<CheckResult>,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckResult {
    /// The check's name.
    pub name: String,
    /// Whether it decides the gate.
    pub critical: bool,
    /// Why it failed; `None`: it passed.
    pub failure: Option<String>,
    /// How long it took, in milliseconds.
    pub ms: u64,
}

impl Round {
    /// Whether every critical check passed.
    pub fn healthy(&self) -> bool {
        self.results.iter().all(|result| result.failure.is_none() || !result.critical)
    }

    /// Whether it is healthy, but a check that is not critical failed.
    pub fn degraded(&self) -> bool {
        self.healthy() && self.results.iter().any(|result| result.failure.is_some())
    }

    /// The failures in one line, critical ones first; empty where there are none.
    pub fn failures(&self) -> String {
        let (critical, other): (Vec<_>, Vec<_>) = self.results.iter().partition(|result| result.critical);
        let line = |result: &CheckResult| {
            let failure = result.failure.as_deref()?.split_whitespace().collect::<Vec<_>>().join(" ");
            let note = if result.critical { "" } else { " (not critical)" };
            Some(format!("{}{note}: {failure}", result.name))
        };
        critical.into_iter().chain(other).filter_map(line).collect::<Vec<_>>().join("; ")
    }
}

/// Runs every check once, all at the same time, each within its own timeout.
pub fn round(health: &Health, probing: &Probing<'_>) -> Round {
    round_within(health, probing, Duration::MAX)
}

/// As [`round`], no check taking longer than `limit`: what is left of a gate.
pub fn round_within(health: &Health, probing: &Probing<'_>, limit: Duration) -> Round {
    let check = |(name, check): (&String, &Check)| one(name, check, probing, limit);
    if health.checks.len() < 2 {
        return Round { results: health.checks.iter().map(check).collect() };
    }
    let results = thread::scope(|scope| {
        let started: Vec<_> = health
            .checks
            .iter()
            .map(|named| (named, thread::Builder::new().spawn_scoped(scope, move || check(named))))
            .collect();
        // A host without a thread to spare runs the check here.
        let joined = |(named, thread): (_, std::io::Result<thread::ScopedJoinHandle<'_, CheckResult>>)| {
            let finished = thread.ok().and_then(|thread| thread.join().ok());
            finished.unwrap_or_else(|| check(named))
        };
        started.into_iter().map(joined).collect()
    });
    Round { results }
}

fn one(name: &str, check: &Check, probing: &Probing<'_>, limit: Duration) -> CheckResult {
    let watch = Stopwatch::start();
    let outcome = match &check.probe {
        Probe::Http(http) => http::probe(http, http.timeout.min(limit)),
        Probe::Tcp { address, timeout } => tcp::probe(address, (*timeout).min(limit)),
        Probe::Command { run, timeout } => command::probe(run, probing.env, (*timeout).min(limit)),
        Probe::Containers => (probing.containers)(),
    };
    CheckResult { name: name.to_owned(), critical: check.critical, failure: outcome.err(), ms: watch.ms() }
}

#[cfg(test)]
mod tests;
