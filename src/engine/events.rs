//! What happens while a run works, apart from how it is shown.

use crate::plan::transaction::{Leg, Step};
use crate::record::report::AppReport;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'a> {
    /// A run over so many apps begins.
    Planned {
        /// How many apps.
        apps: usize,
    },
    /// An app is looked at.
    Looking {
        /// The app.
        app: &'a str,
    },
    /// A step begins.
    Step {
        /// The app.
        app: &'a str,
        /// Which way.
        leg: Leg,
        /// The step.
        step: Step,
    },
    /// A transaction turns back.
    TurningBack {
        /// The app.
        app: &'a str,
        /// Why.
        cause: &'a str,
    },
    /// A step of the system's rebuild begins.
    Rebuilding {
        /// The step.
        step: &'a str,
    },
    /// A program that the rebuild runs says something.
    Said {
        /// A line of it.
        line: &'a str,
    },
    /// The rebuild is done.
    Rebuilt,
    /// An app is done.
    Done {
        /// How it ended.
        report: &'a AppReport,
    },
}

/// Who is told.
pub trait Events: Sync {
    /// Called from the thread on which it happens.
    fn happened(&self, event: &Event<'_>);
}

/// Nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Events for Silent {
    fn happened(&self, _event: &Event<'_>) {}
}
