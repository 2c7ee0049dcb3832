//! `gpuvirt esxcli ...`: ESXi's words for what other verbs do. Nothing is decided here: each goes the way of its verb.

use gpuvirt_api::{Client, GpuSelector};
use gpuvirt_model::{ConfiguredType, When};

use super::{gpu, host, show_list};
use crate::asker::Asker;
use crate::cli::{
    EsxcliCommand, EsxcliDeviceCommand, EsxcliHostCommand, EsxcliHostSetArgs, EsxcliSetArgs,
    EsxcliStatsCommand, EsxcliVmCommand, Format, GpuCommand, GraphicsCommand, HostCommand, HostSetArgs,
    SetArgs,
};
use crate::failure::Failure;
use crate::output::{Answer, document};
use crate::render::esxcli::{self, Types};

/// Runs the verb.
///
/// # Errors
/// [`Failure`].
pub fn run(asker: &Asker, command: &EsxcliCommand) -> Result<Answer, Failure> {
    let EsxcliCommand::Graphics(command) = command;
    match command {
        GraphicsCommand::Device(EsxcliDeviceCommand::List { configured_type }) => {
            let types = if *configured_type { Types::Configured } else { Types::Active };
            let gpus = asker.ask(Client::gpus, |host| Ok(host.gpus()))?;
            show_list(asker, &gpus, |gpus| esxcli::devices(gpus, types))
        }
        GraphicsCommand::Device(EsxcliDeviceCommand::Set(args)) => set(asker, args),
        GraphicsCommand::Device(EsxcliDeviceCommand::Stats(EsxcliStatsCommand::List)) => {
            show_list(asker, &asker.ask(Client::gpus, |host| Ok(host.gpus()))?, esxcli::stats)
        }
        GraphicsCommand::Host(EsxcliHostCommand::Get) => {
            let hosts = asker.ask(Client::host, |host| Ok(host.host()))?;
            show_list(asker, &hosts, |hosts| hosts.iter().map(esxcli::host).collect())
        }
        GraphicsCommand::Host(EsxcliHostCommand::Set(args)) => set_host(asker, args),
        GraphicsCommand::Host(EsxcliHostCommand::Refresh) => Ok(silent(asker, host::refresh(asker)?)),
        GraphicsCommand::Vm(EsxcliVmCommand::List) => vms(asker),
    }
}

fn set(asker: &Asker, args: &EsxcliSetArgs) -> Result<Answer, Failure> {
    let graphics_type = match args.graphics_type {
        Some(ConfiguredType::Shared) if args.vgpu_mode.is_some() => {
            return Err(Failure::usage("--vgpu-mode goes with --type SharedPassthru"));
        }
        Some(kind) => kind,
        None => configured(asker, &args.device_id)?,
    };
    let order = GpuCommand::Set(SetArgs {
        gpu: args.device_id.clone(),
        graphics_type,
        vgpu_mode: args.vgpu_mode,
        vfs: None,
        label: None,
        accept: Vec::new(),
        when: When::Now,
        dry_run: false,
        wait: None,
    });
    Ok(silent(asker, gpu::run(asker, &order)?))
}

/// The type that a GPU is configured for: a mode by itself leaves it.
fn configured(asker: &Asker, device: &GpuSelector) -> Result<ConfiguredType, Failure> {
    let shown = asker.order(|client| client.gpu(device))?;
    match shown.items.first().and_then(|gpu| gpu.configured) {
        Some(kind @ (ConfiguredType::SharedDirect | ConfiguredType::Default)) => Ok(kind),
        Some(kind @ (ConfiguredType::Shared | ConfiguredType::Direct)) => Err(Failure::usage(format!(
            "{device} is configured as {kind}: --vgpu-mode goes with --type SharedPassthru"
        ))),
        None => Err(Failure::usage(format!("{device} is not configured yet: say --type SharedPassthru too"))),
    }
}

fn set_host(asker: &Asker, args: &EsxcliHostSetArgs) -> Result<Answer, Failure> {
    let order = HostCommand::Set(HostSetArgs {
        default_type: args.default_type,
        assignment_policy: args.shared_passthru_assignment_policy,
        yes: args.yes,
    });
    Ok(silent(asker, host::run(asker, &order)?))
}

fn vms(asker: &Asker) -> Result<Answer, Failure> {
    let list = asker.ask_libvirt(Client::gpus, |host| Ok(host.gpus()))?;
    match &list.domains_unknown {
        // Nothing at all would say that there are none.
        Some(why) => document(asker.format(), &list, |_| format!("VMs: {why}\n")),
        None => show_list(asker, &list, esxcli::vms),
    }
}

/// ESXi's orders print nothing where they succeed: what people want to know goes to stderr.
fn silent(asker: &Asker, answer: Answer) -> Answer {
    match asker.format() {
        Format::Table => Answer { err: answer.out + &answer.err, out: String::new(), ..answer },
        Format::Json | Format::Yaml => answer,
    }
}
