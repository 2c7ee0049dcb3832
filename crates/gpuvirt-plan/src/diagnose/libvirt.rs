//! libvirt: whether it answers, where, and whether it and QEMU are new enough for what is configured.

use gpuvirt_model::{Finding, FindingCode, Framework, Machine, Reading, Severity, Subject, Unknown};

use super::Case;
use crate::checks::shell_word;

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let mut found: Vec<Finding> =
        [unreachable(case), another_uri(case), old(case)].into_iter().flatten().collect();
    found.extend(qemu_old(case));
    found
}

/// The host's own VMs, as root's libvirt has them.
const SYSTEM: &str = "qemu:///system";
/// `qemu.d`, where several hooks stand side by side, is read since 6.5.0 (libvirt's documentation of hooks).
const HOOK_FOLDERS: u32 = 6_005_000;
/// A driver of a vendor's own that is bound already is accepted with `managed='no'` since 10.0.0 (`virpci.c` looks for
/// `vfio-dev/`).
const VENDOR_DRIVERS: u32 = 10_000_000;

fn unreachable(case: &Case<'_>) -> Option<Finding> {
    let uri = case.libvirt.uri.as_deref()?;
    let Reading::Unknown(Unknown::Unreadable { what }) = &case.observed.domains else { return None };
    let of = |severity, cause: &str| {
        Finding::new(FindingCode::LibvirtUnreachable, severity, Subject::Host, cause).seen_at(uri, what)
    };
    if case.libvirt.owes_answer || case.libvirt.versions.known().is_some() {
        return Some(
            of(
                Severity::Warning,
                "libvirt has not answered yet: it lists no VMs while it starts one or has just begun itself; else it hangs. \
                 VMs are not looked at",
            )
            .remedy("gpuvirt doctor # again, when a VM was starting")
            .remedy(format!("virsh -c {} list --all # as root: does it hang too?", shell_word(uri)))
            .remedy("systemctl restart libvirtd # or virtqemud; VMs run on"),
        );
    }
    Some(
        of(
            Severity::Error,
            "libvirt does not answer gpuvirtd: VMs are unknown, none is edited, and which of them has which GPU is not checked",
        )
            .remedy("systemctl status libvirtd virtqemud.socket")
            .remedy(format!("virsh -c {} list --all # as root", shell_word(uri)))
            .remedy("another URI: libvirt_uri in /etc/gpuvirt/gpuvirtd.toml"),
    )
}

fn another_uri(case: &Case<'_>) -> Option<Finding> {
    let uri = case.libvirt.uri.as_deref().filter(|uri| *uri != SYSTEM)?;
    Some(
        Finding::new(
            FindingCode::LibvirtUri,
            Severity::Warning,
            Subject::Host,
            format!("gpuvirtd asks another libvirt than the host's own: VMs of {SYSTEM} are not known to it"),
        )
        .seen_at("/etc/gpuvirt/gpuvirtd.toml", format!("libvirt_uri = {uri:?}"))
        .remedy(format!(
            "libvirt_uri = {SYSTEM:?} in /etc/gpuvirt/gpuvirtd.toml; systemctl restart gpuvirtd"
        )),
    )
}

fn old(case: &Case<'_>) -> Option<Finding> {
    let versions = case.libvirt.versions.known()?;
    let vendor_vfio = case.gpus().any(|gpu| gpu.frameworks.contains(&Framework::NvidiaVfio));
    let (least, why) = if versions.libvirt < HOOK_FOLDERS {
        (HOOK_FOLDERS, "it does not read /etc/libvirt/hooks/qemu.d, so our hook never runs")
    } else if versions.libvirt < VENDOR_DRIVERS && vendor_vfio {
        (VENDOR_DRIVERS, "it refuses vGPUs that are virtual functions on the vendor's own driver")
    } else {
        return None;
    };
    Some(
        Finding::new(
            FindingCode::LibvirtOld,
            Severity::Error,
            Subject::Host,
            format!("libvirt is older than {}: {why}", version(least)),
        )
        .seen_at("libvirt", format!("{}, QEMU {}", version(versions.libvirt), version(versions.qemu)))
        .remedy(format!(
            "upgrade libvirt to {} or newer: a newer release of the distribution has it",
            version(least)
        )),
    )
}

/// VMs whose machine is of a newer QEMU: their definitions came from another host, or QEMU was taken back to an earlier release.
fn qemu_old(case: &Case<'_>) -> Vec<Finding> {
    let Some(versions) = case.libvirt.versions.known() else { return Vec::new() };
    let machines = case.libvirt.machines.known().into_iter().flatten();
    let newer = machines.filter_map(|guest| {
        let least = guest.machine_type.as_deref().and_then(qemu_of)?;
        (least > versions.qemu).then_some((guest, least))
    });
    let finding = |(guest, least): (&Machine, u32)| {
        let name = guest.machine_type.as_deref().unwrap_or_default();
        Finding::new(
            FindingCode::QemuOld,
            Severity::Error,
            Subject::Vm(guest.name.clone()),
            format!(
                "it does not start: its machine is QEMU {}'s, and this host has QEMU {}",
                short(least),
                version(versions.qemu)
            ),
        )
        .seen_at(format!("definition of {}", guest.name), format!("<os><type machine='{name}'>"))
        .seen_at("libvirt", format!("{}, QEMU {}", version(versions.libvirt), version(versions.qemu)))
        .remedy(format!("upgrade QEMU to {} or newer, as on the host that the VM comes from", short(least)))
        .remedy(format!(
            "virsh edit {} # or machine='{}', with this host's newest; a Windows guest sees new hardware then",
            shell_word(&guest.name),
            if name.starts_with("pc-q35-") { "q35" } else { "pc" }
        ))
    };
    newer.map(finding).collect()
}

/// The QEMU that has a machine, as libvirt counts versions, of the names that QEMU itself gives: `pc-q35-9.2`, `pc-i440fx-2.12`.
/// Distributions have names of their own, with numbers that are not QEMU's.
fn qemu_of(machine: &str) -> Option<u32> {
    let number = machine.strip_prefix("pc-q35-").or_else(|| machine.strip_prefix("pc-i440fx-"))?;
    let (major, minor) = number.split_once('.')?;
    let small = |text: &str| text.parse::<u32>().ok().filter(|number| *number < 1_000);
    Some(small(major)? * 1_000_000 + small(minor)? * 1_000)
}

fn short(number: u32) -> String {
    format!("{}.{}", number / 1_000_000, number / 1_000 % 1_000)
}

/// A version as libvirt counts it, for people.
pub(super) fn version(number: u32) -> String {
    format!("{}.{}.{}", number / 1_000_000, number / 1_000 % 1_000, number % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_qemus_own_names_tell_its_version() {
        for (machine, want) in [
            ("pc-q35-9.2", Some(9_002_000)),
            ("pc-i440fx-2.12", Some(2_012_000)),
            ("pc-q35-10.0", Some(10_000_000)),
            ("pc-q35-rhel9.4.0", None),
            ("pc-q35-noble", None),
            ("pc-q35-9.2.1", None),
            ("pc-q35-4294967.0", None),
            ("q35", None),
            ("microvm", None),
            ("", None),
        ] {
            assert_eq!(qemu_of(machine), want, "{machine}");
        }
    }
}
