//! VMs and their GPU devices.

use gpuvirt_api::VmDocument;
use gpuvirt_api::gpu::GpuVm;
use gpuvirt_api::vm::VmDevice;
use gpuvirt_model::{DomainState, Hostdev, Reading};

use super::migration;
use super::page::Page;
use super::table::{Table, cut};

/// All domains, a line for each device; a domain without any has one line.
pub fn list(vms: &[VmDocument]) -> String {
    if vms.is_empty() {
        return "no VMs\n".to_owned();
    }
    let mut table = Table::new(["NAME", "STATE", "DEVICE", "GPU", "DEFINED", "RUNNING"]);
    for vm in vms {
        let head = || [vm.name.clone(), state(vm.state).to_owned()];
        for device in &vm.devices {
            let ([name, state], [what, gpu, defined, running]) = (head(), cells(device));
            table.row([name, state, what, gpu, defined, running]);
        }
        if vm.devices.is_empty() {
            let [name, state] = head();
            table.row([name, state, String::new(), String::new(), String::new(), String::new()]);
        }
    }
    let mut page = Page::new();
    page.table(0, &table);
    page.into_text()
}

/// One domain.
pub fn show(vm: &VmDocument) -> String {
    let mut page = Page::new();
    page.line(&vm.name);
    page.field("UUID", vm.uuid);
    page.field("state", state(vm.state));
    page.field_if("live migration", vm.live_migration.as_ref().map(migration::in_short));
    page.field_if("guest's driver", vm.guest_driver.as_ref());
    page.heading("GPU devices");
    if vm.devices.is_empty() {
        page.line("  none");
        asked(&mut page, vm);
        return page.into_text();
    }
    let mut table = Table::new(["DEVICE", "GPU", "DEFINED", "RUNNING", "MANAGED="]);
    for device in &vm.devices {
        let [what, gpu, defined, running] = cells(device);
        let managed = match &device.hostdev {
            Hostdev::Pci { managed, .. } => yes_no(*managed),
            Hostdev::Mdev { .. } => String::new(),
        };
        table.row([what, gpu, defined, running, managed]);
    }
    page.table(2, &table);
    asked(&mut page, vm);
    page.into_text()
}

/// What it asks for with what it got, and what is not as it should be.
fn asked(page: &mut Page, vm: &VmDocument) {
    if !vm.requests.is_empty() {
        page.heading("requests");
        let mut table = Table::new(["REQUEST", "FOR", "DEVICE"]);
        for request in &vm.requests {
            let device = request.assigned.as_ref().map_or_else(|| "none".to_owned(), named);
            table.row([format!("request-{}", request.id), request.wanted.to_string(), device]);
        }
        page.table(2, &table);
    }
    for warning in &vm.warnings {
        page.line(format_args!("warning: {}  [{}]", warning.text, warning.code));
    }
}

fn named(device: &Hostdev) -> String {
    match device {
        Hostdev::Pci { address, .. } => address.to_string(),
        Hostdev::Mdev { uuid } => format!("mdev {uuid}"),
    }
}

fn cells(device: &VmDevice) -> [String; 4] {
    let what = named(&device.hostdev);
    let gpu = device.gpu.map_or_else(|| "not here".to_owned(), |gpu| gpu.to_string());
    [what, gpu, yes_no(device.configured), yes_no(device.live)]
}

fn yes_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

fn state(state: DomainState) -> &'static str {
    match state {
        DomainState::ShutOff => "shut off",
        DomainState::Active => "active",
    }
}

/// Width of a VM's name in a cell of another listing.
const VM_WIDTH: usize = 16;

/// VMs in a cell: names of those that run with it first, those that are only defined with it in brackets.
pub fn vms_short(vms: &Reading<Vec<GpuVm>>) -> String {
    let Reading::Known(vms) = vms else { return "unknown".to_owned() };
    let (running, defined): (Vec<&GpuVm>, Vec<&GpuVm>) = vms.iter().partition(|vm| vm.running);
    let running = running.iter().map(|vm| cut(&vm.name, VM_WIDTH));
    let names: Vec<String> =
        running.chain(defined.iter().map(|vm| format!("({})", cut(&vm.name, VM_WIDTH)))).collect();
    match names.as_slice() {
        [first, second, _, ..] => format!("{first}, {second} +{}", names.len() - 2),
        _ => names.join(", "),
    }
}
