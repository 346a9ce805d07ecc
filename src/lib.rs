//! warmkeep keeps a host's warm apps deployed, current and healthy.

pub mod alert;
pub mod cli;
pub mod config;
pub mod demo;
pub mod driver;
pub mod engine;
pub mod error;
pub mod health;
mod percent;
pub mod plan;
pub mod record;
pub mod snapshot;
pub mod status;
pub mod sys;
pub mod versions;
