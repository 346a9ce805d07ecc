//! Scopes of systemd: what must outlive the unit that starts it runs in one of its own.
//!
//! A session of its own does not take a process out of its unit's cgroup: when a oneshot ends, systemd kills what is
//! left there. `systemd-run --scope` becomes the program, in a new scope, with the same streams and the same pid.

use std::time::Duration;

use super::{proc, random};
use crate::error::Result;

/// A scope to start a program in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    unit: String,
    /// The signal that systemd sends to all that is in it at shutdown, by number.
    stop_signal: i32,
    /// How long that may take before it kills.
    stop_timeout: Duration,
}

impl Scope {
    /// A scope for an app, of a name that no other has. `None` where nothing sweeps up after warmkeep: without systemd,
    /// and for those that may not ask it for one.
    pub fn of_app(app: &str, stop_signal: i32, stop_timeout: Duration) -> Result<Option<Self>> {
        if !proc::init_is_systemd() || !proc::is_root() {
            return Ok(None);
        }
        let number = u32::from_be_bytes(random::bytes()?);
        Ok(Some(Self { unit: format!("warmkeep-app-{app}-{number:08x}.scope"), stop_signal, stop_timeout }))
    }

    /// The words to put before a program's own.
    pub fn enter(&self) -> Vec<String> {
        let words = [
            "systemd-run",
            "--scope",
            "--quiet",
            "--collect",
            "--unit",
            &self.unit,
            "--property",
            &format!("KillSignal={}", self.stop_signal),
            "--property",
            &format!("TimeoutStopSec={}ms", self.stop_timeout.as_millis()),
            "--",
        ];
        words.map(str::to_owned).to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_enters_its_scope_with_its_own_stop_signal_and_its_own_time_to_stop() {
        let unit = "warmkeep-app-notes-00c0ffee.scope".to_owned();
        let scope = Scope { unit, stop_signal: 2, stop_timeout: Duration::from_millis(1500) };
        assert_eq!(
            scope.enter().join(" "),
            "systemd-run --scope --quiet --collect --unit warmkeep-app-notes-00c0ffee.scope --property KillSignal=2 \
             --property TimeoutStopSec=1500ms --"
        );
    }
}
