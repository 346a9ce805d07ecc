//! A program that prints versions: one a line, or JSON lines.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::Found;
use crate::error::{Error, Result};
use crate::sys::process::Program;

/// A JSON line.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    version: String,
    released_at: Option<String>,
    notes: Option<String>,
}

/// What `run` prints, in its order.
pub(super) fn list(run: &[String], timeout: Duration) -> Result<Vec<Found>> {
    let output = Program::new(run.iter().map(String::as_str)).timeout(timeout).run_ok()?;
    let program = run.first().map_or("", String::as_str);
    if output.stdout_cut {
        return Err(Error::new(format!("{program} prints more than 1 MiB of versions"))
            .remedy("let it print only the newer versions"));
    }
    read(&output.stdout).map_err(|error| {
        Error::new(format!("cannot read the versions that {program} prints")).because(error).remedy(
            "it should print one version a line, or JSON lines {\"version\":…,\"releasedAt\":…,\"notes\":…}",
        )
    })
}

fn read(stdout: &[u8]) -> Result<Vec<Found>> {
    let text = std::str::from_utf8(stdout).map_err(|e| Error::new("it is not UTF-8").because(e))?;
    let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
    lines
        .map(|(index, line)| match line.strip_prefix('{') {
            Some(_) => json(line).map_err(|e| Error::new(format!("line {}", index + 1)).because(e)),
            None => Ok(Found::named(line)),
        })
        .collect()
}

fn json(line: &str) -> Result<Found> {
    let line: Line =
        serde_json::from_str(line).map_err(|e| Error::new("this is no JSON of a version").because(e))?;
    let released_at = line.released_at.as_deref().map(time).transpose()?;
    Ok(Found { released_at, notes: line.notes, ..Found::named(line.version) })
}

/// A time with its offset, or a date (its beginning in UTC).
fn time(text: &str) -> Result<Timestamp> {
    let date = || text.parse::<Date>().and_then(|date| date.to_zoned(TimeZone::UTC)).map(|z| z.timestamp());
    text.parse::<Timestamp>().or_else(|error| date().map_err(|_| error)).map_err(|e| {
        Error::new(format!("releasedAt {text:?} is no time such as 2026-11-21T03:00:00Z")).because(e)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Result<Vec<Found>> {
        list(&["sh".to_owned(), "-c".to_owned(), script.to_owned()], Duration::from_secs(10))
    }

    #[test]
    fn plain_and_json_lines_may_be_mixed() {
        let found = shell(
            r#"printf '%s\n' '1.0.0' '' '{"version":"1.1.0","releasedAt":"2026-11-20T04:00:00+01:00","notes":"a\nb"}' ' 1.2.0 '"#,
        )
        .unwrap();
        let texts: Vec<_> = found.iter().map(|f| f.text.as_str()).collect();
        assert_eq!(texts, ["1.0.0", "1.1.0", "1.2.0"]);
        assert_eq!(found[1].released_at, Some("2026-11-20T03:00:00Z".parse().unwrap()));
        assert_eq!(found[1].notes.as_deref(), Some("a\nb"));
    }

    #[test]
    fn a_date_is_its_beginning_in_utc() {
        let found = read(br#"{"version":"1.0.0","releasedAt":"2026-11-20"}"#).unwrap();
        assert_eq!(found[0].released_at, Some("2026-11-20T00:00:00Z".parse().unwrap()));
    }

    #[test]
    fn a_bad_json_line_is_told_by_its_number() {
        let error = shell(r"printf '1.0.0\n\n{\42version\42:3}\n'").unwrap_err();
        assert!(error.chain().contains("line 3"), "{}", error.chain());
    }

    #[test]
    fn a_bad_time_is_told_by_its_text() {
        let error = read(br#"{"version":"1.0.0","releasedAt":"yesterday"}"#).unwrap_err();
        assert!(error.chain().starts_with("line 1: releasedAt \"yesterday\""), "{}", error.chain());
    }

    #[test]
    fn a_program_that_fails_is_an_error_with_its_last_words() {
        let error = shell("echo 1.0.0; echo registry is down >&2; exit 7").unwrap_err();
        assert!(error.chain().contains("exit code 7: registry is down"), "{}", error.chain());
    }

    #[test]
    fn a_program_out_of_time_is_an_error() {
        let run = ["sleep".to_owned(), "30".to_owned()];
        assert!(list(&run, Duration::from_millis(50)).unwrap_err().chain().contains("did not end"));
    }

    #[test]
    fn bytes_that_are_no_text_are_an_error() {
        assert!(read(b"1.0.0\n\xff\n").unwrap_err().chain().contains("not UTF-8"));
    }
}
