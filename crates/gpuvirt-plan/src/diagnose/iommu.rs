//! The IOMMU: whether it works is judged by its groups; why it does not, by the firmware's tables, the kernel's build and its
//! command line, in this order.

use gpuvirt_model::health::BootHealth;
use gpuvirt_model::{Evidence, Finding, FindingCode, Reading, Severity, Subject};

use super::Case;
use super::command_line::{Change, remedies};
use crate::checks::{REMAPPED_IN_A_VM, UNSAFE_NOW};
use crate::initramfs::MADE_ANEW;

pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    [no_iommu(case), no_interrupt_remapping(case), unsafe_interrupts(case), acs_override(case)]
        .into_iter()
        .flatten()
        .collect()
}

/// Debian's kernels are built so: on, but not for the processor's graphics unless `intel_iommu=on` asks for them too.
pub(super) const INNER_GRAPHICS_OFF: &str = "CONFIG_INTEL_IOMMU_DEFAULT_ON_INTGPU_OFF";

/// Whether the command line asks for Intel's: `intel_iommu=` holds a list.
pub(super) fn asks_for_intel(boot: &BootHealth) -> bool {
    boot.words("intel_iommu=").any(|word| intel_options(word).any(|option| option == "on"))
}

/// The list of a word `intel_iommu=`.
pub(super) fn intel_options(word: &str) -> impl Iterator<Item = &str> {
    word.split_once('=').map(|(_, list)| list).unwrap_or_default().split(',')
}

/// Words that switch it off.
const OFF: [&str; 4] = ["iommu=off", "intel_iommu=off", "amd_iommu=off", "iommu=soft"];

fn no_iommu(case: &Case<'_>) -> Option<Finding> {
    if case.observed.host.iommu {
        return None;
    }
    let finding = Finding::new(
        FindingCode::NoIommu,
        Severity::Error,
        Subject::Host,
        format!("the IOMMU does not work: no card can be given to a VM. {}", why(case).0),
    )
    .seen_at("/sys/kernel/iommu_groups", "no groups");
    let (_, evidence, remedy) = why(case);
    let finding = evidence.into_iter().fold(finding, Finding::seen);
    Some(remedy.into_iter().fold(finding, Finding::remedy))
}

/// Why it does not work, from what that is known, and what to do.
fn why(case: &Case<'_>) -> (String, Vec<Evidence>, Vec<String>) {
    let health = case.health;
    let (boot, table) = (&health.boot, &health.iommu.table);
    let intel = health.cpu.features.known().is_some_and(|features| features.vendor == "GenuineIntel");
    let is_vm = health.cpu.features.known().is_some_and(|features| features.hypervisor);
    let switched_off = OFF.iter().find(|word| boot.has_word(word));
    if let Some(word) = switched_off {
        let remedy = remedies(case, Change::Drop(word));
        return (format!("The kernel was told {word}."), vec![boot.command_line.shows(word)], remedy);
    }
    if table.is(&None) {
        let (text, remedy) = if is_vm {
            (
                "This host is a VM, and was given none.",
                "give the VM a virtual IOMMU (libvirt: <iommu model='intel'/>)",
            )
        } else {
            (
                "The firmware describes none: it is switched off in its setup, or the board has none.",
                "turn on VT-d (Intel) or AMD-Vi/IOMMU (AMD) in the firmware's setup; a new firmware may be needed",
            )
        };
        return (text.to_owned(), vec![table.shows("neither DMAR nor IVRS")], vec![remedy.to_owned()]);
    }
    let option = if intel { "CONFIG_INTEL_IOMMU" } else { "CONFIG_AMD_IOMMU" };
    if boot.built_with(option) == Some(false) && health.cpu.features.known().is_some() {
        let text = format!("This kernel was built without {option}.");
        let remedy = format!("boot a kernel that has {option}: every distribution's own has");
        return (text, vec![boot.config.shows(format!("{option} is not set"))], vec![remedy]);
    }
    if intel && boot.command_line.known().is_some() && !asks_for_intel(boot) {
        let by_default = ["CONFIG_INTEL_IOMMU_DEFAULT_ON", INNER_GRAPHICS_OFF];
        if !by_default.iter().any(|option| boot.built_with(option) == Some(true)) {
            let text = "The kernel was not told to turn it on: on Intel it has to be.".to_owned();
            return (
                text,
                vec![boot.command_line.shows("no intel_iommu=on")],
                remedies(case, Change::Add("intel_iommu=on")),
            );
        }
    }
    let text = "Why, is not to be seen from here.".to_owned();
    let remedy = vec![
        "turn on VT-d or AMD-Vi in the firmware's setup".to_owned(),
        "on Intel, boot with intel_iommu=on on the kernel's command line".to_owned(),
        "journalctl -k -b | grep -i -e DMAR -e IOMMU -e AMD-Vi".to_owned(),
    ];
    (text, Vec::new(), remedy)
}

/// Words that switch remapping off; the first is the older spelling.
const NOT_REMAPPED: [&str; 2] = ["nointremap", "intremap=off"];

fn no_interrupt_remapping(case: &Case<'_>) -> Option<Finding> {
    let host = &case.observed.host;
    let missing =
        host.iommu && host.interrupt_remapping == Reading::Known(false) && !host.unsafe_interrupts_allowed;
    let is_vm = case.health.cpu.features.known().is_some_and(|features| features.hypervisor);
    missing.then(|| {
        let finding = Finding::new(
            FindingCode::NoInterruptRemapping,
            Severity::Error,
            Subject::Host,
            "interrupts are not remapped: VFIO refuses to start a VM with a passthrough device",
        )
        .seen_at("/proc/interrupts", "no chip begins with IR-");
        let word = NOT_REMAPPED.iter().find(|word| case.health.boot.has_word(word));
        let finding = match word {
            Some(word) => {
                let finding = finding.seen(case.health.boot.command_line.shows(word));
                remedies(case, Change::Drop(word)).into_iter().fold(finding, Finding::remedy)
            }
            None if is_vm => finding.remedy(REMAPPED_IN_A_VM),
            None => finding
                .remedy("turn on interrupt remapping (VT-d, x2APIC) in the firmware's setup, and reboot"),
        };
        finding
            .remedy(format!("{UNSAFE_NOW} # only where every guest is trusted; until the next boot"))
            .remedy(
                "echo 'options vfio_iommu_type1 allow_unsafe_interrupts=1' > /etc/modprobe.d/vfio-interrupts.conf # the \
                 same, from the next boot on",
            )
            .remedy(format!("make the initramfs anew ({MADE_ANEW}) where it has VFIO's modules"))
    })
}

fn unsafe_interrupts(case: &Case<'_>) -> Option<Finding> {
    let host = &case.observed.host;
    if !host.unsafe_interrupts_allowed || !host.iommu {
        return None;
    }
    let finding = |cause: &str| {
        Finding::new(FindingCode::UnsafeInterrupts, Severity::Warning, Subject::Host, cause)
            .seen_at("/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "Y")
    };
    Some(match host.interrupt_remapping {
        Reading::Known(true) => finding("VFIO may go without interrupt remapping, which works here and is not waived")
            .remedy("drop allow_unsafe_interrupts from /etc/modprobe.d and the kernel's command line"),
        _ => finding("interrupts are not remapped, and VFIO was told to go without: a guest can send the host any interrupt")
            .remedy("keep to guests that you trust, or turn on interrupt remapping in the firmware's setup"),
    })
}

fn acs_override(case: &Case<'_>) -> Option<Finding> {
    let word = case.health.boot.words("pcie_acs_override=").next()?;
    let finding = Finding::new(
        FindingCode::AcsOverride,
        Severity::Warning,
        Subject::Host,
        "the kernel was told to take functions for isolated that the hardware does not isolate: a guest may reach the memory of \
         a device that the host or another guest has",
    )
    .seen(case.health.boot.command_line.shows(word))
    .remedy("move cards to slots with groups of their own, and do without it:");
    let finding = remedies(case, Change::Drop(word)).into_iter().fold(finding, Finding::remedy);
    Some(finding.remedy("or keep to guests that you trust"))
}
