//! Runs plans: the journal, the steps, the gate, the way back, and recovery.
//!
//! One app's converge is [`app::converge`]: lock → recover → observe → decide → act. A transaction's life is
//! [`transaction::Runner`]; each of its steps is a method in `steps`.

pub mod app;
pub mod by_hand;
pub mod decree;
pub mod events;
pub mod foresee;
mod gate;
mod hooks;
pub mod observe;
mod pool;
pub mod prove;
mod restore;
pub mod retire;
pub mod schedule;
mod steps;
mod tell;
pub mod transaction;

use crate::alert::redact::Redactor;
use crate::config::model::{App, Config};
use crate::driver::{self, Driver};
use crate::error::Result;
use crate::id::RunId;
use crate::record::layout::{AppLayout, Layout};
use crate::record::state::AppState;
use crate::snapshot::Store;

use events::Events;

/// What a whole run shares.
pub struct Context<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The folders.
    pub layout: Layout,
    /// The run.
    pub run: RunId,
    /// Who is told of steps as they happen.
    pub events: &'a dyn Events,
}

impl<'a> Context<'a> {
    /// A new run.
    pub fn new(config: &'a Config, events: &'a dyn Events) -> Result<Self> {
        Ok(Self { config, layout: Layout::new(&config.host), run: RunId::new()?, events })
    }
}

/// One app with all that its steps need.
pub struct Subject<'a> {
    ctx: &'a Context<'a>,
    app: &'a App,
    layout: &'a AppLayout,
    driver: Box<dyn Driver + 'a>,
    store: Store,
    redact: Redactor,
}

impl<'a> Subject<'a> {
    /// An app of the configuration.
    pub fn new(ctx: &'a Context<'a>, app: &'a App, layout: &'a AppLayout) -> Result<Self> {
        Ok(Self {
            ctx,
            app,
            layout,
            driver: driver::of(app, layout)?,
            store: Store::new(&app.name, layout.dir()),
            redact: Redactor::of(app),
        })
    }

    fn state(&self) -> Result<AppState> {
        let read = AppState::read(&self.layout.state_file())?;
        Ok(read.unwrap_or_else(|| AppState::new(&self.app.name, self.app.driver.name())))
    }
}
