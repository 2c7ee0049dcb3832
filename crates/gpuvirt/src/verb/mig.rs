//! `gpuvirt mig ...`

use gpuvirt_api::CreateGpuInstances;

use super::{show_change, show_list};
use crate::asker::Asker;
use crate::cli::MigCommand;
use crate::failure::Failure;
use crate::output::Answer;
use crate::render;

/// Runs the verb. GPU instances are read by the daemon alone: whoever reads them is a client of the card meanwhile, and
/// must not be one while the card is prepared.
///
/// # Errors
/// [`Failure`].
pub fn run(asker: &Asker, command: &MigCommand) -> Result<Answer, Failure> {
    match command {
        MigCommand::List { gpu } => {
            let recorded = |_: &_| Err(Failure::usage("a recording does not hold GPU instances"));
            let list = asker.ask_libvirt(|client| client.mig(gpu.as_ref()), recorded)?;
            show_list(asker, &list, render::mig::list)
        }
        MigCommand::Create(args) => {
            let request = CreateGpuInstances {
                profile: args.profile.clone(),
                count: args.count,
                dry_run: args.dry_run,
            };
            let change = asker.order(|client| client.create_gpu_instances(&args.gpu, &request))?;
            show_change(asker, &change)
        }
        MigCommand::Remove(args) => {
            let change =
                asker.order(|client| client.remove_gpu_instances(&args.gpu, args.id, args.dry_run))?;
            show_change(asker, &change)
        }
    }
}
