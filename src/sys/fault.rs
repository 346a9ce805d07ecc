//! Dying on purpose. A debug build that finds `WARMKEEP_FAULT=kill-before:N` or `kill-after:N` in its environment
//! kills itself with SIGKILL around its N-th journal record; crash tests walk N over a whole transaction. A release
//! build has none of it.

/// Which side of a journal record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The record is not written yet.
    Before,
    /// The record is durable.
    After,
}

/// Called around every journal record.
#[cfg(debug_assertions)]
pub fn at_record(side: Side) {
    use std::sync::atomic::{AtomicU64, Ordering};
    static RECORDS: AtomicU64 = AtomicU64::new(0);
    let number = match side {
        Side::Before => RECORDS.fetch_add(1, Ordering::SeqCst) + 1,
        Side::After => RECORDS.load(Ordering::SeqCst),
    };
    let word = if side == Side::Before { "kill-before" } else { "kill-after" };
    let wanted = std::env::var("WARMKEEP_FAULT").unwrap_or_default();
    if wanted == format!("{word}:{number}") {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        loop {
            std::thread::park();
        }
    }
}

/// Called around every journal record.
#[cfg(not(debug_assertions))]
pub fn at_record(_side: Side) {}
