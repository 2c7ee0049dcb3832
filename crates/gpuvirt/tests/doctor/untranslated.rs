//! Functions that no IOMMU translates, on a host whose IOMMU works.

use gpuvirt_model::{ConfiguredType, FindingCode as F, PciAddress, Severity as S};
use gpuvirt_recording::made::{MadeFunction, MadeHost, MadeIdentity};

use super::bed::{Bed, Case, SECOND};
use super::cards::direct;

const CMDLINE: &str = "/proc/cmdline";
const CONFIG: &str = "/boot/config-6.12.0-test";
/// As Debian builds its kernels.
const DEBIAN: &str = "CONFIG_INTEL_IOMMU=y\n# CONFIG_INTEL_IOMMU_DEFAULT_ON is not set\n\
                      CONFIG_INTEL_IOMMU_DEFAULT_ON_INTGPU_OFF=y\nCONFIG_VFIO_PCI=m\n";

/// Without the second card's group.
fn left_out(bed: Bed) -> Bed {
    bed.device(SECOND, "L: iommu_group=", "L: was_iommu_group=")
}

/// The processor's graphics, in a group or in none.
fn inner(group: Option<u32>) -> MadeFunction {
    let identity = MadeIdentity { vendor: 0x8086, device: 0x46a6, subsystem: (0x8086, 1), class: 0x03_0000 };
    let address = PciAddress { domain: 0, bus: 0, slot: 2, function: 0 };
    let made = MadeFunction::new("/devices/pci0000:00", address, identity).driver("i915").reset("flr");
    group.into_iter().fold(made, MadeFunction::group)
}

fn with_inner(bed: Bed, words: &str, config: &str, group: Option<u32>) -> Bed {
    let identity = MadeIdentity { vendor: 0x8086, device: 0x4660, subsystem: (0x8086, 1), class: 0x06_0000 };
    let bridge = PciAddress { domain: 0, bus: 0, slot: 0, function: 0 };
    let bridge = MadeFunction::new("/devices/pci0000:00", bridge, identity).group(0);
    let bed = bed.with_devices(&MadeHost::new().function(&bridge).function(&inner(group)));
    bed.file(CMDLINE, words).file(CONFIG, config)
}

const PLAIN: &str = "CONFIG_INTEL_IOMMU=y\nCONFIG_VFIO_PCI=m\n";

pub fn cases() -> Vec<Case> {
    let case = Case::new;
    vec![
        case("a card that the firmware's table leaves out", F::NoIommu, S::Note, left_out)
            .says("0000:02:00.0: it can't be given"),
        case("a card for passthrough that is left out", F::NoIommu, S::Error, |bed| {
            left_out(bed)
                .configured(SECOND, ConfiguredType::Direct)
                .retouched(|observed| direct(observed, SECOND))
        })
        .says("/sys/bus/pci/devices/0000:02:00.0/iommu_group"),
        case("a card of a VM that is left out", F::NoIommu, S::Error, |bed| {
            left_out(bed).vm("games", |_, _| {})
        }),
        case("the processor's graphics, by Debian's default", F::NoIommu, S::Note, |bed| {
            with_inner(bed, "ro quiet\n", DEBIAN, None)
        })
        .says("CONFIG_INTEL_IOMMU_DEFAULT_ON_INTGPU_OFF=y"),
        case("the processor's graphics, by a word", F::NoIommu, S::Note, |bed| {
            with_inner(bed, "ro intel_iommu=on,igfx_off\n", PLAIN, None)
        })
        .says("intel_iommu=on,igfx_off"),
        case("the processor's graphics, by Debian's word", F::NoIommu, S::Note, |bed| {
            with_inner(bed, "ro intel_iommu=intgpu_off\n", DEBIAN, None)
        })
        .says("intel_iommu=intgpu_off"),
        case("the processor's graphics, for no reason that shows", F::NoIommu, S::Note, |bed| {
            with_inner(bed, "ro intel_iommu=on\n", DEBIAN, None)
        })
        .says("The firmware's table may leave it out"),
    ]
}

/// What is translated is no finding, however the kernel was built.
pub fn translated() -> Vec<(&'static str, Bed)> {
    let bed = with_inner(Bed::healthy(), "ro intel_iommu=on\n", DEBIAN, Some(20));
    vec![("the processor's graphics in a group", bed)]
}

#[test]
fn the_word_that_leaves_graphics_out_goes_and_the_others_stay() {
    for (words, config, want) in [
        (
            "ro intel_iommu=on,igfx_off,sm_on\n",
            PLAIN,
            "make intel_iommu=on,igfx_off,sm_on intel_iommu=on,sm_on in",
        ),
        ("ro intel_iommu=igfx_off\n", PLAIN, "make intel_iommu=igfx_off intel_iommu=on in"),
        ("ro quiet\n", DEBIAN, "add intel_iommu=on to"),
    ] {
        let found = with_inner(Bed::healthy(), words, config, None).examine().findings;
        let remedies: Vec<&String> = found.iter().flat_map(|finding| &finding.remedy).collect();
        assert!(remedies.iter().any(|line| line.contains(want)), "{want} is in none of {remedies:#?}");
    }
}
