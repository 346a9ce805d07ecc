//! One factory for every program that warmkeep starts and waits for: own process group, a hard timeout that ends the
//! whole group, output kept up to a bound.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use super::clock::{Deadline, sleep};
use super::scope::Scope;
use crate::error::{Error, Result};

/// The most that is kept of each output stream.
const KEPT: usize = 1 << 20;

/// A program to run to its end.
#[derive(Debug, Clone)]
pub struct Program {
    argv: Vec<String>,
    env: BTreeMap<String, String>,
    dir: Option<PathBuf>,
    stdin: Vec<u8>,
    timeout: Duration,
    kept: usize,
    leftovers: Leftovers,
    scope: Option<Scope>,
}

/// What becomes of processes that a program left in its group when it ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leftovers {
    End,
    Keep,
}

/// How a program ended, with what it printed (at most 1 MiB of each stream: of a longer one, stdout's beginning and
/// stderr's end are kept).
#[derive(Debug, Clone)]
pub struct Output {
    /// The exit code; 128 + n for signal n.
    pub code: i32,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it complained about.
    pub stderr: Vec<u8>,
    /// Whether stdout was longer than what was kept.
    pub stdout_cut: bool,
}

impl Output {
    /// The last lines a person would want to see: stderr's, or else stdout's.
    pub fn complaint(&self) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        let stderr = text(&self.stderr);
        let said = if stderr.is_empty() { text(&self.stdout) } else { stderr };
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Program {
    /// A program by its argv; the first word is looked up in `PATH`.
    pub fn new(argv: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            env: BTreeMap::new(),
            dir: None,
            stdin: Vec::new(),
            timeout: Duration::from_secs(60),
            kept: KEPT,
            leftovers: Leftovers::End,
            scope: None,
        }
    }

    /// Adds to the environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Adds several to the environment.
    #[must_use]
    pub fn envs<'a>(mut self, vars: impl IntoIterator<Item = (&'a String, &'a String)>) -> Self {
        self.env.extend(vars.into_iter().map(|(name, value)| (name.clone(), value.clone())));
        self
    }

    /// Where it runs.
    #[must_use]
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.dir = Some(dir.into());
        self
    }

    /// What it reads.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = bytes.into();
        self
    }

    /// How long it may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How many bytes are kept of what it prints, instead of 1 MiB.
    #[must_use]
    pub fn keep(mut self, bytes: usize) -> Self {
        self.kept = bytes;
        self
    }

    /// What it starts in the background goes on when it has ended: it is there to start something.
    #[must_use]
    pub fn keeps_children(mut self) -> Self {
        self.leftovers = Leftovers::Keep;
        self
    }

    /// It runs, and what it leaves running goes on, in a scope of its own.
    #[must_use]
    pub fn scope(mut self, scope: Option<Scope>) -> Self {
        self.scope = scope;
        self
    }

    /// Its name, for messages. Arguments may hold what should not be shown, so they are left out.
    pub fn name(&self) -> &str {
        self.argv.first().map_or("", String::as_str)
    }

    /// Runs it to its end, whatever its exit code. An error: it could not be started, or it ran out of time.
    pub fn run(&self) -> Result<Output> {
        self.run_watched(&mut Unwatched)
    }

    /// The same while somebody looks on.
    pub fn run_watched(&self, watch: &mut dyn Watch) -> Result<Output> {
        let mut child = self.start()?;
        let group = Pid::from_child(&child);
        if let Some(mut stdin) = child.stdin.take() {
            let bytes = self.stdin.clone();
            // A program that does not read its input is no error.
            std::thread::spawn(move || drop(stdin.write_all(&bytes)));
        }
        let (teller, said) = mpsc::channel();
        let stdout = child.stdout.take().map(|pipe| drain(pipe, Keep::Beginning(self.kept), None));
        let stderr = child.stderr.take().map(|pipe| drain(pipe, Keep::End(KEPT), Some(teller)));
        let mut lines = Lines { said, rest: Vec::new() };
        let status = wait(&mut child, Deadline::after(self.timeout), &mut || {
            lines.tell(watch);
            watch.goes_on()
        });
        let ended_by_itself = matches!(status, Ok(Some(_)));
        if !(ended_by_itself && self.leftovers == Leftovers::Keep) {
            // Where nothing is left in the group, there is nothing to end.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let Some(status) =
            status.map_err(|e| Error::new(format!("cannot wait for {}", self.name())).because(e))?
        else {
            let _ = child.wait();
            return Err(self.given_up(watch.goes_on()));
        };
        let (stdout, stdout_cut) = stdout.as_ref().map(collect).unwrap_or_default();
        let (stderr, _) = stderr.as_ref().map(collect).unwrap_or_default();
        lines.tell(watch);
        Ok(Output { code: code(status), stdout, stderr, stdout_cut })
    }

    fn given_up(&self, was_wanted: bool) -> Error {
        if !was_wanted {
            return Error::new(format!("{} was killed, because warmkeep was asked to end", self.name()));
        }
        Error::new(format!("{} did not end within {:?} and was killed", self.name(), self.timeout))
            .remedy("look at what it waits for, or raise its timeout")
    }

    /// Runs it and takes any exit code but 0 as an error that carries its complaint.
    pub fn run_ok(&self) -> Result<Output> {
        let output = self.run()?;
        if output.code == 0 {
            return Ok(output);
        }
        let complaint = output.complaint();
        let said = if complaint.is_empty() { "it printed nothing".to_owned() } else { complaint };
        Err(Error::new(format!("{} ended with exit code {}: {said}", self.name(), output.code)))
    }

    /// Starts it and leaves it running, its output unread.
    pub fn start_in_background(&self) -> Result<Background> {
        let mut child = self.start()?;
        drop((child.stdout.take(), child.stderr.take()));
        Ok(Background { child })
    }

    fn start(&self) -> Result<Child> {
        if self.argv.is_empty() {
            return Err(Error::new("there is no program to run: the argv list is empty"));
        }
        let mut words =
            self.scope.as_ref().map(Scope::enter).unwrap_or_default().into_iter().chain(self.argv.clone());
        let program = words.next().unwrap_or_default();
        let mut command = Command::new(&program);
        command.args(words).envs(&self.env).process_group(0);
        command.stdin(if self.stdin.is_empty() { Stdio::null() } else { Stdio::piped() });
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        if let Some(dir) = &self.dir {
            command.current_dir(dir);
        }
        command.spawn().map_err(|e| {
            Error::new(format!("cannot start {program}"))
                .because(e)
                .remedy(format!("install {program}, or put its folder into PATH"))
        })
    }
}

/// From now on, what this process starts inherits its standard streams and no other open file: an app must not hold for
/// ever a lock or a pipe of whoever happened to start warmkeep.
pub fn pass_nothing_on() {
    close_fds::set_fds_cloexec_threadsafe(3, &[]);
}

/// The file that a program's name stands for: looked up in `PATH`, or from `dir` if it is a relative path.
pub fn find(program: &str, dir: &Path) -> Result<PathBuf> {
    which::which_in(program, super::env::var("PATH"), dir)
        .map_err(|e| Error::new(format!("cannot run {program}")).because(e))
}

/// A program that was left running.
#[derive(Debug)]
pub struct Background {
    child: Child,
}

impl Background {
    /// Kills it (SIGKILL, it alone) and waits until it has ended.
    pub fn kill(&mut self) -> Result<()> {
        let failed = |e| Error::new("cannot end a program").because(e);
        self.child.kill().map_err(failed)?;
        self.child.wait().map(drop).map_err(failed)
    }
}

/// Somebody who looks on while a program runs.
pub trait Watch {
    /// It complained in this line (stderr).
    fn line(&mut self, line: &str);
    /// Whether its end is still wanted; it is killed where it is not.
    fn goes_on(&self) -> bool;
}

struct Unwatched;

impl Watch for Unwatched {
    fn line(&mut self, _line: &str) {}
    fn goes_on(&self) -> bool {
        true
    }
}

/// What a program says, line by line as it comes.
struct Lines {
    said: mpsc::Receiver<Vec<u8>>,
    rest: Vec<u8>,
}

impl Lines {
    fn tell(&mut self, watch: &mut dyn Watch) {
        for bytes in self.said.try_iter() {
            self.rest.extend(bytes);
            while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                watch.line(String::from_utf8_lossy(&line).trim_end());
            }
            if self.rest.len() > KEPT {
                self.rest.clear();
            }
        }
    }
}

fn wait(
    child: &mut Child,
    deadline: Deadline,
    goes_on: &mut dyn FnMut() -> bool,
) -> std::io::Result<Option<ExitStatus>> {
    let mut pause = Duration::from_micros(200);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if deadline.passed() || !goes_on() {
            return Ok(None);
        }
        sleep(pause.min(deadline.left()));
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// What has been read of a stream so far.
#[derive(Debug, Default)]
struct Read {
    kept: Vec<u8>,
    cut: bool,
}

/// A stream that is read by a thread of its own.
#[derive(Debug)]
struct Drained {
    read: Arc<Mutex<Read>>,
    /// Hangs up at the end of the stream.
    end: mpsc::Receiver<()>,
}

/// Which part is kept of a stream that is longer than so many bytes.
#[derive(Debug, Clone, Copy)]
enum Keep {
    Beginning(usize),
    End(usize),
}

fn drain(
    mut pipe: impl io::Read + Send + 'static,
    keep: Keep,
    teller: Option<mpsc::Sender<Vec<u8>>>,
) -> Drained {
    let (sender, end) = mpsc::channel::<()>();
    let read = Arc::new(Mutex::new(Read::default()));
    let shared = Arc::clone(&read);
    std::thread::spawn(move || {
        let mut buffer = [0_u8; 8192];
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            shared.lock().unwrap_or_else(PoisonError::into_inner).add(&buffer[..count], keep);
            if let Some(teller) = &teller {
                // Nobody listens when the program was given up.
                let _ = teller.send(buffer[..count].to_vec());
            }
        }
        drop(sender);
    });
    Drained { read, end }
}

impl Read {
    fn add(&mut self, bytes: &[u8], keep: Keep) {
        self.kept.extend_from_slice(bytes);
        match keep {
            Keep::End(limit) if self.kept.len() > 2 * limit => {
                drop(self.kept.drain(..self.kept.len() - limit));
            }
            Keep::Beginning(limit) if self.kept.len() > limit => self.kept.truncate(limit),
            _ => return,
        }
        self.cut = true;
    }
}

/// A daemon that the program left behind may hold the pipe open for ever: what came within a moment is what counts.
fn collect(drained: &Drained) -> (Vec<u8>, bool) {
    // Both the end and a moment without it end the waiting.
    let _ = drained.end.recv_timeout(Duration::from_secs(2));
    let read = std::mem::take(&mut *drained.read.lock().unwrap_or_else(PoisonError::into_inner));
    (read.kept, read.cut)
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_and_code_come_back() {
        let output = Program::new(["sh", "-c", "cat; echo bad >&2; exit 3"]).stdin("hello").run().unwrap();
        assert_eq!((output.code, output.stdout.as_slice()), (3, b"hello".as_slice()));
        assert_eq!(output.complaint(), "bad");
    }

    #[test]
    fn what_a_program_said_is_kept_where_a_daemon_of_its_own_holds_its_streams() {
        let left = "setsid sleep 8 & echo said; echo Failed to run activate script >&2; exit 4";
        let output = Program::new(["sh", "-c", left]).run().unwrap();
        assert_eq!((output.code, output.stdout.as_slice()), (4, b"said\n".as_slice()));
        assert_eq!(output.complaint(), "Failed to run activate script");
    }

    #[test]
    fn a_program_out_of_time_is_killed_with_its_children() {
        let watch = super::super::clock::Stopwatch::start();
        let slow = Program::new(["sh", "-c", "sleep 60 & sleep 60"]).timeout(Duration::from_millis(100));
        assert!(slow.run().unwrap_err().to_string().contains("did not end within"));
        assert!(watch.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn a_missing_program_names_itself_and_the_remedy() {
        let error = Program::new(["warmkeep-no-such-program"]).run().unwrap_err();
        assert!(error.hint().unwrap().contains("PATH"), "{error}");
    }

    #[derive(Default)]
    struct Heard(Vec<String>);

    impl Watch for Heard {
        fn line(&mut self, line: &str) {
            self.0.push(line.to_owned());
        }
        fn goes_on(&self) -> bool {
            self.0.len() < 2
        }
    }

    #[test]
    fn what_a_program_says_is_heard_line_by_line_until_nobody_wants_it_any_more() {
        let mut heard = Heard::default();
        let endless = Program::new(["sh", "-c", "echo one >&2; sleep 0.1; echo two >&2; sleep 60"]);
        let error = endless.run_watched(&mut heard).unwrap_err();
        assert!(error.to_string().contains("asked to end"), "{error}");
        assert_eq!(heard.0, ["one", "two"]);
    }

    #[test]
    fn endless_output_is_bounded() {
        let output = Program::new(["sh", "-c", "head -c 5000000 /dev/zero"]).run().unwrap();
        assert_eq!((output.stdout.len(), output.stdout_cut), (KEPT, true));
    }
}
