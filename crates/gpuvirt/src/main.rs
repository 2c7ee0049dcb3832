//! The `gpuvirt` command: arguments in, exit code out. Everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    gpuvirt_command::run::main(std::env::args_os())
}
