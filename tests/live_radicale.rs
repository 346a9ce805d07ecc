//! The example under examples/radicale on the real Radicale: installed, filled with a calendar, upgraded, and taken back
//! from a release that destroys its data.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests drive the real system"
)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Host, Ran};
use serde_json::{Value, json};

const APP: &str = "radicale";
const OLDER: &str = "3.1.8";
const NEWER: &str = "3.5.10";
const SPOILED: &str = "3.99.0";

const CALENDAR: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<C:mkcalendar xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav">
  <D:set><D:prop><D:displayname>Ada's engagements</D:displayname></D:prop></D:set>
</C:mkcalendar>"#;

const EVENT: &str = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//warmkeep//tests//EN\r\nBEGIN:VEVENT\r\nUID:tea-1843\r\n\
DTSTAMP:20261121T090000Z\r\nDTSTART:20261122T150000Z\r\nDTEND:20261122T160000Z\r\nSUMMARY:Tea with Mr Babbage\r\n\
END:VEVENT\r\nEND:VCALENDAR\r\n";

/// Turns the wheel of a real release into the wheel of a later one that eats the collections and then ends.
const SPOIL: &str = r#"
import pathlib, sys, zipfile
wheel, version, folder = pathlib.Path(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])
spoiled = '''
import pathlib, sys
data = pathlib.Path(sys.argv[sys.argv.index("--storage-filesystem-folder") + 1])
for item in sorted(data.rglob("*")):
    if item.suffix == ".ics":
        item.write_text("eaten by a migration")
    if item.name == ".Radicale.props":
        item.unlink()
sys.exit("the migration of the storage failed half way")
'''
old = wheel.name.split("-")[1]
with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(folder / f"radicale-{version}-py3-none-any.whl", "w") as target:
    for name in source.namelist():
        text = source.read(name)
        if name == "radicale/__main__.py":
            text = spoiled.encode()
        if ".dist-info/" in name:
            text = text.replace(old.encode(), version.encode())
            name = name.replace(old, version)
        target.writestr(name, text)
"#;

/// The example, in a folder and on a port of its own.
struct Site {
    host: Host,
}

impl Site {
    /// `None` where the real Radicale cannot be had.
    fn new() -> Option<Self> {
        let site = Self { host: Host::new() };
        if let Err(missing) = site.fetch_wheel() {
            let how = "run tests/live/provision on a machine that can reach a Python package index";
            common::skip("live_radicale", &missing, how);
            return None;
        }
        fs::write(site.path("listed"), format!("{OLDER}\n")).unwrap();
        site.host.write_config(&site.config());
        Some(site)
    }

    fn path(&self, part: &str) -> PathBuf {
        self.host.path(part)
    }

    /// Downloads the newer release, to build the spoiled one from; fails where there is no Python, pip or network.
    fn fetch_wheel(&self) -> Result<(), String> {
        let wheels = self.path("wheels");
        fs::create_dir_all(&wheels).unwrap();
        let wanted = format!("radicale=={NEWER}");
        python(&["-m", "pip", "download", "--quiet", "--no-deps", "--dest", &text(&wheels), &wanted])
    }

    fn spoil(&self) {
        let wheels = self.path("wheels");
        let wheel = fs::read_dir(&wheels).unwrap().next().unwrap().unwrap().path();
        python(&["-c", SPOIL, &text(&wheel), SPOILED, &text(&wheels)]).unwrap();
    }

    /// The example's own configuration. Only places and the port differ, the versions come from a file that the test
    /// lets grow, and pip also finds what lies in a folder.
    fn config(&self) -> Value {
        let example = fs::read_to_string(example("warmkeep.json")).unwrap();
        let example = example.replace("/run/warmkeep-radicale", &text(&self.path("run")));
        let example = example.replace("/srv/warmkeep-radicale", &text(self.host.dir.path()));
        let mut config: Value =
            serde_json::from_str(&example.replace("5232", &self.host.port.to_string())).unwrap();
        let app = &mut config["apps"][APP];
        app["versions"]["source"]["command"]["run"] = json!(["cat", text(&self.path("listed"))]);
        app["driver"]["process"]["env"]["PIP_FIND_LINKS"] = json!(text(&self.path("wheels")));
        app["health"]["soak"] = json!("500ms");
        config
    }

    /// A newer version is released.
    fn list(&self, version: &str) {
        let listed = fs::read_to_string(self.path("listed")).unwrap();
        fs::write(self.path("listed"), format!("{listed}{version}\n")).unwrap();
    }

    fn converge(&self) -> Ran {
        self.host.converge()
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Option<String> {
        self.host.ask(method, path, body)
    }

    /// The version whose process runs, by its own release folder.
    fn running(&self) -> String {
        let record = fs::read(self.path("run/apps").join(APP).join("process.json")).unwrap();
        let record: Value = serde_json::from_slice(&record).unwrap();
        let pid = record["main"]["pid"].as_i64().unwrap();
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
        let environment = String::from_utf8_lossy(&environment).into_owned();
        let path = environment.split('\0').find_map(|entry| entry.strip_prefix("PYTHONPATH=")).unwrap();
        Path::new(path).file_name().unwrap().to_string_lossy().into_owned()
    }

    fn assert_calendar_is_served(&self) {
        let event = self.ask("GET", "/ada/engagements/tea.ics", "").expect("the event is served");
        assert_eq!(normal(&event), normal(EVENT));
        let whole = self.ask("GET", "/ada/engagements/", "").expect("the calendar is served");
        assert!(whole.contains("Tea with Mr Babbage") && whole.contains("Ada's engagements"), "{whole}");
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // Radicale's argv names its data folder, and so `Host` ends it as well; this way it may end by itself.
        self.host.run(&["retire", APP]);
    }
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/radicale").join(name)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A server may fold lines and end them as it likes: what counts is what is said.
fn normal(ics: &str) -> Vec<String> {
    let mut lines: Vec<String> = ics.lines().map(|line| line.trim_end().to_owned()).collect();
    lines.sort();
    lines
}

fn python(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("python3")
        .args(arguments)
        .env("PIP_DISABLE_PIP_VERSION_CHECK", "1")
        .output()
        .map_err(|e| format!("python3 ({e})"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("Radicale from a package index ({})", String::from_utf8_lossy(&output.stderr).trim()))
}

#[test]
fn a_real_calendar_survives_an_upgrade_and_a_release_that_eats_it() {
    let Some(site) = Site::new() else { return };

    let installed = site.converge();
    assert_eq!((installed.code, installed.outcome(APP)), (0, "installed".into()), "{installed:?}");
    assert_eq!(site.running(), OLDER);
    site.ask("MKCOL", "/ada/", "").expect("a person can be made");
    site.ask("MKCALENDAR", "/ada/engagements/", CALENDAR).expect("a calendar can be made");
    site.ask("PUT", "/ada/engagements/tea.ics", EVENT).expect("an event can be put");
    site.assert_calendar_is_served();

    site.list(NEWER);
    let upgraded = site.converge();
    assert_eq!((upgraded.code, upgraded.outcome(APP)), (0, "upgraded".into()), "{upgraded:?}");
    assert_eq!(site.running(), NEWER);
    site.assert_calendar_is_served();
    assert_eq!(site.converge().outcome(APP), "noop");

    site.spoil();
    site.list(SPOILED);
    let before = site.host.data();
    let back = site.converge();
    assert_eq!((back.code, back.outcome(APP)), (4, "rolledBack".into()), "{back:?}");
    assert_eq!(site.host.data(), before, "the data is the same, byte for byte");
    assert_eq!(site.running(), NEWER);
    site.assert_calendar_is_served();
    let cause = back.app(APP)["cause"].to_string();
    assert!(cause.contains("the migration of the storage failed half way"), "{cause}");

    let settled = site.converge();
    assert_eq!((settled.code, settled.outcome(APP)), (0, "held".into()), "{settled:?}");
    assert_eq!(site.host.leftovers(), Vec::<String>::new());
    assert!(site.host.alerts().iter().any(|alert| alert["kind"] == "rollback"), "{:?}", site.host.alerts());
}

#[test]
fn the_versions_script_lists_releases_oldest_first() {
    let output = Command::new("python3").arg(example("versions")).output();
    let output = match output {
        Ok(output) if output.status.success() => output,
        other => return common::skip("live_radicale", &format!("a package index ({other:?})"), "see above"),
    };
    let listed = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<&str> = listed.lines().collect();
    let at = |version: &str| lines.iter().position(|line| *line == version).expect(version);
    assert!(at("3.1.9") < at("3.2.0") && at("3.5.9") < at("3.5.10"), "{listed}");
    assert!(lines.iter().all(|line| line.split('.').filter(|part| part.parse::<u32>().is_ok()).count() == 3));
}
