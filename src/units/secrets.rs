//! Which secret files the work of a unit reads.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::config::model::{Alerts, App, Isolation, Probe, Sink};

/// Secret files, each once, in order.
pub(super) type Files<'a> = Vec<&'a Path>;

/// Sorted by their bytes, which is quicker than by their parts.
fn each_once<'a>(files: impl Iterator<Item = &'a Path>) -> Files<'a> {
    let mut files: Files<'a> = files.collect();
    files.sort_unstable_by_key(|path| path.as_os_str());
    files.dedup();
    files
}

/// For each app that has any: its own secret files, and those of all that it comes after, because these are looked at
/// as well.
pub(super) fn of_apps(apps: &BTreeMap<String, App>) -> BTreeMap<&str, Files<'_>> {
    let mut all: BTreeMap<&str, Files<'_>> = BTreeMap::new();
    if apps.values().all(|app| of_probes(app).next().is_none()) {
        return all;
    }
    for app in in_order(apps) {
        let before = app.after.iter().filter_map(|name| all.get(name.as_str())).flatten().copied();
        let files = each_once(of_probes(app).chain(before));
        if !files.is_empty() {
            all.insert(&app.name, files);
        }
    }
    all
}

/// All apps, each behind those that it comes after. A chain of apps may be long, so the walk keeps its own stack.
fn in_order(apps: &BTreeMap<String, App>) -> Vec<&App> {
    let mut order = Vec::with_capacity(apps.len());
    let mut seen = BTreeSet::new();
    for first in apps.values() {
        let mut open = vec![(first, false)];
        while let Some((app, behind)) = open.pop() {
            if behind {
                order.push(app);
            } else if seen.insert(app.name.as_str()) {
                open.push((app, true));
                open.extend(app.after.iter().filter_map(|name| Some((apps.get(name)?, false))));
            }
        }
    }
    order
}

/// The files of everything that a night does.
pub(super) fn of_night<'a>(apps: &'a BTreeMap<String, App>, alerts: &'a Alerts) -> Files<'a> {
    let apps = apps.values().flat_map(|app| of_probes(app).chain(of_isolation(app)));
    each_once(apps.chain(of_sinks(alerts)))
}

/// The files of the sinks.
pub(super) fn of_sinks(alerts: &Alerts) -> Files<'_> {
    let webhooks = alerts.sinks.values().filter_map(|sink| match sink {
        Sink::Webhook(webhook) => Some(webhook),
        Sink::Command { .. } => None,
    });
    let files = webhooks.flat_map(|webhook| {
        let password = webhook.basic_auth.as_ref().map(|auth| auth.password_file.as_path());
        webhook.bearer_file.as_deref().into_iter().chain(password)
    });
    each_once(files)
}

fn of_probes(app: &App) -> impl Iterator<Item = &Path> {
    app.health.checks.values().filter_map(|check| match &check.probe {
        Probe::Http(http) => Some(http.basic_auth.as_ref()?.password_file.as_path()),
        _ => None,
    })
}

fn of_isolation(app: &App) -> Option<&Path> {
    match app.isolation.as_ref()? {
        Isolation::Keycloak { admin_password_file, .. } => Some(admin_password_file),
        Isolation::Command { .. } => None,
    }
}
