//! `gpuvirt config ...`

use gpuvirt_api::{ApplyConfig, ConfigChange, ConfigUntil, ErrorKind, GpuOutcome};
use gpuvirt_model::Configuration;

use crate::asker::Asker;
use crate::cli::{ConfigCommand, DiffArgs, Format};
use crate::document;
use crate::failure::Failure;
use crate::output::{self, Answer, EXIT_PENDING};
use crate::render;

/// Runs the verb.
///
/// # Errors
/// [`Failure`].
pub fn run(asker: &Asker, command: &ConfigCommand) -> Result<Answer, Failure> {
    match command {
        ConfigCommand::Export => export(asker),
        ConfigCommand::Diff(args) => {
            carry_out(asker, args, |config| request(config, ConfigUntil::Differences))
        }
        ConfigCommand::Apply { document, dry_run, wait, yes } => {
            let until = if *dry_run { ConfigUntil::Plans } else { ConfigUntil::Done };
            let request = |config| ApplyConfig { wait_seconds: *wait, yes: *yes, ..request(config, until) };
            carry_out(asker, document, request)
        }
    }
}

/// The document itself is what people read too.
fn export(asker: &Asker) -> Result<Answer, Failure> {
    let config =
        asker.ask(gpuvirt_api::Client::config, |host| Ok(gpuvirt_plan::config::export(&host.desired)))?;
    let format = if asker.format() == Format::Table { Format::Yaml } else { asker.format() };
    output::document(format, &config, |_: &Configuration| String::new())
}

fn carry_out(
    asker: &Asker,
    args: &DiffArgs,
    request: impl FnOnce(Configuration) -> ApplyConfig,
) -> Result<Answer, Failure> {
    let config = document::read(&args.document.file)?;
    let request = ApplyConfig { prune: args.prune, ..request(config) };
    let change = asker.order(|client| client.apply_config(&request))?;
    let mut answer = output::document(asker.format(), &change, render::config::change)?;
    answer.err = render::config::warnings(&change);
    answer.exit = exit(&change);
    Ok(answer)
}

fn request(config: Configuration, until: ConfigUntil) -> ApplyConfig {
    ApplyConfig { config, until, prune: false, yes: false, wait_seconds: None }
}

/// The worst of what happened to the GPUs.
fn exit(change: &ConfigChange) -> u8 {
    let any = |outcome| change.gpus.iter().any(|gpu| gpu.outcome == outcome);
    if any(GpuOutcome::Failed) {
        ErrorKind::Failed.exit_code()
    } else if any(GpuOutcome::Refused) {
        ErrorKind::Refused.exit_code()
    } else if change.until == ConfigUntil::Done && any(GpuOutcome::Pending) {
        EXIT_PENDING
    } else {
        0
    }
}
