//! What a person sees who made a mistake.
#![expect(clippy::expect_used, reason = "a test that cannot set itself up has failed")]

mod config_common;

use config_common::{load_bytes, load_files};

fn report(text: &str) -> String {
    load_files(&[("warmkeep.json", text.as_bytes())]).map(|_| ()).expect_err("this has a mistake").1
}

#[test]
fn a_misspelled_key() {
    insta::assert_snapshot!(report(r#"{
  "schema": 1,
  "apps": {
    "notes": {
      "driver": { "process": { "command": ["{release}/bin/notes"] } },
      "verions": { "source": { "directory": { "path": "/srv/notes/releases" } } }
    }
  }
}"#), @r##"
      × apps.notes.verions: unknown key "verions"
       ╭─[warmkeep.json:6:7]
     5 │       "driver": { "process": { "command": ["{release}/bin/notes"] } },
     6 │       "verions": { "source": { "directory": { "path": "/srv/notes/releases" } } }
       ·       ────┬────
       ·           ╰── did you mean `versions`?
     7 │     }
       ╰────
      help: Rename it to `versions`, or remove it.

    1 error in the configuration
    "##);
}

#[test]
fn a_duration_as_people_say_it() {
    insta::assert_snapshot!(report(r#"{
  "schema": 1,
  "nightly": { "deadline": "1h30m", "busyWait": 30 }
}"#), @r##"
      × nightly.deadline: "1h30m" is not a duration: a whole number and one of ms, s, m, h, d
       ╭─[warmkeep.json:3:28]
     2 │   "schema": 1,
     3 │   "nightly": { "deadline": "1h30m", "busyWait": 30 }
       ·                            ───┬───
       ·                               ╰── did you mean `90m`?
     4 │ }
       ╰────
      help: Write "90m".

      × nightly.busyWait: expected a duration such as "10s", found a number
       ╭─[warmkeep.json:3:49]
     2 │   "schema": 1,
     3 │   "nightly": { "deadline": "1h30m", "busyWait": 30 }
       ·                                                 ─┬
       ·                                                  ╰── did you mean `"30s"`?
     4 │ }
       ╰────

    2 errors in the configuration
    "##);
}

#[test]
fn apps_that_wait_for_each_other_and_one_that_is_not_there() {
    insta::assert_snapshot!(report(r#"{
  "schema": 1,
  "apps": {
    "keycloak": {
      "driver": { "swarm": { "files": ["/srv/id/stack.yml"] } },
      "versions": { "source": { "list": { "versions": [] } } },
      "after": ["traefik"]
    },
    "traefik": {
      "driver": { "compose": { "files": ["/srv/traefik/compose.yml"] } },
      "versions": { "source": { "list": { "versions": [] } } },
      "after": ["keyclaok", "keycloak"]
    }
  }
}"#), @r##"
      × apps.traefik.after[0]: there is no app "keyclaok"
        ╭─[warmkeep.json:12:17]
     11 │       "versions": { "source": { "list": { "versions": [] } } },
     12 │       "after": ["keyclaok", "keycloak"]
        ·                 ─────┬────
        ·                      ╰── did you mean `keycloak`?
     13 │     }
        ╰────
      help: Declare it under `apps`, or take it out here.

      × apps.traefik.after[1]: these apps wait for each other: "keycloak" → "traefik" → "keycloak"
        ╭─[warmkeep.json:12:29]
     11 │       "versions": { "source": { "list": { "versions": [] } } },
     12 │       "after": ["keyclaok", "keycloak"]
        ·                             ──────────
     13 │     }
        ╰────
      help: Take out one of these `after`: one app must be able to start first.

    2 errors in the configuration
    "##);
}

#[test]
fn a_comma_too_many() {
    insta::assert_snapshot!(report("{\n  \"schema\": 1,\n  \"apps\": {},\n}\n"), @r##"
      × a comma must not stand before `}`
       ╭─[warmkeep.json:4:1]
     3 │   "apps": {},
     4 │ }
       · ─
       ╰────
      help: Remove the comma.

    1 error in the configuration
    "##);
}

#[test]
fn a_comment() {
    insta::assert_snapshot!(report("{\n  // the format\n  \"schema\": 1\n}\n"), @r##"
      × JSON has no comments
       ╭─[warmkeep.json:2:3]
     1 │ {
     2 │   // the format
       ·   ─
     3 │   "schema": 1
       ╰────
      help: Remove it.

    1 error in the configuration
    "##);
}

#[test]
fn a_string_that_is_never_closed() {
    insta::assert_snapshot!(report("{\n  \"schema\": 1,\n  \"host\": { \"stateDir\": \"/var/lib/warmkeep }\n}\n"), @r##"
      × this string is not closed before the line ends
       ╭─[warmkeep.json:3:45]
     2 │   "schema": 1,
     3 │   "host": { "stateDir": "/var/lib/warmkeep }
       ·                                             ▲
     4 │ }
       ╰────
      help: Close it with `"`; a line break in it is written \n.

    1 error in the configuration
    "##);
}

#[test]
fn a_secret_near_a_mistake() {
    insta::assert_snapshot!(report(r#"{
  "schema": 1,
  "alerts": { "sinks": { "chat": { "webhook": {
    "url": "https://me:hunter2@chat.example.org/hook",
    "headers": { "Authorization": "Bearer hunter2" },
    "formt": "slack"
  } } } }
}"#), @r##"
      × alerts.sinks.chat.webhook.url: an address must not carry a user or password
       ╭─[warmkeep.json:4:12]
     3 │   "alerts": { "sinks": { "chat": { "webhook": {
     4 │     "url": "https://me:…@chat.example.org/hook",
       ·            ──────────────────┬─────────────────
       ·                              ╰── expected an http or https address
     5 │     "headers": { "Authorization": "…" },
       ╰────
      help: Use `basicAuth`, with the password in a file.

      × alerts.sinks.chat.webhook.formt: unknown key "formt"
       ╭─[warmkeep.json:6:5]
     5 │     "headers": { "Authorization": "…" },
     6 │     "formt": "slack"
       ·     ───┬───
       ·        ╰── did you mean `format`?
     7 │   } } } }
       ╰────
      help: Rename it to `format`, or remove it.

    2 errors in the configuration
    "##);
}

#[test]
fn a_check_in_a_line_without_end() {
    let filler =
        r#""x": { "tcp": { "address": "127.0.0.1:1" } }, "#.repeat(50).replace("\"x\"", "\"filler\"");
    let numbered: String = filler
        .split_inclusive("}, ")
        .enumerate()
        .map(|(n, part)| part.replace("filler", &format!("c{n}")))
        .collect();
    let text = format!(
        r#"{{"schema":1,"apps":{{"a":{{"driver":{{"process":{{"command":["x"]}}}},"versions":{{"source":{{"list":{{"versions":[]}}}}}},"health":{{"checks":{{{numbered}"last": {{ "htpp": {{ "url": "http://127.0.0.1/" }} }} }}}}}}}}}}"#
    );
    insta::assert_snapshot!(report(&text), @r##"
      × apps.a.health.checks.last.htpp: unknown key "htpp"
       ╭─[warmkeep.json:1:2532]
     1 │ …"address": "127.0.0.1:1" } }, "last": { "htpp": { "url": "http://127.0.0.1/" } } }}}}}
       ·                                          ───┬──
       ·                                             ╰── did you mean `http`?
       ╰────
      help: Rename it to `http`, or remove it.

    1 error in the configuration
    "##);
}

#[test]
fn a_file_that_is_not_there() {
    let invalid = warmkeep::config::load(std::path::Path::new("/nonexistent/warmkeep"))
        .map(|_| ())
        .expect_err("nothing");
    insta::assert_snapshot!(invalid.render(false), @r##"
      × /nonexistent/warmkeep: there is no such file or folder
      help: Write a configuration there, or name another with --config or WARMKEEP_CONFIG.

    1 error in the configuration
    "##);
}

#[test]
fn colors_come_only_where_they_are_wanted() {
    let invalid = load_bytes(b"{}").map(|_| ()).expect_err("no schema");
    assert!(!invalid.render(false).contains('\u{1b}'));
    assert!(invalid.render(true).contains('\u{1b}'));
}
