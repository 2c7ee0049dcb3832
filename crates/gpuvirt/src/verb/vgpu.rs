//! `gpuvirt vgpu ...`

use gpuvirt_api::{Client, CreateVgpu, RemoveVgpus};
use gpuvirt_model::ProfileName;

use super::{gpu, show_change, show_each, show_list};
use crate::asker::Asker;
use crate::cli::{CreateArgs, RemoveArgs, VgpuCommand};
use crate::failure::Failure;
use crate::output::Answer;
use crate::render;

/// Runs the verb.
///
/// # Errors
/// [`Failure`].
pub fn run(asker: &Asker, command: &VgpuCommand) -> Result<Answer, Failure> {
    match command {
        VgpuCommand::List => {
            show_list(asker, &asker.ask(Client::vgpus, |host| Ok(host.vgpus()))?, render::vgpu::list)
        }
        VgpuCommand::Show { id } => show_each(
            asker,
            &asker.ask(|client| client.vgpu(*id), |host| host.vgpu(*id))?,
            render::vgpu::show,
        ),
        VgpuCommand::Create(args) => create(asker, args),
        VgpuCommand::Remove(args) => remove(asker, args),
    }
}

fn create(asker: &Asker, args: &CreateArgs) -> Result<Answer, Failure> {
    let change = asker.order(|client| {
        client.create_vgpu(&CreateVgpu {
            gpu: gpu::address(client, &args.gpu)?,
            profile: ProfileName(args.profile.clone()),
            uuid: None,
            uuids: args.uuid.clone(),
            count: args.count,
            dry_run: args.dry_run,
        })
    })?;
    show_change(asker, &change)
}

fn remove(asker: &Asker, args: &RemoveArgs) -> Result<Answer, Failure> {
    let change = asker.order(|client| {
        if let ([id], None) = (args.ids.as_slice(), &args.gpu) {
            return client.remove_vgpu(*id, args.dry_run);
        }
        let all_of = args.gpu.as_ref().map(|gpu| gpu::address(client, gpu)).transpose()?;
        let request = RemoveVgpus { ids: args.ids.clone(), all_of, dry_run: args.dry_run };
        client.remove_vgpus(&request)
    })?;
    show_change(asker, &change)
}
