//! `versions`, of apps and of recipes.

use super::Resolver;
use crate::config::at::At;
use crate::config::diagnostic::Problem;
use crate::config::model::{Order, Policy, Source, Versions};
use crate::config::printable::quoted;
use crate::config::wire;
use crate::version::Version;

/// Who asks for versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    /// An app that abra runs, or a recipe of the sweep.
    Recipe,
    /// Any other app.
    Other,
}

impl Resolver<'_> {
    /// Reads the versions, and holds policy, order, pin and deny to each other.
    pub(super) fn versions(&mut self, versions: wire::Versions, asker: Asker, at: &At<'_>) -> Versions {
        let order = match versions.order {
            wire::Order::Semver => Order::Semver,
            wire::Order::Listed => Order::Listed,
        };
        let policy = self.policy(versions.policy, order, at);
        self.pin_and_deny(&versions, at);
        let notes = at.key("holdNotes");
        let hold_notes = versions.hold_notes.iter().enumerate();
        Versions {
            hold_notes: hold_notes.filter_map(|(i, text)| self.pattern(text, &notes.item(i))).collect(),
            source: self.source(versions.source, asker, &at.key("source")),
            policy,
            order,
            min_age: versions.min_age.0,
            deny: versions.deny,
            pin: versions.pin,
        }
    }

    fn policy(&mut self, written: Option<wire::Policy>, order: Order, at: &At<'_>) -> Policy {
        let policy = match (written, order) {
            (Some(wire::Policy::Patch), _) => Policy::Patch,
            (Some(wire::Policy::Minor), _) | (None, Order::Semver) => Policy::Minor,
            (Some(wire::Policy::Major), _) => Policy::Major,
            (Some(wire::Policy::Any), _) | (None, Order::Listed) => Policy::Any,
            (Some(wire::Policy::None), _) => Policy::None,
        };
        let problem = match (order, policy) {
            (Order::Semver, Policy::Any) => {
                Problem::new("the policy \"any\" goes with the order \"listed\" only")
                    .expected("\"patch\", \"minor\", \"major\" or \"none\"")
                    .remedy("Say \"major\" to take everything newer, or set `order` to \"listed\".")
            }
            (Order::Listed, Policy::Patch | Policy::Minor | Policy::Major) => {
                Problem::new("a listed order knows no larger and smaller steps")
                    .expected("\"any\" or \"none\"")
                    .remedy("Say \"any\" to take whatever is listed last, or leave `order` out.")
            }
            _ => return policy,
        };
        if self.report.is_sound(&at.key("order")) {
            self.report.value(&at.key("policy"), problem);
        }
        policy
    }

    fn pin_and_deny(&mut self, versions: &wire::Versions, at: &At<'_>) {
        let deny = at.key("deny");
        for (index, denied) in versions.deny.iter().enumerate() {
            self.version(denied, &deny.item(index));
        }
        let Some(pin) = &versions.pin else { return };
        self.version(pin, &at.key("pin"));
        if versions.deny.contains(pin) {
            let problem = Problem::new(format!("{} is pinned and denied", quoted(pin)));
            self.report.value(&at.key("pin"), problem.remedy("Take it out of `deny`, or pin another."));
        }
    }

    fn version(&mut self, text: &str, at: &At<'_>) {
        if let Err(invalid) = Version::new(text) {
            let problem = Problem::new(format!("{} is no version: {invalid}", quoted(text)));
            self.report.value(at, problem.remedy("Write it as the source lists it."));
        }
    }

    fn source(&mut self, source: wire::Source, asker: Asker, at: &At<'_>) -> Source {
        match source {
            wire::Source::Directory(directory) => {
                let at = at.key("directory");
                Source::Directory { path: self.path(directory.path, &at.key("path")) }
            }
            wire::Source::Git(git) => {
                let at = at.key("git");
                let url = self.remote(git.url, &at.key("url"));
                Source::Git { url, tag_prefix: git.tag_prefix }
            }
            wire::Source::Recipe(_) => self.recipe_source(asker, &at.key("recipe")),
            wire::Source::Command(command) => {
                let at = at.key("command");
                Source::Command { run: self.program(command.run, &at.key("run")) }
            }
            wire::Source::List(list) => {
                let at = at.key("list");
                self.listed(&list.versions, &at.key("versions"));
                Source::List { versions: list.versions }
            }
        }
    }

    fn recipe_source(&mut self, asker: Asker, at: &At<'_>) -> Source {
        if asker == Asker::Other {
            let problem = Problem::new("only an app of the abra driver has a recipe");
            let remedy = "Use the driver `abra`, or another source: `directory`, `git`, `command` or `list`.";
            self.report.key(at, problem.remedy(remedy));
        }
        Source::Recipe
    }

    /// git takes what begins with a dash as an option.
    fn remote(&mut self, url: String, at: &At<'_>) -> String {
        if url.starts_with('-') {
            let problem = Problem::new("a remote cannot begin with `-`");
            self.report.value(at, problem.expected("an address or path that git takes as a remote"));
        }
        self.line(url, at)
    }

    fn listed(&mut self, versions: &[String], at: &At<'_>) {
        let mut seen = std::collections::BTreeSet::new();
        for (index, text) in versions.iter().enumerate() {
            let here = at.item(index);
            self.version(text, &here);
            if !seen.insert(text) {
                let problem = Problem::new(format!("{} is listed twice", quoted(text)));
                self.report.value(
                    &here,
                    problem.remedy("Remove one of the two: the order decides which is newest."),
                );
            }
        }
    }
}
