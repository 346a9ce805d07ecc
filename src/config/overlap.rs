//! Rules about what no two may share: data folders, stacks, projects, domains.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::at::At;
use super::diagnostic::Problem;
use super::model::{Config, Driver};
use super::printable::{cut, quoted};
use super::report::Report;

/// Holds all apps to what they must not share.
pub(super) fn check(config: &Config, report: &mut Report<'_>) {
    paths(config, report);
    stacks(config, report);
}

/// Who claims a folder.
#[derive(Debug, Clone, Copy)]
enum Owner<'a> {
    Host,
    App(&'a str, usize),
}

struct Claim<'a> {
    path: PathBuf,
    owner: Owner<'a>,
}

/// Sorted by their parts, a folder stands right before everything inside it: one pass finds all overlaps.
fn paths(config: &Config, report: &mut Report<'_>) {
    let mut claims = vec![Claim { path: plain(&config.host.state_dir), owner: Owner::Host }];
    for (name, app) in &config.apps {
        let paths = app.data.iter().flat_map(|data| &data.paths).enumerate();
        claims.extend(paths.map(|(index, path)| Claim { path: plain(path), owner: Owner::App(name, index) }));
    }
    claims.retain(|claim| claim.path.is_absolute());
    for claim in &claims {
        if let Owner::App(name, index) = claim.owner
            && claim.path.parent().is_none()
        {
            let problem = Problem::new("an app cannot have the whole system for its data");
            tell(name, index, problem.remedy("Name the folders that the app itself writes."), report);
        }
    }
    claims.retain(|claim| claim.path.parent().is_some());
    claims.sort_by(|a, b| a.path.cmp(&b.path));
    let mut outer: Option<&Claim<'_>> = None;
    for claim in &claims {
        match outer.filter(|outer| claim.path.starts_with(&outer.path)) {
            Some(outer) => overlap(outer, claim, report),
            None => outer = Some(claim),
        }
    }
}

/// A path without `.` and doubled slashes.
fn plain(path: &Path) -> PathBuf {
    path.components().collect()
}

fn overlap(outer: &Claim<'_>, inner: &Claim<'_>, report: &mut Report<'_>) {
    let shown = |path: &Path| quoted(&path.display().to_string());
    let how = if outer.path == inner.path { "is also" } else { "lies in" };
    match (outer.owner, inner.owner) {
        (Owner::App(name, index), Owner::Host) => {
            let problem = Problem::new(format!("{} has `host.stateDir` in it", shown(&outer.path)));
            let remedy =
                "Keep warmkeep's state and the app's data apart: a rollback exchanges the whole folder.";
            tell(name, index, problem.remedy(remedy), report);
        }
        (Owner::Host, Owner::App(name, index)) => {
            let problem = Problem::new(format!("{} {how} `host.stateDir`", shown(&inner.path)));
            tell(name, index, problem.remedy("Keep the app's data apart from warmkeep's state."), report);
        }
        (Owner::App(other, _), Owner::App(name, index)) => {
            let whose =
                if other == name { "this app".to_owned() } else { format!("the app {}", quoted(other)) };
            let problem = Problem::new(match how {
                "is also" => format!("{} is also data of {whose}", shown(&inner.path)),
                _ => format!("{} lies in {}, data of {whose}", shown(&inner.path), shown(&outer.path)),
            });
            tell(name, index, problem.remedy("Give each folder to one app, once."), report);
        }
        (Owner::Host, Owner::Host) => {}
    }
}

fn tell(app: &str, index: usize, problem: Problem, report: &mut Report<'_>) {
    let at = At::ROOT;
    let at = at.key("apps");
    let at = at.key(app);
    let at = at.key("data");
    let at = at.key("paths");
    report.value(&at.item(index), problem);
}

/// Two apps on one stack would undo each other's every step.
fn stacks(config: &Config, report: &mut Report<'_>) {
    let mut taken: BTreeMap<(&str, String), &str> = BTreeMap::new();
    let at = At::ROOT;
    let at = at.key("apps");
    for (name, app) in &config.apps {
        let (what, key, text) = match &app.driver {
            Driver::Compose(compose) => ("compose project", "project", compose.project.clone()),
            Driver::Swarm(swarm) => ("stack", "stack", swarm.stack.clone()),
            Driver::Abra(abra) => ("stack", "domain", abra.domain.replace('.', "_")),
            Driver::Process(_) | Driver::Command(_) => continue,
        };
        let Some(other) = taken.insert((what, text.clone()), name) else { continue };
        let here = at.key(name);
        let here = here.key("driver");
        let here = here.key(app.driver.name());
        let there = at.key(other);
        if !report.is_sound(&there.key("driver").key(app.driver.name()).key(key)) {
            continue;
        }
        let problem =
            Problem::new(format!("the {what} {} is the app {}'s", quoted(&text), quoted(&cut(other))));
        report.value(&here.key(key), problem.remedy("Give each app its own."));
    }
}
