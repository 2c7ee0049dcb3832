//! Checks on who holds the card. They block plans that unbind; consoles also those that bind to VFIO.

use gpuvirt_model::{Domain, Holder, Hostdev, Reading, Refusal, RefusalCode, Warning, WarningCode};

use super::{Switch, list};
use crate::vendor;

/// A running domain has a function that would be unbound: the write would hang until it stops.
pub(super) fn domain_running(switch: &Switch) -> Vec<Refusal> {
    running(switch)
        .map(|domain| {
            switch.refuse(
                RefusalCode::DomainRunning,
                format!("VM {} is running with it", domain.name),
                vec![format!("shut the VM down: virsh shutdown -- {}", shell_word(&domain.name))],
            )
        })
        .collect()
}

fn running<'a>(switch: &Switch<'a>) -> impl Iterator<Item = &'a Domain> + use<'a> {
    let functions = switch.gpu.functions.clone();
    switch.observed.domains.known().into_iter().flatten().filter(move |domain| {
        domain.live.iter().any(|d| matches!(d, Hostdev::Pci { address, .. } if functions.contains(address)))
    })
}

/// A process or an open sound stream holds it. QEMU's own hold on a VFIO group is named with its VM where that is known.
pub(super) fn gpu_in_use(switch: &Switch) -> Option<Refusal> {
    let known_vm = running(switch).next().is_some();
    let stopped = vendor::stopped_processes(switch.plan, switch.observed);
    let holds = |holder: &&Holder| match holder {
        Holder::Process { pid, .. } if stopped.contains(pid) => false,
        Holder::Process { command, .. } => !(known_vm && command.starts_with("qemu")),
        Holder::DrmClient { .. } | Holder::Sound { .. } | Holder::UsbDevice { .. } => true,
        Holder::Console { .. } | Holder::Domain { .. } => false,
    };
    let holders: Vec<&Holder> = switch.gpu.holders.seen.iter().filter(holds).collect();
    let pids: Vec<u32> = holders.iter().filter_map(|holder| pid(holder)).collect();
    (!holders.is_empty()).then(|| {
        let usb = holders.iter().any(|holder| matches!(holder, Holder::UsbDevice { .. }));
        let unplug = usb.then(|| "plug the USB devices into ports that are not the card's".to_owned());
        let remedy = match pids.as_slice() {
            [] => "stop what uses it, and try again".to_owned(),
            _ => format!(
                "end these processes, or stop their services: ps -fp {}",
                list(&pids).replace(' ', "")
            ),
        };
        switch.refuse(
            RefusalCode::GpuInUse,
            format!("it is held by {}", list(&holders)),
            unplug.into_iter().chain([remedy]).collect(),
        )
    })
}

fn pid(holder: &Holder) -> Option<u32> {
    match holder {
        Holder::Process { pid, .. } => Some(*pid),
        Holder::Sound { pid, .. } => *pid,
        Holder::Console { .. }
        | Holder::DrmClient { .. }
        | Holder::UsbDevice { .. }
        | Holder::Domain { .. } => None,
    }
}

/// The firmware's display: whoever looks at the monitor loses it, and the boot framebuffer may hold its BAR.
pub(super) fn boot_display(switch: &Switch) -> Option<Refusal> {
    if !is_boot_display(switch) {
        return None;
    }
    let consoles: Vec<&Holder> = consoles(switch).collect();
    let drawn = match consoles.as_slice() {
        [] => "no console was seen on it".to_owned(),
        seen => format!("its framebuffer is held by {}", list(seen)),
    };
    Some(switch.refuse(
        RefusalCode::BootDisplay,
        format!("it is the display that the firmware booted with; {drawn}"),
        vec![
            "make another GPU the primary display in the firmware's setup".to_owned(),
            "or reach the host by ssh or serial console first: its own screen goes dark".to_owned(),
            "where efifb or simpledrm holds it: boot with video=efifb:off, or initcall_blacklist=sysfb_init".to_owned(),
        ],
    ))
}

/// The kernel's console draws on it, though it is not the firmware's display.
pub(super) fn console_active(switch: &Switch) -> Option<Refusal> {
    let consoles: Vec<&Holder> = consoles(switch).collect();
    let taken = switch.takes(switch.gpu.address);
    (taken && !consoles.is_empty() && !is_boot_display(switch)).then(|| {
        switch.refuse(
            RefusalCode::ConsoleActive,
            format!("it is held by {}", list(&consoles)),
            vec!["move the console away: boot with fbcon=map:1, or accept that it goes dark".to_owned()],
        )
    })
}

fn is_boot_display(switch: &Switch) -> bool {
    let primary = switch.observed.primary_of(switch.gpu);
    primary.is_some_and(|f| {
        switch.takes(f.address) && (f.boot_vga == Some(true) || f.boot_display == Some(true))
    })
}

fn consoles<'a>(switch: &Switch<'a>) -> impl Iterator<Item = &'a Holder> + use<'a> {
    switch.gpu.holders.seen.iter().filter(|holder| matches!(holder, Holder::Console { .. }))
}

/// Holders may be hidden from us: processes, or VMs, one of which may be starting while libvirt does not answer.
pub(super) fn unseen(switch: &Switch) -> Vec<Warning> {
    let address = switch.gpu.address;
    let processes =
        switch.gpu.holders.unseen.as_ref().map(|why| format!("who else holds {address} is {why}"));
    let vms = match &switch.observed.domains {
        Reading::Known(_) => None,
        Reading::Unknown(why) => Some(format!("which VMs have or are about to get {address} is {why}")),
    };
    let warning = |text| Warning { code: WarningCode::HoldersUnseen, text };
    processes.into_iter().chain(vms).map(warning).collect()
}

/// Domains that are off and whose next start would want the card as it was.
pub(super) fn also_defined_in(switch: &Switch) -> Option<Warning> {
    let names: Vec<&str> = crate::domains_using(switch.gpu, switch.observed)
        .filter(|(_, running)| !running)
        .map(|(domain, _)| domain.name.as_str())
        .collect();
    let direct = switch.to == gpuvirt_model::GraphicsType::Direct;
    (!names.is_empty() && !direct).then(|| Warning {
        code: WarningCode::AlsoDefinedIn,
        text: format!(
            "{} is in the definition of {}, which will not start without it",
            switch.gpu.address,
            list(names)
        ),
    })
}

/// A word that a shell takes as one, whatever is in it.
pub fn shell_word(text: &str) -> String {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:/".contains(&b));
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
