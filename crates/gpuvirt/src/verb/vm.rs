//! `gpuvirt vm ...`

use gpuvirt_api::{
    ApiError, Client, ClientError, ErrorKind, GpuSelector, List, VmAdd, VmAdopt, VmDocument, VmGuestDriver,
    VmRemove, VmStart,
};
use gpuvirt_model::{CardMatch, ProfileName, Unknown, VgpuParams};

use super::{gpu, migration, show_change, show_each, show_list, xml};
use crate::asker::Asker;
use crate::cli::{AddArgs, DeviceArg, DeviceArgs, VmCommand};
use crate::driver_check::recognised;
use crate::failure::Failure;
use crate::output::{Answer, document};
use crate::picture::no_vm;
use crate::render;

/// Runs the verb.
///
/// # Errors
/// [`Failure`].
pub fn run(asker: &Asker, command: &VmCommand) -> Result<Answer, Failure> {
    match command {
        VmCommand::List => list(asker),
        VmCommand::Show { vm } => {
            let list = asker.ask_libvirt(|client| client.vm(vm), |host| find(&host.vms(), vm))?;
            show_each(asker, &list, render::vm::show)
        }
        VmCommand::Migratable { vm, to_host } => migration::run(asker, vm, to_host.as_deref()),
        VmCommand::Xml { vm } => {
            let recording = |_: &_| Err(Failure::usage("a recording holds no domain definitions"));
            xml::show(asker, &asker.ask_libvirt(|client| client.vm_xml(vm), recording)?)
        }
        VmCommand::Add(args) => add(asker, args),
        VmCommand::Start { vm, explain } => {
            let request = VmStart { dry_run: *explain };
            show_change(asker, &asker.order(|client| client.vm_start(vm, &request))?)
        }
        VmCommand::Adopt { vm, dry_run } => {
            let request = VmAdopt { dry_run: *dry_run };
            show_change(asker, &asker.order(|client| client.vm_adopt(vm, &request))?)
        }
        VmCommand::Set { vm, guest_driver, dry_run } => {
            let package = (guest_driver != "none").then(|| guest_driver.clone());
            if let Some(text) = &package {
                recognised(text)?;
            }
            let request = VmGuestDriver { package, dry_run: *dry_run };
            show_change(asker, &asker.order(|client| client.vm_guest_driver(vm, &request))?)
        }
        VmCommand::Remove { vm, device } => {
            let change = asker.order(|client| client.vm_remove(vm, &removal(client, device)?))?;
            show_change(asker, &change)
        }
    }
}

fn list(asker: &Asker) -> Result<Answer, Failure> {
    let list = asker.ask_libvirt(Client::vms, |host| Ok(host.vms()))?;
    match &list.domains_unknown {
        // Never an empty table: that would say that there are none.
        Some(why) => document(asker.format(), &list, |_| format!("VMs: {why}\n")),
        None => show_list(asker, &list, render::vm::list),
    }
}

/// The domain of this name in a listing.
pub(super) fn find(list: &List<VmDocument>, name: &str) -> Result<List<VmDocument>, Failure> {
    if let Some(why) = &list.domains_unknown {
        let why: &Unknown = why;
        return Err(Failure::new(ErrorKind::Failed, format!("VM {name}: {why}")));
    }
    let mut found = list.clone();
    "Vm".clone_into(&mut found.kind);
    found.items.retain(|vm| vm.name == name);
    if found.items.is_empty() {
        return Err(no_vm(name));
    }
    Ok(found)
}

fn add(asker: &Asker, args: &AddArgs) -> Result<Answer, Failure> {
    let dry_run = args.dry_run;
    let change = asker.order(|client| client.vm_add(&args.vm, &addition(client, &args.device, dry_run)?))?;
    show_change(asker, &change)
}

fn addition(client: &Client, args: &DeviceArgs, dry_run: bool) -> Result<VmAdd, ClientError> {
    let wanted = &args.wanted;
    if let Some(selector) = &wanted.gpu {
        return Ok(VmAdd::Gpu { gpu: gpu::address(client, selector)?, dry_run });
    }
    if let Some(profile) = &wanted.profile {
        let mut params = VgpuParams::default();
        for text in &args.param {
            params.add(text).map_err(|error| usage(&error.to_string()))?;
        }
        let (profile, count) = (ProfileName(profile.clone()), args.count);
        return Ok(VmAdd::Profile { profile, count, params, dry_run });
    }
    if let Some(ids) = wanted.kind {
        return Ok(VmAdd::Match { kind: CardMatch { ids, label: args.label.clone() }, dry_run });
    }
    let id = wanted.vgpu.ok_or_else(|| usage("name a device with --profile, --gpu, --match or --vgpu"))?;
    Ok(VmAdd::Vgpu { id, dry_run })
}

fn usage(message: &str) -> ClientError {
    ClientError::Api(ApiError::new(ErrorKind::Usage, message))
}

fn removal(client: &Client, device: &DeviceArg) -> Result<VmRemove, ClientError> {
    match device {
        DeviceArg::Request(request) => Ok(VmRemove::Request { request: *request }),
        DeviceArg::Vgpu(id) => Ok(VmRemove::Vgpu { id: *id }),
        DeviceArg::Gpu(GpuSelector::Address(address)) => Ok(VmRemove::Gpu { gpu: *address }),
        DeviceArg::Gpu(selector) => gpu::address(client, selector).map(|gpu| VmRemove::Gpu { gpu }),
    }
}
