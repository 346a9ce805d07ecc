//! NixOS modules: the units in NixOS's own options.
//!
//! NixOS writes a directive's value into the unit file as it stands, so each value is the line that the plain unit file
//! has, as a Nix string.

mod writer;

use super::escape;
use super::model::{Directive, Group, Kind, Lines, OnSwitch, Programs, Unit, Value};
use writer::{Item, Writer};

/// Folders with a `bin` that holds what a user of the system finds.
const SYSTEM: [Item<'_>; 2] = [Item::Text("/run/wrappers"), Item::Text("/run/current-system/sw")];

/// What NixOS gives to its own upgrade of the system (`system.autoUpgrade`) to find, and that.
const REBUILD: [Item<'_>; 9] = [
    Item::Code("pkgs.coreutils"),
    Item::Code("pkgs.gnutar"),
    Item::Code("pkgs.xz.bin"),
    Item::Code("pkgs.gzip"),
    Item::Code("pkgs.gitMinimal"),
    Item::Code("config.nix.package.out"),
    Item::Code("config.programs.ssh.package"),
    SYSTEM[0],
    SYSTEM[1],
];

/// What most modules have room in, in bytes.
const USUAL: usize = 4096;

/// The module of one group.
pub fn module(group: &Group) -> String {
    let needs_arguments = group.units.iter().any(|unit| unit.programs == Programs::Rebuild);
    let mut out = String::with_capacity(USUAL);
    if needs_arguments {
        out += "{ config, pkgs, ... }:\n";
    }
    Writer::set(&mut out, |module| group.units.iter().for_each(|unit| option(module, unit)));
    out
}

/// The module that imports these files.
pub fn imports(files: &[String]) -> String {
    let mut out = String::new();
    Writer::set(&mut out, |module| module.list("imports", files.iter().map(|file| Item::Code(file))));
    out
}

fn option(module: &mut Writer<'_>, unit: &Unit) {
    let kind = match unit.kind {
        Kind::Service => "services",
        Kind::Timer => "timers",
        Kind::Path => "paths",
    };
    module.attributes(&["systemd", kind, &unit.name], |option| fill(option, unit));
}

fn fill(option: &mut Writer<'_>, unit: &Unit) {
    option.text("description", &escape::text(&unit.description));
    for (name, units) in [
        ("wants", &unit.wants),
        ("after", &unit.after),
        ("before", &unit.before),
        ("wantedBy", &unit.wanted_by),
    ] {
        if !units.is_empty() {
            option.list(name, units.iter().map(|unit| Item::Text(unit)));
        }
    }
    let leave_alone = unit.on_switch == OnSwitch::LeaveAlone;
    if leave_alone {
        option.code("restartIfChanged", "false");
    }
    environment(option, unit);
    match unit.programs {
        Programs::Few => {}
        Programs::System => option.list("path", SYSTEM.into_iter()),
        Programs::Rebuild => option.list("path", REBUILD.into_iter()),
    }
    if leave_alone || !unit.unit.is_empty() {
        option.attributes(&["unitConfig"], |section| {
            unit.unit.iter().for_each(|setting| directive(section, setting));
            if leave_alone {
                section.code("X-StopOnRemoval", "false");
            }
        });
    }
    let own = match unit.kind {
        Kind::Service => "serviceConfig",
        Kind::Timer => "timerConfig",
        Kind::Path => "pathConfig",
    };
    if !unit.own.is_empty() {
        option.attributes(&[own], |section| unit.own.iter().for_each(|setting| directive(section, setting)));
    }
}

/// Flags and numbers as such, all else as systemd reads it.
fn directive(section: &mut Writer<'_>, directive: &Directive) {
    match (&directive.value, directive.value.lines()) {
        (Value::Flag(_) | Value::Number(_), Lines::One(line)) => section.code(directive.key, &line),
        (_, Lines::One(line)) => section.text(directive.key, &line),
        (_, Lines::Many(lines)) => section.list(directive.key, lines.iter().map(|line| Item::Text(line))),
    }
}

/// NixOS puts quotes around each variable itself, but leaves specifiers in.
fn environment(option: &mut Writer<'_>, unit: &Unit) {
    let variables = |set: &mut Writer<'_>| {
        for (name, value) in &unit.environment {
            set.text(name, &escape::variable(value));
        }
    };
    if unit.programs == Programs::Rebuild {
        option.joined("environment", "config.nix.envVars", "config.networking.proxy.envVars", |set| {
            set.inherit("(config.environment.sessionVariables) NIX_PATH");
            variables(set);
        });
    } else if !unit.environment.is_empty() {
        option.attributes(&["environment"], variables);
    }
}
