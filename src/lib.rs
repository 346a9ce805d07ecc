//! warmkeep keeps a host's warm apps deployed, current and healthy.

pub mod config;
pub mod error;
pub mod snapshot;
pub mod sys;
pub mod versions;
