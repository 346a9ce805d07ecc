//! From a path to a configuration.

use std::path::{Path, PathBuf};

use super::at::{At, Step, written};
use super::diagnostic::{Diagnostic, Invalid, Problem};
use super::merge::merge;
use super::model::Config;
use super::printable::{cut, visible};
use super::report::Report;
use super::source::Source;
use super::spanned::{Kind, Node};
use super::{check, resolve, shape, spanned, syntax, wire};
use crate::sys::files;

/// The largest file that is read, in bytes.
const LARGEST: u64 = 64 << 20;

/// Loads the configuration from a file, or from all `*.json` files of a folder. Reports everything that is wrong with
/// it, not the first thing only.
pub fn load(path: &Path) -> Result<Config, Invalid> {
    let mut broken = Vec::new();
    let mut sources = Vec::new();
    let mut trees = Vec::new();
    let listed = listed(path).unwrap_or_else(|diagnostic| {
        broken.push(*diagnostic);
        Vec::new()
    });
    let read: Vec<_> = listed.iter().filter_map(|file| bytes(file, &mut broken)).collect();
    for (file, (name, bytes)) in read.into_iter().enumerate() {
        let (source, problem) = syntax::decode(file, name, bytes);
        trees.push(problem.or_else(|| syntax::check(file, &source)));
        sources.push(source);
    }
    match judge(&sources, trees, broken) {
        Ok(config) => Ok(config),
        Err(diagnostics) => Err(Invalid::new(diagnostics, sources)),
    }
}

/// The files that a path stands for.
fn listed(path: &Path) -> Result<Vec<PathBuf>, Box<Diagnostic>> {
    let failed = |problem| Box::new(Diagnostic::of_file(name(path), problem));
    let unreadable = |error: crate::error::Error| {
        failed(Problem::new(error.chain()).remedy("Make it readable for the user that runs warmkeep."))
    };
    let Some(facts) = files::facts_followed(path).map_err(unreadable)? else {
        let remedy = "Write a configuration there, or name another with --config or WARMKEEP_CONFIG.";
        return Err(failed(Problem::new("there is no such file or folder").remedy(remedy)));
    };
    if !facts.is_dir {
        return Ok(vec![path.to_owned()]);
    }
    let mut all = files::list(path).map_err(unreadable)?;
    all.retain(|file| is_json(file) && !files::is_dir(file));
    if all.is_empty() {
        let remedy =
            "Add one, such as warmkeep.json with {\"schema\": 1}, or name another folder with --config.";
        return Err(failed(Problem::new("there is no *.json file in this folder").remedy(remedy)));
    }
    Ok(all)
}

fn is_json(file: &Path) -> bool {
    let hidden = file.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && file.extension().is_some_and(|extension| extension == "json")
}

fn name(path: &Path) -> String {
    path.display().to_string().chars().map(visible).collect()
}

fn bytes(file: &Path, broken: &mut Vec<Diagnostic>) -> Option<(String, Vec<u8>)> {
    match files::read(file, LARGEST) {
        Ok(bytes) => Some((name(file), bytes)),
        Err(error) => {
            let problem = Problem::new(error.chain().chars().map(visible).collect::<String>())
                .remedy("Make it a readable file of at most 64 MiB; a folder of several files is merged.");
            broken.push(Diagnostic::of_file(name(file), problem));
            None
        }
    }
}

/// Judges what the files hold; `known` has what is already known to be wrong with each.
fn judge(
    sources: &[Source],
    known: Vec<Option<syntax::Broken>>,
    mut broken: Vec<Diagnostic>,
) -> Result<Config, Vec<Diagnostic>> {
    let mut roots = Vec::new();
    for ((file, source), known) in sources.iter().enumerate().zip(known) {
        match known.map_or_else(|| root(file, source), Err) {
            Ok(root) => roots.push(root),
            Err((span, problem)) => broken.push(Diagnostic::at(sources, span, String::new(), problem)),
        }
    }
    let newer: Vec<_> = roots.iter().filter_map(|root| newer_schema(root, sources)).collect();
    if !newer.is_empty() {
        broken.extend(newer);
        return Err(broken);
    }
    match merge(roots) {
        Some(tree) => judge_tree(sources, &tree, broken),
        None => Err(broken),
    }
}

fn root(file: usize, source: &Source) -> Result<Node<'_>, syntax::Broken> {
    let whole = super::source::Span { file, start: 0, end: 0 };
    let root = spanned::read(file, source).map_err(|error| (whole, Problem::new(error.to_string())))?;
    if matches!(root.kind, Kind::Object(_)) {
        return Ok(root);
    }
    let problem = Problem::new(format!("expected an object, found {}", root.noun())).expected("an object");
    Err((root.mark(), problem.remedy("Begin with {\"schema\": 1}.")))
}

/// A file for a newer warmkeep; what else it holds cannot be judged.
fn newer_schema(root: &Node<'_>, sources: &[Source]) -> Option<Diagnostic> {
    let member = root.member("schema")?;
    let Kind::Number(spelled) = member.value.kind else { return None };
    let number = spelled.parse::<u64>().ok().filter(|number| *number > wire::SCHEMA)?;
    let problem = Problem::new(format!("this warmkeep knows schema 1, the file is schema {number}"));
    let problem = problem.expected("1").remedy("Upgrade warmkeep, or write the file for schema 1.");
    Some(Diagnostic::at(sources, member.value.span, "schema".into(), problem))
}

/// Judges the merged tree. Files that could not be read may hold what is missing here, so what concerns the whole is
/// left open then.
fn judge_tree(
    sources: &[Source],
    tree: &Node<'_>,
    broken: Vec<Diagnostic>,
) -> Result<Config, Vec<Diagnostic>> {
    let mut report = Report::new(sources, tree);
    if !broken.is_empty() {
        report.mark_unsound(&At::ROOT.key("schema"));
    }
    let value = check::check(&mut report, shape::config());
    let mut found = broken;
    if !found.is_empty() {
        found.extend(report.into_found());
        return Err(found);
    }
    if let Ok(config) = serde_json::from_value::<wire::Config>(value) {
        return resolve::resolve(config, report);
    }
    found.extend(report.into_found());
    found.push(misfit(sources, tree));
    Err(found)
}

/// Where the wire types refuse what the shape let through.
fn misfit(sources: &[Source], tree: &Node<'_>) -> Diagnostic {
    let value = check::check(&mut Report::new(sources, tree), shape::config());
    let outcome: Result<wire::Config, _> = serde_path_to_error::deserialize(value);
    let error = outcome.err();
    let keys: Vec<Step<'_>> = error.iter().flat_map(|error| error.path().iter()).filter_map(step).collect();
    let message = error.as_ref().map_or_else(String::new, |error| cut(&error.inner().to_string()));
    Diagnostic::at(sources, tree.locate(&keys), written(&keys), Problem::new(message))
}

fn step(segment: &serde_path_to_error::Segment) -> Option<Step<'_>> {
    match segment {
        serde_path_to_error::Segment::Seq { index } => Some(Step::Item(*index)),
        serde_path_to_error::Segment::Map { key } => Some(Step::Key(key)),
        serde_path_to_error::Segment::Enum { variant } => Some(Step::Key(variant)),
        serde_path_to_error::Segment::Unknown => None,
    }
}
