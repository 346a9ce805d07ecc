//! The units that tell people: one that waits for an alert, and one that relays all that are open.

use std::path::Path;
use std::time::Duration;

use super::{
    ALERTS, Directive, Group, Kind, NETWORK, Programs, Settings, Unit, Value, credentials, escape, secrets,
    stem,
};
use crate::config::model::{Config, Sink};
use crate::record::layout::Layout;

/// The pause before what could not be delivered is tried again.
const PAUSE: Duration = Duration::from_secs(2 * 60);
/// Many alerts with many slow sinks take long; a sink that hangs is not waited for longer than this.
const LONGEST: Duration = Duration::from_secs(60 * 60);
/// Most starts in a minute. Each alert is good for one at most, so that only a relay that goes wrong gets there.
const STARTS: u32 = 300;

/// What waits for alerts, and what relays them.
pub(super) fn group(config: &Config, settings: &Settings) -> Group {
    let name = stem(ALERTS);
    let units = vec![path(&name, config), service(&name, config, settings)];
    Group { name, units }
}

/// An alert that is open is looked for, and not a change of the folder: when the relay ends, systemd looks again, and so
/// none is missed that was written meanwhile.
fn path(name: &str, config: &Config) -> Unit {
    let alerts = Layout::new(&config.host).alerts();
    Unit {
        wanted_by: vec!["paths.target".into()],
        own: vec![Directive::new("PathExistsGlob", Value::Glob(alerts, ".json"))],
        ..Unit::new(name.to_owned(), Kind::Path, "An alert of warmkeep is waiting".to_owned())
    }
}

/// While a sink is down, the unit fails and waits to be restarted; that is not yet inactive, so that the path unit does not
/// start it anew at once.
fn service(name: &str, config: &Config, settings: &Settings) -> Unit {
    let runs_commands = config.alerts.sinks.values().any(|sink| matches!(sink, Sink::Command { .. }));
    let mut own = vec![
        Directive::new("Type", Value::Words("oneshot")),
        Directive::new("ExecStart", Value::Command(settings.argv(&["alerts", "relay"]))),
        Directive::new("Restart", Value::Words("on-failure")),
        Directive::new("RestartSec", Value::Span(Some(PAUSE))),
        Directive::new("TimeoutStartSec", Value::Span(Some(LONGEST))),
    ];
    own.extend(credentials(secrets::of_sinks(&config.alerts)));
    own.extend(if runs_commands { for_any_program() } else { for_warmkeep_alone(config, settings) });
    Unit {
        wants: vec![NETWORK.into()],
        after: vec![NETWORK.into()],
        unit: vec![
            Directive::new("RequiresMountsFor", Value::Mounts(vec![config.host.state_dir.clone()])),
            Directive::new("StartLimitIntervalSec", Value::Span(Some(Duration::from_secs(60)))),
            Directive::new("StartLimitBurst", Value::Number(STARTS)),
        ],
        programs: if runs_commands { Programs::System } else { Programs::Few },
        own,
        ..Unit::new(name.to_owned(), Kind::Service, "Relay of warmkeep's alerts".to_owned())
    }
}

/// What no program that tells people should need: it may be the user's own, and may write its own files.
fn for_any_program() -> Vec<Directive> {
    let mut own = flags(&[
        "LockPersonality",
        "ProtectClock",
        "ProtectControlGroups",
        "ProtectHostname",
        "ProtectKernelLogs",
        "ProtectKernelModules",
        "ProtectKernelTunables",
        "RestrictRealtime",
    ]);
    own.push(Directive::new("ProtectSystem", Value::Flag(true)));
    own
}

/// All that warmkeep itself can do without when it sends to webhooks.
fn for_warmkeep_alone(config: &Config, settings: &Settings) -> Vec<Directive> {
    let mut own = flags(&[
        "LockPersonality",
        "MemoryDenyWriteExecute",
        "NoNewPrivileges",
        "PrivateDevices",
        "PrivateMounts",
        "ProtectClock",
        "ProtectControlGroups",
        "ProtectHostname",
        "ProtectKernelLogs",
        "ProtectKernelModules",
        "ProtectKernelTunables",
        "RestrictNamespaces",
        "RestrictRealtime",
        "RestrictSUIDSGID",
    ]);
    own.extend([
        // Root may read what others own, such as the configuration, and nothing else of what root may.
        Directive::new("CapabilityBoundingSet", Value::Words("CAP_DAC_READ_SEARCH")),
        Directive::new("ProcSubset", Value::Words("pid")),
        Directive::new("ProtectProc", Value::Words("invisible")),
        Directive::new("ProtectSystem", Value::Words("strict")),
        Directive::new("ReadWritePaths", Value::Writable(config.host.state_dir.clone())),
        Directive::new("RestrictAddressFamilies", Value::Words("AF_UNIX AF_INET AF_INET6")),
        Directive::new("SystemCallArchitectures", Value::Words("native")),
        Directive::new(
            "SystemCallFilter",
            Value::List(words(&["@system-service", "~@privileged @resources"])),
        ),
        Directive::new("SystemCallErrorNumber", Value::Words("EPERM")),
        Directive::new("UMask", Value::Words("0077")),
    ]);
    own.extend(hidden(config, settings));
    own
}

/// Folders that are hidden, unless something that the unit needs lies in them.
fn hidden(config: &Config, settings: &Settings) -> [Directive; 2] {
    let own = settings.paths().into_iter().chain([config.host.state_dir.as_path()]);
    let read_as_they_are =
        secrets::of_sinks(&config.alerts).into_iter().filter(|file| escape::file(file).is_none());
    let needed: Vec<&Path> = own.chain(read_as_they_are).collect();
    let free =
        |folders: &[&str]| !needed.iter().any(|path| folders.iter().any(|folder| path.starts_with(folder)));
    let home = if free(&["/home", "/root", "/run/user"]) { "true" } else { "read-only" };
    [
        Directive::new("ProtectHome", Value::Words(home)),
        Directive::new("PrivateTmp", Value::Flag(free(&["/tmp", "/var/tmp"]))),
    ]
}

fn flags(keys: &[&'static str]) -> Vec<Directive> {
    keys.iter().map(|key| Directive::new(key, Value::Flag(true))).collect()
}

fn words(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|&line| line.to_owned()).collect()
}
