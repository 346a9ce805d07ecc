//! `completions`: for a shell.

use clap::Args;
use clap_complete::Shell;

use super::output;
use crate::error::Result;

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The shell.
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

pub(super) fn run(options: &Options) -> Result<u8> {
    let mut text = Vec::new();
    clap_complete::generate(options.shell, &mut super::command(), "warmkeep", &mut text);
    output::line(String::from_utf8_lossy(&text).trim_end())?;
    Ok(0)
}
