//! The order of apps by `after`.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::model::App;

/// The apps that a run is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    /// Asked for: brought to their latest safe version.
    pub wanted: BTreeSet<String>,
    /// Needed by those: only brought up.
    pub needed: BTreeSet<String>,
}

impl Selection {
    /// What is asked for by name, or everything; with all that it needs. The error is a name that is not declared.
    pub fn of(apps: &BTreeMap<String, App>, names: &[String]) -> Result<Self, String> {
        if let Some(unknown) = names.iter().find(|name| !apps.contains_key(*name)) {
            return Err(unknown.clone());
        }
        let wanted: BTreeSet<String> =
            if names.is_empty() { apps.keys().cloned().collect() } else { names.iter().cloned().collect() };
        let mut needed = BTreeSet::new();
        let mut open: Vec<&String> = wanted.iter().collect();
        while let Some(name) = open.pop() {
            for dependency in apps.get(name).map(|app| app.after.as_slice()).unwrap_or_default() {
                if !wanted.contains(dependency) && needed.insert(dependency.clone()) {
                    open.push(dependency);
                }
            }
        }
        Ok(Self { wanted, needed })
    }

    /// Exactly what is asked for by name, or everything, only to be brought up. The error is a name that is not declared.
    pub fn up(apps: &BTreeMap<String, App>, names: &[String]) -> Result<Self, String> {
        let all = Self::of(apps, names)?;
        Ok(Self { wanted: BTreeSet::new(), needed: all.wanted })
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &String> {
        self.wanted.iter().chain(&self.needed)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.wanted.len() + self.needed.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Hands out apps as soon as all that they come after is done.
#[derive(Debug)]
pub struct Ready {
    waiting: BTreeMap<String, BTreeSet<String>>,
    ready: BTreeSet<String>,
}

impl Ready {
    /// The apps of a selection, with their dependencies among it.
    pub fn new(apps: &BTreeMap<String, App>, selection: &Selection) -> Self {
        let chosen: BTreeSet<&String> = selection.all().collect();
        let mut all = Self { waiting: BTreeMap::new(), ready: BTreeSet::new() };
        for name in &chosen {
            let after: BTreeSet<String> = apps
                .get(*name)
                .map(|app| app.after.iter().filter(|other| chosen.contains(other)).cloned().collect())
                .unwrap_or_default();
            if after.is_empty() {
                all.ready.insert((*name).clone());
            } else {
                all.waiting.insert((*name).clone(), after);
            }
        }
        all
    }

    /// The next app that can begin.
    pub fn take(&mut self) -> Option<String> {
        self.ready.pop_first()
    }

    /// An app is done, well or not.
    pub fn done(&mut self, name: &str) {
        let mut freed = Vec::new();
        for (waiting, after) in &mut self.waiting {
            if after.remove(name) && after.is_empty() {
                freed.push(waiting.clone());
            }
        }
        for name in freed {
            self.waiting.remove(&name);
            self.ready.insert(name);
        }
    }

    /// Whether everything was handed out.
    pub fn is_finished(&self) -> bool {
        self.ready.is_empty() && self.waiting.is_empty()
    }
}
