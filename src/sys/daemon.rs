//! What a supervisor needs: a session of its own, children that come back to it, output into a bounded log.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};

use super::env::{own_binary, own_binary_for_others};
use super::proc::own_pid;
use super::scope::Scope;
use crate::error::{Error, Result};

/// A log never takes more than twice this: the current file and the one before.
const LOG_LIMIT: u64 = 1 << 20;

/// Starts this binary again with one hidden argument, detached, in a scope where there is one, in this environment and
/// no other, feeds it `input` and waits for its one-line answer.
pub fn start_detached(
    argument: &str,
    scope: Option<&Scope>,
    input: &[u8],
    env: &BTreeMap<String, String>,
    limit: Duration,
) -> Result<String> {
    let failed = |e| Error::new("cannot start a supervisor").because(e);
    let mut child = own_command(scope)
        .arg(argument)
        .env_clear()
        .envs(env)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input).map_err(failed)?;
    }
    let Some(mut stdout) = child.stdout.take() else { return Err(Error::new("a supervisor has no output")) };
    let (sender, answer) = mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let read = stdout.read_to_string(&mut text).map(|_| text);
        // The receiver may have given up.
        let _ = sender.send(read);
    });
    match answer.recv_timeout(limit) {
        Ok(text) => text.map_err(failed),
        Err(_) => Err(Error::new(format!("a supervisor did not answer within {limit:?}"))),
    }
}

fn own_command(scope: Option<&Scope>) -> Command {
    let Some(scope) = scope else {
        let mut command = Command::new(own_binary());
        command.arg0("warmkeep");
        return command;
    };
    let words = scope.enter();
    let mut command = Command::new(words.first().map_or("", String::as_str));
    command.args(words.iter().skip(1)).arg(own_binary_for_others());
    command
}

/// Leads a session of its own, so that no terminal and no parent takes the app down.
pub fn lead_session() -> Result<()> {
    rustix::process::setsid()
        .map(drop)
        .map_err(|e| Error::new("cannot begin a session").because(std::io::Error::from(e)))
}

/// Orphaned descendants come to this process instead of to init, and so stay known.
pub fn adopt_orphans() -> Result<()> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|e| Error::new("cannot adopt orphans").because(std::io::Error::from(e)))
}

/// Reads standard input to its end.
pub fn read_input() -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .read_to_end(&mut bytes)
        .map_err(|e| Error::new("cannot read standard input").because(e))?;
    Ok(bytes)
}

/// Answers on standard output and closes it: the one who waits sees the end of the file.
pub fn answer(text: &str) -> Result<()> {
    let failed = |e: std::io::Error| Error::new("cannot answer").because(e);
    let mut stdout = std::io::stdout();
    let told = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    let null: OwnedFd = OpenOptions::new().write(true).open("/dev/null").map_err(failed)?.into();
    rustix::stdio::dup2_stdout(&null).map_err(|e| failed(e.into()))?;
    told.map_err(failed)
}

/// A program to keep running.
#[derive(Debug)]
pub struct Launch<'a> {
    /// The hidden argument that makes this binary set its death signal and then become the program; `--supervisor` and
    /// this process's id follow it.
    pub launcher: &'a str,
    /// The program and its arguments.
    pub argv: &'a [String],
    /// Added to the environment.
    pub env: &'a BTreeMap<String, String>,
    /// Where it runs.
    pub dir: &'a Path,
}

/// Starts the program with both outputs in one pipe.
pub fn launch(launch: &Launch<'_>) -> Result<(i32, impl Read + Send + 'static)> {
    let failed =
        |e| Error::new(format!("cannot start {}", launch.argv.first().map_or("", String::as_str))).because(e);
    let (reader, writer) = std::io::pipe().map_err(failed)?;
    let child = Command::new(own_binary())
        .arg(launch.launcher)
        .args(["--supervisor", &own_pid().to_string(), "--"])
        .args(launch.argv)
        .envs(launch.env)
        .current_dir(launch.dir)
        .stdin(Stdio::null())
        .stdout(writer.try_clone().map_err(failed)?)
        .stderr(writer)
        .spawn()
        .map_err(failed)?;
    Ok((Pid::from_child(&child).as_raw_nonzero().get(), reader))
}

/// Asks the kernel to end this process when its parent dies, then becomes the program. Comes back only on failure; that
/// the parent is not `supervisor` any more, which the kernel would never tell of, is one.
pub fn become_program(supervisor: i32, argv: &[String]) -> Error {
    let Some((program, arguments)) = argv.split_first() else {
        return Error::new("there is no program to become");
    };
    if let Err(e) = rustix::process::set_parent_process_death_signal(Some(Signal::TERM)) {
        return Error::new("cannot set the parent death signal").because(std::io::Error::from(e));
    }
    if rustix::process::Pid::as_raw(rustix::process::getppid()) != supervisor {
        return Error::new(format!("the supervisor {supervisor} has ended"));
    }
    Error::new(format!("cannot execute {program}")).because(Command::new(program).args(arguments).exec())
}

/// Waits for the next child to end: its pid and exit code (128 + n for signal n); `None`: there is no child left.
pub fn wait_any() -> Option<(i32, i32)> {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) => return Some((pid.as_raw_nonzero().get(), exit_code(status))),
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return None,
        }
    }
}

fn exit_code(status: WaitStatus) -> i32 {
    status.exit_status().unwrap_or_else(|| 128 + status.terminating_signal().unwrap_or(0))
}

/// A log file that is turned over when it is full. A write that fails (a full disk) loses the output, never the app.
#[derive(Debug)]
pub struct BoundedLog {
    path: PathBuf,
    file: Option<File>,
    size: u64,
}

impl BoundedLog {
    /// Begins a new log; the one before is kept beside it.
    pub fn begin(path: &Path) -> Self {
        let mut log = Self { path: path.to_owned(), file: None, size: 0 };
        log.turn_over();
        log
    }

    fn turn_over(&mut self) {
        let mut previous = self.path.clone().into_os_string();
        previous.push(".1");
        // No log is better than no app: what cannot be opened is not written.
        let _ = std::fs::rename(&self.path, previous);
        self.file =
            OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&self.path).ok();
        self.size = 0;
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.size + bytes.len() as u64 > LOG_LIMIT {
            self.turn_over();
        }
        if let Some(file) = &mut self.file
            && file.write_all(bytes).is_ok()
        {
            self.size += bytes.len() as u64;
        }
    }

    /// Writes all that comes until the pipe ends.
    pub fn pump(mut self, mut pipe: impl Read) {
        let mut buffer = [0_u8; 8192];
        loop {
            match pipe.read(&mut buffer) {
                Ok(0) => return,
                Ok(count) => self.write(&buffer[..count]),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_without_end_takes_two_files_at_most() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("output.log");
        BoundedLog::begin(&path).pump(std::io::repeat(b'x').take(5 * LOG_LIMIT + 17));
        let total: u64 =
            std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
        assert!(total <= 2 * LOG_LIMIT, "{total}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_new_start_keeps_the_log_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("output.log");
        BoundedLog::begin(&path).pump(&b"old"[..]);
        BoundedLog::begin(&path).pump(&b"new"[..]);
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read(dir.path().join("output.log.1")).unwrap(), b"old");
    }
}
