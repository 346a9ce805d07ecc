//! Being asked to end: the first SIGTERM, SIGINT or SIGHUP is noted, the second one ends the process at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::error::{Error, Result};

static ASKED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// Begins to listen. Before that, and in processes that never call it, signals do what they always do.
pub fn listen() -> Result<()> {
    let asked = ASKED.get_or_init(Arc::default);
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        // In this order: the first signal finds the flag down, and only then raises it.
        flag::register_conditional_shutdown(signal, 128 + signal, Arc::clone(asked))
            .and_then(|_| flag::register(signal, Arc::clone(asked)))
            .map_err(|e| Error::new("cannot listen for signals").because(e))?;
    }
    Ok(())
}

/// Whether somebody asked this process to end.
pub fn asked_to_end() -> bool {
    ASKED.get().is_some_and(|asked| asked.load(Ordering::SeqCst))
}
