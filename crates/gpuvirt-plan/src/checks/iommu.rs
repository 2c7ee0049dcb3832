//! Checks on isolation.

use gpuvirt_model::{
    Function, IommuGroup, MemberRole, Reading, Refusal, RefusalCode, Unknown, Warning, WarningCode,
};

use super::{Switch, list};

pub(super) fn no_iommu(switch: &Switch) -> Option<Refusal> {
    if !switch.observed.host.iommu {
        return Some(switch.refuse(
            RefusalCode::NoIommu,
            "the host has no IOMMU groups: the IOMMU is off".to_owned(),
            vec![
                "turn on VT-d or AMD-Vi in the firmware's setup".to_owned(),
                "on Intel, boot with intel_iommu=on on the kernel command line".to_owned(),
            ],
        ));
    }
    let unsafe_group = switch.observed.groups_of(switch.gpu).find(|group| group.noiommu);
    if let Some(group) = unsafe_group {
        let because = format!("group {} is of VFIO's no-IOMMU mode, which isolates nothing", group.id);
        return Some(switch.refuse(
            RefusalCode::NoIommu,
            because,
            vec!["turn the IOMMU on instead".to_owned()],
        ));
    }
    let outside: Vec<&Function> =
        switch.observed.functions_of(switch.gpu).filter(|f| f.iommu_group.is_none()).collect();
    let because = format!("no IOMMU translates for {}", list(outside.iter().map(|f| f.address)));
    let remedy = translated_by(outside.first()?);
    Some(switch.refuse(RefusalCode::NoIommu, because, remedy))
}

/// Graphics in an Intel processor, or a virtual function of them. Debian's kernels leave them out of what the IOMMU translates:
/// there is firmware that touches them behind the kernel's back.
pub(crate) fn is_inner_graphics(function: &Function) -> bool {
    let (identity, address) = (function.identity, function.address);
    identity.vendor == 0x8086 && identity.class.is_display() && (address.domain, address.bus) == (0, 0)
}

/// What makes the IOMMU translate for a function too, on a host where it does for others.
pub(super) fn translated_by(function: &Function) -> Vec<String> {
    let first = if is_inner_graphics(function) {
        "boot with intel_iommu=on on the kernel's command line, and without igfx_off or intgpu_off: without it Debian's kernels \
         leave the processor's graphics out"
    } else {
        "look for a newer firmware, and for VT-d or AMD-Vi in its setup: its table leaves the function out"
    };
    vec![first.to_owned(), format!("gpuvirt doctor {} # what this host says of it", function.address)]
}

pub(super) fn group_not_viable(switch: &Switch) -> Vec<Refusal> {
    switch.observed.groups_of(switch.gpu).filter_map(|group| foreigners(switch, group)).collect()
}

/// One refusal for a group with foreign members, which names each with its driver. What could not be read counts as
/// foreign, and so does what is no PCI device: on x86 the kernel gives those groups of their own (drivers/iommu, Intel and
/// AMD: `generic_device_group`), so of one that shares a card's nothing is known.
fn foreigners(switch: &Switch, group: &IommuGroup) -> Option<Refusal> {
    let members = group.members.iter().filter_map(|address| switch.observed.functions.get(address));
    let mut foreign: Vec<String> = members
        .filter(|member| MemberRole::of(member, &switch.gpu.functions) == MemberRole::Foreign)
        .map(describe)
        .collect();
    let unread = group.unread(&switch.observed.functions);
    foreign.extend(unread.map(|address| format!("{address} (which could not be read)")));
    foreign.extend(group.others.iter().map(|name| format!("{name:?} (no PCI device)")));
    if !group.is_listed(&switch.observed.functions) {
        foreign.push("members that could not be listed".to_owned());
    }
    (!foreign.is_empty()).then(|| {
        switch.refuse(
            RefusalCode::GroupNotViable,
            format!("IOMMU group {} also holds {}", group.id, list(&foreign)),
            vec![
                "move the card to a slot with an IOMMU group of its own".to_owned(),
                "or take the other device from its driver, if the host can do without it".to_owned(),
            ],
        )
    })
}

fn describe(member: &Function) -> String {
    let name = member.device_name.clone().unwrap_or_else(|| member.identity.to_string());
    match &member.binding.driver {
        Some(driver) => format!("{} ({name}, driver {driver})", member.address),
        None => format!("{} ({name})", member.address),
    }
}

/// A loaded module takes no parameters of modprobe's any more.
pub(crate) const UNSAFE_NOW: &str =
    "modprobe vfio_iommu_type1; echo Y > /sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts";
/// QEMU's virtual IOMMU remaps where it is told so, and its interrupt controller is not the kernel's alone.
pub(crate) const REMAPPED_IN_A_VM: &str = "outside, in this VM's definition: <ioapic driver='qemu'/> in <features> and <driver \
     intremap='on'/> in its <iommu>, and then switch it off and start it";

pub(super) fn no_interrupt_remapping(switch: &Switch) -> Option<Refusal> {
    let host = &switch.observed.host;
    let missing = host.interrupt_remapping == Reading::Known(false) && !host.unsafe_interrupts_allowed;
    missing.then(|| {
        switch.refuse(
            RefusalCode::NoInterruptRemapping,
            "the interrupt chips in /proc/interrupts do not remap interrupts, so VFIO would refuse the guest"
                .to_owned(),
            vec![
                "turn on interrupt remapping (x2APIC, VT-d) in the firmware's setup, and drop nointremap"
                    .to_owned(),
                format!("where this host is a VM: {REMAPPED_IN_A_VM}"),
                format!("{UNSAFE_NOW} # only where every guest is trusted; until the next boot"),
            ],
        )
    })
}

pub(super) fn interrupt_remapping_unknown(switch: &Switch) -> Option<Warning> {
    let Reading::Unknown(why) = &switch.observed.host.interrupt_remapping else { return None };
    let why = match why {
        Unknown::Unreadable { what } => what.clone(),
        other => other.to_string(),
    };
    Some(Warning {
        code: WarningCode::InterruptRemappingUnknown,
        text: format!("it cannot be told whether interrupts are remapped: {why}"),
    })
}
