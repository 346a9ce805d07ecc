//! Verbs that warmkeep starts itself with. They are hidden, and no one's interface.

use clap::Subcommand;

use crate::demo;
use crate::driver::supervise;
use crate::error::Result;
use crate::rebuild::runner;
use crate::sys::daemon;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Supervise one process; orders come on stdin.
    #[command(hide = true)]
    InternalSupervise,
    /// Become a program.
    #[command(hide = true)]
    InternalLaunch {
        /// The process that has to be this one's parent.
        #[arg(long)]
        supervisor: i32,
        /// The program and its arguments.
        #[arg(last = true, required = true)]
        argv: Vec<String>,
    },
    /// Run `switch-to-configuration`, and write down how it ended.
    #[command(hide = true)]
    InternalActivate(runner::Run),
    /// The app that the demo keeps warm.
    #[command(hide = true)]
    DemoApp(demo::app::Options),
}

pub(super) fn run(verb: &Verb) -> Result<u8> {
    match verb {
        Verb::InternalSupervise => supervise::supervise().map(|()| 0),
        Verb::InternalLaunch { supervisor, argv } => Err(daemon::become_program(*supervisor, argv)),
        Verb::InternalActivate(order) => runner::run(order).map(|()| 0),
        Verb::DemoApp(options) => demo::app::run(options).map(|()| 0),
    }
}
