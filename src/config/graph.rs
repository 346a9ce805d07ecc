//! Rules about names that name each other: `after`, `needs`.

use std::collections::{BTreeMap, BTreeSet};

use super::at::At;
use super::diagnostic::Problem;
use super::model::{App, Config};
use super::printable::{cut, quoted};
use super::report::Report;
use super::suggest::closest;

/// How many unknown names are compared with all that are known: each comparison goes through all of them.
const COMPARED: usize = 50;

/// The most names of one cycle that are shown.
const SHOWN: usize = 10;

/// Holds `after` and `needs` to the apps that there are, and `after` to an order that exists.
pub(super) fn check(config: &Config, report: &mut Report<'_>) {
    let mut names = Names { apps: &config.apps, compared: 0 };
    let apps = At::ROOT;
    let apps = apps.key("apps");
    for (name, app) in &config.apps {
        let at = apps.key(name);
        names.check(&app.after, &at.key("after"), report);
    }
    let sweep = At::ROOT;
    let sweep = sweep.key("sweep");
    let recipes = sweep.key("recipes");
    for (name, recipe) in &config.sweep.recipes {
        let at = recipes.key(name);
        names.check(&recipe.needs, &at.key("needs"), report);
    }
    cycles(&config.apps, report);
}

struct Names<'a> {
    apps: &'a BTreeMap<String, App>,
    compared: usize,
}

impl Names<'_> {
    fn check(&mut self, listed: &[String], at: &At<'_>, report: &mut Report<'_>) {
        let mut seen = BTreeSet::new();
        for (index, name) in listed.iter().enumerate() {
            if !seen.insert(name) {
                let problem = Problem::new(format!("the app {} is named twice", quoted(name)));
                report.value(&at.item(index), problem.remedy("Remove one of the two."));
            } else if !self.apps.contains_key(name) {
                let problem = Problem::new(format!("there is no app {}", quoted(name)));
                let problem = problem.expected("the name of an app").meant(self.meant(name));
                report
                    .value(&at.item(index), problem.remedy("Declare it under `apps`, or take it out here."));
            }
        }
    }

    fn meant(&mut self, name: &str) -> Option<String> {
        self.compared += 1;
        let known = self.apps.keys().map(String::as_str);
        if self.compared > COMPARED { None } else { closest(name, known).map(cut) }
    }
}

/// Reports each cycle at the name that closes it.
fn cycles(apps: &BTreeMap<String, App>, report: &mut Report<'_>) {
    let names: Vec<&str> = apps.keys().map(String::as_str).collect();
    let numbers: BTreeMap<&str, usize> =
        names.iter().enumerate().map(|(number, name)| (*name, number)).collect();
    let edges = |app: &App| {
        let targets = app.after.iter().enumerate();
        targets.filter_map(|(item, name)| Some((item, *numbers.get(name.as_str())?))).collect()
    };
    let at = At::ROOT;
    let at = at.key("apps");
    for cycle in found(&apps.values().map(edges).collect::<Vec<_>>()) {
        let Some(last) = names.get(cycle.closing.0) else { continue };
        let here = at.key(last);
        report.value(&here.key("after").item(cycle.closing.1), told(&cycle, &names));
    }
}

fn told(cycle: &Cycle, names: &[&str]) -> Problem {
    let mut way: Vec<String> =
        cycle.nodes.iter().filter_map(|node| names.get(*node)).map(|name| quoted(name)).collect();
    if cycle.length == 1 {
        let problem = Problem::new(format!("{} cannot come after itself", way.join("")));
        return problem.remedy("Take it out.");
    }
    if cycle.length > way.len() {
        way.push(format!("… {} more …", cycle.length - way.len()));
    }
    way.extend(way.first().cloned());
    let problem = Problem::new(format!("these apps wait for each other: {}", way.join(" → ")));
    problem.remedy("Take out one of these `after`: one app must be able to start first.")
}

/// Apps that wait for each other.
#[derive(Debug, PartialEq, Eq)]
struct Cycle {
    /// The first few, each waiting for the next.
    nodes: Vec<usize>,
    /// How many there are.
    length: usize,
    /// The last app, and which of its names leads back to the first.
    closing: (usize, usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Never,
    OnTheWay,
    Done,
}

/// Finds at least one cycle in each knot. Edges are pairs of an index in the list they come from and a target. A chain of
/// apps may be long, so the walk keeps its own stack.
fn found(edges: &[Vec<(usize, usize)>]) -> Vec<Cycle> {
    let mut seen = vec![Seen::Never; edges.len()];
    let mut cycles = Vec::new();
    for start in 0..edges.len() {
        let mut way = Vec::new();
        enter(start, edges, &mut seen, &mut way);
        while let Some((node, rest)) = way.last_mut() {
            let node = *node;
            match rest.next() {
                None => {
                    seen[node] = Seen::Done;
                    way.pop();
                }
                Some((item, target)) if seen[*target] == Seen::OnTheWay => {
                    cycles.push(closed(&way, *target, (node, *item)));
                }
                Some((_, target)) => enter(*target, edges, &mut seen, &mut way),
            }
        }
    }
    cycles
}

/// The way to an app, each step with the edges that were not walked yet.
type Way<'a> = Vec<(usize, std::slice::Iter<'a, (usize, usize)>)>;

fn enter<'a>(node: usize, edges: &'a [Vec<(usize, usize)>], seen: &mut [Seen], way: &mut Way<'a>) {
    if seen[node] == Seen::Never {
        seen[node] = Seen::OnTheWay;
        way.push((node, edges[node].iter()));
    }
}

fn closed(way: &Way<'_>, target: usize, closing: (usize, usize)) -> Cycle {
    let first = way.iter().rposition(|(node, _)| *node == target).unwrap_or(0);
    let nodes = way.iter().skip(first).take(SHOWN).map(|(node, _)| *node);
    Cycle { nodes: nodes.collect(), length: way.len() - first, closing }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lists(edges: &[&[usize]]) -> Vec<Vec<(usize, usize)>> {
        edges.iter().map(|targets| targets.iter().copied().enumerate().collect()).collect()
    }

    #[test]
    fn a_diamond_is_no_cycle() {
        assert_eq!(found(&lists(&[&[1, 2], &[3], &[3], &[]])), []);
    }

    #[test]
    fn separate_cycles_are_all_found() {
        let cycles = found(&lists(&[&[1], &[0, 3], &[2], &[4], &[3]]));
        let nodes: Vec<_> = cycles.iter().map(|cycle| cycle.nodes.clone()).collect();
        assert_eq!(nodes, [vec![0, 1], vec![3, 4], vec![2]]);
        assert_eq!(cycles[0].closing, (1, 0));
    }

    #[test]
    fn a_cycle_of_very_many_is_found_and_told_short() {
        let edges: Vec<Vec<(usize, usize)>> = (0..100_000).map(|n| vec![(0, (n + 1) % 100_000)]).collect();
        let cycles = found(&edges);
        assert_eq!((cycles.len(), cycles[0].length, cycles[0].nodes.len()), (1, 100_000, SHOWN));
    }

    proptest! {
        #[test]
        fn a_cycle_is_found_exactly_where_there_is_no_order(
            edges in proptest::collection::vec(proptest::collection::vec(0..8_usize, 0..3), 8)
        ) {
            let lists = lists(&edges.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let mut left: BTreeSet<usize> = (0..8).collect();
            while let Some(free) = left.iter().copied().find(|node| !edges[*node].iter().any(|to| left.contains(to))) {
                left.remove(&free);
            }
            prop_assert_eq!(found(&lists).is_empty(), left.is_empty());
        }
    }
}
