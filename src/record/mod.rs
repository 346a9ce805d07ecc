//! What is written down: state, the journal of a running transaction, history, ids, and where each of them lives.
//!
//! Every document carries a `schema` number that is checked when it is read. A newer or a corrupt one is an error that
//! names the file; nothing is ever guessed.

pub mod document;
pub mod history;
pub mod journal;
pub mod layout;
pub mod report;
pub mod runs;
pub mod state;
