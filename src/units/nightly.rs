//! The night's units: a timer, and the run itself.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{
    Directive, Group, Kind, NIGHTLY, Name, OnSwitch, Programs, Settings, Unit, Value, app, credentials,
    needs, secrets, stem,
};
use crate::config::model::Config;

/// How long a night without apps has to end.
const LEAST: Duration = Duration::from_secs(90);

/// The nightly run and its timer.
pub(super) fn group(config: &Config, settings: &Settings) -> Group {
    let name = stem(NIGHTLY);
    let units = vec![service(&name, config, settings), timer(&name, config)];
    Group { name, units }
}

fn service(name: &str, config: &Config, settings: &Settings) -> Unit {
    let wants: Vec<Name> = needs(config.apps.values().map(|app| &app.driver)).collect();
    let mut own = vec![
        Directive::new("Type", Value::Words("oneshot")),
        Directive::new("ExecStart", Value::Command(settings.argv(&["nightly"]))),
        Directive::new("KillMode", Value::Words("mixed")),
        Directive::new("TimeoutStartSec", Value::Span(Some(config.nightly.deadline))),
        Directive::new("TimeoutStopSec", Value::Span(Some(time_to_end(config)))),
    ];
    own.extend(credentials(secrets::of_night(&config.apps, &config.alerts)));
    Unit {
        after: wants.clone(),
        wants,
        unit: vec![Directive::new("RequiresMountsFor", Value::Mounts(vec![config.host.state_dir.clone()]))],
        on_switch: OnSwitch::LeaveAlone,
        environment: BTreeMap::from([("HOME".to_owned(), "/root".to_owned())]),
        programs: Programs::Rebuild,
        own,
        ..Unit::new(name.to_owned(), Kind::Service, "Nightly run of warmkeep".to_owned())
    }
}

/// How long a night that is asked to end may take: as long as any app that it has touched.
pub fn time_to_end(config: &Config) -> Duration {
    config.apps.values().map(app::to_settle).max().unwrap_or(LEAST)
}

fn timer(name: &str, config: &Config) -> Unit {
    let night = &config.nightly;
    Unit {
        wanted_by: vec!["timers.target".into()],
        own: vec![
            Directive::new("OnCalendar", Value::Calendar(night.on_calendar.clone())),
            Directive::new("RandomizedDelaySec", Value::Span(Some(night.randomized_delay))),
            // A night that the host slept through is made up for.
            Directive::new("Persistent", Value::Flag(true)),
        ],
        ..Unit::new(name.to_owned(), Kind::Timer, "When the nightly run of warmkeep starts".to_owned())
    }
}
