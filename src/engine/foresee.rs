//! What converge would do, and why; nothing is done.

use serde::Serialize;

use super::{Context, Subject};
use crate::config::model::App;
use crate::error::Result;
use crate::plan::converge::{Decision, Intent};
use crate::plan::progress::Progress;
use crate::plan::recovery::{Recovery, recover};
use crate::record::journal::Journal;
use crate::version::Version;

/// What would be done with one app.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Foreseen {
    /// The app.
    pub app: String,
    /// The version that it is on.
    pub current: Option<Version>,
    /// Whether it is up and healthy.
    pub healthy: bool,
    /// The unfinished transaction that would be finished first.
    pub unfinished: Option<String>,
    /// What would be done then; null where that cannot be told.
    #[serde(flatten)]
    pub decision: Option<Decision>,
    /// Why it cannot be told.
    pub error: Option<String>,
    /// What helps.
    pub remedy: Option<String>,
}

/// Looks ahead for one app.
pub fn foresee(ctx: &Context<'_>, app: &App, intent: Intent) -> Foreseen {
    let mut foreseen = Foreseen {
        app: app.name.clone(),
        current: None,
        healthy: false,
        unfinished: None,
        decision: None,
        error: None,
        remedy: None,
    };
    if let Err(e) = fill(ctx, app, intent, &mut foreseen) {
        foreseen.error = Some(crate::alert::redact::Redactor::of(app).clean(&e.chain()));
        foreseen.remedy = e.hint().map(str::to_owned);
    }
    foreseen
}

fn fill(ctx: &Context<'_>, app: &App, intent: Intent, foreseen: &mut Foreseen) -> Result<()> {
    let layout = ctx.layout.app(&app.name);
    foreseen.unfinished = Journal::peek(&layout.journal())?.map(|progress| tell(&progress));
    let subject = Subject::new(ctx, app, &layout)?;
    let (observed, decision) = subject.foresee(intent)?;
    foreseen.healthy = observed.current.is_some() && observed.trouble.is_none();
    foreseen.current = observed.current;
    foreseen.decision = Some(decision);
    Ok(())
}

fn tell(progress: &Progress) -> String {
    let transaction = &progress.transaction;
    let how = match recover(progress) {
        Recovery::Resume(Some(step)) => format!("goes on with {}", step.name()),
        Recovery::Resume(None) => "only has to be closed".to_owned(),
        Recovery::TurnBack => "is undone".to_owned(),
    };
    format!("an interrupted {} to {} {how}", transaction.kind.word(), transaction.to)
}
