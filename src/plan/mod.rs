//! Pure planning: (configuration, what was observed, what is recorded, now) → a plan value. Nothing here touches the
//! system, reads a clock or the environment.

pub mod converge;
pub mod night;
pub mod order;
pub mod progress;
pub mod recovery;
pub mod transaction;
