//! `gpuvirt gpu ...`

use gpuvirt_api::{ApiError, Client, ClientError, ErrorKind, GpuSelector, SetCordon, SetType};
use gpuvirt_model::{ConfiguredType, PciAddress};

use super::{show_change, show_each, show_list};
use crate::asker::Asker;
use crate::cli::{GpuCommand, SetArgs};
use crate::failure::Failure;
use crate::output::Answer;
use crate::render;

/// Runs the verb.
///
/// # Errors
/// [`Failure`].
pub fn run(asker: &Asker, command: &GpuCommand) -> Result<Answer, Failure> {
    match command {
        GpuCommand::List => {
            show_list(asker, &asker.ask(Client::gpus, |host| Ok(host.gpus()))?, render::gpu::list)
        }
        GpuCommand::Show { gpu } => {
            show_each(asker, &asker.ask(|client| client.gpu(gpu), |host| host.gpu(gpu))?, render::gpu::show)
        }
        GpuCommand::Set(args) => set(asker, args),
        GpuCommand::Cordon { gpu } => cordon(asker, gpu, true),
        GpuCommand::Uncordon { gpu } => cordon(asker, gpu, false),
        GpuCommand::Unset { gpu } => show_change(asker, &asker.order(|client| client.unset(gpu))?),
    }
}

fn set(asker: &Asker, args: &SetArgs) -> Result<Answer, Failure> {
    let not_for = matches!(args.graphics_type, ConfiguredType::Shared | ConfiguredType::Direct);
    if not_for && (args.vgpu_mode.is_some() || args.vfs.is_some()) {
        return Err(Failure::usage("--vgpu-mode and --vfs go with --type shared-direct"));
    }
    let request = SetType {
        graphics_type: args.graphics_type,
        vgpu_mode: args.vgpu_mode,
        vf_count: args.vfs,
        label: args.label.clone(),
        accept: args.accept.clone(),
        when: args.when,
        dry_run: args.dry_run,
        wait_seconds: args.wait,
    };
    show_change(asker, &asker.order(|client| client.set_type(&args.gpu, &request))?)
}

fn cordon(asker: &Asker, gpu: &GpuSelector, cordoned: bool) -> Result<Answer, Failure> {
    show_change(asker, &asker.order(|client| client.set_cordon(gpu, &SetCordon { cordoned }))?)
}

/// The address of a GPU, the daemon asked where it was named by label.
///
/// # Errors
/// [`ClientError`].
pub fn address(client: &Client, selector: &GpuSelector) -> Result<PciAddress, ClientError> {
    match selector {
        GpuSelector::Address(address) => Ok(*address),
        GpuSelector::Label(_) => {
            client.gpu(selector)?.items.first().map(|gpu| gpu.address).ok_or_else(|| {
                ClientError::Api(ApiError::new(
                    ErrorKind::Bug,
                    format!("gpuvirtd named no GPU for {selector}"),
                ))
            })
        }
    }
}
