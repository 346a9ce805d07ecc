//! Parse → run → exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(warmkeep::cli::main())
}
