//! NixOS modules: the units in NixOS's own options.
//!
//! NixOS writes a directive's value into the unit file as it stands, so each value is the line that the plain unit file
//! has, as a Nix string.

mod expr;

use std::collections::BTreeMap;

use super::escape;
use super::model::{Directive, Group, Kind, Lines, OnSwitch, Programs, Unit, Value};
use expr::{Binding, Expr};

/// Folders with a `bin` that holds what a user of the system finds.
const SYSTEM: [&str; 2] = ["/run/wrappers", "/run/current-system/sw"];

/// What NixOS gives to its own upgrade of the system (`system.autoUpgrade`) to find.
const REBUILD: [&str; 7] = [
    "pkgs.coreutils",
    "pkgs.gnutar",
    "pkgs.xz.bin",
    "pkgs.gzip",
    "pkgs.gitMinimal",
    "config.nix.package.out",
    "config.programs.ssh.package",
];

/// The module of one group.
pub fn module(group: &Group) -> String {
    let needs_arguments = group.units.iter().any(|unit| unit.programs == Programs::Rebuild);
    let arguments = if needs_arguments { "{ config, pkgs, ... }:\n" } else { "" };
    let body = Expr::Set(group.units.iter().map(option).collect());
    format!("{arguments}{}\n", body.written())
}

/// The module that imports these files.
pub fn imports<'a>(files: impl Iterator<Item = &'a str>) -> String {
    let files = files.map(|file| Expr::Path(format!("./{file}"))).collect();
    format!("{}\n", Expr::Set(vec![Binding::new("imports", Expr::List(files))]).written())
}

fn option(unit: &Unit) -> Binding<'_> {
    let kind = match unit.kind {
        Kind::Service => "services",
        Kind::Timer => "timers",
        Kind::Path => "paths",
    };
    Binding::at(&["systemd", kind, &unit.name], Expr::Set(options(unit)))
}

fn options(unit: &Unit) -> Vec<Binding<'_>> {
    let mut all = vec![Binding::new("description", Expr::Text(escape::text(&unit.description).into()))];
    for (name, units) in [
        ("wants", &unit.wants),
        ("after", &unit.after),
        ("before", &unit.before),
        ("wantedBy", &unit.wanted_by),
    ] {
        if !units.is_empty() {
            all.push(Binding::new(name, Expr::texts(units)));
        }
    }
    let leave_alone = unit.on_switch == OnSwitch::LeaveAlone;
    if leave_alone {
        all.push(Binding::new("restartIfChanged", Expr::Flag(false)));
    }
    all.extend(environment(unit));
    all.extend(path(unit.programs));
    let alone = leave_alone.then(|| Binding::new("X-StopOnRemoval", Expr::Flag(false)));
    all.extend(section("unitConfig", unit.unit.iter().map(directive).chain(alone)));
    let own = match unit.kind {
        Kind::Service => "serviceConfig",
        Kind::Timer => "timerConfig",
        Kind::Path => "pathConfig",
    };
    all.extend(section(own, unit.own.iter().map(directive)));
    all
}

fn section<'a>(name: &'static str, directives: impl Iterator<Item = Binding<'a>>) -> Option<Binding<'a>> {
    let directives: Vec<Binding<'a>> = directives.collect();
    (!directives.is_empty()).then(|| Binding::new(name, Expr::Set(directives)))
}

/// Flags and numbers as such, all else as systemd reads it.
fn directive(directive: &Directive) -> Binding<'_> {
    let value = match (&directive.value, directive.value.lines()) {
        (Value::Flag(flag), _) => Expr::Flag(*flag),
        (Value::Number(number), _) => Expr::Number(*number),
        (_, Lines::One(line)) => Expr::Text(line),
        (_, Lines::Many(lines)) => Expr::texts(lines),
    };
    Binding::new(directive.key, value)
}

/// NixOS puts quotes around each variable itself, but leaves specifiers in.
fn environment(unit: &Unit) -> Option<Binding<'_>> {
    let own = variables(&unit.environment);
    let value = match unit.programs {
        Programs::Rebuild => Expr::Update(vec![
            Expr::Code("config.nix.envVars"),
            Expr::Set(
                [vec![Binding::Inherit("(config.environment.sessionVariables) NIX_PATH")], own].concat(),
            ),
            Expr::Code("config.networking.proxy.envVars"),
        ]),
        Programs::Few | Programs::System if own.is_empty() => return None,
        Programs::Few | Programs::System => Expr::Set(own),
    };
    Some(Binding::new("environment", value))
}

fn variables(all: &BTreeMap<String, String>) -> Vec<Binding<'_>> {
    all.iter().map(|(name, value)| Binding::new(name, Expr::Text(escape::variable(value).into()))).collect()
}

fn path(programs: Programs) -> Option<Binding<'static>> {
    let packages: &[&'static str] = match programs {
        Programs::Few => return None,
        Programs::System => &[],
        Programs::Rebuild => &REBUILD,
    };
    let packages = packages.iter().map(|code| Expr::Code(code));
    let all = packages.chain(SYSTEM.iter().map(|folder| Expr::Text((*folder).into())));
    Some(Binding::new("path", Expr::List(all.collect())))
}
