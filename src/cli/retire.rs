//! `retire`: an app that is no longer wanted.

use clap::Args;

use super::session::unknown_app;
use super::{Session, converge};
use crate::engine::{retire, schedule};
use crate::error::Result;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The app. It need not be in the configuration any more; if it still is, the next converge installs it anew.
    #[arg(value_name = "APP")]
    app: String,
}

pub(super) fn run(session: &Session, options: &Options) -> Result<u8> {
    let config = session.config()?;
    let ctx = session.context(&config)?;
    let declared = config.apps.get(&options.app);
    if declared.is_some() {
        tracing::warn!(name: "retire.stillDeclared", app = options.app, "still declared: converge would install it anew");
    }
    let remembered = match declared {
        Some(app) => Some(app.clone()),
        None => retire::remembered(&ctx, &options.app)?,
    };
    let app = remembered.ok_or_else(|| unknown_app(&config, &options.app))?;
    let report = schedule::single(&ctx, &app, || retire::retire(&ctx, &app))?;
    converge::show(session, &report)
}
