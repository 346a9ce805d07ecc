//! Being asked to end: the first SIGTERM, SIGINT or SIGHUP is noted, the second one ends the process at once.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use signal_hook::consts::{FORBIDDEN, SIGHUP, SIGINT, SIGPIPE, SIGQUIT, SIGTERM};
use signal_hook::flag;

use crate::error::{Error, Result};

static ASKED: OnceLock<Arc<AtomicBool>> = OnceLock::new();
static SIGNAL: OnceLock<Arc<AtomicUsize>> = OnceLock::new();
static LISTENING: Mutex<bool> = Mutex::new(false);

/// Begins to listen, unless this process listens already. Before that, and in processes that never call it, signals do
/// what they always do.
pub fn listen() -> Result<()> {
    let mut listening = LISTENING.lock().unwrap_or_else(PoisonError::into_inner);
    // A night listens, and so does each run in it. Handlers that stood there twice would take one signal for two.
    if !*listening {
        register()?;
        *listening = true;
    }
    Ok(())
}

fn register() -> Result<()> {
    let asked = ASKED.get_or_init(Arc::default);
    let which = SIGNAL.get_or_init(Arc::default);
    for (signal, number) in [(SIGTERM, 15), (SIGINT, 2), (SIGHUP, 1)] {
        // In this order: the first signal finds the flag down, and only then raises it.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(asked))
            .and_then(|_| flag::register_usize(signal, Arc::clone(which), number))
            .and_then(|_| flag::register(signal, Arc::clone(asked)))
            .map_err(|e| Error::new("cannot listen for signals").because(e))?;
    }
    Ok(())
}

/// From now on the signals that ask a process to end, and `another`, do nothing to this one. What it starts is asked as
/// always.
pub fn outlive(another: i32) -> Result<()> {
    let usual = [SIGTERM, SIGINT, SIGHUP, SIGQUIT];
    let more = (!usual.contains(&another) && !FORBIDDEN.contains(&another)).then_some(another);
    usual.into_iter().chain(more).try_for_each(|signal| {
        flag::register(signal, Arc::default())
            .map(drop)
            .map_err(|e| Error::new("cannot listen for signals").because(e))
    })
}

/// A pipe that nobody reads is an error of whoever writes to it, as in every Rust program, and not the end of the process.
pub fn survive_broken_pipes() -> Result<()> {
    flag::register(SIGPIPE, Arc::default())
        .map(drop)
        .map_err(|e| Error::new("cannot listen for signals").because(e))
}

/// The signal by which somebody asked this process to end; `None`: nobody did.
pub fn asked_by() -> Option<u8> {
    let number = SIGNAL.get()?.load(Ordering::SeqCst);
    u8::try_from(number).ok().filter(|number| *number != 0)
}

/// Whether somebody asked this process to end.
pub fn asked_to_end() -> bool {
    ASKED.get().is_some_and(|asked| asked.load(Ordering::SeqCst))
}
