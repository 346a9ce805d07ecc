//! Versions.
mod version;
pub use version::{Invalid, Parsed, Step, Upstream, Version};
