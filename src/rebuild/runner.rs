//! Runs `switch-to-configuration` for somebody who may die meanwhile, and writes down durably how it ended.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::verdict::End;
use crate::error::{Kind as ErrorKind, Result};
use crate::record::document::{self, SCHEMA};
use crate::sys::clock::Stopwatch;
use crate::sys::files;
use crate::sys::process::{Output, Program, Watch};

/// How much is kept of what it prints on each stream: the end of it.
const KEPT: usize = 64 << 10;

/// What is to be run.
#[derive(Debug, Clone, Args)]
pub struct Run {
    /// Where the result goes.
    #[arg(long)]
    result: PathBuf,
    /// What tells this run from all others.
    #[arg(long)]
    mark: String,
    /// How long it may take, in milliseconds.
    #[arg(long)]
    limit: u64,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    argv: Vec<String>,
}

impl Run {
    /// A run.
    pub(super) fn new(result: PathBuf, mark: String, limit: Duration, argv: Vec<String>) -> Self {
        Self { result, mark, limit: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX), argv }
    }

    /// The arguments by which warmkeep has to be started to run it.
    pub(super) fn words(&self) -> Vec<String> {
        let mut words = vec![
            "-v".to_owned(),
            "internal-activate".into(),
            "--result".into(),
            self.result.to_string_lossy().into(),
        ];
        words.extend([
            "--mark".into(),
            self.mark.clone(),
            "--limit".into(),
            self.limit.to_string(),
            "--".into(),
        ]);
        words.extend(self.argv.iter().cloned());
        words
    }
}

/// How a run ended, as it stands in its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ended {
    schema: u64,
    /// Which run.
    pub(super) mark: String,
    /// The exit code; null where there is none.
    code: Option<i32>,
    timed_out: bool,
    /// Why there is no exit code.
    error: Option<String>,
    /// The end of what it printed.
    pub(super) output: String,
    /// How long it took, in milliseconds.
    pub(super) ms: u64,
}

impl Ended {
    /// How it ended.
    pub(super) fn end(&self) -> End {
        match (self.code, &self.error) {
            (Some(code), _) => End::Code(code),
            (None, _) if self.timed_out => End::TimedOut,
            (None, error) => End::Broken(error.clone().unwrap_or_else(|| "it left no exit code".into())),
        }
    }
}

/// What is passed on to the journal of the unit.
struct Aloud;

impl Watch for Aloud {
    fn line(&mut self, line: &str) {
        tracing::info!(name: "switch.said", line);
    }

    fn goes_on(&self) -> bool {
        true
    }
}

/// Runs it to its end.
pub fn run(run: &Run) -> Result<()> {
    let watch = Stopwatch::start();
    let limit = Duration::from_millis(run.limit);
    let ran = Program::new(&run.argv).timeout(limit).dir("/").run_watched(&mut Aloud);
    let timed_out = ran.is_err() && watch.elapsed() >= limit;
    let ended = Ended {
        schema: SCHEMA,
        mark: run.mark.clone(),
        code: ran.as_ref().ok().map(|output| output.code),
        timed_out,
        error: ran.as_ref().err().map(crate::error::Error::chain),
        output: ran.as_ref().map(text).unwrap_or_default(),
        ms: watch.ms(),
    };
    match document::write(&run.result, &ended) {
        Err(e) if e.kind() == ErrorKind::DiskFull => {
            files::give_up(&run.result.with_file_name("reserve"))?;
            document::write(&run.result, &ended)
        }
        other => other,
    }
}

fn text(output: &Output) -> String {
    let end = |bytes: &[u8]| String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(KEPT)..]).into_owned();
    [end(&output.stdout), end(&output.stderr)].join("\n")
}

/// The result of the run with this mark, if it has left one.
pub(super) fn result(path: &std::path::Path, mark: &str) -> Result<Option<Ended>> {
    let Some(read) = document::read_even_damaged::<Ended>(path)? else { return Ok(None) };
    match read {
        Ok(ended) => Ok(Some(ended).filter(|ended| ended.mark == mark)),
        Err(e) => {
            // It is written in one piece: a damaged one is of another version, and so of another run.
            tracing::warn!(name: "switch.resultUnreadable", error = e.chain());
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(script: &str, limit: Duration) -> Ended {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("result.json");
        let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
        run(&Run::new(path.clone(), "mine".into(), limit, argv)).unwrap();
        assert_eq!(result(&path, "another's").unwrap(), None);
        result(&path, "mine").unwrap().unwrap()
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn the_exit_code_and_the_end_of_the_output_are_written_down() {
        let ended = ran("head -c 3000000 /dev/zero | tr '\\0' x >&2; echo; echo last >&2; exit 4", LONG);
        assert_eq!(ended.end(), End::Code(4));
        assert!(ended.output.ends_with("last\n") && ended.output.len() < 3 * KEPT);
    }

    #[test]
    fn one_that_hangs_is_ended() {
        assert_eq!(ran("sleep 60", Duration::from_millis(50)).end(), End::TimedOut);
    }

    #[test]
    fn one_that_a_signal_ended_did_not_end_well() {
        assert_eq!(ran("kill -9 $$", LONG).end(), End::Code(137));
    }

    #[test]
    fn one_that_cannot_be_started_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("result.json");
        let argv = vec!["/nowhere/bin/switch-to-configuration".to_owned()];
        run(&Run::new(path.clone(), "mine".into(), LONG, argv)).unwrap();
        let end = result(&path, "mine").unwrap().unwrap().end();
        assert!(matches!(end, End::Broken(why) if why.contains("/nowhere")));
    }
}
