//! A person has read an alert and takes it away.

use std::time::Duration;

use super::delivery::Delivery;
use super::{Alert, read_open, seen};
use crate::error::Result;
use crate::record::document;
use crate::record::layout::Layout;
use crate::sys::clock;

/// The least of an id that names an alert.
const SHORTEST: usize = 8;

/// Which alerts are taken away.
#[derive(Debug, Clone, Copy)]
pub enum Wanted<'a> {
    /// All that are open.
    All,
    /// Those of these ids (or of their first eight characters or more) or apps.
    Of(&'a [String]),
}

impl Wanted<'_> {
    fn takes(self, alert: &Alert) -> bool {
        match self {
            Self::All => true,
            Self::Of(words) => words.iter().any(|word| names(word, alert)),
        }
    }

    /// The words that name none of these alerts.
    pub fn unmatched<'w>(&'w self, alerts: &[Alert]) -> Vec<&'w str> {
        let Self::Of(words) = self else { return Vec::new() };
        let lost = words.iter().filter(|word| !alerts.iter().any(|alert| names(word, alert)));
        lost.map(String::as_str).collect()
    }
}

fn names(word: &str, alert: &Alert) -> bool {
    alert.app.as_deref() == Some(word) || (word.len() >= SHORTEST && alert.id.as_str().starts_with(word))
}

/// Takes open alerts away, and records that a person did; gives back those that it took.
pub fn acknowledge(layout: &Layout, wanted: Wanted<'_>, dedupe: Duration) -> Result<Vec<Alert>> {
    layout.create_alerts()?;
    let (open, _) = read_open(layout)?;
    let mut taken = Vec::new();
    for (name, alert) in open.into_iter().filter(|(_, alert)| wanted.takes(alert)) {
        if take_away(layout, &name, &alert)? {
            tracing::info!(name: "alert.acknowledged", app = alert.app, id = alert.id.as_str());
            taken.push(alert);
        }
    }
    seen::prune(layout, dedupe)?;
    Ok(taken)
}

fn take_away(layout: &Layout, name: &str, alert: &Alert) -> Result<bool> {
    let _turn = seen::turn(layout)?;
    let mut record = Delivery::read(layout, name, &alert.id);
    record.acknowledged_at = Some(clock::now());
    // Where the alert is says the same; a record that a power cut takes is no loss to wait for the disk for.
    document::write_cache(&Delivery::path(layout, name), &record)?;
    seen::put_away(layout, name, &alert.id)
}
