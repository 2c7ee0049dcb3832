//! From arguments to the exit code.

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::Parser as _;

use crate::asker::Asker;
use crate::cli::{Cli, Command};
use crate::output::{self, Answer};
use crate::render;
use crate::verb;

/// What a panic of ours ends with: a failure like others, not Rust's 101.
const EXIT_BUG: u8 = 1;

/// The whole command.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    // The panic's own message is on stderr already.
    let code = catch_unwind(AssertUnwindSafe(|| run(arguments))).unwrap_or(EXIT_BUG);
    ExitCode::from(code)
}

fn run(arguments: Vec<OsString>) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let answer = answer(&cli);
    match output::print(&answer) {
        Ok(()) => answer.exit,
        Err(error) => {
            let note = Answer { err: format!("error: writing to stdout: {error}\n"), ..Answer::default() };
            let _ = output::print(&note);
            EXIT_BUG
        }
    }
}

/// Help and version for stdout, errors for stderr; what was typed is shown harmlessly.
fn usage(error: &clap::Error) -> u8 {
    let text = render::plain::plain_lines(&error.render().to_string());
    let (out, err) = if error.use_stderr() { (String::new(), text) } else { (text, String::new()) };
    let exit = u8::try_from(error.exit_code()).unwrap_or(EXIT_BUG);
    let _ = output::print(&Answer { out, err, exit });
    exit
}

/// What the command answers, without printing it.
pub fn answer(cli: &Cli) -> Answer {
    let asker = Asker::new(&cli.global);
    let result = match &cli.command {
        Command::Gpu(command) => verb::gpu::run(&asker, command),
        Command::Profile(command) => verb::profile::run(&asker, command),
        Command::Vgpu(command) => verb::vgpu::run(&asker, command),
        Command::Vm(command) => verb::vm::run(&asker, command),
        Command::Xml(args) => verb::xml::run(&asker, args),
        Command::Snapshot(args) => verb::snapshot::run(&asker, args),
        Command::Explain(args) => verb::explain::run(asker.format(), args),
        Command::Status => verb::status::run(&asker),
        Command::Recover => verb::recover::run(&asker),
    };
    let mut answer = output::answer(asker.format(), result);
    answer.err.insert_str(0, &asker.notes());
    answer
}
