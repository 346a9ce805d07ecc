//! A program that exits 0.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::sys::process::Program;

/// Runs `run`; the failure is the last line that it complained.
pub(super) fn probe(run: &[String], env: &BTreeMap<String, String>, timeout: Duration) -> Result<(), String> {
    let program = Program::new(run.iter().map(String::as_str)).envs(env).timeout(timeout);
    let output = program.run().map_err(|error| error.chain())?;
    if output.code == 0 {
        return Ok(());
    }
    let complaint = output.complaint();
    let last = complaint.lines().rev().map(str::trim).find(|line| !line.is_empty());
    Err(format!("exit code {}: {}", output.code, last.unwrap_or("it printed nothing")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, timeout: Duration) -> Result<(), String> {
        let env = BTreeMap::from([("WARMKEEP_APP".to_owned(), "notes".to_owned())]);
        probe(&["sh".to_owned(), "-c".to_owned(), script.to_owned()], &env, timeout)
    }

    #[test]
    fn exit_0_passes_and_the_environment_is_there() {
        assert_eq!(shell(r#"test "$WARMKEEP_APP" = notes"#, Duration::from_secs(10)), Ok(()));
    }

    #[test]
    fn another_exit_code_fails_with_the_last_line_of_stderr() {
        let failed = shell("echo out; echo first >&2; echo not ready >&2; exit 3", Duration::from_secs(10));
        assert_eq!(failed, Err("exit code 3: not ready".to_owned()));
    }

    #[test]
    fn a_silent_failure_says_so() {
        assert_eq!(
            shell("exit 1", Duration::from_secs(10)),
            Err("exit code 1: it printed nothing".to_owned())
        );
    }

    #[test]
    fn a_program_out_of_time_fails() {
        assert!(
            shell("sleep 30", Duration::from_millis(50)).unwrap_err().contains("did not end within 50ms")
        );
    }

    #[test]
    fn a_missing_program_fails_and_is_named() {
        let failed = probe(&["warmkeep-no-such".to_owned()], &BTreeMap::new(), Duration::from_secs(1));
        assert!(failed.unwrap_err().contains("warmkeep-no-such"));
    }
}
