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
        ConfigCommand::Diff(args) => diff(asker, ask(args, ConfigUntil::Differences)?),
        ConfigCommand::Apply { document, dry_run, adopt, wait, yes } => {
            let until = if *dry_run { ConfigUntil::Plans } else { ConfigUntil::Done };
            let request = ask(document, until)?;
            carry_out(asker, ApplyConfig { adopt: *adopt, yes: *yes, wait_seconds: *wait, ..request })
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

fn ask(args: &DiffArgs, until: ConfigUntil) -> Result<ApplyConfig, Failure> {
    let config = document::read(&args.document.file)?;
    Ok(ApplyConfig { config, until, prune: args.prune, yes: false, adopt: false, wait_seconds: None })
}

/// Who asks whether something differs is answered by the exit code too: what the document says is not yet so.
fn diff(asker: &Asker, request: ApplyConfig) -> Result<Answer, Failure> {
    let (mut answer, change) = order(asker, request)?;
    if answer.exit == 0 && change.changed {
        answer.exit = EXIT_PENDING;
    }
    Ok(answer)
}

fn carry_out(asker: &Asker, request: ApplyConfig) -> Result<Answer, Failure> {
    order(asker, request).map(|(answer, _)| answer)
}

fn order(asker: &Asker, request: ApplyConfig) -> Result<(Answer, ConfigChange), Failure> {
    let change = asker.order(|client| client.apply_config(&request))?;
    let mut answer = output::document(asker.format(), &change, render::config::change)?;
    answer.err = render::config::warnings(&change);
    answer.exit = exit(&change);
    Ok((answer, change))
}

/// The worst of what happened to the GPUs.
pub(super) fn exit(change: &ConfigChange) -> u8 {
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
