//! What one invocation shares: resolved options and the loaded configuration.

use std::io::IsTerminal;

use super::progress::Progress;
use super::{Global, output};
use crate::config::{self, model};
use crate::engine::Context;
use crate::error::{Error, Result};

/// One invocation.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) global: Global,
    pub(super) progress: Progress,
}

impl Session {
    /// Resolves the options.
    pub(super) fn new(global: Global) -> Self {
        let shown = std::io::stderr().is_terminal() && !global.quiet && !global.json;
        Self { progress: Progress::new(shown), global }
    }

    /// Loads the configuration; a wrong one is told whole, and ends the invocation.
    pub(super) fn config(&self) -> Result<model::Config> {
        config::load(&self.global.config).map_err(|invalid| {
            if self.global.json {
                output::json_or_nothing(&super::check::document(Some(&invalid)));
            }
            output::report_invalid(&invalid);
            Error::usage(invalid.to_string())
                .remedy("`warmkeep schema` and docs/configuration.md name every key")
        })
    }

    /// A run over a configuration.
    pub(super) fn context<'a>(&'a self, config: &'a model::Config) -> Result<Context<'a>> {
        Context::new(config, &self.progress)
    }

    /// One declared app.
    pub(super) fn app<'a>(config: &'a model::Config, name: &str) -> Result<&'a model::App> {
        config.apps.get(name).ok_or_else(|| unknown_app(config, name))
    }
}

/// The error of an app that nobody declared.
pub(super) fn unknown_app(config: &model::Config, name: &str) -> Error {
    let near = config
        .apps
        .keys()
        .map(|known| (strsim::damerau_levenshtein(known, name), known))
        .filter(|(distance, _)| *distance <= 3)
        .min();
    let remedy = match near {
        Some((_, known)) => format!("did you mean `{known}`?"),
        None => {
            let known: Vec<&str> = config.apps.keys().map(String::as_str).collect();
            format!("declared are: {}", if known.is_empty() { "none".to_owned() } else { known.join(", ") })
        }
    };
    Error::usage(format!("there is no app `{}`", name.escape_default())).remedy(remedy)
}
