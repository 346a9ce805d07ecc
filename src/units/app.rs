//! An app's unit: at boot, and when a generation is activated, it sees that the app is up. It never upgrades.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Directive, Group, Kind, Name, Programs, Settings, Unit, Value, credentials, needs, stem};
use crate::config::model::{App, Config, Hooks};
use crate::plan::transaction::HOOK_LIMIT;

/// What a copy of an app's data may take. How long it does take depends on the data; this is 350 GiB at 100 MiB/s.
const COPY: Duration = Duration::from_secs(60 * 60);

/// The unit of one app, which reads these secret files.
pub(super) fn group<'a>(
    app: &App,
    secrets: impl IntoIterator<Item = &'a Path>,
    config: &Config,
    settings: &Settings,
) -> Group {
    let name = stem(&app.name);
    let before = app.after.iter().map(|other| Name::Owned(format!("warmkeep-{other}.service")));
    let wants: Vec<Name> = needs([&app.driver]).chain(before).collect();
    let unit = Unit {
        after: wants.clone(),
        wants,
        // A night that was missed is made up for at boot; it would take the host from apps that still come up.
        before: vec!["warmkeep-nightly.service".into()],
        wanted_by: vec!["multi-user.target".into()],
        unit: vec![Directive::new("RequiresMountsFor", Value::Mounts(folders(app, config)))],
        programs: Programs::System,
        own: service(app, secrets, settings),
        ..Unit::new(name.clone(), Kind::Service, format!("Warm app {} is up", app.name))
    };
    Group { name, units: vec![unit] }
}

fn service<'a>(
    app: &App,
    secrets: impl IntoIterator<Item = &'a Path>,
    settings: &Settings,
) -> Vec<Directive> {
    let mut own = vec![
        Directive::new("Type", Value::Words("oneshot")),
        Directive::new("RemainAfterExit", Value::Flag(true)),
        Directive::new("ExecStart", Value::Command(settings.argv(&["converge", "--up", &app.name]))),
        // It was taken back to its old version, and is up.
        Directive::new("SuccessExitStatus", Value::Number(4)),
        Directive::new("KillMode", Value::Words("mixed")),
        Directive::new("TimeoutStartSec", Value::Span(None)),
        Directive::new("TimeoutStopSec", Value::Span(Some(to_settle(app)))),
    ];
    own.extend(credentials(secrets));
    own
}

/// The folders whose mounts the app needs: what it keeps, and where its state is.
fn folders(app: &App, config: &Config) -> Vec<PathBuf> {
    let data = app.data.iter().flat_map(|data| &data.paths).cloned();
    std::iter::once(config.host.state_dir.clone()).chain(data).collect()
}

/// How long a transaction that has touched its app may take to come to its end: all the way forward, and from there all
/// the way back.
pub(super) fn to_settle(app: &App) -> Duration {
    let Hooks { before_stop, after_deploy, before_restore, after_restore } = &app.hooks;
    let hooks = [before_stop, after_deploy, before_restore, after_restore];
    let hooks: Duration = hooks.iter().filter(|argv| !argv.is_empty()).map(|_| HOOK_LIMIT).sum();
    let copies = if app.data.is_some() { COPY * 2 } else { Duration::ZERO };
    let leg = app.timeouts.stop + app.timeouts.gone + app.timeouts.deploy + app.health.timeout;
    leg * 2 + hooks + copies
}
