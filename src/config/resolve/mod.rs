//! From what is written to what is meant: defaults that depend on other keys are filled in, texts are read, and every
//! rule that a shape cannot say is held here. A rule that is broken is reported and the work goes on, with a value that
//! is never used: a configuration with something to report is not handed out.

mod app;
mod calendar;
mod driver;
mod health;
mod host;
mod placeholder;
mod scalar;
mod signal;
mod versions;

use std::collections::BTreeMap;

use regex::Regex;

use super::at::At;
use super::diagnostic::{Diagnostic, Problem};
use super::model::Config;
use super::report::Report;
use super::{graph, overlap, wire};

/// Resolves a configuration that has the right shape, or says all that is wrong with it.
pub(super) fn resolve(config: wire::Config, report: Report<'_>) -> Result<Config, Vec<Diagnostic>> {
    let mut resolver = Resolver { report, patterns: BTreeMap::new() };
    let config = resolver.config(config);
    graph::check(&config, &mut resolver.report);
    overlap::check(&config, &mut resolver.report);
    match resolver.report.into_found() {
        found if found.is_empty() => Ok(config),
        found => Err(found),
    }
}

/// What the rules need to remember, and where they report.
struct Resolver<'a> {
    report: Report<'a>,
    /// Many apps share few patterns, and compiling one is dear.
    patterns: BTreeMap<String, Option<Regex>>,
}

impl Resolver<'_> {
    fn config(&mut self, config: wire::Config) -> Config {
        let root = At::ROOT;
        if u64::from(config.schema) != wire::SCHEMA {
            let problem = Problem::new(format!("there is no schema {}", config.schema)).expected("1");
            self.report.value(&root.key("schema"), problem.remedy("Write 1."));
        }
        let at = root.key("apps");
        let apps = config.apps.into_iter().map(|(name, app)| (name.clone(), self.app(name, app, &at)));
        Config {
            apps: apps.collect(),
            host: self.host(&config.host, &root.key("host")),
            sweep: self.sweep(config.sweep, &root.key("sweep")),
            nightly: self.nightly(config.nightly, &root.key("nightly")),
            gc: self.gc(config.gc, &root.key("gc")),
            alerts: self.alerts(config.alerts, &root.key("alerts")),
        }
    }
}
