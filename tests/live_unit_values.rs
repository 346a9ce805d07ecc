//! Units with hostile values under a real systemd: what is loaded, and what a program receives, is what went in.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests drive the real system"
)]

mod common;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use common::hostile;
use common::machine::{CONFIG, Machine, WARMKEEP};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value as Json, json};
use warmkeep::units::{Directive, Kind, Unit, Value, text};

const UNITS: &str = "/etc/systemd/system";

/// So many units with hostile words and variables are tried in one machine.
const TRIED: usize = 100;

/// Some values of a strategy.
fn some<T: std::fmt::Debug>(count: usize, strategy: &impl Strategy<Value = T>) -> Vec<T> {
    let mut runner = TestRunner::default();
    (0..count).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect()
}

/// Writes down what it was started with.
const RECEIVE: &str =
    "cat /proc/$$/cmdline >/var/lib/got/$1.argv; cat /proc/$$/environ >/var/lib/got/$1.env; exit 0";

/// A unit that is given these words and variables.
fn receiver(number: usize, words: &[String], variables: &BTreeMap<String, String>) -> Unit {
    let own = ["/bin/sh", "-c", RECEIVE, "receiver", &number.to_string()].map(str::to_owned);
    Unit {
        environment: variables.clone(),
        own: vec![
            Directive::new("Type", Value::Words("oneshot")),
            Directive::new("ExecStart", Value::Command(own.iter().chain(words).cloned().collect())),
        ],
        ..Unit::new(format!("receiver-{number}"), Kind::Service, format!("Receiver {number}"))
    }
}

/// A file of words with NULs after them.
fn words_of(machine: &Machine, file: &str) -> Vec<String> {
    let bytes = std::fs::read(machine.host_path(file)).unwrap();
    let mut words: Vec<String> =
        bytes.split(|byte| *byte == 0).map(|word| String::from_utf8(word.to_vec()).unwrap()).collect();
    words.pop();
    words
}

#[test]
fn a_program_receives_each_word_and_each_variable_as_it_went_in() {
    let Some(machine) = Machine::boot("live_unit_values") else { return };
    let variables = prop::collection::btree_map("[A-Z][A-Z0-9_]{3,8}", hostile::text(), 1..6);
    let all = some(TRIED, &(prop::collection::vec(hostile::text(), 1..8), variables));
    machine.sh("mkdir -p /var/lib/got");
    for (number, (words, variables)) in all.iter().enumerate() {
        let text = text::render(&receiver(number, words, variables));
        machine.write_on_host(&format!("{UNITS}/receiver-{number}.service"), &text);
    }
    machine.sh(&format!("systemctl daemon-reload; systemctl start receiver-{{0..{}}}", TRIED - 1));
    for (number, (words, variables)) in all.iter().enumerate() {
        let argv = words_of(&machine, &format!("/var/lib/got/{number}.argv"));
        assert_eq!(&argv[5..], words);
        let environment = words_of(&machine, &format!("/var/lib/got/{number}.env"));
        for (name, value) in variables {
            let assignment = format!("{name}={value}");
            assert!(environment.contains(&assignment), "{assignment:?} is not in {environment:?}");
        }
    }
    assert_eq!(complaints(&machine), "");
}

/// What systemd says about units that it does not like.
fn complaints(machine: &Machine) -> String {
    machine.sh("journalctl -b -p warning -o cat _PID=1 | grep -E 'receiver|warmkeep' || true")
}

/// A property as systemd has it, by way of its bus, which escapes nothing.
fn property(machine: &Machine, unit: &str, interface: &str, name: &str) -> Json {
    let mut path = "/org/freedesktop/systemd1/unit/".to_owned();
    for byte in unit.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => path.push(char::from(byte)),
            byte => write!(path, "_{byte:02x}").unwrap(),
        }
    }
    let interface = format!("org.freedesktop.systemd1.{interface}");
    let said = machine
        .sh(&format!("busctl --json=short get-property org.freedesktop.systemd1 {path} {interface} {name}"));
    serde_json::from_str::<Json>(&said).unwrap()["data"].clone()
}

fn texts(listed: &Json) -> Vec<String> {
    listed.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// An app with a folder of data, and a password in a file.
fn app(data: &Path, password: &Path) -> Json {
    let auth = json!({ "user": "u", "passwordFile": password });
    json!({
        "driver": { "process": { "command": ["true"] } },
        "data": { "paths": [data] },
        "versions": { "source": { "list": { "versions": ["1.0.0"] } } },
        "health": { "checks": { "c": { "http": { "url": "http://127.0.0.1:1/", "basicAuth": auth } } } }
    })
}

/// A path as systemd can be told of it: up to the first name with a line break.
fn without_breaks(path: &Path) -> PathBuf {
    let broken = |part: &std::path::Component<'_>| part.as_os_str().to_string_lossy().contains(['\n', '\r']);
    path.components().take_while(|part| !broken(part)).collect()
}

#[test]
fn systemd_loads_each_path_as_it_went_in() {
    let Some(machine) = Machine::boot("live_unit_values") else { return };
    let pairs = some(40, &(hostile::path(), hostile::path()));
    let place = |number: usize, path: &Path| PathBuf::from(format!("/srv/{number}{}", path.display()));
    let apps: serde_json::Map<String, Json> = pairs
        .iter()
        .enumerate()
        .map(|(number, (data, password))| (format!("a{number}"), app(&place(number, data), password)))
        .collect();
    let state = "/var/lib/warm keep's \"state\" 100% \\n [x]*{a,b} ü";
    let sink = json!({ "webhook": { "url": "http://127.0.0.1:1/", "bearerFile": "/k" } });
    let config = json!({
        "schema": 1, "host": { "stateDir": state }, "apps": apps, "alerts": { "sinks": { "s": sink } }
    });
    machine.write(CONFIG, &config.to_string());
    let settings = "/etc/it's \"100%\" $x ${y}\n\\";
    let made = machine.warmkeep(&["generate", "--format", "systemd", "--out", UNITS, "--settings", settings]);
    assert_eq!(made.code, 0, "{made:?}");
    machine.sh("systemctl daemon-reload; systemctl start warmkeep-alerts.path");
    for (number, (data, password)) in pairs.iter().enumerate() {
        let unit = format!("warmkeep-a{number}.service");
        machine.sh(&format!("systemctl show {unit} >/dev/null"));
        let mut needed = texts(&property(&machine, &unit, "Unit", "RequiresMountsFor"));
        needed.sort();
        let mut wanted = vec![state.to_owned(), without_breaks(&place(number, data)).display().to_string()];
        wanted.sort();
        assert_eq!(needed, wanted, "{unit}");
        let nameable = password.to_string_lossy();
        let nameable = !nameable.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\');
        let id = warmkeep::credential::id(password);
        let wanted = if nameable { json!([[id, password]]) } else { json!([]) };
        assert_eq!(property(&machine, &unit, "Service", "LoadCredential"), wanted, "{unit}");
        let command = property(&machine, &unit, "Service", "ExecStart");
        let argv = texts(&command[0][1]);
        assert_eq!(argv[..2], [WARMKEEP, "--config"]);
        assert_eq!(argv[2].replace("$$", "$"), settings);
    }
    // They can also be run: systemd hands on what it has loaded in a way of its own.
    let nothing = "[Service]\nExecStart=\nExecStart=/bin/true\n";
    machine.write(&format!("{UNITS}/warmkeep-.service.d/nothing.conf"), nothing);
    machine.sh("systemctl daemon-reload; systemctl start warmkeep-a{0..39} warmkeep-alerts.service");
    let writable = texts(&property(&machine, "warmkeep-alerts.service", "Service", "ReadWritePaths"));
    assert_eq!(writable, [format!("-{state}")]);
    assert_eq!(complaints(&machine), "");
}

#[test]
fn a_unit_finds_its_secrets_and_starts_also_without_one() {
    let Some(machine) = Machine::boot("live_unit_values") else { return };
    let odd = "/var/keys/it's-100%-\"odd\"-ü";
    let mut app = app(Path::new("/srv/data"), Path::new(odd));
    let auth = json!({ "user": "u", "passwordFile": "/var/keys/missing" });
    app["health"]["checks"]["d"] = json!({ "http": { "url": "http://127.0.0.1:1/", "basicAuth": auth } });
    machine.write(odd, "secret\n");
    machine.write(CONFIG, &json!({ "schema": 1, "apps": { "a": app } }).to_string());
    let made = machine.warmkeep(&["generate", "--format", "systemd", "--out", UNITS]);
    assert_eq!(made.code, 0, "{made:?}");
    // Only what the unit is given is looked at.
    let show = "[Service]\nExecStart=\nExecStart=/bin/sh -c 'cd $CREDENTIALS_DIRECTORY && grep -H \"\" *'\n";
    machine.write(&format!("{UNITS}/warmkeep-a.service.d/show.conf"), show);
    machine.sh("systemctl daemon-reload; systemctl start warmkeep-a.service");
    let said = machine.sh("journalctl -b -u warmkeep-a.service -o cat");
    let id = |path: &str| warmkeep::credential::id(Path::new(path));
    assert!(said.contains(&format!("{}:secret\n", id(odd))), "{said}");
    assert!(said.contains(&format!("{}:\n", id("/var/keys/missing"))), "{said}");
}
