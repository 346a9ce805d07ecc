//! `plan`: what would converge do?

use clap::Args;
use comfy_table::Cell;
use serde_json::json;

use super::session::unknown_app;
use super::{Session, output};
use crate::engine::foresee::{Foreseen, foresee};
use crate::error::Result;
use crate::plan::converge::{Decision, Intent};
use crate::plan::order::Selection;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Only these apps, and those they come after.
    #[arg(value_name = "APP")]
    apps: Vec<String>,
}

pub(super) fn run(session: &Session, options: &Options) -> Result<u8> {
    let config = session.config()?;
    let selection = Selection::of(&config.apps, &options.apps).map_err(|name| unknown_app(&config, &name))?;
    let ctx = session.context(&config)?;
    let intent = |name: &str| if selection.wanted.contains(name) { Intent::Latest } else { Intent::Up };
    let chosen = config.apps.values().filter(|app| selection.all().any(|name| *name == app.name));
    let plans: Vec<Foreseen> = chosen.map(|app| foresee(&ctx, app, intent(&app.name))).collect();
    if session.global.json {
        output::json(&json!({ "schema": 1, "apps": plans }))?;
    } else {
        show(&plans)?;
    }
    Ok(u8::from(plans.iter().any(|plan| plan.error.is_some())))
}

fn show(plans: &[Foreseen]) -> Result<()> {
    let mut table = output::table(&["app", "now", "would", "steps", "why"]);
    for plan in plans {
        let (would, steps, why) = words(plan);
        let now = plan.current.as_ref().map_or_else(|| "not deployed".to_owned(), ToString::to_string);
        table.add_row([&plan.app, &now, &would, &steps, &why].map(Cell::new));
    }
    output::line(&table.to_string())
}

fn words(plan: &Foreseen) -> (String, String, String) {
    let first = plan.unfinished.as_ref().map(|what| format!("first, {what}; ")).unwrap_or_default();
    let (would, steps, why) = match (&plan.decision, &plan.error) {
        (_, Some(error)) => ("cannot tell".to_owned(), String::new(), error.clone()),
        (Some(Decision::Act(transaction)), _) => (
            format!("{} to {}", transaction.kind.word(), transaction.to),
            transaction.steps.iter().map(|step| step.name()).collect::<Vec<_>>().join(" "),
            transaction.why.clone(),
        ),
        (Some(Decision::Held { version, why }), _) => (format!("hold {version}"), String::new(), why.clone()),
        (Some(Decision::Refused { why, .. }), _) => ("fail".to_owned(), String::new(), why.clone()),
        (Some(Decision::Noop { note }), _) => (
            "do nothing".to_owned(),
            String::new(),
            note.clone().unwrap_or_else(|| "healthy and current".into()),
        ),
        (None, None) => ("cannot tell".to_owned(), String::new(), String::new()),
    };
    (would, steps, format!("{first}{why}"))
}
