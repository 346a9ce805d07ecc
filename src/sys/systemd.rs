//! systemd, asked through its own programs: which units have failed, and units that exist only while they run.

use std::collections::BTreeSet;
use std::time::Duration;

use super::proc;
use super::process::Program;
use crate::error::{Error, Result};

/// How long systemd may take to answer.
const ANSWER: Duration = Duration::from_secs(60);

/// The units that have failed, and services that wait to be restarted because they failed.
pub fn failed_units() -> Result<BTreeSet<String>> {
    let list =
        ["list-units", "--state=failed,auto-restart", "--full", "--plain", "--no-legend", "--no-pager"];
    let (failed, waiting): (Vec<_>, Vec<_>) =
        listed(&systemctl(&list)?).into_iter().partition(|(_, active)| active == "failed");
    let waiting: Vec<String> = waiting.into_iter().map(|(name, _)| name).collect();
    let mut names: BTreeSet<String> = failed.into_iter().map(|(name, _)| name).collect();
    if !waiting.is_empty() {
        let mut show = vec!["show", "--property=Id,ExecMainStatus", "--"];
        show.extend(waiting.iter().map(String::as_str));
        names.extend(ended_badly(&systemctl(&show)?));
    }
    Ok(names)
}

/// Names and active states of a list without legend.
fn listed(text: &str) -> Vec<(String, String)> {
    let columns = |line: &str| {
        let mut words = line.split_whitespace().filter(|word| *word != "●" && *word != "*");
        Some((words.next()?.to_owned(), words.nth(1)?.to_owned()))
    };
    text.lines().filter_map(columns).collect()
}

/// The ids among blocks of properties whose first process ended with anything but 0.
fn ended_badly(text: &str) -> Vec<String> {
    let badly = |block: &str| {
        let value = |key: &str| block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        value("Id").filter(|_| value("ExecMainStatus").is_some_and(|code| code != "0")).map(str::to_owned)
    };
    text.split("\n\n").filter_map(badly).collect()
}

/// Whether the host is on its way down. systemd then stops what it can, and starts nothing any more.
pub fn is_going_down() -> bool {
    if !proc::init_is_systemd() {
        return false;
    }
    // It says so by a word and by an exit code that other words have as well.
    let asked = Program::new(["systemctl", "is-system-running"]).env("LC_ALL", "C").timeout(ANSWER).run();
    asked.is_ok_and(|output| output.stdout.trim_ascii() == b"stopping")
}

/// What systemd knows of a unit that it has loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// Its description.
    pub description: String,
    /// Whether it runs, begins to, or has not quite ended.
    pub is_active: bool,
}

/// A unit; `None` where systemd has none of this name.
pub fn unit(name: &str) -> Result<Option<Loaded>> {
    let text = systemctl(&["show", "--property=LoadState,ActiveState,Description", "--", name])?;
    Ok(loaded(&text))
}

fn loaded(text: &str) -> Option<Loaded> {
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let is_active = !matches!(value("ActiveState")?, "inactive" | "failed");
    let known = value("LoadState") != Some("not-found") || is_active;
    known.then(|| Loaded { description: value("Description").unwrap_or_default().to_owned(), is_active })
}

/// Stops a unit and waits until it has stopped, at most for `limit`; none of this name is fine.
pub fn stop(name: &str, limit: Duration) -> Result<()> {
    match Program::new(["systemctl", "stop", "--", name]).timeout(limit).run_ok() {
        Err(_) if unit(name)?.is_none() => Ok(()),
        other => other.map(drop),
    }
}

/// Lets a unit that has failed be forgotten, so that its name is free.
pub fn forget_failure(name: &str) -> Result<()> {
    match systemctl(&["reset-failed", "--", name]) {
        Err(_) if unit(name)?.is_none() => Ok(()),
        other => other.map(drop),
    }
}

/// A service that exists only while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transient<'a> {
    /// Its name.
    pub unit: &'a str,
    /// Its description.
    pub description: &'a str,
    /// Its environment, beside systemd's own.
    pub env: &'a [(&'a str, String)],
    /// After so long systemd ends it.
    pub limit: Duration,
    /// The program and its arguments.
    pub argv: &'a [String],
}

impl Transient<'_> {
    /// Starts it and comes back once its program runs.
    pub fn start(&self) -> Result<()> {
        Program::new(self.words()).timeout(ANSWER).run_ok().map(drop)
    }

    fn words(&self) -> Vec<String> {
        let options = ["systemd-run", "--collect", "--no-ask-password", "--quiet", "--service-type=exec"];
        let mut words: Vec<String> = options.map(str::to_owned).to_vec();
        words.push(format!("--unit={}", self.unit));
        words.push(format!("--description={}", self.description));
        words.push(format!("--property=RuntimeMaxSec={}", self.limit.as_secs()));
        words.extend(self.env.iter().map(|(name, value)| format!("--setenv={name}={value}")));
        words.push("--".to_owned());
        // It expands the arguments, not the program.
        words.extend(self.argv.iter().take(1).cloned());
        words.extend(self.argv.iter().skip(1).map(|word| literal(word)));
        words
    }
}

/// An argument as it has to be given so that a transient service gets it as it is: systemd puts the values of variables in.
pub(super) fn literal(argument: &str) -> String {
    argument.replace('$', "$$")
}

fn systemctl(arguments: &[&str]) -> Result<String> {
    let argv = std::iter::once("systemctl").chain(arguments.iter().copied());
    let output = Program::new(argv)
        .env("LC_ALL", "C")
        .timeout(ANSWER)
        .run_ok()
        .map_err(|e| Error::new("systemd cannot be asked").because(e))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_listed_with_their_active_state() {
        let text = "a.service loaded failed failed A b\n● b@x\\x2dy.service not-found failed failed b\n\
                    c.service loaded activating auto-restart C\n";
        let list = listed(text);
        let list: Vec<(&str, &str)> =
            list.iter().map(|(name, state)| (name.as_str(), state.as_str())).collect();
        assert_eq!(
            list,
            [("a.service", "failed"), ("b@x\\x2dy.service", "failed"), ("c.service", "activating")]
        );
    }

    #[test]
    fn a_service_that_is_restarted_as_it_always_is_has_not_failed() {
        let text = "Id=a.service\nExecMainStatus=0\n\nExecMainStatus=1\nId=b.service\n\nId=c.path\n";
        assert_eq!(ended_badly(text), ["b.service"]);
    }

    #[test]
    fn a_unit_that_was_never_there_is_none_and_one_that_stops_is_active() {
        assert_eq!(loaded("LoadState=not-found\nActiveState=inactive\nDescription=x.service\n"), None);
        let stopping = loaded("LoadState=loaded\nActiveState=deactivating\nDescription=a b\n");
        assert_eq!(stopping, Some(Loaded { description: "a b".into(), is_active: true }));
        let failed = loaded("LoadState=loaded\nActiveState=failed\nDescription=a\n");
        assert_eq!(failed.map(|unit| unit.is_active), Some(false));
    }

    #[test]
    fn a_transient_service_is_asked_for_as_nixos_rebuild_does() {
        let argv = ["/bin/$x".to_owned(), "a b".to_owned(), "/srv/${HOME}/$b".to_owned()];
        let env = [("NIXOS_INSTALL_BOOTLOADER", "0".to_owned())];
        let limit = Duration::from_secs(90);
        let service = Transient { unit: "u.service", description: "d", env: &env, limit, argv: &argv };
        assert_eq!(
            service.words().join("|"),
            "systemd-run|--collect|--no-ask-password|--quiet|--service-type=exec|--unit=u.service|--description=d|\
             --property=RuntimeMaxSec=90|--setenv=NIXOS_INSTALL_BOOTLOADER=0|--|/bin/$x|a b|\
             /srv/$${HOME}/$$b"
        );
    }
}
