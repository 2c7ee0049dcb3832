//! From arguments to the exit code.

use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;

use clap::{FromArgMatches as _, ValueEnum as _};
use gpuvirt_api::client::DEFAULT_SOCKET;
use gpuvirt_api::{ApiError, ErrorKind};

use crate::asker::Asker;
use crate::cli::{Cli, Command, Deferred, Format, HookArgs, Verbs, grammar, of_one_verb};
use crate::failure::EXIT_BUG;
use crate::output::{self, Answer};
use crate::render;
use crate::verb;

/// The whole command.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    // The panic's own message is on stderr already.
    let code = catch_unwind(AssertUnwindSafe(|| run(arguments))).unwrap_or(EXIT_BUG);
    ExitCode::from(code)
}

fn run(arguments: Vec<OsString>) -> u8 {
    if let Some(args) = HookArgs::of_wrapper(&arguments) {
        return verb::hook::run(Path::new(DEFAULT_SOCKET), &args);
    }
    let cli = match understood(&arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let answer = usage(&error, wanted_format(&arguments));
            let _ = output::print(&answer);
            return answer.exit;
        }
    };
    if let Command::Hook(Deferred(args)) = &cli.command {
        return verb::hook::run(&cli.global.socket, args);
    }
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

/// What was typed, by the grammar.
fn understood(line: &[OsString]) -> Result<Cli, clap::Error> {
    let whole = grammar::<Cli>();
    match of_one_verb(&whole, line).map(|one| understood_by(one, line)) {
        Some(Ok(cli)) => {
            std::mem::forget(whole);
            Ok(cli)
        }
        // The whole grammar says what is wrong, or has the help that is asked for.
        None | Some(Err(_)) => understood_by(whole, line),
    }
}

/// A grammar ends with the process, as a whole: dropping it argument by argument takes as long as making it.
fn understood_by(grammar: clap::Command, line: &[OsString]) -> Result<Cli, clap::Error> {
    let grammar = Box::leak(Box::new(grammar));
    let mut matches = grammar.try_get_matches_from_mut(line)?;
    Cli::from_arg_matches_mut(&mut matches).map_err(|error| error.format(grammar))
}

/// Help and version for stdout, errors for stderr and, where programs read, as a document for stdout; what was typed is
/// shown harmlessly.
fn usage(error: &clap::Error, format: Format) -> Answer {
    let text = render::plain::plain_lines(&error.render().to_string());
    let exit = u8::try_from(error.exit_code()).unwrap_or(EXIT_BUG);
    if !error.use_stderr() {
        return Answer { out: text, exit, ..Answer::default() };
    }
    let message = text.lines().next().unwrap_or_default();
    let message = message.strip_prefix("error: ").unwrap_or(message);
    let document = ApiError::new(ErrorKind::Usage, message);
    let out = output::document(format, &document, |_| String::new()).unwrap_or_default().out;
    Answer { out, err: text, exit }
}

/// The format that was asked for on a line that is not understood: read by itself, as far as it can be.
fn wanted_format(arguments: &[OsString]) -> Format {
    let mut words = arguments.iter().skip(1).map(|word| word.to_string_lossy());
    let mut wanted = Format::Table;
    while let Some(word) = words.next() {
        let value = match word.as_ref() {
            "--" => break,
            "-o" | "--output" => words.next(),
            word => word
                .strip_prefix("--output=")
                .or_else(|| word.strip_prefix("-o"))
                .map(|value| value.strip_prefix('=').unwrap_or(value).to_owned().into()),
        };
        let named = value.and_then(|value| Format::from_str(&value, false).ok());
        wanted = named.unwrap_or(wanted);
    }
    wanted
}

/// What the command answers, without printing it.
pub fn answer(cli: &Cli) -> Answer {
    let asker = Asker::new(&cli.global);
    let result = match &cli.command {
        Command::Gpu(Deferred(Verbs(command))) => verb::gpu::run(&asker, command),
        Command::Profile(Deferred(Verbs(command))) => verb::profile::run(&asker, command),
        Command::Mig(Deferred(Verbs(command))) => verb::mig::run(&asker, command),
        Command::Vgpu(Deferred(Verbs(command))) => verb::vgpu::run(&asker, command),
        Command::Capacity(Deferred(args)) => verb::capacity::run(&asker, args),
        Command::Host(Deferred(Verbs(command))) => verb::host::run(&asker, command),
        Command::Vm(Deferred(Verbs(command))) => verb::vm::run(&asker, command),
        Command::Xml(Deferred(args)) => verb::xml::run(&asker, args),
        Command::Snapshot(Deferred(args)) => verb::snapshot::run(&asker, args),
        Command::Advise(Deferred(args)) => verb::advise::run(&asker, args),
        Command::Driver(Deferred(Verbs(command))) => verb::driver::run(&asker, command),
        Command::Config(Deferred(Verbs(command))) => verb::config::run(&asker, command),
        Command::Import(Deferred(args)) => verb::import::run(&asker, args),
        Command::Explain(Deferred(args)) => verb::explain::run(asker.format(), args),
        Command::Status => verb::status::run(&asker),
        Command::Doctor(Deferred(args)) => verb::doctor::run(&asker, args),
        Command::Events(Deferred(args)) => verb::events::run(&asker, args),
        Command::Metrics(Deferred(args)) => verb::metrics::run(&asker, args),
        Command::Esxcli(Deferred(Verbs(command))) => verb::esxcli::run(&asker, command),
        Command::Recover => verb::recover::run(&asker),
        // Answered before: it has a shape of its own.
        Command::Hook(_) => Ok(Answer::default()),
    };
    let mut answer = output::answer(asker.format(), result);
    answer.err.insert_str(0, &asker.notes());
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_errors_are_documents_where_programs_read() {
        for (line, document) in [
            ("gpuvirt gpu show -o json zz:00.0", true),
            ("gpuvirt gpu show --output=json zz:00.0", true),
            ("gpuvirt -ojson gpu set", true),
            ("gpuvirt -o=json nonsense", true),
            ("gpuvirt gpu show zz:00.0", false),
            ("gpuvirt gpu show -o xml zz:00.0", false),
            ("gpuvirt gpu show -o", false),
            ("gpuvirt gpu show -- -o json", false),
        ] {
            let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let error = understood(&arguments).unwrap_err();
            let answer = usage(&error, wanted_format(&arguments));
            assert_eq!((answer.exit, answer.err.is_empty()), (2, false), "{line}");
            assert_eq!(!answer.out.is_empty(), document, "{line}: {}", answer.out);
            if document {
                let error: ApiError = serde_json::from_str(&answer.out).unwrap();
                assert_eq!(error.kind, ErrorKind::Usage, "{line}");
                assert!(!error.message.is_empty() && !error.message.starts_with("error"), "{error}");
            }
        }
    }
}
