//! A process that a newer binary of itself succeeds, without a moment in which nobody holds its lock.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock, fstat, stat};

use super::lock::Lock;
use super::process::Program;
use super::{env, signals, systemd};
use crate::error::{Error, Result};

/// Becomes `program`, with the arguments and the environment of this process; the lock goes over as its standard input.
/// Comes back only on failure.
pub fn become_newer(program: &Path, lock: &Lock) -> Error {
    let stdin = match lock.handle() {
        Ok(stdin) => stdin,
        Err(e) => return e,
    };
    let e = Command::new(program).args(std::env::args_os().skip(1)).stdin(stdin).exec();
    // What was made ready for the other program is this one's own now.
    let undone = nothing_on_stdin().and_then(|()| signals::survive_broken_pipes());
    let failed = Error::new(format!("cannot execute {}", program.display()));
    match undone {
        Ok(()) => failed.because(e),
        Err(undone) => failed.because(undone),
    }
}

fn nothing_on_stdin() -> Result<()> {
    let failed = |e: std::io::Error| Error::new("cannot put /dev/null at the standard input").because(e);
    let null = File::open("/dev/null").map_err(failed)?;
    rustix::stdio::dup2_stdin(&null).map_err(|e| failed(e.into()))
}

/// The lock of this path, where this process was started with it as its standard input; `None`: with something else.
pub fn inherited(path: &Path) -> Result<Option<Lock>> {
    let failed =
        |e: std::io::Error| Error::new(format!("cannot take over the lock {}", path.display())).because(e);
    let (Ok(here), Ok(there)) = (fstat(std::io::stdin()), stat(path)) else { return Ok(None) };
    if (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino) {
        return Ok(None);
    }
    let file = rustix::io::fcntl_dupfd_cloexec(std::io::stdin(), 3).map_err(|e| failed(e.into()))?;
    nothing_on_stdin()?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(Lock::held(file.into()))),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(e) => Err(failed(e.into())),
    }
}

/// The unit of systemd that this process is in, where it is a service.
pub fn own_service() -> Option<String> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    service_of(&groups).map(str::to_owned)
}

fn service_of(groups: &str) -> Option<&str> {
    let unified = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    unified.rsplit('/').find(|part| part.ends_with(".service"))
}

/// What belongs to one run of one unit.
const OF_THE_UNIT: &[&str] = &[
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "NOTIFY_SOCKET",
    "CREDENTIALS_DIRECTORY",
    "SYSTEMD_EXEC_PID",
    "MEMORY_PRESSURE_WATCH",
    "MEMORY_PRESSURE_WRITE",
];

/// Starts this binary once more, with the same arguments and environment, in a unit of its own, and waits for nothing.
/// Values of the environment stand in no argument list.
pub fn start_in_unit(unit: &str, stop_timeout: Duration, limit: Duration) -> Result<()> {
    let mut words: Vec<String> = ["systemd-run", "--quiet", "--collect", "--no-block", "--unit", unit]
        .map(str::to_owned)
        .into_iter()
        .chain(
            [
                "KillMode=mixed".to_owned(),
                format!("TimeoutStopSec={}s", stop_timeout.as_secs()),
                format!("RuntimeMaxSec={}s", limit.as_secs()),
            ]
            .map(|property| format!("--property={property}")),
        )
        .collect();
    words.extend(
        env::vars()
            .filter(|(name, value)| !OF_THE_UNIT.contains(&name.as_str()) && is_taken(name, value))
            .map(|(name, _)| format!("--setenv={name}")),
    );
    words.push("--".to_owned());
    words.push(env::own_binary_for_others().to_string_lossy().into_owned());
    words.extend(env::arguments().map(|word| systemd::literal(&word)));
    Program::new(words)
        .run_ok()
        .map(drop)
        .map_err(|e| Error::new(format!("cannot go on in {unit}")).because(e))
}

/// Whether systemd takes a variable: of one that it does not take, such as an exported function of a shell, it makes an
/// end of the whole command.
fn is_taken(name: &str, value: &str) -> bool {
    let is_name = |c: char| c == '_' || c.is_ascii_alphanumeric();
    let is_value = |c: char| !c.is_control() || matches!(c, '\t' | '\n');
    name.chars().all(is_name)
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && value.chars().all(is_value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_systemd_does_not_take_stay_behind() {
        assert!(is_taken("NIX_PATH", "nixpkgs=/é\n\t$x %h"));
        assert!(!is_taken("BASH_FUNC_which%%", "() { :; }") && !is_taken("1A", "") && !is_taken("", ""));
        assert!(!is_taken("PS1", "\u{1b}[0m"));
    }

    #[test]
    fn a_service_is_known_by_the_unified_control_group() {
        assert_eq!(
            service_of("0::/system.slice/warmkeep-nightly.service\n"),
            Some("warmkeep-nightly.service")
        );
        assert_eq!(service_of("1:name=x:/a.service\n0::/system.slice/a.service/sub\n"), Some("a.service"));
        assert_eq!(service_of("0::/user.slice/user-0.slice/session-1.scope\n"), None);
        assert_eq!(service_of("0::/\n"), None);
    }
}
