//! What people do with alerts: take them away, try the sinks, look.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests drive the real system"
)]

mod common;
mod sinks;

use std::fs;

use common::{Host, ran};
use serde_json::json;
use sinks::{Sink, host, id, name, ok, open, raise, relay, seen, status};

#[test]
fn a_person_takes_alerts_away_by_id_by_app_or_all() {
    let server = Sink::new(ok());
    let host = host(&json!({ "chat": server.webhook() }));
    (1..=4).for_each(|number| raise(&host, number));
    let path = host.path("state/alerts").join(name(4));
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("\"app\":\"notes\"", "\"app\":\"wiki\""))
        .unwrap();
    let wrong = host.run(&["alerts", "ack", &id(1), "nobody"]);
    assert_eq!((wrong.code, open(&host).len()), (2, 4), "{wrong:?}");
    assert!(wrong.stderr.contains("`nobody`"), "{wrong:?}");
    let one = host.run(&["alerts", "ack", &id(1), "--json"]);
    assert_eq!((one.code, one.json()["acknowledged"][0]["id"].clone()), (0, json!(id(1))), "{one:?}");
    let app = host.run(&["alerts", "ack", "wiki"]);
    assert_eq!((app.code, app.stdout.trim()), (0, "acknowledged: alert 4"));
    assert_eq!(open(&host), [name(2), name(3)]);
    assert_eq!(host.run(&["alerts", "ack", "--all"]).code, 0);
    assert_eq!((open(&host).len(), seen(&host).len()), (0, 4));
    let record = fs::read_to_string(host.path("state/alerts/relay/deliveries").join(name(1))).unwrap();
    assert!(record.contains("\"acknowledgedAt\": \"20"), "{record}");
    assert_eq!((relay(&host).code, server.asked().len()), (0, 0), "what a person has read is told nobody");
    assert_eq!(host.run(&["alerts", "ack"]).code, 2);
    assert_eq!(host.run(&["alerts", "ack", "--all", "notes"]).code, 2);
}

#[test]
fn a_test_alert_goes_to_the_sinks_and_is_kept_nowhere() {
    let (chat, phone) = (Sink::new(ok()), Sink::new(ok()));
    let host = host(&json!({ "chat": chat.webhook(), "phone": phone.webhook() }));
    let ran = host.run(&["alerts", "send-test", "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.json()["sinks"].as_array().unwrap().len(), 2);
    assert_eq!(chat.asked()[0].json()["kind"], "test");
    assert_eq!((open(&host).len(), host.path("state/alerts/relay").exists()), (0, false));
    assert_eq!(host.run(&["alerts", "send-test", "--sink", "phone"]).code, 0);
    assert_eq!((chat.asked().len(), phone.asked().len()), (1, 2));
    let unknown = host.run(&["alerts", "send-test", "--sink", "mail"]);
    assert!(unknown.code == 2 && unknown.stderr.contains("declared are: chat, phone"), "{unknown:?}");
}

#[test]
fn a_test_without_sinks_is_no_success() {
    let host = host(&json!({}));
    let ran = host.run(&["alerts", "send-test"]);
    assert!(ran.code == 1 && ran.stderr.contains("no sink is declared"), "{ran:?}");
}

/// What a person sees on a screen of 100 columns, without what is different each time.
fn shown(host: &Host, servers: &[&Sink], verb: &[&str]) -> (i32, String) {
    let ran = ran(host.command(verb).env("COLUMNS", "100").output().unwrap());
    let mut text = ran.stdout + &ran.stderr;
    for (server, port) in servers.iter().zip(["11111", "22222"]) {
        text = text.replace(&server.port.to_string(), port);
    }
    (ran.code, text)
}

#[test]
fn how_the_sinks_are_reads_well() {
    let (chat, phone) = (Sink::new(ok()), Sink::new(status("503 Service Unavailable", "back at noon")));
    let host = host(&json!({ "chat": chat.webhook(), "phone": phone.webhook() }));
    raise(&host, 1);
    raise(&host, 2);
    // How long a sink took decides how wide its column is.
    insta::with_settings!({ filters => vec![
        (r"\d+ ms|\d+\.\d s", "[took]"), ("─+", "─"), ("═+", "═"), (" {2,}", "  "),
    ] }, {
        let (code, text) = shown(&host, &[&chat, &phone], &["alerts", "send-test"]);
        assert_eq!(code, 1);
        insta::assert_snapshot!(text, @"
        ┌─┐
        │ sink  to  took  answer  │
        ╞═╡
        │ chat  http://127.0.0.1:11111/…  [took]  ✓ status 200  │
        │ phone  http://127.0.0.1:22222/…  [took]  ✗ status 503: back at noon │
        └─┘
        ");
    });
    insta::with_settings!({ filters => vec![
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "[-------time------]Z"),
    ] }, {
        let (code, text) = shown(&host, &[&chat, &phone], &["alerts", "relay"]);
        assert_eq!(code, 1);
        insta::assert_snapshot!(text, @"
        ┌─────────────────────────────────────────────────────────────────────────────────────────────┐
        │ sink    to                         delivered   waiting   how it is                          │
        ╞═════════════════════════════════════════════════════════════════════════════════════════════╡
        │ chat    http://127.0.0.1:11111/…   2           0         ✓ has all                          │
        │ phone   http://127.0.0.1:22222/…   0           2         ✗ status 503: back at noon; next   │
        │                                                          attempt after [-------time------]Z │
        └─────────────────────────────────────────────────────────────────────────────────────────────┘
        ");
        phone.now(ok());
        let (code, text) = shown(&host, &[&chat, &phone], &["alerts", "relay", "--now"]);
        assert_eq!(code, 0);
        insta::assert_snapshot!(text, @"
        ┌────────────────────────────────────────────────────────────────────┐
        │ sink    to                         delivered   waiting   how it is │
        ╞════════════════════════════════════════════════════════════════════╡
        │ chat    http://127.0.0.1:11111/…   0           0         ✓ has all │
        │ phone   http://127.0.0.1:22222/…   2           0         ✓ has all │
        └────────────────────────────────────────────────────────────────────┘
        ");
    });
    assert_eq!(shown(&host, &[], &["alerts", "list"]).1.trim(), "no open alerts");
}
