//! `gpuvirtd`: the command line, the log, and one call.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use gpuvirtd::cli::{Cli, Command};
use gpuvirtd::journal::{Journal, OBJECT};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        // Before the log: a writer's standard error goes nowhere.
        Some(Command::Writer) => gpuvirtd::wiring::writer::be_writer(),
        // A process of its own: while the library is open, the card can't be prepared.
        #[cfg(feature = "nvml")]
        Some(Command::GpuInstances { gpu }) => gpuvirtd::wiring::nvml::print(gpu),
        None => {
            start_log();
            gpuvirtd::run::run(&cli)
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // To stderr, which the journal keeps: the log may not be there yet.
            eprintln!("gpuvirtd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The log goes to the journal with its fields, or to stderr.
fn start_log() {
    let filter = EnvFilter::try_from_env("GPUVIRT_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    if let Some(journal) = Journal::of_this_service() {
        // What a request is about is told by a span, which text does without.
        let filter = match format!("{OBJECT}=trace").parse() {
            Ok(objects) => filter.add_directive(objects),
            Err(_) => filter,
        };
        return tracing_subscriber::registry().with(filter).with(journal).init();
    }
    let log =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    if std::io::stderr().is_terminal() { log.init() } else { log.without_time().init() }
}
