//! Files that nobody writes on purpose: broken, endless, deep, in the wrong encoding. Each gives a configuration or a
//! report with a place in the file; none gives a panic, an endless report or a garbled terminal.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests drive the real system")]
#![expect(clippy::expect_used, reason = "a test that cannot set itself up has failed")]

mod config_common;

use config_common::{load_bytes, load_files};
use proptest::prelude::*;
use warmkeep::config::{Invalid, load};

const NOTES: &str = include_str!("../examples/notes.json");
const SHARED: &str = include_str!("../examples/shared-host.json");

fn invalid(bytes: &[u8]) -> Invalid {
    load_bytes(bytes).map(|config| format!("{config:?}")).expect_err("this is no configuration")
}

/// Where the first thing is wrong, and what.
fn first(bytes: &[u8]) -> (usize, usize, String) {
    let diagnostic = invalid(bytes).diagnostics.remove(0);
    (diagnostic.line, diagnostic.column, diagnostic.message)
}

fn told(line: usize, column: usize, message: &str) -> (usize, usize, String) {
    (line, column, message.to_owned())
}

/// What holds for everything that is reported on these bytes.
fn assert_sane(bytes: &[u8], invalid: &Invalid) {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_start_matches('\u{feff}');
    let lines: Vec<&str> = text.split('\n').collect();
    assert!(!invalid.diagnostics.is_empty());
    for diagnostic in &invalid.diagnostics {
        let line = lines[diagnostic.line - 1];
        assert!((1..=line.chars().count() + 1).contains(&diagnostic.column), "{diagnostic:?}");
        let texts = [&diagnostic.message, &diagnostic.path, &diagnostic.file];
        assert!(texts.iter().all(|text| !text.contains(char::is_control)), "{diagnostic:?}");
        assert!(diagnostic.message.len() < 1000 && diagnostic.path.len() < 2000, "{diagnostic:?}");
    }
    let report = invalid.render(false);
    assert!(!report.contains(|c: char| c.is_control() && c != '\n'), "{report:?}");
    assert!(report.lines().all(|line| line.chars().count() < 1000), "{report}");
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_reported_at_its_end() {
    for end in 0..NOTES.trim_end().len() {
        let bytes = &NOTES.as_bytes()[..end];
        let invalid = invalid(bytes);
        assert_eq!(invalid.diagnostics.len(), 1);
        assert_sane(bytes, &invalid);
    }
}

#[test]
fn ten_thousand_levels_are_an_error_and_no_overflow() {
    let too_deep = "lists and objects are nested too deep";
    assert_eq!(first("[".repeat(10_000).as_bytes()), told(1, 128, too_deep));
    let objects = "{\"a\":".repeat(10_000);
    assert_eq!(first(objects.as_bytes()).2, too_deep);
    let inside = format!("{{\"schema\":1,\"x\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(first(inside.as_bytes()).2, too_deep);
}

#[test]
fn unknown_keys_are_found_as_deep_as_keys_are_known() {
    let deep = format!("{{\"schema\":1,\"x\":{}1{}}}", "{\"a\":".repeat(100), "}".repeat(100));
    assert_eq!(first(deep.as_bytes()), told(1, 13, "unknown key \"x\""));
}

#[test]
fn a_string_of_a_megabyte_is_not_repeated() {
    let huge = "x".repeat(1 << 20);
    let texts = [
        format!("{{\"schema\":1,\"{huge}\":1}}"),
        format!("{{\"schema\":\"{huge}\"}}"),
        format!("{{\"schema\":1,\"host\":{{\"stateDir\":\"{huge}\"}}}}"),
        format!(
            "{{\"schema\":1,\"sweep\":{{\"recipes\":{{\"{huge}\":{{\"run\":[],\"needs\":[\"{huge}\"]}}}}}}}}"
        ),
        format!("{{\"schema\":1,\"sweep\":{{\"when\":\"{huge}\"}}}}"),
        format!(
            "{{\"schema\":1,\"nightly\":{{\"deadline\":\"{huge}\",\"busyWait\":\"{}h\"}}}}",
            "9".repeat(1 << 20)
        ),
        format!("{{\"schema\":1,\"gc\":{{\"lowWatermark\":{}}}}}", "9".repeat(1 << 20)),
        format!("{{\"schema\":1,\"gc\":{{\"orphans\":{{\"pattern\":\"({huge}\"}}}}}}"),
    ];
    for text in texts {
        let invalid = invalid(text.as_bytes());
        assert_sane(text.as_bytes(), &invalid);
        assert!(invalid.to_json().to_string().len() < 5000);
        assert!(invalid.render(true).len() < 10_000);
    }
}

#[test]
fn nul_bytes_are_told_apart_by_where_they_stand() {
    assert_eq!(first(b"{\"schema\":1}\0"), told(1, 13, "`\\0` stands after the end of the configuration"));
    assert_eq!(first(b"\0"), told(1, 1, "expected value, found `\\0`"));
    assert_eq!(
        first(b"{\"schema\":1,\n\"gc\":{\"path\":\"/\0\"}}"),
        told(2, 16, "a control character stands in a string")
    );
    let escaped = br#"{"schema":1,"gc":{"path":"/\u0000"}}"#;
    assert_eq!(first(escaped), told(1, 26, "a NUL character stands in this string"));
    let key = br#"{"schema":1,"apps":{"a\u0000b":{}}}"#;
    assert!(first(key).2.contains("NUL"));
    assert_sane(key, &invalid(key));
}

#[test]
fn a_byte_that_is_not_utf_8_is_found() {
    let bytes = b"{\"schema\":1,\n \"\xc3\xa4\": \"\xff\"}";
    assert_eq!(first(bytes), told(2, 8, "the byte 0xff is not UTF-8"));
    assert_eq!(first(b"{\"a\": \"\xc3"), told(1, 8, "the byte 0xc3 is not UTF-8"));
    assert_eq!(first(b"\xff\xfe{\0}\0"), told(1, 1, "this file is UTF-16"));
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_change_nothing() {
    let windows = format!("\u{feff}{}", NOTES.replace('\n', "\r\n"));
    assert!(load_bytes(windows.as_bytes()).is_ok());
    let wrong = "\u{feff}{\r\n  \"schema\": 1,\r\n  \"ä\": 1\r\n}";
    assert_eq!(first(wrong.as_bytes()), told(3, 3, "unknown key \"ä\""));
    assert!(!invalid(wrong.as_bytes()).render(false).contains('\r'));
}

#[test]
fn columns_count_characters() {
    let text = "{\"schema\": 1, \"host\": {\"stateDir\": \"/ä☃\", \"x\": 1}}";
    assert_eq!(first(text.as_bytes()), told(1, 43, "unknown key \"x\""));
}

#[test]
fn an_escape_sequence_for_the_terminal_is_shown_and_not_sent() {
    let text = "{\"schema\":1,\"\\u001b[2J\\u202e\":{}}";
    let invalid = invalid(text.as_bytes());
    assert_eq!(invalid.diagnostics[0].message, "unknown key \"\\u{1b}[2J\\u{202e}\"");
    assert_sane(text.as_bytes(), &invalid);
}

#[test]
fn a_file_beyond_the_bound_is_not_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("huge.json");
    std::fs::File::create(&path).expect("a file").set_len((64 << 20) + 1).expect("room");
    let invalid = load(&path).map(|_| ()).expect_err("too large");
    assert!(invalid.diagnostics[0].message.contains("is larger than"), "{invalid:?}");
    assert!(invalid.diagnostics[0].remedy.as_ref().is_some_and(|remedy| remedy.contains("64 MiB")));
}

#[test]
fn what_is_not_there_is_told_with_a_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    for path in [folder.path().to_owned(), folder.path().join("none.json"), "/\0".into()] {
        let invalid = load(&path).map(|_| ()).expect_err("nothing is there");
        assert_eq!(invalid.diagnostics.len(), 1);
        assert!(invalid.diagnostics[0].remedy.is_some());
        assert!(!invalid.render(false).contains('\0'));
    }
}

#[test]
fn a_link_into_the_store_is_a_file_like_any_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = tempfile::tempdir().expect("a folder");
    std::fs::write(store.path().join("abc"), "{\"schema\": 1}").expect("a file");
    std::os::unix::fs::symlink(store.path().join("abc"), folder.path().join("a.json")).expect("a link");
    assert!(load(folder.path()).is_ok());
    std::os::unix::fs::symlink("/nowhere", folder.path().join("b.json")).expect("a link");
    assert!(load(folder.path()).is_err());
}

#[test]
fn more_mistakes_than_anybody_reads_are_counted_and_not_all_drawn() {
    let keys: Vec<String> = (0..2000).map(|n| format!("\"key{n}\": 1")).collect();
    let text = format!("{{\"schema\": 1, {}}}", keys.join(", "));
    let (invalid, report) = load_files(&[("a.json", text.as_bytes())]).map(|_| ()).expect_err("unknown keys");
    assert_eq!(invalid.diagnostics.len(), 2000);
    assert!(report.ends_with(
        "… and 1950 more; `warmkeep check --json` lists them all.\n2000 errors in the configuration"
    ));
}

#[test]
fn many_apps_load_and_many_mistakes_are_found_in_little_time() {
    let apps: Vec<String> = (0..1000)
        .map(|n| {
            format!(
                r#""app{n}":{{"driver":{{"process":{{"command":["x"]}}}},"versions":{{"source":{{"list":{{"versions":[]}}}}}},
                "after":["app{}","nothing{n}"],"data":{{"paths":["/srv/app{n}","/srv/app{n}/x"]}}}}"#,
                (n + 1) % 1000
            )
        })
        .collect();
    let text = format!("{{\"schema\":1,\"apps\":{{{}}}}}", apps.join(","));
    let invalid = invalid(text.as_bytes());
    assert_eq!(invalid.diagnostics.len(), 2001);
}

fn mutated(text: &str, changes: &[(usize, u8, u8)]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for (at, what, byte) in changes {
        let at = at % bytes.len().max(1);
        match what {
            0 => bytes[at] ^= 1 << (byte % 8),
            1 => bytes.insert(at, *byte),
            2 => drop(bytes.remove(at)),
            3 => bytes[at] = b"{}[]\",:0-\\ntf \n"[usize::from(*byte) % 15],
            _ => {
                let end = (at + usize::from(*byte)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                bytes.splice(at..at, copy);
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_mutated_configuration_loads_or_is_reported_within_itself(
        text in prop::sample::select(vec![NOTES, SHARED]),
        changes in prop::collection::vec((any::<usize>(), 0..5_u8, any::<u8>()), 1..5),
    ) {
        let bytes = mutated(text, &changes);
        if let Err(invalid) = load_bytes(&bytes) {
            assert_sane(&bytes, &invalid);
        }
    }

    #[test]
    fn any_value_in_any_place_loads_or_is_reported_within_itself(
        text in prop::sample::select(vec![NOTES, SHARED]),
        place: prop::sample::Index,
        value in prop::sample::select(vec!["null", "0", "-1", "1e9", "\"\"", "\"{x\"", "\"/\"", "[]", "{}", "[{}]", "true", "[[null]]"]),
    ) {
        let starts: Vec<usize> = text.match_indices(": ").map(|(at, _)| at + 2).collect();
        let start = starts[place.index(starts.len())];
        let length = serde_json::Deserializer::from_str(&text[start..])
            .into_iter::<&serde_json::value::RawValue>()
            .next()
            .map_or(0, |value| value.map_or(0, |value| value.get().len()));
        let bytes = format!("{}{value}{}", &text[..start], &text[start + length..]).into_bytes();
        if let Err(invalid) = load_bytes(&bytes) {
            assert_sane(&bytes, &invalid);
        }
    }

    #[test]
    fn any_bytes_at_all_are_reported_within_themselves(bytes: Vec<u8>) {
        if let Err(invalid) = load_bytes(&bytes) {
            assert_sane(&bytes, &invalid);
        }
    }
}
