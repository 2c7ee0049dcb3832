//! The windows of a card: placed by the host, and large ones that a guest needs room for.

use gpuvirt_model::{Finding, FindingCode, Gpu, MachineFirmware, Severity, Subject};

use super::Case;
use super::iommu::kernel_argument;

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let gpus = case.gpus();
    let of_gpu = gpus.flat_map(|gpu| [unassigned(case, gpu), resizable(case, gpu)]).flatten();
    of_gpu.chain(case.gpus().flat_map(|gpu| guests_without_room(case, gpu))).collect()
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
        kernel_argument("pci=realloc").into_iter().fold(finding, Finding::remedy)
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

fn guests_without_room(case: &Case<'_>, gpu: &Gpu) -> Vec<Finding> {
    let wide = |function: &gpuvirt_model::Function| -> u64 {
        let bars = function.bars.iter().filter(|bar| bar.memory && bar.wide);
        bars.fold(0, |sum, bar| sum.saturating_add(bar.size))
    };
    let need = case.observed.functions_of(gpu).map(wide).fold(0, u64::saturating_add);
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
            "neither <maxphysaddr mode='passthrough'/> nor opt/ovmf/X-PciMmio64Mb",
        )
        .remedy("<cpu mode='host-passthrough'><maxphysaddr mode='passthrough'/></cpu>, with an OVMF of 2022-11 or newer")
        .remedy(format!(
            "with an older one: <qemu:arg value='-fw_cfg'/><qemu:arg value='name=opt/ovmf/X-PciMmio64Mb,string={mib}'/>"
        ))
    };
    small.map(finding).collect()
}

fn size(bytes: u64) -> String {
    if bytes >= GIB { format!("{} GiB", bytes / GIB) } else { format!("{} MiB", bytes >> 20) }
}
