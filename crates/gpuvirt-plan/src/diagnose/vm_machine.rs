//! A VM's machine: what of it fights a GPU.

use gpuvirt_model::{Finding, FindingCode, Gpu, Machine, MachineBus, Severity, Subject};

use super::Case;
use crate::checks::is_inner_graphics;

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for gpu in case.gpus() {
        for guest in case.machines_of(gpu) {
            // Graphics in the processor want just that: an i440fx, and to be 00:02.0 in the guest too (QEMU's docs/igd-assign.txt).
            let inner = case.observed.primary_of(gpu).is_some_and(is_inner_graphics);
            let of_place = [conventional_bus(gpu, guest), root_bus(gpu, guest)];
            found.extend(of_place.into_iter().flatten().filter(|_| !inner));
            found.extend(code_43(case, gpu, guest));
            found.extend([needless_hiding(case, gpu, guest), software(gpu, guest)].into_iter().flatten());
        }
    }
    found
}

fn of(guest: &Machine, code: FindingCode, severity: Severity, cause: String) -> Finding {
    Finding::new(code, severity, Subject::Vm(guest.name.clone()), cause)
}

fn definition(guest: &Machine) -> String {
    format!("definition of {}", guest.name)
}

fn conventional_bus(gpu: &Gpu, guest: &Machine) -> Option<Finding> {
    (guest.bus == MachineBus::Conventional).then(|| {
        of(
            guest,
            FindingCode::ConventionalBus,
            Severity::Warning,
            format!(
                "its machine is an i440fx with a conventional PCI bus, and {} is a PCI Express card: its driver finds no \
                 extended config space, and often does not start",
                gpu.address
            ),
        )
        .seen_at(definition(guest), "<os><type machine='pc...'>")
        .remedy("make a new VM with machine='q35', and take the disk along: a Windows that runs does not survive the change")
    })
}

/// AMD's drivers read the link that is upstream of the card, and crash where there is none.
fn root_bus(gpu: &Gpu, guest: &Machine) -> Option<Finding> {
    let on_root = guest.devices.iter().any(|device| device.address == gpu.address && device.on_root_bus);
    (on_root && guest.bus == MachineBus::Express).then(|| {
        of(
            guest,
            FindingCode::OnRootBus,
            Severity::Note,
            format!("{} sits on the guest's root bus, as processor graphics do: some drivers want a root port above a card", gpu.address),
        )
        .seen_at(definition(guest), "<address bus='0x00'> of the hostdev")
        .remedy("drop the <address type='pci'> of that hostdev: libvirt then puts it behind a root port")
    })
}

const NVIDIA: u16 = 0x10de;
type Devices = std::ops::RangeInclusive<u16>;
/// Fermi: its last driver (390) knows no guests. By device id, as pci.ids names them.
const FERMI: [Devices; 6] =
    [0x06c0..=0x06df, 0x0dc0..=0x0dff, 0x0e22..=0x0e3f, 0x0f00..=0x0f06, 0x1040..=0x109f, 0x1200..=0x1251];
/// Quadro, Tesla and NVS among them: their drivers were let into guests.
const FERMI_BOARDS: [Devices; 8] = [
    0x06d0..=0x06df,
    0x0dd8..=0x0dda,
    0x0def..=0x0def,
    0x0df8..=0x0dfc,
    0x0e3a..=0x0e3b,
    0x1056..=0x1057,
    0x107c..=0x107d,
    0x108e..=0x109b,
];
/// Kepler and all that came later: their drivers know guests since 465.
const NEWER: [Devices; 3] = [0x0fc0..=0x103f, 0x1180..=0x11ff, 0x1280..=u16::MAX];

/// Whether a guest with this card must not see KVM; none where it is not known, as with cards older than Fermi.
fn needs_hiding(case: &Case<'_>, gpu: &Gpu) -> Option<bool> {
    let identity = case.observed.primary_of(gpu)?.identity;
    let is_of = |list: &[Devices]| list.iter().any(|devices| devices.contains(&identity.device));
    match () {
        () if identity.vendor != NVIDIA || is_of(&FERMI_BOARDS) => None,
        () if is_of(&FERMI) => Some(true),
        () if is_of(&NEWER) => Some(false),
        () => None,
    }
}

fn code_43(case: &Case<'_>, gpu: &Gpu, guest: &Machine) -> Option<Finding> {
    let missed = needs_hiding(case, gpu)? && !(guest.kvm_hidden && guest.hyperv_vendor);
    missed.then(|| {
        of(
            guest,
            FindingCode::Code43,
            Severity::Warning,
            format!(
                "the last driver for {} refuses to work in a VM (Code 43): it must not see that it is in one",
                gpu.address
            ),
        )
        .seen_at(definition(guest), "no <kvm><hidden state='on'/>, or no <hyperv><vendor_id state='on'>")
        .remedy("in <features>: <kvm><hidden state='on'/></kvm>")
        .remedy("in <features>: <hyperv><vendor_id state='on' value='none'/></hyperv>")
    })
}

/// Hiding costs the guest its paravirtual clock and spinlocks.
fn needless_hiding(case: &Case<'_>, gpu: &Gpu, guest: &Machine) -> Option<Finding> {
    let needless = guest.kvm_hidden && needs_hiding(case, gpu) == Some(false);
    needless.then(|| {
        of(
            guest,
            FindingCode::Code43Needless,
            Severity::Note,
            format!("it hides KVM from the guest, which drivers for {} want no more (465 and newer): it only costs speed", gpu.address),
        )
        .seen_at(definition(guest), "<kvm><hidden state='on'/>")
        .remedy("drop <kvm><hidden state='on'/></kvm>, when the guest's driver is 465 or newer")
    })
}

fn software(gpu: &Gpu, guest: &Machine) -> Option<Finding> {
    (!guest.kvm).then(|| {
        of(
            guest,
            FindingCode::NotKvm,
            Severity::Warning,
            format!("QEMU runs it in software, not by KVM: with {} it is too slow to be of use", gpu.address),
        )
        .seen_at(definition(guest), "<domain type='qemu'>")
        .remedy("<domain type='kvm'>, where /dev/kvm is there")
    })
}
