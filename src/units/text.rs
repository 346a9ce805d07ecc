//! Plain unit files.

use super::escape;
use super::model::{Directive, Lines, Name, OnSwitch, Unit};

/// What most unit files have room in, in bytes.
const USUAL: usize = 2048;

/// The text of a unit file.
pub fn render(unit: &Unit) -> String {
    let mut out = Text(String::with_capacity(USUAL));
    out.section("Unit");
    out.line("Description", &escape::text(&unit.description));
    out.names("Wants", &unit.wants);
    out.names("After", &unit.after);
    out.names("Before", &unit.before);
    out.directives(&unit.unit);
    if unit.on_switch == OnSwitch::LeaveAlone {
        out.line("X-StopOnRemoval", "false");
    }
    out.section(unit.kind.section());
    if unit.on_switch == OnSwitch::LeaveAlone {
        out.line("X-RestartIfChanged", "false");
    }
    for (name, value) in &unit.environment {
        out.line("Environment", &escape::assignment(name, value));
    }
    out.directives(&unit.own);
    if !unit.wanted_by.is_empty() {
        out.section("Install");
        out.names("WantedBy", &unit.wanted_by);
    }
    out.0
}

struct Text(String);

impl Text {
    fn section(&mut self, name: &str) {
        let apart = if self.0.is_empty() { "" } else { "\n" };
        self.0 += &format!("{apart}[{name}]\n");
    }

    fn line(&mut self, key: &str, value: &str) {
        self.0 += key;
        self.0 += "=";
        self.0 += value;
        self.0 += "\n";
    }

    fn names(&mut self, key: &str, names: &[Name]) {
        for (at, name) in names.iter().enumerate() {
            self.0 += if at == 0 { key } else { " " };
            self.0 += if at == 0 { "=" } else { "" };
            self.0 += name;
        }
        if !names.is_empty() {
            self.0 += "\n";
        }
    }

    fn directives(&mut self, all: &[Directive]) {
        for directive in all {
            match directive.value.lines() {
                Lines::One(line) => self.line(directive.key, &line),
                Lines::Many(lines) => lines.iter().for_each(|line| self.line(directive.key, line)),
            }
        }
    }
}
