//! Telling people: real sinks that answer, fail, hang, lie and come back.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests drive the real system"
)]

mod common;
mod sinks;

use std::fs;
use std::time::{Duration, Instant};

use common::{APP, Host, eventually, ran};
use serde_json::{Value, json};
use sinks::{
    Answer, Sink, host, http, id, name, ok, open, raise, raise_as, relay, relay_now, seen, sink, status,
};

/// Why the one sink `chat` with this answer takes nothing; nothing is lost by that.
#[track_caller]
fn refusal(answer: Answer) -> String {
    let server = Sink::new(answer);
    let host = host(&json!({ "chat": server.webhook() }));
    raise(&host, 1);
    let start = Instant::now();
    let ran = relay(&host);
    assert!(start.elapsed() < Duration::from_secs(20), "{ran:?}");
    let report = sink(&ran, "chat");
    assert_eq!((ran.code, &report["waiting"], &report["delivered"]), (1, &json!(1), &json!(0)), "{ran:?}");
    assert_eq!((open(&host).len(), seen(&host).len()), (1, 0));
    server.now(ok());
    let ran = relay_now(&host);
    assert_eq!((ran.code, open(&host).len(), seen(&host).len()), (0, 0, 1), "{ran:?}");
    report["error"].as_str().unwrap().to_owned()
}

#[test]
fn an_alert_is_told_to_each_sink_once_and_then_put_away() {
    let (chat, phone) = (Sink::new(ok()), Sink::new(ok()));
    let host = host(&json!({ "chat": chat.webhook(), "phone": phone.webhook() }));
    raise(&host, 1);
    let ran = relay(&host);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    assert_eq!(ran.json()["settled"], 1);
    assert_eq!((open(&host), seen(&host)), (vec![], vec![name(1)]));
    assert_eq!(relay(&host).code, 0);
    for server in [&chat, &phone] {
        let asked = server.asked();
        let [asked] = asked.as_slice() else { panic!("{asked:?}") };
        assert!(asked.head.starts_with("POST /hook HTTP/1.1"), "{asked:?}");
        assert_eq!(asked.header("idempotency-key"), Some(&*id(1)));
        assert_eq!(asked.header("content-type"), Some("application/json"));
        let sent = asked.json();
        assert_eq!((&sent["id"], &sent["dedupeKey"]), (&json!(id(1)), &json!("failed/notes/1.1.0/1")));
        assert!(sent["host"].is_string(), "{sent}");
    }
    let record = fs::read(host.path("state/alerts/relay/deliveries").join(name(1))).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    assert_eq!((&record["schema"], &record["alert"]), (&json!(1), &json!(id(1))));
    assert!(
        record["sinks"]["chat"]["deliveredAt"].is_string()
            && record["sinks"]["phone"]["deliveredAt"].is_string()
    );
}

#[test]
fn an_alert_stays_open_until_the_last_sink_has_it() {
    let (chat, phone) = (Sink::new(ok()), Sink::new(status("500 Internal Server Error", "")));
    let host = host(&json!({ "chat": chat.webhook(), "phone": phone.webhook() }));
    raise(&host, 1);
    assert_eq!(relay(&host).code, 1);
    assert_eq!(open(&host).len(), 1);
    phone.now(ok());
    assert_eq!(relay_now(&host).code, 0);
    assert_eq!((open(&host).len(), chat.asked().len(), phone.asked().len()), (0, 1, 2));
}

#[test]
fn a_sink_that_answers_500_is_told_with_what_it_says() {
    assert_eq!(refusal(status("500 Internal Server Error", "out of order")), "status 500: out of order");
}

#[test]
fn a_sink_that_hangs_ends_at_its_timeout() {
    assert_eq!(refusal(Answer::Hang), "timed out after 2s");
}

#[test]
fn a_sink_that_stalls_in_the_middle_of_its_answer_ends_at_its_timeout() {
    assert_eq!(refusal(Answer::Stall(http("200 OK", "X: y\r\n", "")[..30].to_owned())), "timed out after 2s");
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
    assert_eq!(refusal(Answer::Stall(half.to_owned())), "timed out after 2s");
}

#[test]
fn a_sink_that_closes_half_way_has_not_taken_it() {
    let why = refusal(Answer::Bytes("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_owned()));
    assert!(why.contains("closed") || why.contains("Peer disconnected"), "{why}");
    let why = refusal(Answer::Bytes(String::new()));
    assert!(why.contains("closed") || why.contains("Peer disconnected"), "{why}");
}

#[test]
fn a_redirect_is_named_and_not_followed() {
    let elsewhere = Sink::new(ok());
    for line in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let location = format!("Location: {}/s3cret-path?token=x\r\n", elsewhere.url());
        let why = refusal(Answer::Bytes(http(line, &location, "")));
        let place = format!("it redirects to http://127.0.0.1:{}/…", elsewhere.port);
        assert!(why.contains(&place) && !why.contains("s3cret"), "{why}");
    }
    assert!(elsewhere.asked().is_empty());
}

#[test]
fn a_slow_sink_within_its_timeout_takes_it_and_an_endless_answer_is_bounded() {
    let endless = format!("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{}", "x".repeat(4 << 20));
    for answer in
        [Answer::Slow(Duration::from_millis(800), http("204 No Content", "", "")), Answer::Bytes(endless)]
    {
        let server = Sink::new(answer);
        let host = host(&json!({ "chat": server.webhook() }));
        raise(&host, 1);
        let ran = relay(&host);
        assert_eq!((ran.code, server.asked().len()), (0, 1), "{ran:?}");
    }
}

#[test]
fn a_sink_that_hangs_holds_up_no_other() {
    let (hung, chat) = (Sink::new(Answer::Hang), Sink::new(ok()));
    let host = host(&json!({ "a-hung": hung.webhook(), "chat": chat.webhook() }));
    (1..=5).for_each(|number| raise(&host, number));
    let start = Instant::now();
    let ran = relay(&host);
    assert_eq!((ran.code, chat.asked().len(), hung.asked().len()), (1, 5, 2), "{ran:?}");
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}

#[test]
fn a_sink_that_failed_is_left_alone_until_its_time_unless_it_is_to_be_now() {
    let server = Sink::new(status("500 Internal Server Error", ""));
    let host = host(&json!({ "chat": server.webhook() }));
    raise(&host, 1);
    let first = sink(&relay(&host), "chat");
    assert!(first["nextAttempt"].is_string(), "{first}");
    let skipped = relay(&host);
    assert_eq!((skipped.code, skipped.stderr.as_str(), server.asked().len()), (1, "", 1), "{skipped:?}");
    assert_eq!(sink(&skipped, "chat"), first);
    let again = sink(&relay_now(&host), "chat");
    assert_eq!(server.asked().len(), 2);
    assert!(again["nextAttempt"].as_str() > first["nextAttempt"].as_str(), "{again} {first}");
}

#[test]
fn a_sink_that_asks_for_peace_gets_it() {
    let server = Sink::new(Answer::Bytes(http("429 Too Many Requests", "Retry-After: 1800\r\n", "")));
    let host = host(&json!({ "chat": server.webhook() }));
    (1..=3).for_each(|number| raise(&host, number));
    let report = sink(&relay(&host), "chat");
    assert_eq!(server.asked().len(), 1);
    let next: jiff::Timestamp = report["nextAttempt"].as_str().unwrap().parse().unwrap();
    let wait = next.as_second() - jiff::Timestamp::now().as_second();
    assert!((1_700..=1_800).contains(&wait), "{wait}");
}

#[test]
fn what_waited_for_a_week_comes_oldest_first_and_a_few_at_a_time() {
    let server = Sink::new(status("503 Service Unavailable", ""));
    let host = host(&json!({ "chat": server.webhook() }));
    (1..=45).rev().for_each(|number| raise(&host, number));
    assert_eq!(relay(&host).code, 1);
    server.now(ok());
    server.asked.lock().unwrap().clear();
    let first = relay_now(&host);
    assert_eq!((first.code, sink(&first, "chat")["waiting"].clone()), (1, json!(25)), "{first:?}");
    assert!(sink(&first, "chat")["nextAttempt"].is_string(), "it rests");
    assert_eq!(relay(&host).code, 1);
    assert_eq!(server.asked().len(), 20, "no flood");
    assert_eq!((relay_now(&host).code, relay_now(&host).code), (1, 0));
    assert_eq!(server.titles(), (1..=45).map(|number| format!("alert {number}")).collect::<Vec<_>>());
    assert_eq!((open(&host).len(), seen(&host).len()), (0, 45));
}

#[test]
fn an_alert_that_a_sink_never_takes_keeps_no_other_back() {
    let server = Sink::new(Answer::Unless("alert 1\"".to_owned()));
    let host = host(&json!({ "chat": server.webhook() }));
    (1..=4).for_each(|number| raise(&host, number));
    let ran = relay(&host);
    assert_eq!((ran.code, open(&host)), (1, vec![name(1)]), "{ran:?}");
    assert_eq!(sink(&ran, "chat")["error"], "status 500");
}

#[test]
fn a_file_that_is_no_alert_stops_no_other_and_is_named() {
    let server = Sink::new(ok());
    let host = host(&json!({ "chat": server.webhook() }));
    raise(&host, 1);
    fs::write(host.path("state/alerts/hold-notes-torn.json"), "{").unwrap();
    let ran = relay(&host);
    assert_eq!((ran.code, server.asked().len()), (1, 1), "{ran:?}");
    assert!(ran.json()["unreadable"][0].as_str().unwrap().contains("hold-notes-torn.json"), "{ran:?}");
    assert_eq!(open(&host), ["hold-notes-torn.json"]);
}

#[test]
fn without_sinks_nothing_moves_and_that_is_said() {
    let host = host(&json!({}));
    raise(&host, 1);
    let ran = host.run(&["alerts", "relay"]);
    assert_eq!(
        (ran.code, ran.stdout.trim()),
        (0, "no sink is declared in `alerts.sinks`: nothing was sent, nothing moved")
    );
    assert_eq!((relay(&host).json()["outcome"].clone(), open(&host).len()), (json!("noSinks"), 1));
}

#[test]
fn an_alert_that_is_raised_anew_is_told_anew() {
    let server = Sink::new(ok());
    let host = host(&json!({ "chat": server.webhook() }));
    raise(&host, 1);
    assert_eq!(relay(&host).code, 0);
    raise_as(&host, 1, &id(2));
    assert_eq!(relay(&host).code, 0);
    assert_eq!((server.asked().len(), open(&host).len(), seen(&host).len()), (2, 0, 1));
}

#[test]
fn killed_before_it_is_recorded_one_alert_is_told_twice_and_killed_after_it_none() {
    for (fault, times) in [("kill-before:1", 2), ("kill-after:1", 1)] {
        let server = Sink::new(ok());
        let host = host(&json!({ "chat": server.webhook() }));
        (1..=3).for_each(|number| raise(&host, number));
        let killed = ran(host.command(&["alerts", "relay"]).env("WARMKEEP_FAULT", fault).output().unwrap());
        assert_eq!((killed.code, server.asked().len()), (-9, 1), "{killed:?}");
        assert_eq!(relay(&host).code, 0);
        let ids: Vec<Value> = server.asked().iter().map(|asked| asked.json()["id"].clone()).collect();
        assert_eq!(ids.iter().filter(|one| **one == json!(id(1))).count(), times, "{fault}: {ids:?}");
        assert_eq!(ids.len(), 2 + times, "{fault}: {ids:?}");
        assert_eq!((open(&host).len(), seen(&host).len()), (0, 3), "{fault}");
    }
}

#[test]
fn two_relays_at_once_tell_once() {
    let server = Sink::new(Answer::Slow(Duration::from_millis(700), http("200 OK", "", "")));
    let host = host(&json!({ "chat": server.webhook() }));
    raise(&host, 1);
    let mut first =
        host.command(&["alerts", "relay", "-q"]).stdout(std::process::Stdio::null()).spawn().unwrap();
    assert!(eventually(Duration::from_secs(5), || !server.asked().is_empty()));
    let second = relay(&host);
    assert_eq!((second.code, second.json()["outcome"].clone()), (75, json!("busy")), "{second:?}");
    assert!(first.wait().unwrap().success());
    assert_eq!((server.asked().len(), open(&host).len()), (1, 0));
}

#[test]
fn a_run_with_nothing_to_tell_writes_nothing_into_the_folder_that_systemd_watches() {
    use std::os::unix::fs::MetadataExt;
    let server = Sink::new(status("500 Internal Server Error", ""));
    let host = host(&json!({ "chat": server.webhook() }));
    let changed = || fs::metadata(host.path("state/alerts")).map(|m| (m.mtime(), m.mtime_nsec())).unwrap();
    relay(&host);
    raise(&host, 1);
    let before = changed();
    for _ in 0..3 {
        assert_eq!(relay_now(&host).code, 1);
    }
    assert_eq!(changed(), before);
}

#[test]
fn a_program_gets_the_alert_on_its_standard_input() {
    let host = Host::new();
    let heard = host.path("heard").to_string_lossy().into_owned();
    let mut config = host.config();
    config["alerts"] =
        json!({ "sinks": { "mail": { "command": { "run": ["sh", "-c", "cat >> \"$0\"", heard] } } } });
    host.write_config(&config);
    host.install();
    host.release("2.0.0", "");
    assert_eq!(host.converge().outcome(APP), "held");
    assert_eq!(relay(&host).code, 0);
    let heard = fs::read_to_string(host.path("heard")).unwrap();
    let lines: Vec<Value> = heard.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [alert] = lines.as_slice() else { panic!("{heard}") };
    assert_eq!((&alert["kind"], &alert["version"]), (&json!("hold"), &json!("2.0.0")));
    assert_eq!(alert["command"], "warmkeep approve notes 2.0.0");
    host.converge();
    assert_eq!(open(&host), Vec::<String>::new(), "a hold is told once");
}

#[test]
fn a_program_that_fails_is_told_with_what_it_complained() {
    let host = host(&json!({ "mail": { "command": { "run": ["sh", "-c", "echo no route >&2; exit 3"] } } }));
    raise(&host, 1);
    let ran = relay(&host);
    assert_eq!(sink(&ran, "mail")["error"], "sh ended with exit code 3: no route");
    assert_eq!((ran.code, open(&host).len()), (1, 1));
}

#[test]
fn a_token_a_password_and_headers_are_sent_and_shown_nowhere() {
    let server =
        Sink::new(status("403 Forbidden", "no: tok3n-value pa55word hdr-value /hook-s3cret/T0K hook-s3cret"));
    let host = host(&json!({}));
    fs::write(host.path("token"), "tok3n-value\n").unwrap();
    fs::write(host.path("password"), "pa55word\n").unwrap();
    let url = format!("http://127.0.0.1:{}/hook-s3cret/T0K", server.port);
    let mut config = host.config();
    config["alerts"] = json!({ "sinks": {
        "bearer": { "webhook": { "url": url, "bearerFile": host.path("token"), "headers": { "X-Api-Key": "hdr-value" } } },
        "basic": { "webhook": { "url": url, "basicAuth": { "user": "me", "passwordFile": host.path("password") } } }
    } });
    host.write_config(&config);
    raise(&host, 1);
    let said: String = [
        &["alerts", "relay", "-vv"][..],
        &["alerts", "relay", "--now", "--json", "-vv"],
        &["alerts", "send-test", "-vv"],
        &["alerts", "send-test", "--json"],
    ]
    .iter()
    .map(|verb| host.run(verb))
    .map(|ran| ran.stdout + &ran.stderr)
    .collect();
    let kept: String = common::tree(&host.path("state"))
        .into_iter()
        .map(|(_, _, bytes)| String::from_utf8_lossy(&bytes).into_owned())
        .collect();
    // The servers are different secrets' owners: each sink masks its own.
    for secret in ["hook-s3cret", "/T0K"] {
        assert!(!said.contains(secret) && !kept.contains(secret), "{secret}: {said} {kept}");
    }
    let authorizations: Vec<String> =
        server.asked().iter().filter_map(|asked| asked.header("authorization").map(str::to_owned)).collect();
    assert!(authorizations.contains(&"Bearer tok3n-value".to_owned()), "{authorizations:?}");
    assert!(authorizations.contains(&"Basic bWU6cGE1NXdvcmQ=".to_owned()), "{authorizations:?}");
    assert!(server.asked().iter().any(|asked| asked.header("x-api-key") == Some("hdr-value")));
    let report = host.run(&["alerts", "send-test", "--json"]).json();
    let answer = |name: &str| {
        let sinks = report["sinks"].as_array().unwrap();
        sinks.iter().find(|sink| sink["sink"] == name).unwrap()["answer"].as_str().unwrap().to_owned()
    };
    assert!(!answer("bearer").contains("tok3n-value") && !answer("bearer").contains("hdr-value"));
    assert!(!answer("basic").contains("pa55word"));
}

#[test]
fn a_secret_file_that_is_not_there_fails_its_sink_alone() {
    let server = Sink::new(ok());
    let host = host(&json!({
        "chat": server.webhook(),
        "gone": { "webhook": { "url": server.url(), "bearerFile": "/nowhere/token" } }
    }));
    raise(&host, 1);
    let ran = relay(&host);
    assert!(sink(&ran, "gone")["error"].as_str().unwrap().contains("/nowhere/token"), "{ran:?}");
    assert_eq!((sink(&ran, "chat")["delivered"].clone(), server.asked().len()), (json!(1), 1));
}

#[test]
fn ntfy_and_slack_get_their_own_forms() {
    let (phone, chat) = (Sink::new(ok()), Sink::new(ok()));
    let hook = |sink: &Sink, format: &str| json!({ "webhook": { "url": sink.url(), "format": format } });
    let host = host(&json!({ "phone": hook(&phone, "ntfy"), "chat": hook(&chat, "slack") }));
    raise(&host, 1);
    assert_eq!(relay(&host).code, 0);
    let asked = &phone.asked()[0];
    assert!(asked.header("title").unwrap().ends_with(": alert 1"), "{asked:?}");
    assert_eq!((asked.header("priority"), asked.header("tags")), (Some("high"), Some("warning")));
    assert_eq!(asked.body, "it failed\n\nwarmkeep plan notes");
    let text = chat.asked()[0].json()["text"].as_str().unwrap().to_owned();
    assert!(
        text.starts_with(":warning: *") && text.ends_with("```\nit failed\n```\n`warmkeep plan notes`"),
        "{text}"
    );
}

#[test]
fn what_was_seen_is_bounded() {
    let server = Sink::new(ok());
    let host = host(&json!({ "chat": server.webhook() }));
    fs::create_dir_all(host.path("state/alerts/seen")).unwrap();
    let yesterday = std::time::SystemTime::now() - Duration::from_secs(86_000);
    for number in 0..1_200 {
        raise(&host, number);
        let (open, seen) = (host.path("state/alerts"), host.path("state/alerts/seen"));
        fs::File::open(open.join(name(number))).unwrap().set_modified(yesterday).unwrap();
        fs::rename(open.join(name(number)), seen.join(name(number))).unwrap();
    }
    raise(&host, 5_000);
    assert_eq!(relay(&host).code, 0);
    assert_eq!(seen(&host).len(), 1_000);
    assert!(seen(&host).contains(&name(5_000)), "the newest stays");
    let told = fs::read_to_string(host.path("state/alerts/relay/told.json")).unwrap();
    assert_eq!(told.matches("failed-notes-").count(), 201, "{told}");
}
