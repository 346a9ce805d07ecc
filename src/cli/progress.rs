//! Progress on a terminal: a line for each app that is worked on. Without a terminal there is none.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::engine::events::{Event, Events};
use crate::plan::transaction::Leg;

/// What the system itself is called beside the apps.
const SYSTEM: &str = "the system";

/// Shows what happens.
#[derive(Debug)]
pub(super) struct Progress {
    shown: Option<MultiProgress>,
    bars: Mutex<BTreeMap<String, ProgressBar>>,
}

impl Progress {
    /// Progress that is shown, or not.
    pub(super) fn new(shown: bool) -> Self {
        Self { shown: shown.then(MultiProgress::new), bars: Mutex::default() }
    }

    fn say(&self, app: &str, text: String) {
        let Some(screen) = &self.shown else { return };
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = bars.entry(app.to_owned()).or_insert_with(|| {
            let bar = screen.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {msg} {elapsed:.dim}") {
                bar.set_style(style);
            }
            bar.set_prefix(app.to_owned());
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        bar.set_message(text);
    }

    /// A line above those that move.
    fn print(&self, line: &str) {
        let Some(screen) = &self.shown else { return };
        // A terminal that went away is no failure.
        let _ = screen.println(line);
    }

    fn finish(&self, app: &str) {
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bar) = bars.remove(app) {
            bar.finish_and_clear();
        }
    }
}

impl Events for Progress {
    fn happened(&self, event: &Event<'_>) {
        match event {
            Event::Planned { .. } => {}
            Event::Looking { app } => self.say(app, "is looked at".into()),
            Event::Step { app, leg, step } => {
                let way = if *leg == Leg::Back { "← " } else { "" };
                self.say(app, format!("{way}{}", step.name()));
            }
            Event::TurningBack { app, cause } => self.say(app, format!("← goes back: {cause}")),
            Event::Rebuilding { step } => self.say(SYSTEM, (*step).to_owned()),
            Event::Said { line } => self.print(line),
            Event::Rebuilt => self.finish(SYSTEM),
            Event::Done { report } => self.finish(&report.app),
        }
    }
}
