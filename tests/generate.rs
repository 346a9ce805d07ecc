//! `generate`: what it writes, what it leaves alone, and how it tells of drift.

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
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Ran, binary, ran, skip};
use serde_json::{Value, json};

/// A folder to generate into, and a configuration.
struct Site {
    dir: tempfile::TempDir,
}

impl Site {
    fn new(config: &Value) -> Self {
        let site = Self { dir: tempfile::tempdir().unwrap() };
        site.configure(config);
        site
    }

    fn configure(&self, config: &Value) {
        fs::write(self.path("warmkeep.json"), config.to_string()).unwrap();
    }

    fn path(&self, part: &str) -> PathBuf {
        self.dir.path().join(part)
    }

    fn out(&self) -> PathBuf {
        self.path("out")
    }

    /// Runs `generate`, with paths as on a host.
    fn generate(&self, format: &str, more: &[&str]) -> Ran {
        let mut command = Command::new(binary());
        command.current_dir(self.dir.path()).env("NO_COLOR", "1").env_remove("WARMKEEP_CONFIG");
        command.args(["--config", "warmkeep.json", "generate", "--out", "out", "--format", format]);
        command.args(["--settings", "/etc/warmkeep", "--program", "/usr/bin/warmkeep"]).args(more);
        ran(command.output().unwrap())
    }

    /// The files in the folder, by name.
    fn files(&self) -> BTreeMap<String, String> {
        let entries = fs::read_dir(self.out()).unwrap().flatten();
        let file = |entry: fs::DirEntry| {
            (entry.file_name().to_string_lossy().into_owned(), fs::read_to_string(entry.path()).unwrap())
        };
        entries.map(file).collect()
    }

    /// All files in one text.
    fn whole(&self) -> String {
        let files = self.files();
        let shown = files.iter().map(|(name, text)| format!("==> {name} <==\n{text}\n"));
        shown.collect::<Vec<_>>().concat()
    }
}

fn app(keys: &Value) -> Value {
    let mut app = json!({
        "driver": { "process": { "command": ["{release}/bin/notes"] } },
        "versions": { "source": { "directory": { "path": "/srv/releases" } } }
    });
    for (key, value) in keys.as_object().unwrap() {
        app[key] = value.clone();
    }
    app
}

/// One of each: data, secrets, docker, a dependency, a sink.
fn host() -> Value {
    let auth = json!({ "user": "probe", "passwordFile": "/run/keys/notes" });
    json!({
        "schema": 1,
        "apps": {
            "db.main": app(&json!({ "driver": { "compose": { "files": ["/srv/db/compose.yml"] } } })),
            "notes": app(&json!({
                "data": { "paths": ["/var/lib/notes", "/srv/it's \"odd\" ${x} 100%"] },
                "health": { "checks": { "http": { "http": { "url": "http://127.0.0.1:1/", "basicAuth": auth } } } },
                "after": ["db.main"]
            }))
        },
        "nightly": { "onCalendar": "Mon..Fri 02:30", "randomizedDelay": "0s", "deadline": "90m" },
        "alerts": { "sinks": { "chat": { "webhook": { "url": "https://chat/", "bearerFile": "/run/keys/chat" } } } }
    })
}

#[test]
fn plain_units() {
    let site = Site::new(&host());
    let ran = site.generate("systemd", &[]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "out: 6 written, 0 unchanged, 0 removed\n"), "{ran:?}");
    insta::assert_snapshot!(site.whole());
}

#[test]
fn nixos_modules() {
    let site = Site::new(&host());
    let ran = site.generate("nixos", &[]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "out: 5 written, 0 unchanged, 0 removed\n"), "{ran:?}");
    insta::assert_snapshot!(site.whole());
}

#[test]
fn the_same_units_have_the_same_bytes_and_a_change_touches_only_the_files_that_it_is_about() {
    let site = Site::new(&host());
    site.generate("nixos", &[]);
    let before = site.files();
    assert_eq!(site.generate("nixos", &[]).stdout, "out: 0 written, 5 unchanged, 0 removed\n");
    assert_eq!(site.files(), before);
    let mut changed = host();
    changed["apps"]["notes"]["data"]["paths"] = json!(["/var/lib/notes"]);
    site.configure(&changed);
    let done = site.generate("nixos", &["--json"]).json();
    let written: Vec<&str> = done["files"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|file| file["state"] == "written")
        .map(|file| file["name"].as_str().unwrap())
        .collect();
    assert_eq!(written, ["default.nix", "warmkeep-notes.nix"]);
}

#[test]
fn without_more_words_units_run_this_program_with_this_configuration() {
    let site = Site::new(&host());
    let mut command = Command::new(binary());
    command.current_dir(site.dir.path()).env_remove("WARMKEEP_CONFIG");
    command.args(["--config", "warmkeep.json", "generate", "--format", "systemd", "--out", "out"]);
    assert_eq!(ran(command.output().unwrap()).code, 0);
    let config = fs::canonicalize(site.dir.path()).unwrap().join("warmkeep.json");
    let wanted = format!("ExecStart={} --config {} nightly\n", binary(), config.display());
    let unit = &site.files()["warmkeep-nightly.service"];
    assert!(unit.contains(&wanted), "{wanted} is not in {unit}");
}

#[test]
fn a_check_of_what_was_just_written_says_so_and_writes_nothing() {
    let site = Site::new(&host());
    site.generate("systemd", &[]);
    let check = site.generate("systemd", &["--check"]);
    assert_eq!((check.code, check.stdout.as_str()), (0, "out: all 6 files are as they should be\n"));
    let nothing = Site::new(&host());
    assert_eq!(nothing.generate("systemd", &["--check"]).code, 1);
    assert!(!nothing.out().exists());
}

#[test]
fn a_check_shows_what_is_missing_changed_and_stale() {
    let site = Site::new(&host());
    site.generate("systemd", &[]);
    let timer = site.out().join("warmkeep-nightly.timer");
    let text = fs::read_to_string(&timer).unwrap();
    fs::write(&timer, text.replace("OnCalendar=Mon..Fri 02:30", "OnCalendar=04:00")).unwrap();
    fs::remove_file(site.out().join("warmkeep-alerts.path")).unwrap();
    let mut less = host();
    less["apps"].as_object_mut().unwrap().remove("notes");
    site.configure(&less);
    let check = site.generate("systemd", &["--check"]);
    assert_eq!((check.code, check.stderr.as_str()), (1, ""));
    insta::assert_snapshot!(check.stdout);
    let document = site.generate("systemd", &["--check", "--json"]).json();
    let told: Vec<String> = document["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| format!("{} {} {}", file["name"], file["state"], file["why"]).replace('"', ""))
        .collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    warmkeep-alerts.path drifted missing
    warmkeep-alerts.service unchanged null
    warmkeep-db.main.service unchanged null
    warmkeep-nightly.service drifted changed
    warmkeep-nightly.timer drifted changed
    warmkeep-notes.service drifted stale
    ");
}

#[test]
fn what_is_stale_goes_and_what_is_not_ours_stays() {
    let site = Site::new(&host());
    site.generate("systemd", &[]);
    for foreign in ["warmkeep-mine.service", "other.service", "warmkeep-notes.conf"] {
        fs::write(site.out().join(foreign), "[Unit]\n").unwrap();
    }
    let mut less = host();
    less["apps"].as_object_mut().unwrap().remove("notes");
    less["alerts"] = json!({});
    site.configure(&less);
    let ran = site.generate("systemd", &[]);
    assert_eq!(ran.stdout, "out: 1 written, 2 unchanged, 3 removed\n");
    let names: Vec<String> = site.files().into_keys().collect();
    let wanted = [
        "other.service",
        "warmkeep-db.main.service",
        "warmkeep-mine.service",
        "warmkeep-nightly.service",
        "warmkeep-nightly.timer",
        "warmkeep-notes.conf",
    ];
    assert_eq!(names, wanted);
}

#[test]
fn a_foreign_file_in_the_way_is_named_and_nothing_is_written() {
    let site = Site::new(&host());
    fs::create_dir(site.out()).unwrap();
    fs::write(site.out().join("warmkeep-notes.service"), "[Unit]\n").unwrap();
    std::os::unix::fs::symlink("/dev/null", site.out().join("warmkeep-nightly.timer")).unwrap();
    for more in [&[][..], &["--check"]] {
        let ran = site.generate("systemd", more);
        assert_eq!(ran.code, 1);
        let named = "in the way in out: warmkeep-nightly.timer, warmkeep-notes.service";
        assert!(ran.stderr.contains(named), "{}", ran.stderr);
    }
    assert_eq!(fs::read_dir(site.out()).unwrap().count(), 2);
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let site = Site::new(&host());
    fs::write(site.out(), "a file").unwrap();
    let ran = site.generate("systemd", &[]);
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("cannot create out"), "{}", ran.stderr);
}

#[test]
fn a_wrong_configuration_writes_nothing() {
    let mut wrong = host();
    wrong["nightly"]["onCalendar"] = json!("daly");
    let site = Site::new(&wrong);
    let ran = site.generate("systemd", &[]);
    assert_eq!(ran.code, 2);
    assert!(!site.out().exists());
}

#[test]
fn a_program_that_systemd_could_not_run_is_a_usage_error() {
    let site = Site::new(&host());
    let mut command = Command::new(binary());
    command.arg("--config").arg(site.path("warmkeep.json")).args(["generate", "--format", "nixos", "--out"]);
    let ran = ran(command.arg(site.out()).args(["--program", "bin/warmkeep"]).output().unwrap());
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("the program's path is not absolute"), "{}", ran.stderr);
}

fn verify(files: &Path) -> Option<String> {
    let units = fs::read_dir(files).unwrap().flatten().map(|entry| entry.path());
    let output = Command::new("systemd-analyze").arg("verify").args(units).output().ok()?;
    Some(String::from_utf8_lossy(&output.stderr).into_owned() + &output.status.to_string())
}

#[test]
fn plain_units_are_verified_without_a_warning() {
    let mut host = host();
    host["apps"]["notes"]["data"]["paths"] =
        json!(["/srv/a b\t\"c\"\\d 'e' ${f} $g %h ü\nx", "/var/lib/notes"]);
    host["host"] = json!({ "stateDir": "/var/lib/warm \"keep's\" 100%\\x" });
    host["nightly"]["onCalendar"] = json!("Mon..Fri *-*~3/2 02:30:00.5");
    let site = Site::new(&host);
    // systemd looks for the program that a unit runs.
    let program = site.path("warm keep");
    fs::copy("/bin/true", &program).unwrap();
    let mut command = Command::new(binary());
    command
        .arg("--config")
        .arg(site.path("warmkeep.json"))
        .args(["generate", "--format", "systemd", "--out"]);
    command.arg(site.out()).args(["--settings", "/etc/it's \"100%\" $x\n", "--program"]).arg(program);
    let made = ran(command.output().unwrap());
    assert_eq!(made.code, 0, "{made:?}");
    match verify(&site.out()) {
        Some(said) => assert_eq!(said, "exit status: 0"),
        None => skip("plain_units_are_verified", "systemd-analyze", "install systemd"),
    }
}

/// The figure that systemd gives to a unit file.
fn exposure(unit: &Path) -> Option<String> {
    let mut command = Command::new("systemd-analyze");
    command.args(["security", "--offline=yes", "--no-pager", "--threshold=100"]).arg(unit);
    let said = String::from_utf8_lossy(&command.output().ok()?.stdout).into_owned();
    let figure = said.lines().last()?.split(": ").nth(1)?.split(' ').next()?;
    Some(figure.to_owned())
}

#[test]
fn the_units_are_as_exposed_as_the_document_says() {
    let version = Command::new("systemd-analyze").arg("--version").output();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let Ok(version) = version else {
        skip("the_units_are_as_exposed", "systemd-analyze", "install systemd");
        return;
    };
    let document = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/units.md")).unwrap();
    let webhook = Site::new(&host());
    webhook.generate("systemd", &[]);
    let mut with_command = host();
    with_command["alerts"]["sinks"]["mail"] = json!({ "command": { "run": ["mail"] } });
    let with_command = Site::new(&with_command);
    with_command.generate("systemd", &[]);
    for (row, site, file) in [
        ("`warmkeep-<app>.service`", &webhook, "warmkeep-notes.service"),
        ("`warmkeep-nightly.service`", &webhook, "warmkeep-nightly.service"),
        ("`warmkeep-alerts.service`, webhooks only", &webhook, "warmkeep-alerts.service"),
        ("`warmkeep-alerts.service`, with a command", &with_command, "warmkeep-alerts.service"),
    ] {
        let start = format!("| {row} | ");
        let said = document.lines().find_map(|line| line.strip_prefix(&start)).unwrap();
        let said = said.split(' ').next().unwrap();
        let found = exposure(&site.out().join(file)).unwrap();
        if version.starts_with("systemd 252 ") {
            assert_eq!(found, said, "{row}");
        } else {
            let [found, said] = [&found, said].map(|figure| figure.parse::<f64>().unwrap());
            assert!(found <= said, "{row}: {found}, and the document says {said}");
        }
    }
}
