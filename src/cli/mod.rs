//! The command line: parsed literally here, resolved once into `session`, then one thin file a verb.

mod alerts;
mod approve;
mod check;
mod completions;
mod converge;
mod demo;
mod deploy;
mod generate;
mod history;
mod internal;
mod logging;
mod man;
mod nightly;
mod output;
mod plan;
mod progress;
mod rebuild;
mod release;
mod retire;
mod rollback;
mod schema;
mod session;
mod snapshot;
mod status;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::error::{Error, Kind, Result};
use crate::sys::env;

use session::Session;

/// Where the configuration is, unless said otherwise.
const DEFAULT_CONFIG: &str = "/etc/warmkeep";
/// Exit code of a failure.
const FAILED: u8 = 1;
/// Exit code of a wrong command line or configuration.
const USAGE: u8 = 2;
/// Exit code when somebody else is at work.
const BUSY: u8 = 75;

/// Keeps shared apps current and healthy; takes back version and data of an upgrade that is not.
#[derive(Debug, Parser)]
#[command(name = "warmkeep", version, disable_help_subcommand = true)]
#[command(
    after_help = "Exit codes: 0 every app is where it should be · 1 failed · 2 usage or configuration · \
    3 the sweep is red · 4 something was rolled back · 5 something is stuck · 75 busy\n\n\
    First steps: `warmkeep demo` shows what it does; `warmkeep check` and `warmkeep plan` touch nothing."
)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// Options that every verb takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The configuration: a file, or a folder whose *.json files are merged.
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "WARMKEEP_CONFIG",
        default_value = DEFAULT_CONFIG
    )]
    config: PathBuf,
    /// Print one JSON document on stdout.
    #[arg(long, global = true)]
    json: bool,
    /// How log lines on stderr are written.
    #[arg(long, global = true, value_enum, value_name = "FORMAT", default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// Log more: -v what happens, -vv everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Log errors only, and show no progress.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Validate the configuration; every error at once, with its place.
    Check,
    /// Show what converge would do, and why; touches nothing.
    Plan(plan::Options),
    /// Bring apps to their latest safe version, dependencies first, behind the health gate.
    Converge(converge::Options),
    /// Deploy exactly this version, by hand; the same transaction, gates and way back. What the safety gate would have
    /// refused is recorded as overridden.
    Deploy(deploy::AppVersion),
    /// Go back to an earlier version and its data.
    Rollback(rollback::Options),
    /// Stop an app that is no longer wanted, keep a last snapshot, forget the rest.
    Retire(retire::Options),
    /// Let a held version through at the next converge.
    Approve(deploy::AppVersion),
    /// Clear the quarantine of a version that failed.
    Release(deploy::AppVersion),
    /// What an app could go back to.
    #[command(subcommand)]
    Snapshot(snapshot::Verb),
    /// Write units for this configuration: NixOS modules, or plain unit files.
    Generate(generate::Options),
    /// Upgrade the NixOS system itself: build, compare, activate, and go back if it failed.
    Rebuild(rebuild::Options),
    /// The nightly run: everything, in the right order, under the host lock.
    Nightly(nightly::Options),
    /// How every app is, from what was last seen; probes nothing.
    Status,
    /// What happened to the apps.
    History(history::Options),
    /// What a person should know, and telling it to the declared sinks.
    #[command(subcommand)]
    Alerts(alerts::Verb),
    /// Print the JSON Schema of the configuration.
    Schema,
    /// A tour in under a minute, on real processes, sockets and files.
    Demo(demo::Options),
    /// Print completions for a shell.
    Completions(completions::Options),
    /// Print the manual page.
    Man,
    #[command(flatten)]
    Internal(internal::Verb),
}

/// Runs the command line: what it says goes to stdout and stderr, what comes back is the exit code.
pub fn main() -> u8 {
    crate::sys::process::pass_nothing_on();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => return not_understood(&e),
    };
    logging::start(&cli.global);
    let json = cli.global.json;
    run(cli).unwrap_or_else(|e| {
        output::error(&e);
        if json {
            output::json_error(&e.chain(), e.hint(), word_of(&e));
        }
        code_of(&e)
    })
}

/// Help and version go to stdout with code 0, wrong usage to stderr with code 2. A closed pipe is no failure.
fn not_understood(error: &clap::Error) -> u8 {
    let _ = error.print();
    if !error.use_stderr() {
        return 0;
    }
    // Nothing was parsed, so that this is all there is to tell by.
    if env::arguments().take_while(|argument| argument != "--").any(|argument| argument == "--json") {
        let text = error.render().to_string();
        let message = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
        output::json_error(message, Some("`warmkeep --help` names every verb and option"), "usage");
    }
    USAGE
}

fn run(cli: Cli) -> Result<u8> {
    let session = Session::new(cli.global);
    match cli.verb {
        Verb::Check => check::run(&session),
        Verb::Plan(options) => plan::run(&session, &options),
        Verb::Converge(options) => converge::run(&session, &options),
        Verb::Deploy(options) => deploy::run(&session, &options),
        Verb::Rollback(options) => rollback::run(&session, &options),
        Verb::Retire(options) => retire::run(&session, &options),
        Verb::Approve(options) => approve::run(&session, &options),
        Verb::Release(options) => release::run(&session, &options),
        Verb::Snapshot(verb) => snapshot::run(&session, &verb),
        Verb::Generate(options) => generate::run(&session, &options),
        Verb::Rebuild(options) => rebuild::run(&session, &options),
        Verb::Nightly(options) => nightly::run(&session, &options),
        Verb::Status => status::run(&session),
        Verb::History(options) => history::run(&session, &options),
        Verb::Alerts(verb) => alerts::run(&session, &verb),
        Verb::Schema => schema::run(),
        Verb::Demo(options) => demo::run(&session, &options),
        Verb::Completions(options) => completions::run(&options),
        Verb::Man => man::run(),
        Verb::Internal(verb) => internal::run(&verb),
    }
}

fn code_of(error: &Error) -> u8 {
    match error.kind() {
        Kind::Usage => USAGE,
        Kind::Busy | Kind::CutShort => BUSY,
        Kind::Failed | Kind::DiskFull => FAILED,
    }
}

fn word_of(error: &Error) -> &'static str {
    match error.kind() {
        Kind::Usage => "usage",
        Kind::Busy | Kind::CutShort => "busy",
        Kind::Failed | Kind::DiskFull => "failed",
    }
}

/// The command as clap knows it, for completions and the manual page.
fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_free_of_contradictions() {
        super::command().debug_assert();
    }
}
