//! Processes that warmkeep did not start in this run, found through /proc.
//!
//! A pid alone names nothing: it is recycled. A process is named by pid, start time and boot.

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use super::clock::{Deadline, sleep};
use crate::error::{Error, Result};

/// One process, never mistaken for a later one with the same pid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// Process id.
    pub pid: i32,
    /// Clock ticks after boot at which it started (field 22 of `/proc/PID/stat`).
    pub start_time: u64,
    /// The boot it belongs to.
    pub boot_id: String,
}

/// What `/proc/PID/stat` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    pid: i32,
    state: char,
    parent: i32,
    session: i32,
    start_time: u64,
}

impl Identity {
    /// The identity of a live process.
    pub fn of(pid: i32) -> Result<Self> {
        let stat = stat(pid).ok_or_else(|| Error::new(format!("there is no process {pid}")))?;
        Ok(Self { pid, start_time: stat.start_time, boot_id: boot_id()? })
    }

    /// Whether that very process still runs. A zombie has ended.
    pub fn is_alive(&self) -> bool {
        let same =
            stat(self.pid).is_some_and(|s| s.start_time == self.start_time && !matches!(s.state, 'Z' | 'X'));
        same && boot_id().is_ok_and(|id| id == self.boot_id)
    }

    /// Sends it a signal; `false`: it has ended. The pidfd is opened first and the identity checked after, so that the
    /// signal cannot reach a process that took over the pid.
    pub fn signal(&self, number: i32) -> Result<bool> {
        let signal = Signal::from_named_raw(number)
            .ok_or_else(|| Error::new(format!("{number} is not a signal that can be sent")))?;
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(false) };
        let Ok(handle) = pidfd_open(pid, PidfdFlags::empty()) else { return Ok(false) };
        if !self.is_alive() {
            return Ok(false);
        }
        match pidfd_send_signal(&handle, signal) {
            Ok(()) => Ok(true),
            Err(rustix::io::Errno::SRCH) => Ok(false),
            Err(e) => Err(Error::new(format!("cannot signal process {}", self.pid))
                .because(std::io::Error::from(e))
                .remedy("run warmkeep as the user that owns the process, or as root")),
        }
    }

    /// Waits until it has ended; `false`: it outlived `limit`.
    pub fn wait_ended(&self, limit: Duration) -> bool {
        wait_until(limit, || !self.is_alive())
    }
}

/// Polls until `done`, at most for `limit`; says whether it came true.
pub fn wait_until(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let deadline = Deadline::after(limit);
    let mut pause = Duration::from_millis(1);
    loop {
        if done() {
            return true;
        }
        if deadline.passed() {
            return false;
        }
        sleep(pause.min(deadline.left()));
        pause = (pause * 2).min(Duration::from_millis(25));
    }
}

/// This process's id.
pub fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// Whether systemd is the first process (`sd_booted(3)`).
pub fn init_is_systemd() -> bool {
    super::files::exists("/run/systemd/system".as_ref())
}

/// Whether this process runs as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// The running boot.
pub fn boot_id() -> Result<String> {
    let bytes = super::files::read("/proc/sys/kernel/random/boot_id".as_ref(), 64)?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// What marks the processes of one app.
#[derive(Debug, Clone, Copy)]
pub struct Mark<'a> {
    /// The session that the app's supervisor leads, where known.
    pub session: Option<i32>,
    /// A variable in the environment that they were started with.
    pub name: &'a str,
    /// Its value.
    pub value: &'a str,
    /// Variables of this kind: what carries one of them with another value belongs to somebody else, whoever started it.
    pub claims: &'a [&'a str],
}

/// Whose a process is, by its environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    Ours,
    Theirs,
    Nobodys,
}

impl Mark<'_> {
    fn claim(&self, pid: i32) -> Claim {
        std::fs::read(format!("/proc/{pid}/environ")).map_or(Claim::Nobodys, |environ| self.judge(&environ))
    }

    fn judge(&self, environ: &[u8]) -> Claim {
        let mut claim = Claim::Nobodys;
        for entry in environ.split(|byte| *byte == 0) {
            let Some(at) = entry.iter().position(|byte| *byte == b'=') else { continue };
            let (name, value) = (&entry[..at], &entry[at + 1..]);
            if name == self.name.as_bytes() && value == self.value.as_bytes() {
                return Claim::Ours;
            }
            if value != self.value.as_bytes() && self.claims.iter().any(|claim| claim.as_bytes() == name) {
                claim = Claim::Theirs;
            }
        }
        claim
    }
}

/// All live processes with a mark: of the session, with the variable in their environment, or descended from such a
/// one, but for those that are somebody else's. This process is never among them.
pub fn marked(mark: Mark<'_>) -> Result<Vec<Identity>> {
    let boot_id = boot_id()?;
    let mut found = BTreeSet::new();
    let mut all: Vec<Stat> = Vec::new();
    for stat in pids()?.into_iter().filter_map(stat).filter(|s| !matches!(s.state, 'Z' | 'X')) {
        let claim = mark.claim(stat.pid);
        if claim == Claim::Ours || (claim == Claim::Nobodys && mark.session == Some(stat.session)) {
            found.insert(stat.pid);
        }
        if claim != Claim::Theirs {
            all.push(stat);
        }
    }
    loop {
        let before = found.len();
        let children: Vec<i32> = all.iter().filter(|s| found.contains(&s.parent)).map(|s| s.pid).collect();
        found.extend(children);
        if found.len() == before {
            break;
        }
    }
    found.remove(&own_pid());
    Ok(all
        .iter()
        .filter(|s| found.contains(&s.pid))
        .map(|s| Identity { pid: s.pid, start_time: s.start_time, boot_id: boot_id.clone() })
        .collect())
}

/// Sends a signal once to every marked process but `except`, and gives them `grace` to end.
pub fn ask_marked(mark: Mark<'_>, except: Option<&Identity>, signal: i32, grace: Duration) -> Result<()> {
    let asked: Vec<Identity> = marked(mark)?.into_iter().filter(|process| Some(process) != except).collect();
    for process in &asked {
        process.signal(signal)?;
    }
    wait_until(grace, || !asked.iter().any(Identity::is_alive));
    Ok(())
}

/// Kills all marked processes and waits until none is left. A process that forks meanwhile is met in the next round.
pub fn end_marked(mark: Mark<'_>, limit: Duration) -> Result<()> {
    let deadline = Deadline::after(limit);
    loop {
        let left = marked(mark)?;
        if left.is_empty() {
            return Ok(());
        }
        if deadline.passed() {
            let pids: Vec<String> = left.iter().map(|p| p.pid.to_string()).collect();
            return Err(Error::new(format!("processes {} do not end", pids.join(", ")))
                .remedy("see in /proc/PID/stack what they wait for (a dead network file system?)"));
        }
        for process in &left {
            process.signal(Signal::KILL.as_raw())?;
        }
        sleep(Duration::from_millis(2));
    }
}

fn pids() -> Result<Vec<i32>> {
    let entries = super::files::list("/proc".as_ref())?;
    Ok(entries.iter().filter_map(|path| path.file_name()?.to_str()?.parse().ok()).collect())
}

fn stat(pid: i32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(pid, &text)
}

/// The command in the second field may hold spaces and parentheses: the fields that count come after the last one.
fn parse_stat(pid: i32, text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    Some(Stat {
        pid,
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        start_time: fields.get(19)?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let text = "42 (a) b (c)) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 777 1 2";
        let stat = parse_stat(42, text).unwrap();
        assert_eq!((stat.state, stat.parent, stat.session, stat.start_time), ('S', 1, 42, 777));
    }

    #[test]
    fn another_start_time_is_another_process() {
        let own = Identity::of(own_pid()).unwrap();
        assert!(own.is_alive());
        assert!(!Identity { start_time: own.start_time + 1, ..own.clone() }.is_alive());
        assert!(!Identity { boot_id: "another boot".into(), ..own }.is_alive());
    }

    #[test]
    fn a_recycled_pid_is_not_signalled() {
        let own = Identity::of(own_pid()).unwrap();
        let recycled = Identity { start_time: own.start_time + 1, ..own };
        assert!(!recycled.signal(Signal::KILL.as_raw()).unwrap());
    }

    #[test]
    fn marked_processes_are_found_by_variable_and_ended_with_their_children() {
        let (name, value) = ("WARMKEEP_TEST_MARK", &own_pid().to_string());
        let mut child = std::process::Command::new("setsid")
            .args(["sh", "-c", "env -i setsid sleep 60 & sleep 60"])
            .env(name, value)
            .spawn()
            .unwrap();
        let mark = Mark { session: None, name, value, claims: &[name] };
        assert!(wait_until(Duration::from_secs(5), || marked(mark).unwrap().len() >= 3));
        end_marked(mark, Duration::from_secs(5)).unwrap();
        assert!(marked(mark).unwrap().is_empty());
        child.wait().unwrap();
    }

    #[test]
    fn what_carries_another_ones_mark_is_not_ended_although_it_descends() {
        let (name, value) = ("WARMKEEP_TEST_RIVAL", &own_pid().to_string());
        let mut child = std::process::Command::new("sh")
            .args(["-c", &format!("{name}=other sleep 60 & env -i sleep 60 & exec sleep 60")])
            .env(name, value)
            .spawn()
            .unwrap();
        let (ours, theirs) = (
            Mark { session: None, name, value, claims: &[name] },
            Mark { session: None, name, value: "other", claims: &[name] },
        );
        assert!(wait_until(Duration::from_secs(5), || marked(ours).unwrap().len() == 2
            && marked(theirs).unwrap().len() == 1));
        end_marked(ours, Duration::from_secs(5)).unwrap();
        assert_eq!(marked(theirs).unwrap().len(), 1);
        end_marked(theirs, Duration::from_secs(5)).unwrap();
        child.wait().unwrap();
    }
}
