//! What must be installed and running: gpuvirtd, libvirt, QEMU.

use gpuvirt_model::health::Enablement;
use gpuvirt_model::{Fact, Finding, FindingCode, Severity, Subject};

use super::Case;
use crate::claim;

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let found = [
        libvirt_missing(case),
        qemu_missing(case),
        daemon_unreachable(case),
        daemon_not_enabled(case),
        claim_not_enabled(case),
        udev_rule_missing(case),
    ];
    found.into_iter().flatten().collect()
}

fn libvirt_missing(case: &Case<'_>) -> Option<Finding> {
    let cause = "libvirt's daemon is not installed: there are no VMs to give GPUs to";
    let finding = missing(FindingCode::LibvirtMissing, cause, &case.health.install.libvirt)?;
    Some(
        finding
            .remedy("Debian, Ubuntu: apt install libvirt-daemon-system")
            .remedy("Fedora, RHEL: dnf install libvirt; systemctl enable --now virtqemud.socket"),
    )
}

fn qemu_missing(case: &Case<'_>) -> Option<Finding> {
    let finding = missing(FindingCode::QemuMissing, "QEMU is not installed", &case.health.install.qemu)?;
    Some(
        finding
            .remedy("Debian, Ubuntu: apt install qemu-system-x86")
            .remedy("Fedora, RHEL: dnf install qemu-kvm"),
    )
}

fn missing(code: FindingCode, cause: &str, fact: &Fact<bool>) -> Option<Finding> {
    let finding = || Finding::new(code, Severity::Error, Subject::Host, cause).seen(fact.shows("not there"));
    fact.is(&false).then(finding)
}

fn daemon_unreachable(case: &Case<'_>) -> Option<Finding> {
    let why = case.daemon.unanswered.as_ref()?;
    let installed = &case.health.install.daemon;
    let finding = Finding::new(
        FindingCode::DaemonUnreachable,
        Severity::Warning,
        Subject::Host,
        "gpuvirtd does not answer: VMs are not looked at, nothing is restored at boot, and VMs with managed GPUs do not \
         start",
    )
    .seen_at("gpuvirtd", why);
    Some(if installed.is(&false) {
        finding
            .seen(installed.shows("not there"))
            .remedy("install the package, or give --socket the right path")
    } else {
        finding
            .remedy("systemctl enable --now gpuvirtd")
            .remedy("journalctl -u gpuvirtd # when it does not start")
    })
}

/// Only where something is configured that a boot would lose.
fn daemon_not_enabled(case: &Case<'_>) -> Option<Finding> {
    let install = &case.health.install;
    let lost = install.daemon.is(&true) && install.daemon_enabled.is(&false) && !case.desired.gpus.is_empty();
    lost.then(|| {
        let count = case.desired.gpus.len();
        Finding::new(
            FindingCode::DaemonNotEnabled,
            Severity::Warning,
            Subject::Host,
            format!("gpuvirtd does not start with the host: after a reboot {count} GPUs are not as they were configured"),
        )
        .seen(install.daemon_enabled.shows("not there"))
        .remedy("systemctl enable gpuvirtd")
    })
}

/// Only where a card is to be kept from host drivers at boot.
fn claim_not_enabled(case: &Case<'_>) -> Option<Finding> {
    let install = &case.health.install;
    let count = claim::cards(case.desired).count();
    if !install.daemon.is(&true) || count == 0 {
        return None;
    }
    let (shown, remedy) = match install.claim.known()? {
        Enablement::Enabled => return None,
        Enablement::Disabled => ("not there", "systemctl enable gpuvirt-claim.service"),
        Enablement::Masked => {
            ("masked", "systemctl unmask gpuvirt-claim.service; systemctl enable gpuvirt-claim.service")
        }
    };
    let cards =
        if count == 1 { "a passthrough card".to_owned() } else { format!("{count} passthrough cards") };
    let cause = format!(
        "gpuvirt-claim.service does not run at boot: a host driver that loads first may take {cards}, and not let go"
    );
    let finding = Finding::new(FindingCode::ClaimNotEnabled, Severity::Warning, Subject::Host, cause);
    Some(finding.seen(install.claim.shows(shown)).remedy(remedy))
}

/// Only where a card is to be kept from host drivers when it comes anew.
fn udev_rule_missing(case: &Case<'_>) -> Option<Finding> {
    let install = &case.health.install;
    let rule = &install.udev_rule;
    if !install.daemon.is(&true) || claim::cards(case.desired).next().is_none() {
        return None;
    }
    let again = || {
        "install the package again (dpkg -i gpuvirt_VERSION_ARCHITECTURE.deb), then udevadm control --reload"
            .to_owned()
    };
    let (shown, remedy) = match rule.known()? {
        Enablement::Enabled => return None,
        Enablement::Disabled => ("not there", again()),
        // The package's own file, emptied, is no mask to be taken away.
        Enablement::Masked if rule.source.starts_with("/usr/lib/") => ("empty", again()),
        Enablement::Masked => ("masked", format!("rm {}; udevadm control --reload", rule.source)),
    };
    let cause = "udev does not read gpuvirt's rule: a passthrough card that comes back to the bus while the host runs (plugged \
                 in, rescanned) goes to its host driver, which may not let go of it";
    let finding = Finding::new(FindingCode::UdevRuleMissing, Severity::Warning, Subject::Host, cause);
    Some(finding.seen(rule.shows(shown)).remedy(remedy))
}
