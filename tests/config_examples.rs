//! The examples are valid, and absent keys mean what they are documented to mean.
#![expect(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests drive the real system")]

mod config_common;

use std::path::{Path, PathBuf};
use std::time::Duration;

use config_common::load_bytes;
use warmkeep::config::load;
use warmkeep::config::model::{Driver, Order, Policy};

const SMALL: &str =
    r#""driver":{"process":{"command":["{release}/run"]}},"versions":{"source":{"list":{"versions":[]}}}"#;

/// A configuration with one app: the small one, and this.
fn with(rest: &str) -> String {
    format!(r#"{{"schema":1,"apps":{{"notes":{{{SMALL}{rest}}}}}}}"#)
}

fn examples(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "invalid") {
            found.extend(examples(&path));
        } else if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_example_loads() {
    let all = examples(&Path::new(env!("CARGO_MANIFEST_DIR")).join("examples"));
    assert!(!all.is_empty());
    for path in all {
        if let Err(invalid) = load(&path) {
            panic!("{}", invalid.render(false));
        }
    }
}

#[test]
fn an_app_that_says_little_gets_the_documented_defaults() {
    let config = load_bytes(with("").as_bytes()).unwrap();
    let app = &config.apps["notes"];
    let Driver::Process(process) = &app.driver else { panic!("{:?}", app.driver) };
    assert_eq!((process.stop_signal, process.stop_timeout), (15, Duration::from_secs(30)));
    assert_eq!((app.versions.policy, app.versions.order), (Policy::Minor, Order::Semver));
    assert!(app.versions.hold_notes[0].is_match("needs a Manual Migration"));
    assert!(app.data.is_none() && app.isolation.is_none() && app.after.is_empty());
    let health = &app.health;
    assert_eq!((health.interval, health.timeout), (Duration::from_secs(1), Duration::from_secs(120)));
    assert_eq!((health.passes, health.soak), (3, Duration::from_secs(5)));
    assert_eq!((app.snapshots.keep_last, app.snapshots.max_bytes), (1, 20 << 30));
    assert_eq!(app.timeouts.prefetch, Duration::from_secs(1800));
    assert_eq!(config.host.state_dir, Path::new("/var/lib/warmkeep"));
    assert_eq!((config.gc.high_watermark, config.gc.low_watermark), (80, 70));
    assert!(config.gc.nix.is_none() && config.gc.docker.is_none() && config.gc.orphans.is_none());
    assert!(config.nightly.rebuild.is_none());
    assert_eq!(config.alerts.dedupe, Duration::from_secs(86_400));
}

#[test]
fn a_listed_order_takes_any_version_by_default() {
    let versions = r#"{"source": {"list": {"versions": ["b2c", "a1f"]}}, "order": "listed"}"#;
    let text = format!(
        r#"{{"schema":1,"apps":{{"a":{{"driver":{{"process":{{"command":["x"]}}}},"versions":{versions}}}}}}}"#
    );
    assert_eq!(load_bytes(text.as_bytes()).unwrap().apps["a"].versions.policy, Policy::Any);
}

#[test]
fn a_process_never_has_longer_to_end_than_the_step_has() {
    let config = load_bytes(with(r#","timeouts":{"stop":"10s"}"#).as_bytes()).unwrap();
    let Driver::Process(process) = &config.apps["notes"].driver else { panic!("no process") };
    assert_eq!(process.stop_timeout, Duration::from_secs(10));
}

#[test]
fn names_and_env_files_of_containers_follow_from_the_app_and_its_files() {
    let text = r#"{"schema":1,"apps":{
        "Web.One": {"driver":{"compose":{"files":["/srv/web/compose.yml"]}},"versions":{"source":{"list":{"versions":[]}}}},
        "id": {"driver":{"swarm":{"files":["/srv/id/stack.yml"]}},"versions":{"source":{"list":{"versions":[]}}}},
        "cloud": {"driver":{"abra":{"domain":"c.example.org"}},"versions":{"source":{"recipe":{}}}}}}"#;
    let config = load_bytes(text.as_bytes()).unwrap();
    let Driver::Compose(web) = &config.apps["Web.One"].driver else { panic!("no compose") };
    assert_eq!((web.project.as_str(), web.env_file.as_path()), ("webone", Path::new("/srv/web/.env")));
    let Driver::Swarm(id) = &config.apps["id"].driver else { panic!("no swarm") };
    assert_eq!((id.stack.as_str(), id.tag_variable.as_str(), id.pull), ("id", "TAG", true));
    let Driver::Abra(cloud) = &config.apps["cloud"].driver else { panic!("no abra") };
    assert_eq!((cloud.recipe.as_str(), cloud.server.as_str()), ("cloud", "default"));
}
