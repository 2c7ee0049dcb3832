//! libvirt: whether it answers, where, and whether it is new enough.

use gpuvirt_model::{Finding, FindingCode, Framework, Reading, Severity, Subject, Unknown};

use super::Case;
use crate::checks::shell_word;

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    [unreachable(case), another_uri(case), old(case)].into_iter().flatten().collect()
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
    let finding = Finding::new(
        FindingCode::LibvirtUnreachable,
        Severity::Error,
        Subject::Host,
        "libvirt does not answer gpuvirtd: VMs are unknown, none is edited, and which of them has which GPU is not checked",
    )
    .seen_at(uri, what);
    Some(
        finding
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

/// A version as libvirt counts it, for people.
pub(super) fn version(number: u32) -> String {
    format!("{}.{}.{}", number / 1_000_000, number / 1_000 % 1_000, number % 1_000)
}
