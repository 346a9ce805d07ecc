//! What a sink is sent: an alert in the sink's own form. Pure.

use serde::Serialize;

use crate::alert::{Alert, Severity};
use crate::config::model::WebhookFormat;
use crate::error::{Error, Result};
use crate::sys::http::base64;

/// ntfy takes 4096 bytes of a message; the command and the cut need some of them.
const NTFY_BODY: usize = 3_000;
/// Slack shows 4,000 characters well, Mattermost takes more.
const SLACK_BODY: usize = 3_000;
/// The longest title, in bytes.
const TITLE: usize = 200;
/// The most bytes of one encoded word of RFC 2047, whose whole length is at most 75.
const ENCODED_WORD: usize = 45;

/// A request's body and what it says about it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

/// The alert with the name of the host that it comes from.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    alert: &'a Alert,
    host: &'a str,
}

/// The alert as one line of JSON.
pub(super) fn json(alert: &Alert, host: &str) -> Result<Vec<u8>> {
    serde_json::to_vec(&Told { alert, host })
        .map_err(|e| Error::new("an alert cannot be written as JSON").because(e))
}

/// The alert as a webhook of this format takes it.
pub(super) fn message(alert: &Alert, host: &str, format: WebhookFormat) -> Result<Message> {
    match format {
        WebhookFormat::Json => {
            Ok(Message { headers: vec![content_type("application/json")], body: json(alert, host)? })
        }
        WebhookFormat::Ntfy => Ok(ntfy(alert, host)),
        WebhookFormat::Slack => slack(alert, host),
    }
}

fn content_type(value: &str) -> (&'static str, String) {
    ("Content-Type", value.to_owned())
}

fn ntfy(alert: &Alert, host: &str) -> Message {
    let (priority, tag) = match alert.severity {
        Severity::Info => ("default", "information_source"),
        Severity::Warning => ("high", "warning"),
        Severity::Critical => ("urgent", "rotating_light"),
    };
    let answer = alert.command.as_ref().map(|command| format!("\n\n{command}")).unwrap_or_default();
    Message {
        headers: vec![
            content_type("text/plain; charset=utf-8"),
            ("Title", header_text(&title(alert, host))),
            ("Priority", priority.to_owned()),
            ("Tags", tag.to_owned()),
        ],
        body: (cut(&alert.body, NTFY_BODY) + &cut(&answer, 500)).into_bytes(),
    }
}

fn slack(alert: &Alert, host: &str) -> Result<Message> {
    let sign = match alert.severity {
        Severity::Info => ":information_source:",
        Severity::Warning => ":warning:",
        Severity::Critical => ":rotating_light:",
    };
    // Outside of a block, Mattermost knows `@all` as well.
    let title = escaped(&title(alert, host)).replace('@', "@\u{200b}");
    let mut text = format!("{sign} *{title}*");
    if !alert.body.is_empty() {
        text += &format!("\n```\n{}\n```", escaped(&cut(&alert.body, SLACK_BODY)));
    }
    if let Some(command) = &alert.command {
        text += &format!("\n`{}`", escaped(command));
    }
    let body = serde_json::to_vec(&serde_json::json!({ "text": text }))
        .map_err(|e| Error::new("an alert cannot be written as JSON").because(e))?;
    Ok(Message { headers: vec![content_type("application/json")], body })
}

fn title(alert: &Alert, host: &str) -> String {
    let line = format!("{host}: {}", alert.title);
    cut(&line.replace(char::is_control, " "), TITLE)
}

/// What an app wrote must call nobody (`<!channel>`) and end no block.
fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace('`', "'")
}

/// The text up to so many bytes, and a mark where it was longer.
fn cut(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    format!("{}…", &text[..boundary(text, bytes)])
}

/// The last place up to `bytes` at which no character is cut.
fn boundary(text: &str, bytes: usize) -> usize {
    (0..=bytes.min(text.len())).rev().find(|place| text.is_char_boundary(*place)).unwrap_or(0)
}

/// A header's value: as it is where it is plain, else in encoded words (RFC 2047).
fn header_text(text: &str) -> String {
    if text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) && !text.contains("=?") {
        return text.to_owned();
    }
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (word, after) = rest.split_at(boundary(rest, ENCODED_WORD));
        words.push(format!("=?UTF-8?B?{}?=", base64(word.as_bytes())));
        rest = after;
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::alert::Kind;
    use crate::alert::relay::trial;

    fn alert(title: &str, body: &str) -> Alert {
        let mut alert = trial::alert("host").unwrap();
        alert.title = title.to_owned();
        alert.body = body.to_owned();
        alert.command = Some("warmkeep approve notes 2.0.0".to_owned());
        alert
    }

    fn text(message: &Message) -> String {
        String::from_utf8(message.body.clone()).unwrap()
    }

    fn slack_text(alert: &Alert) -> String {
        let message = message(alert, "h", WebhookFormat::Slack).unwrap();
        serde_json::from_slice::<serde_json::Value>(&message.body).unwrap()["text"]
            .as_str()
            .unwrap()
            .to_owned()
    }

    #[test]
    fn json_is_the_alert_and_its_host() {
        let alert = alert("a", "b");
        let sent: serde_json::Value = serde_json::from_slice(&json(&alert, "here").unwrap()).unwrap();
        let mut whole = serde_json::to_value(&alert).unwrap();
        whole["host"] = "here".into();
        assert_eq!(sent, whole);
    }

    #[test]
    fn ntfy_has_its_headers_and_the_command_after_the_story() {
        let mut alert = alert("notes 2.0.0 is held", "it is a major step");
        alert.severity = Severity::Critical;
        let message = message(&alert, "h", WebhookFormat::Ntfy).unwrap();
        assert!(message.headers.contains(&("Title", "h: notes 2.0.0 is held".to_owned())), "{message:?}");
        assert!(message.headers.contains(&("Priority", "urgent".to_owned())));
        assert_eq!(text(&message), "it is a major step\n\nwarmkeep approve notes 2.0.0");
    }

    #[test]
    fn slack_shows_what_happened_and_the_command_that_answers_it() {
        assert_eq!(
            slack_text(&alert("notes 2.0.0 is held", "it is a major step")),
            ":information_source: *h: notes 2.0.0 is held*\n```\nit is a major step\n```\n\
             `warmkeep approve notes 2.0.0`"
        );
    }

    #[test]
    fn what_an_app_wrote_calls_nobody_and_ends_no_block() {
        let text = slack_text(&alert("<!here> @all", "```\n<!channel> & <@U1>"));
        assert!(!text.contains('<') && !text.contains("@all"), "{text}");
        assert_eq!(text.matches("```").count(), 2, "{text}");
    }

    #[test]
    fn a_header_that_is_not_plain_is_encoded() {
        assert_eq!(header_text("h: é"), "=?UTF-8?B?aDogw6k=?=");
        assert_eq!(header_text("plain = fine?"), "plain = fine?");
        assert!(header_text("=?UTF-8?B?eA==?=").starts_with("=?UTF-8?B?PT9V"));
    }

    #[test]
    fn every_kind_has_a_word() {
        assert_eq!(Kind::Test.word(), "test");
    }

    proptest! {
        #[test]
        fn whatever_an_alert_says_fits_what_ntfy_takes(title in "\\PC{0,300}", body in "(?s).{0,5000}") {
            let message = message(&alert(&title, &body), "hôst", WebhookFormat::Ntfy).unwrap();
            prop_assert!(message.body.len() <= 4_096);
            for (_, value) in &message.headers {
                prop_assert!(value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()), "{}", value);
                prop_assert!(value.split(' ').all(|word| !word.starts_with("=?") || word.len() <= 75));
            }
        }
    }
}
