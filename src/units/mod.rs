//! From a configuration to systemd units, as values; pure. One model ([`Unit`]), two renderings of it: plain unit files
//! ([`text`]) and NixOS modules ([`nix`]), so that both always say the same.
//!
//! ```text
//!  Config + Settings ──▶ of() ──▶ Group { Unit … } ──┬─▶ text ──▶ warmkeep-notes.service …
//!                                                    └─▶ nix  ──▶ warmkeep-notes.nix … default.nix
//! ```
//!
//! A [`Value`] knows what it is (a command, a span of time, some paths), and `escape` how systemd wants that written:
//! systemd reads almost each directive by rules of its own. Nix text is that very line as a Nix string, because NixOS
//! writes the value into the unit file as it stands.
//!
//! docs/units.md tells what each unit is for and why it has the directives that it has.

mod alerts;
mod app;
mod escape;
pub mod files;
mod model;
mod nightly;
pub mod nix;
mod secrets;
mod settings;
mod span;
pub mod text;

use std::path::Path;

pub use model::{Directive, Group, Kind, Lines, Name, OnSwitch, Programs, Unit, Value};
pub use nightly::time_to_end;
pub use settings::Settings;

use crate::config::model::{Config, Driver};
use crate::credential;

/// The name of an app that stands in for the nightly run's unit.
pub const NIGHTLY: &str = "nightly";
/// The name of an app that stands in for the alerts' units.
pub const ALERTS: &str = "alerts";

const NETWORK: &str = "network-online.target";
const DOCKER: &str = "docker.service";

/// All units of a configuration: those of each app in the order of their names, those that tell people, where there is
/// somebody to tell, and those of the night.
pub fn of<'a>(config: &'a Config, settings: &'a Settings) -> impl Iterator<Item = Group> + 'a {
    let secrets = secrets::of_apps(&config.apps);
    let apps = config.apps.values().map(move |app| {
        let files = secrets.get(app.name.as_str());
        app::group(app, files.into_iter().flatten().copied(), config, settings)
    });
    let alerts = (!config.alerts.sinks.is_empty()).then(|| alerts::group(config, settings));
    apps.chain(alerts).chain([nightly::group(config, settings)])
}

/// What a unit's file is called before its suffix.
fn stem(name: &str) -> String {
    format!("warmkeep-{name}")
}

/// What must be up before such a driver can do anything.
fn needs<'a>(drivers: impl IntoIterator<Item = &'a Driver>) -> impl Iterator<Item = Name> {
    let in_docker = |driver: &Driver| match driver {
        Driver::Compose(_) | Driver::Swarm(_) | Driver::Abra(_) => true,
        Driver::Process(_) | Driver::Command(_) => false,
    };
    let docker = drivers.into_iter().any(in_docker).then_some(DOCKER);
    docker.into_iter().chain([NETWORK]).map(Name::Borrowed)
}

/// The credentials for these files. systemd reads them before the unit starts; where one is not there, a blank one
/// takes its place, so that a lost password does not keep the unit from starting.
fn credentials<'a>(files: impl IntoIterator<Item = &'a Path>) -> Vec<Directive> {
    let named = files.into_iter().filter_map(|path| Some((credential::id(path), escape::file(path)?)));
    let (load, blank): (Vec<String>, Vec<String>) =
        named.map(|(id, file)| (format!("{id}:{file}"), format!("{id}:\\n"))).unzip();
    if load.is_empty() {
        return Vec::new();
    }
    vec![
        Directive::new("LoadCredential", Value::List(load)),
        Directive::new("SetCredential", Value::List(blank)),
    ]
}

#[cfg(test)]
mod tests;
