//! One delivery to one sink, and what it says when it does not work. No text of it shows an address's path or a secret.

use std::time::Duration;

use ureq::http::Uri;

use super::form;
use super::pace::LONGEST;
use crate::alert::Alert;
use crate::alert::redact::Redactor;
use crate::config::model::{Sink, Webhook};
use crate::credential;
use crate::error::Result;
use crate::sys::http::{self, Method, Request, Response, Roots};
use crate::sys::process::Program;

/// How long a program may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);
/// The most that is read of an answer's body, in bytes.
const BODY_LIMIT: usize = 16 << 10;
/// How much of a complaint is shown, in characters.
const SHOWN: usize = 200;

/// Why a sink did not take an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// In words.
    pub(super) why: String,
    /// How long it asks to be left alone.
    pub(super) retry_after: Option<Duration>,
}

/// The longest that one delivery takes.
pub(super) fn timeout(sink: &Sink) -> Duration {
    match sink {
        Sink::Webhook(hook) => hook.timeout,
        Sink::Command { .. } => COMMAND_TIMEOUT,
    }
}

/// Where alerts go, as a person is shown it: the path of a webhook is often its secret, and so may be an argument.
pub(super) fn place(sink: &Sink) -> String {
    match sink {
        Sink::Webhook(hook) => origin(&hook.url),
        Sink::Command { run } => run.first().cloned().unwrap_or_default(),
    }
}

/// Delivers an alert; the text says how the sink answered.
pub(super) fn deliver(sink: &Sink, alert: &Alert, host: &str) -> Result<String, Refusal> {
    let secrets = Redactor::of_sink(sink);
    let delivered = match sink {
        Sink::Webhook(hook) => post(hook, alert, host),
        Sink::Command { run } => pipe(run, alert, host).map_err(Refusal::from),
    };
    delivered.map_err(|refusal| Refusal { why: shown(&secrets.clean(&refusal.why)), ..refusal })
}

impl From<String> for Refusal {
    fn from(why: String) -> Self {
        Self { why, retry_after: None }
    }
}

fn pipe(run: &[String], alert: &Alert, host: &str) -> Result<String, String> {
    let mut line = form::json(alert, host).map_err(|e| e.chain())?;
    line.push(b'\n');
    let program = Program::new(run).stdin(line).timeout(COMMAND_TIMEOUT);
    program.run_ok().map(|_| "exit code 0".to_owned()).map_err(|e| e.chain())
}

fn post(hook: &Webhook, alert: &Alert, host: &str) -> Result<String, Refusal> {
    let message = form::message(alert, host, hook.format).map_err(|e| e.chain())?;
    let headers = headers(hook, &message, alert).map_err(|e| e.chain())?;
    let request = Request {
        method: Method::Post(&message.body),
        url: &hook.url,
        headers: &headers,
        roots: Roots::System,
        timeout: hook.timeout,
        body_limit: BODY_LIMIT,
    };
    let response = http::send(&request).map_err(|failure| failure.to_string())?;
    match response.status {
        200..300 => Ok(format!("status {}", response.status)),
        300..400 => Err(redirected(hook, &response).into()),
        status => Err(Refusal {
            why: format!("status {status}{}", said(&response)),
            retry_after: retry_after(&response),
        }),
    }
}

/// Those of the configuration win. The id is for receivers that want to hear of nothing twice.
fn headers(hook: &Webhook, message: &form::Message, alert: &Alert) -> Result<Vec<(String, String)>> {
    let mut headers: Vec<(String, String)> =
        hook.headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let ours = [("Idempotency-Key", alert.id.to_string())];
    let authorization = authorization(hook)?.map(|value| ("Authorization", value));
    for (name, value) in message.headers.iter().cloned().chain(ours).chain(authorization) {
        if !headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name)) {
            headers.push((name.to_owned(), value));
        }
    }
    Ok(headers)
}

/// Secrets are read at each delivery: they may have been changed.
fn authorization(hook: &Webhook) -> Result<Option<String>> {
    if let Some(path) = &hook.bearer_file {
        return Ok(Some(format!("Bearer {}", credential::read(path)?)));
    }
    let Some(auth) = &hook.basic_auth else { return Ok(None) };
    Ok(Some(http::basic_authorization(&auth.user, &credential::read(&auth.password_file)?)))
}

/// A redirect is never followed: what is sent, and with which credentials, is for the address in the configuration.
fn redirected(hook: &Webhook, response: &Response) -> String {
    let status = response.status;
    let Some(location) = response.header("location") else { return format!("status {status}") };
    let to = if location.contains("://") { origin(location) } else { origin(&hook.url) };
    format!(
        "status {status}: it redirects to {to}, and no redirect is followed; name the final address in `url`"
    )
}

/// Scheme, host and port of an address.
fn origin(url: &str) -> String {
    let uri: Option<Uri> = url.parse().ok();
    let parts = uri.as_ref().and_then(|uri| Some((uri.scheme_str()?, uri.host()?, uri.port_u16())));
    match parts {
        Some((scheme, host, Some(port))) => format!("{scheme}://{host}:{port}/…"),
        Some((scheme, host, None)) => format!("{scheme}://{host}/…"),
        None => "…".to_owned(),
    }
}

/// The first line of what a receiver complains, if it is text.
fn said(response: &Response) -> String {
    let text = String::from_utf8_lossy(&response.body);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty());
    line.map(|line| format!(": {line}")).unwrap_or_default()
}

/// In seconds; a date is not worth a clock.
fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.header("retry-after")?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST))
}

/// One line that a terminal takes as text.
fn shown(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    match plain.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &plain[..end]),
        None => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_what_may_be_its_secret() {
        for (url, shown) in [
            ("https://hooks.slack.com/services/T0/B0/XXXX", "https://hooks.slack.com/…"),
            ("http://127.0.0.1:8080/a?token=b", "http://127.0.0.1:8080/…"),
            ("https://me:pw@host/x", "https://host/…"),
            ("https://[::1]:1/x", "https://[::1]:1/…"),
            ("nonsense", "…"),
            ("", "…"),
        ] {
            assert_eq!(origin(url), shown);
        }
    }

    #[test]
    fn a_complaint_is_one_short_line_of_plain_text() {
        assert_eq!(shown("a\u{1b}[31mb\nc"), "a [31mb c");
        assert_eq!(shown(&"é".repeat(300)).chars().count(), SHOWN + 1);
    }
}
