//! Generated modules under the real Nix: every string comes out as it went in.

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
use std::process::Command;
use std::time::Duration;

use common::{hostile, skip};
use proptest::prelude::*;
use serde_json::{Value as Json, json};
use warmkeep::units::{Directive, Group, Kind, Lines, Name, OnSwitch, Programs, Unit, Value, nix, text};

/// What a Nix expression is, as JSON; `None` where there is no Nix.
fn evaluate(expression: &str) -> Option<Result<Json, String>> {
    let dir = tempfile::tempdir().unwrap();
    let place = |part: &str| dir.path().join(part);
    let mut command = Command::new("nix-instantiate");
    command.args(["--eval", "--strict", "--json", "-"]).stdin(std::process::Stdio::piped());
    for (name, part) in [
        ("NIX_STORE_DIR", "store"),
        ("NIX_STATE_DIR", "state"),
        ("NIX_LOG_DIR", "log"),
        ("NIX_CONF_DIR", "conf"),
        ("HOME", "home"),
    ] {
        std::fs::create_dir_all(place(part)).unwrap();
        command.env(name, place(part));
    }
    let mut child =
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn().ok()?;
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), expression.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    if !output.status.success() {
        return Some(Err(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    Some(Ok(serde_json::from_slice(&output.stdout).unwrap()))
}

fn has_nix(test: &str) -> bool {
    let there = which::which("nix-instantiate").is_ok();
    if !there {
        skip(test, "Nix", "install nix-bin, or run tests/live/provision");
    }
    there
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Flag),
        any::<u32>().prop_map(Value::Number),
        (0..u64::from(u32::MAX)).prop_map(|ms| Value::Span(Some(Duration::from_millis(ms)))),
        hostile::text().prop_map(Value::Calendar),
        prop::collection::vec(hostile::text(), 1..5).prop_map(Value::Command),
        prop::collection::vec(hostile::path(), 1..4).prop_map(Value::Mounts),
        hostile::path().prop_map(Value::Writable),
        hostile::path().prop_map(|path| Value::Glob(path, ".json")),
        prop::collection::vec(hostile::text(), 0..4).prop_map(Value::List),
    ]
}

const KEYS: [&str; 4] = ["ExecStart", "X-One", "if", "RequiresMountsFor"];

fn directives() -> impl Strategy<Value = Vec<Directive>> {
    let all = prop::collection::vec(value(), 1..4);
    all.prop_map(|values| KEYS.into_iter().zip(values).map(|(key, value)| Directive { key, value }).collect())
}

fn unit() -> impl Strategy<Value = Unit> {
    let names = || prop::collection::vec(hostile::text().prop_map(Name::Owned), 0..3);
    let variables = prop::collection::btree_map(hostile::text(), hostile::text(), 0..3);
    let parts = (hostile::text(), names(), names(), variables, directives(), directives(), any::<bool>());
    parts.prop_map(|(name, wants, after, environment, unit, own, alone)| Unit {
        wants,
        after,
        environment,
        unit,
        own,
        on_switch: if alone { OnSwitch::LeaveAlone } else { OnSwitch::Restart },
        programs: Programs::System,
        ..Unit::new(name.clone(), Kind::Service, name)
    })
}

/// What a directive is in Nix: flags and numbers as such, all else the text after the `=` of the plain unit.
fn plain(directive: &Directive) -> Json {
    match (&directive.value, directive.value.lines()) {
        (Value::Flag(flag), _) => json!(flag),
        (Value::Number(number), _) => json!(number),
        (_, Lines::One(line)) => json!(line),
        (_, Lines::Many(lines)) => json!(lines),
    }
}

fn section(directives: &[Directive]) -> BTreeMap<String, Json> {
    directives.iter().map(|directive| (directive.key.to_owned(), plain(directive))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn every_string_comes_out_as_it_went_in(units in prop::collection::vec(unit(), 1..8)) {
        if !has_nix("every_string_comes_out_as_it_went_in") {
            return Ok(());
        }
        // Two units of one name would be one attribute twice.
        let units: BTreeMap<String, Unit> = units.into_iter().map(|unit| (unit.name.clone(), unit)).collect();
        let group = Group { name: "x".to_owned(), units: units.values().cloned().collect() };
        let seen = evaluate(&nix::module(&group)).unwrap();
        let seen = seen.map_err(|said| TestCaseError::fail(format!("{said}\n{}", nix::module(&group))))?;
        for (name, unit) in units {
            let option = &seen["systemd"]["services"][&name];
            for (key, wanted) in [("wants", &unit.wants), ("after", &unit.after)] {
                let listed = if wanted.is_empty() { Json::Null } else { json!(wanted) };
                prop_assert_eq!(&option[key], &listed);
            }
            let mut wanted = section(&unit.unit);
            if unit.on_switch == OnSwitch::LeaveAlone {
                wanted.insert("X-StopOnRemoval".to_owned(), json!(false));
                prop_assert_eq!(&option["restartIfChanged"], &json!(false));
            }
            prop_assert_eq!(&option["unitConfig"], &json!(wanted));
            prop_assert_eq!(&option["serviceConfig"], &json!(section(&unit.own)));
            // NixOS puts it in quotes, and systemd reads `%%` as `%`.
            let variables: BTreeMap<&String, String> =
                unit.environment.iter().map(|(name, value)| (name, value.replace('%', "%%"))).collect();
            let variables = if variables.is_empty() { Json::Null } else { json!(variables) };
            prop_assert_eq!(&option["environment"], &variables);
            // The line for people loses what cannot stand in a line, in both languages alike.
            let description = option["description"].as_str().unwrap();
            let line = format!("\nDescription={description}\n");
            prop_assert!(text::render(&unit).contains(&line));
        }
    }
}

#[test]
fn the_nightly_module_has_the_environment_that_nixos_gives_to_its_own_upgrade() {
    if !has_nix("the_nightly_module") {
        return;
    }
    let unit = Unit {
        programs: Programs::Rebuild,
        environment: BTreeMap::from([("HOME".to_owned(), "/root".to_owned())]),
        ..Unit::new("night".to_owned(), Kind::Service, "Night".to_owned())
    };
    let module = nix::module(&Group { name: "night".to_owned(), units: vec![unit] });
    let arguments = r#"{
      config = {
        nix = { envVars.A = "1"; package.out = "nix"; };
        environment.sessionVariables = { NIX_PATH = "here"; OTHER = "x"; };
        networking.proxy.envVars.http_proxy = "proxy";
        programs.ssh.package = "ssh";
      };
      pkgs = { coreutils = "c"; gnutar = "t"; xz.bin = "x"; gzip = "z"; gitMinimal = "g"; };
    }"#;
    let seen = evaluate(&format!("({module}) {arguments}")).unwrap().unwrap();
    let night = &seen["systemd"]["services"]["night"];
    let environment = json!({ "A": "1", "NIX_PATH": "here", "HOME": "/root", "http_proxy": "proxy" });
    assert_eq!(night["environment"], environment);
    let path = ["c", "t", "x", "z", "g", "nix", "ssh", "/run/wrappers", "/run/current-system/sw"];
    assert_eq!(night["path"], json!(path));
}
