//! `check`: is the configuration right?

use serde_json::{Value, json};

use super::{Session, USAGE, output};
use crate::config::{self, Invalid};
use crate::error::Result;

pub(super) fn run(session: &Session) -> Result<u8> {
    match config::load(&session.global.config) {
        Ok(config) if session.global.json => {
            let mut document = document(None);
            document["apps"] = json!(config.apps.len());
            output::json(&document)?;
            Ok(0)
        }
        Ok(config) => {
            let path = session.global.config.display();
            let apps = config.apps.len();
            output::line(&format!("{path} is right: {apps} app{}", if apps == 1 { "" } else { "s" }))?;
            Ok(0)
        }
        Err(invalid) => {
            if session.global.json {
                output::json(&document(Some(&invalid)))?;
            } else {
                output::report_invalid(&invalid);
            }
            Ok(USAGE)
        }
    }
}

/// The JSON document of a check.
pub(super) fn document(invalid: Option<&Invalid>) -> Value {
    let errors = invalid.map_or_else(|| json!([]), Invalid::to_json);
    json!({ "schema": 1, "valid": invalid.is_none(), "errors": errors })
}
