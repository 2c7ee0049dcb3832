//! The windows of a card: placed by the host, and large ones that a guest needs room for.

use gpuvirt_model::{Finding, FindingCode, Gpu, Machine, MachineFirmware, Severity, Subject};

use super::Case;
use super::command_line::{Change, remedies};

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let gpus = case.gpus();
    let of_gpu = gpus.flat_map(|gpu| [unassigned(case, gpu), resizable(case, gpu)]).flatten();
    let of_guests = case.gpus().flat_map(|gpu| {
        let narrow = case.machines_of(gpu).filter_map(|guest| too_wide(case, gpu, guest));
        guests_without_room(case, gpu).into_iter().chain(narrow).collect::<Vec<_>>()
    });
    of_gpu.chain(of_guests).collect()
}

const GIB: u64 = 1 << 30;

fn unassigned(case: &Case<'_>, gpu: &Gpu) -> Option<Finding> {
    let bars = &case.health.functions.get(&gpu.address)?.unassigned_bars;
    let list = bars.iter().map(|bar| format!("BAR {bar}")).collect::<Vec<_>>().join(", ");
    (!bars.is_empty()).then(|| {
        let finding = Finding::new(
            FindingCode::BarUnassigned,
            Severity::Error,
            Subject::Gpu(gpu.address),
            format!("the kernel found no place for {list}: no driver and no VM can use it"),
        )
        .seen_at(format!("/sys/bus/pci/devices/{}/resource", gpu.address), format!("{list} at address 0"))
        .remedy("turn on Above 4G Decoding (and SR-IOV support) in the firmware's setup");
        remedies(case, Change::Add("pci=realloc")).into_iter().fold(finding, Finding::remedy)
    })
}

/// A size can be chosen while no driver has the card, VFIO's included: before it goes there.
fn resizable(case: &Case<'_>, gpu: &Gpu) -> Option<Finding> {
    let primary = case.observed.primary_of(gpu)?;
    let windows = &case.health.functions.get(&gpu.address)?.resizable_bars;
    let (window, now) = windows.iter().find_map(|window| {
        let now = primary.bars.iter().find(|bar| bar.index == window.index)?.size;
        (now < window.largest).then_some((window, now))
    })?;
    case.is_for_passthrough(gpu).then(|| {
        let file = format!("/sys/bus/pci/devices/{}/resource{}_resize", gpu.address, window.index);
        Finding::new(
            FindingCode::BarResizable,
            Severity::Note,
            Subject::Gpu(gpu.address),
            format!(
                "its BAR {} is {} and could be {}: a guest gets it as it is, and can't change it",
                window.index,
                size(now),
                size(window.largest)
            ),
        )
        .seen_at(&file, size(window.largest))
        .remedy("turn on Resizable BAR in the firmware's setup")
        .remedy(format!(
            "or, while no driver has it: echo {} > {file}",
            (window.largest >> 20).max(1).ilog2()
        ))
    })
}

/// OVMF's own default, where it can't tell how wide the processor's addresses are; one that can takes an eighth of them
/// (edk2 since 2022, `PlatformDynamicMmioWindow`).
const DEFAULT_APERTURE: u64 = 32 * GIB;

/// All 64-bit windows of a card, in bytes.
fn wide_windows(case: &Case<'_>, gpu: &Gpu) -> u64 {
    let wide = |function: &gpuvirt_model::Function| -> u64 {
        let bars = function.bars.iter().filter(|bar| bar.memory && bar.wide);
        bars.fold(0, |sum, bar| sum.saturating_add(bar.size))
    };
    case.observed.functions_of(gpu).map(wide).fold(0, u64::saturating_add)
}

fn guests_without_room(case: &Case<'_>, gpu: &Gpu) -> Vec<Finding> {
    let need = wide_windows(case, gpu);
    if need <= DEFAULT_APERTURE / 2 {
        return Vec::new();
    }
    let small = case.machines_of(gpu).filter(|guest| {
        let told = guest.mmio64_mib.is_some_and(|mib| mib.saturating_mul(1 << 20) >= need.saturating_mul(2));
        guest.firmware == MachineFirmware::Uefi && !guest.host_physical_bits && !told
    });
    let finding = |guest: &gpuvirt_model::Machine| {
        let mib = need.saturating_mul(2).next_power_of_two() >> 20;
        Finding::new(
            FindingCode::ApertureSmall,
            Severity::Warning,
            Subject::Vm(guest.name.clone()),
            format!(
                "{} has windows of {}, and the guest's firmware may keep no more than {} for all of them: its driver then \
                 finds a card without memory",
                gpu.address,
                size(need),
                size(DEFAULT_APERTURE)
            ),
        )
        .seen_at(format!("/sys/bus/pci/devices/{}/resource", gpu.address), size(need))
        .seen_at(
            format!("definition of {}", guest.name),
            "neither the host's processor (mode='host-passthrough', <maxphysaddr mode='passthrough'/>) nor \
             opt/ovmf/X-PciMmio64Mb",
        )
        .remedy("<cpu mode='host-passthrough'/>, with an OVMF of 2022-11 or newer")
        .remedy(
            "or, with an older one, its first line becomes (virsh edit) \
             <domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>",
        )
        .remedy(format!(
            "and before </domain> goes <qemu:commandline><qemu:arg value='-fw_cfg'/>\
             <qemu:arg value='name=opt/ovmf/X-PciMmio64Mb,string={mib}'/></qemu:commandline>"
        ))
    };
    small.map(finding).collect()
}

/// What the guest's firmware is told, or what the card needs, against the processor's own width of addresses.
fn too_wide(case: &Case<'_>, gpu: &Gpu, guest: &Machine) -> Option<Finding> {
    let features = &case.health.cpu.features;
    let host = features.known()?.physical_bits.filter(|bits| (32..=64).contains(bits))?;
    let (severity, cause, seen) = told_too_wide(host, guest)
        .or_else(|| window_too_large(case, host, guest))
        .or_else(|| card_too_large(host, wide_windows(case, gpu), gpu, guest))?;
    let finding = Finding::new(FindingCode::AddressWidth, severity, Subject::Vm(guest.name.clone()), cause)
        .seen(features.shows(format!("{host} bits physical")))
        .seen_at(format!("definition of {}", guest.name), seen);
    Some(finding.remedy(
        "<cpu mode='host-passthrough'><maxphysaddr mode='passthrough'/></cpu>, and a window of twice the card's own at most",
    ))
}

/// More bits than there are: what the guest puts up there, the processor can't reach.
fn told_too_wide(host: u8, guest: &Machine) -> Option<(Severity, String, String)> {
    let told = guest.physical_bits.filter(|told| *told > host)?;
    let cause = format!(
        "its guest is told that addresses have {told} bits, and the processor has {host}: a window that it puts above those \
         can't be reached, and the guest hangs or finds a card without memory"
    );
    Some((Severity::Error, cause, format!("<maxphysaddr mode='emulate' bits='{told}'/>")))
}

/// OVMF puts the window that it is told of above the memory: where both don't fit, the guest does not start.
fn window_too_large(case: &Case<'_>, host: u8, guest: &Machine) -> Option<(Severity, String, String)> {
    let mib = guest.mmio64_mib.filter(|_| guest.firmware == MachineFirmware::Uefi)?;
    let memory = case.domains().find(|domain| domain.name == guest.name)?.guest.memory_kib?;
    let (window, memory) = (mib.saturating_mul(1 << 20), memory.saturating_mul(1 << 10));
    (window.saturating_add(memory) > all_of(host)).then(|| {
        let cause = format!(
            "its firmware is told to keep {} for windows beside {} of memory, and {host} bits of address reach {}: it does not \
             start",
            size(window),
            size(memory),
            size(all_of(host))
        );
        (Severity::Error, cause, format!("opt/ovmf/X-PciMmio64Mb,string={mib}"))
    })
}

/// What OVMF keeps for windows where it knows the processor's width, as a share of all addresses.
const SHARE: u64 = 8;

fn card_too_large(host: u8, need: u64, gpu: &Gpu, guest: &Machine) -> Option<(Severity, String, String)> {
    let room = all_of(host) / SHARE;
    let knows = guest.host_physical_bits && guest.mmio64_mib.is_none();
    (knows && guest.firmware == MachineFirmware::Uefi && need > room).then(|| {
        let cause = format!(
            "{} has windows of {}, and of the {host} bits of address that this processor has the guest's firmware keeps {} \
             for windows: its driver then finds a card without memory",
            gpu.address,
            size(need),
            size(room)
        );
        (Severity::Warning, cause, "the guest sees the host's width of addresses".to_owned())
    })
}

/// All bytes that so many bits reach.
fn all_of(bits: u8) -> u64 {
    1_u64.checked_shl(bits.into()).unwrap_or(u64::MAX)
}

fn size(bytes: u64) -> String {
    if bytes >= GIB { format!("{} GiB", bytes / GIB) } else { format!("{} MiB", bytes >> 20) }
}
