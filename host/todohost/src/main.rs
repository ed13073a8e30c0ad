//! The program `todohost`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(todohost::cli::main().code())
}
