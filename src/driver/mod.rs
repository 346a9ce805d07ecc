//! How an app is run: one trait, one file a driver.

pub mod command;
pub mod mark;
pub mod process;
pub mod supervise;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::config::model::{App, Driver as DriverConfig};
use crate::error::{Error, Result};
use crate::record::layout::AppLayout;
use crate::version::Version;

/// What runs now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Current {
    /// The version that runs, or that last ran; `None`: not known.
    pub version: Option<Version>,
    /// Whether it is up.
    pub up: Up,
}

/// Whether an app is up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Up {
    /// It runs.
    Yes,
    /// It does not, and why as far as that is known.
    No(String),
}

/// Whether what was deployed has arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Convergence {
    /// Everything wanted runs.
    Converged,
    /// Not yet.
    Starting(String),
    /// It will not come any more.
    Dead(String),
}

/// One way to run apps. Every method can be called again after it was interrupted anywhere.
pub trait Driver: Sync {
    /// What runs now. Cheap: it is asked on every converge.
    fn current(&self) -> Result<Current>;

    /// Whether the configuration changed since the running version was started.
    fn has_drifted(&self) -> Result<bool>;

    /// Fetches and prepares a version while the old one serves.
    fn prefetch(&self, version: &Version) -> Result<()>;

    /// Remembers how `version`, which has passed its gate, is started: it may be configured otherwise when it has to
    /// come back.
    fn prove(&self, version: &Version) -> Result<()>;

    /// Whether `return_to` could do its work, as far as that can be told without doing it; an error says why not.
    fn can_return_to(&self, version: &Version) -> Result<()>;

    /// As `deploy`, for a version that has passed its gate before: it is started as it was then.
    fn return_to(&self, version: &Version) -> Result<()>;

    /// Makes `version` the one that runs. Nothing is done where it runs already as configured.
    fn deploy(&self, version: &Version) -> Result<()>;

    /// Asks what runs to end, and makes it end.
    fn stop(&self) -> Result<()>;

    /// Waits until nothing of the app is left that could touch its data.
    fn wait_gone(&self) -> Result<()>;

    /// Whether `version` has come up as far as the driver can tell.
    fn converged(&self, version: &Version) -> Result<Convergence>;

    /// The app's data: the configured paths and what the driver discovers.
    fn data_paths(&self) -> Result<Vec<PathBuf>>;

    /// The app's last lines of output.
    fn recent_logs(&self, lines: usize) -> Vec<String>;

    /// Removes what no version but these needs.
    fn tidy(&self, keep: &[Version]) -> Result<()>;

    /// Ends programs that an interrupted run left behind.
    fn end_strays(&self) -> Result<()>;
}

/// The driver of an app.
pub fn of<'a>(app: &'a App, layout: &'a AppLayout) -> Result<Box<dyn Driver + 'a>> {
    match &app.driver {
        DriverConfig::Command(spec) => Ok(Box::new(command::CommandDriver::new(app, spec, layout))),
        DriverConfig::Process(spec) => Ok(Box::new(process::ProcessDriver::new(app, spec, layout))),
        other => Err(Error::usage(format!("{}: this build has no `{}` driver yet", app.name, other.name()))
            .remedy("use the `process` or the `command` driver, or a later warmkeep")),
    }
}

/// What placeholders stand for.
#[derive(Debug, Clone)]
pub struct Placeholders<'a> {
    /// `{app}`
    pub app: &'a str,
    /// `{version}`
    pub version: &'a str,
    /// `{release}`
    pub release: &'a Path,
    /// `{data}`: the first data folder.
    pub data: Option<&'a Path>,
}

impl Placeholders<'_> {
    /// Fills them in.
    pub fn fill(&self, text: &str) -> String {
        let data = self.data.map(|path| path.to_string_lossy()).unwrap_or_default();
        let values: [(&str, &str); 4] = [
            ("{app}", self.app),
            ("{version}", self.version),
            ("{release}", &self.release.to_string_lossy()),
            ("{data}", &data),
        ];
        fill(text, &values)
    }

    /// Fills a whole argv list.
    pub fn fill_all(&self, argv: &[String]) -> Vec<String> {
        argv.iter().map(|word| self.fill(word)).collect()
    }

    /// Fills the values of an environment.
    pub fn fill_env(&self, env: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        env.iter().map(|(name, value)| (name.clone(), self.fill(value))).collect()
    }
}

/// One pass from left to right: what a value brings in is not filled again.
fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        filled.push_str(&rest[..at]);
        rest = &rest[at..];
        let known = values.iter().find(|(name, _)| rest.starts_with(name));
        let (taken, value) = known.map_or((1, "{"), |(name, value)| (name.len(), *value));
        filled.push_str(value);
        rest = &rest[taken..];
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_once_and_other_braces_are_left_alone() {
        let values = [("{app}", "{version}"), ("{version}", "1.0.0")];
        assert_eq!(fill("{app}/{version}/{other}/${x}/{", &values), "{version}/1.0.0/{other}/${x}/{");
    }
}
