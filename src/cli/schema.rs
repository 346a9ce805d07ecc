//! `schema`: the JSON Schema of the configuration.

use super::output;
use crate::config;
use crate::error::Result;

pub(super) fn run() -> Result<u8> {
    output::json(&config::schema())?;
    Ok(0)
}
