//! Tells one sink what waits for it, and remembers how it took that.

use std::time::Duration;

use jiff::Timestamp;

use super::desk::{Desk, SinkState};
use super::pace::{self, Ending, Round, Waiting};
use super::sink::{self, Refusal};
use super::{SinkReport, When};
use crate::alert::Alert;
use crate::config::model::Sink;
use crate::error::Result;
use crate::sys::clock::{self, Deadline};
use crate::sys::random;

/// Tells one sink.
pub(super) struct Teller<'a> {
    pub(super) desk: &'a Desk<'a>,
    pub(super) name: &'a str,
    pub(super) sink: &'a Sink,
    pub(super) when: When,
    /// Nothing is begun that could last beyond it.
    pub(super) deadline: Deadline,
    pub(super) host: &'a str,
}

/// One sink's round so far.
struct Told {
    round: Round,
    settled: usize,
    gone: usize,
    last: Option<Refusal>,
}

impl Teller<'_> {
    /// How it went, and how many alerts that settled.
    pub(super) fn tell(&self) -> (SinkReport, Result<usize>) {
        let before = self.desk.sink(self.name);
        let waiting = self.desk.waiting(self.name).len();
        let mut told = Told { round: Round::new(self.due(&before)), settled: 0, gone: 0, last: None };
        let worked = self.work(&mut told);
        let after = judge(before.failures, &told);
        let remembered = after.as_ref().map_or(Ok(()), |state| self.desk.remember(self.name, state.clone()));
        let state = after.unwrap_or_else(|| self.desk.sink(self.name));
        let left = waiting.saturating_sub(told.round.delivered() + told.gone);
        let report = SinkReport {
            delivered: told.round.delivered(),
            next_attempt: state.next_attempt,
            error: state.last_error,
            ..SinkReport::new(self.name, self.sink, left)
        };
        (report, worked.and(remembered).map(|()| told.settled))
    }

    /// What is tried now. A sink that failed gets the oldest first again, whatever was tried meanwhile.
    fn due(&self, state: &SinkState) -> Vec<Waiting> {
        let now = clock::now();
        if self.when == When::Now {
            return self.desk.waiting(self.name);
        }
        if !pace::is_due(state.next_attempt, now) {
            return Vec::new();
        }
        if state.failures > 0 { self.desk.waiting(self.name) } else { self.desk.due(self.name, now) }
    }

    /// What cannot be written down ends it: whoever is told of it would be told again and again.
    fn work(&self, told: &mut Told) -> Result<()> {
        let mut first = true;
        while first || self.deadline.left() >= sink::timeout(self.sink) {
            first = false;
            let Some(next) = told.round.pick() else { break };
            self.one(&next, told)?;
        }
        Ok(())
    }

    fn one(&self, next: &Waiting, told: &mut Told) -> Result<()> {
        let Some(alert) = self.desk.alert(&next.name) else {
            told.gone += 1;
            return Ok(());
        };
        match sink::deliver(self.sink, &alert, self.host) {
            Ok(_) => self.took(next, &alert, told),
            Err(refusal) => self.refused(next, &alert, refusal, told),
        }
    }

    fn took(&self, next: &Waiting, alert: &Alert, told: &mut Told) -> Result<()> {
        told.round.answered(true);
        tracing::info!(name: "alert.delivered", sink = self.name, id = alert.id.as_str());
        let settled = self.desk.delivered(&next.name, &alert.id, self.name, clock::now())?;
        told.settled += usize::from(settled);
        Ok(())
    }

    fn refused(&self, next: &Waiting, alert: &Alert, refusal: Refusal, told: &mut Told) -> Result<()> {
        told.round.answered(false);
        if refusal.retry_after.is_some() {
            told.round.stop();
        }
        tracing::info!(name: "alert.notDelivered", sink = self.name, id = alert.id.as_str(), why = refusal.why);
        let again = after(pause(next.attempts.saturating_add(1))?);
        let written = self.desk.refused(&next.name, &alert.id, self.name, again, &refusal.why);
        told.last = Some(refusal);
        written
    }
}

/// What is to be remembered of the sink; `None`: nothing was tried.
fn judge(failures: u32, told: &Told) -> Option<SinkState> {
    let last_error = told.last.as_ref().map(|refusal| refusal.why.clone());
    let works = SinkState { failures: 0, next_attempt: None, last_error };
    match told.round.ending() {
        Ending::Idle => None,
        Ending::Works => Some(works),
        Ending::Rests => Some(SinkState { next_attempt: Some(after(pace::REST)), ..works }),
        Ending::Fails => {
            let so_far = if told.round.delivered() > 0 { 0 } else { failures };
            let failures = so_far.saturating_add(1);
            let asked = told.last.as_ref().and_then(|refusal| refusal.retry_after).unwrap_or_default();
            let wait = pause(failures).unwrap_or(pace::LONGEST).max(asked);
            Some(SinkState { failures, next_attempt: Some(after(wait)), ..works })
        }
    }
}

fn after(wait: Duration) -> Timestamp {
    clock::now().checked_add(wait).unwrap_or(Timestamp::MAX)
}

fn pause(failures: u32) -> Result<Duration> {
    let [chance] = random::bytes()?;
    Ok(pace::pause(failures, chance))
}
