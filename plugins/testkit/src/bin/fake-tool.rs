//! Executable behind every scripted program; see `todohost_testkit::tools`.

use std::process::ExitCode;

fn main() -> ExitCode {
    todohost_testkit::tools::run_program()
}
