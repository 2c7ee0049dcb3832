//! GPUs' drivers on the host: missing, refused, the wrong one.

use gpuvirt_model::{
    ConfiguredType, FindingCode as F, GraphicsType, HostDriver, HostDriverKind, Reading, Severity as S,
};

use super::bed::{Bed, Case, SECOND, at};
use super::cards::{change, direct};

const LOCKDOWN: &str = "/sys/kernel/security/lockdown";
const SECURE_BOOT: &str = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";

/// The second card has no driver, these are installed, and NVIDIA's is loaded.
fn loaded(bed: Bed, drivers: &str) -> Bed {
    let bed = waits_for_driver(bed, "x/y.ko");
    bed.file("/lib/modules/6.12.0-test/modules.dep", &format!("x/vfio-pci.ko:\n{drivers}"))
        .file("/sys/module/nvidia/initstate", "live\n")
}

/// The second card is an Arc that the host is to use. i915 is loaded, for the graphics in the processor; xe is not.
fn waits_for_xe(bed: Bed) -> Bed {
    bed.device(SECOND, "A: vendor=0x10de", "A: vendor=0x8086")
        .device(SECOND, "A: modalias=pci:v000010DE", "A: modalias=pci:v00008086")
        .configured(SECOND, ConfiguredType::Shared)
        .file(
            "/lib/modules/6.12.0-test/modules.dep",
            "x/vfio-pci.ko:\nkernel/drivers/gpu/drm/i915/i915.ko:\nupdates/dkms/xe.ko:\n",
        )
        .file("/sys/module/i915/initstate", "live\n")
        .absent("/sys/module/xe/initstate")
        .retouched(|observed| change(observed, SECOND, |function| function.binding.driver = None))
}

/// The second card has no driver, and this one is installed for it.
fn without_driver(bed: Bed, file: &str) -> Bed {
    bed.file(
        "/lib/modules/6.12.0-test/modules.dep",
        &format!("kernel/drivers/vfio/pci/vfio-pci.ko:\n{file}: x/y.ko\n"),
    )
    .retouched(|observed| change(observed, SECOND, |function| function.binding.driver = None))
}

/// The same, and the host is to use the card.
fn waits_for_driver(bed: Bed, file: &str) -> Bed {
    without_driver(bed, file).configured(SECOND, ConfiguredType::Shared)
}

#[test]
fn a_driver_that_sleeps_is_woken_and_one_that_is_loaded_asked_again() {
    let found = waits_for_xe(Bed::healthy()).examine().findings;
    let one = found.iter().find(|finding| finding.code == F::NoHostDriver).unwrap();
    assert_eq!(one.cause, "the host is to use it: i915 is loaded and did not take it, and xe is not loaded");
    let begins: Vec<&str> = one.remedy.iter().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(begins, ["modprobe", "echo", "journalctl"], "{:#?}", one.remedy);
}

#[test]
fn no_other_driver_is_woken_where_one_is_loaded() {
    let bed = loaded(Bed::healthy(), "x/nvidia.ko:\nkernel/x/nouveau.ko:\n")
        .absent("/sys/module/nouveau/initstate")
        .file("/etc/modprobe.d/nvidia.conf", "blacklist nouveau\n");
    let found = bed.examine().findings;
    let remedy: Vec<&str> = found.iter().flat_map(|finding| &finding.remedy).map(String::as_str).collect();
    let probe = format!("echo {SECOND} > /sys/bus/pci/drivers_probe");
    assert!(remedy.iter().any(|line| line.starts_with(&probe)), "{remedy:#?}");
    assert!(remedy.iter().all(|line| !line.contains("modprobe") && !line.contains("nouveau")), "{remedy:#?}");
}

/// Nobody asked for that card, or a VM is to have it.
pub fn not_missed() -> Vec<(&'static str, Bed)> {
    let locked = || {
        let bed = without_driver(Bed::healthy(), "updates/dkms/nvidia.ko");
        bed.file(LOCKDOWN, "none [integrity] confidentiality\n").file(SECURE_BOOT, "\u{6}\0\0\0\u{1}")
    };
    let direct =
        locked().configured(SECOND, ConfiguredType::Direct).retouched(|observed| direct(observed, SECOND));
    vec![
        ("a card that nobody asked for, under lockdown", locked()),
        ("a card of a VM's, under lockdown", direct),
    ]
}

pub fn cases() -> Vec<Case> {
    let case = Case::new;
    vec![
        case("a driver that lockdown may refuse", F::DriverUnsigned, S::Note, |bed: Bed| {
            waits_for_driver(bed, "updates/dkms/nvidia.ko")
                .file(LOCKDOWN, "none [integrity] confidentiality\n")
                .file(SECURE_BOOT, "\u{6}\0\0\0\u{1}")
        })
        .also(&[F::NoHostDriver])
        .says("updates/dkms/nvidia.ko"),
        case("a driver that Secure Boot may refuse", F::DriverUnsigned, S::Note, |bed| {
            waits_for_driver(bed, "extra/nvidia.ko.xz").file(SECURE_BOOT, "\u{6}\0\0\0\u{1}").treated(
                |health| health.security.lockdown.value = Reading::Unknown(gpuvirt_model::Unknown::NeedsRoot),
            )
        })
        .also(&[F::NoHostDriver]),
        case("a driver that the kernel's own parameter may refuse", F::DriverUnsigned, S::Note, |bed| {
            waits_for_driver(bed, "updates/dkms/nvidia.ko")
                .file("/sys/module/module/parameters/sig_enforce", "Y\n")
        })
        .also(&[F::NoHostDriver]),
        case("lockdown, and nouveau kept away for the driver's sake", F::DriverUnsigned, S::Note, |bed| {
            waits_for_driver(bed, "kernel/x/nouveau.ko:\nupdates/dkms/nvidia.ko")
                .absent("/sys/module/nouveau/initstate")
                .file(LOCKDOWN, "none [integrity] confidentiality\n")
                .file("/etc/modprobe.d/nvidia.conf", "blacklist nouveau\n")
        })
        .also(&[F::NoHostDriver])
        .says("updates/dkms/nvidia.ko"),
        case("lockdown, and a driver that came with the kernel", F::NoHostDriver, S::Warning, |bed| {
            waits_for_driver(bed, "kernel/drivers/gpu/drm/nouveau/nvidia.ko")
                .file(LOCKDOWN, "none [integrity] confidentiality\n")
        }),
        case("Secure Boot without lockdown", F::NoHostDriver, S::Warning, |bed| {
            waits_for_driver(bed, "updates/dkms/nvidia.ko")
                .file(LOCKDOWN, "[none] integrity confidentiality\n")
                .file(SECURE_BOOT, "\u{6}\0\0\0\u{1}")
        }),
        case("lockdown, and a driver that is blacklisted", F::NoHostDriver, S::Warning, |bed| {
            waits_for_driver(bed, "updates/dkms/nvidia.ko")
                .file(LOCKDOWN, "none [integrity] confidentiality\n")
                .file("/etc/modprobe.d/blacklist.conf", "blacklist nvidia\n")
        })
        .says("blacklist nvidia"),
        case("NVIDIA's plain driver", F::WrongHostDriver, S::Error, |bed| {
            bed.configured(SECOND, ConfiguredType::SharedDirect).retouched(|observed| {
                let gpu = observed.gpus.get_mut(&at(SECOND)).unwrap();
                let (version, evidence) = (None, "/proc/driver/nvidia/version".to_owned());
                gpu.driver = HostDriver { kind: HostDriverKind::Plain, version, evidence };
                // As asked, so that nothing else is found.
                (gpu.live_vgpus, gpu.host_driver) = (1, true);
                assert_eq!(gpu.active_type(None), GraphicsType::SharedDirect);
            })
        }),
        case("nouveau on a card for vGPUs", F::WrongHostDriver, S::Error, |bed| {
            bed.configured(SECOND, ConfiguredType::SharedDirect)
        })
        .also(&[F::TypePending])
        .says("nouveau has it: no driver for vGPUs"),
        case("amdgpu on a card that can have virtual functions", F::WrongHostDriver, S::Error, |bed| {
            bed.device(SECOND, "A: vendor=0x10de", "A: vendor=0x1002")
                .device(SECOND, "A: modalias=pci:v000010DE", "A: modalias=pci:v00001002")
                .device(SECOND, "A: reset=", "A: sriov_totalvfs=8\\n\nA: reset=")
                .device(SECOND, "drivers/nouveau", "drivers/amdgpu")
                .configured(SECOND, ConfiguredType::SharedDirect)
        })
        .also(&[F::TypePending])
        .says("vGPUs need AMD's driver gim"),
        case("a blacklisted driver", F::NoHostDriver, S::Warning, |mut bed| {
            bed = bed
                .file(
                    "/lib/modules/6.12.0-test/modules.dep",
                    "kernel/drivers/vfio/pci/vfio-pci.ko:\nkernel/drivers/gpu/drm/radeon/radeon.ko:\nx/nvidia.ko:\n",
                )
                .file("/etc/modprobe.d/blacklist.conf", "blacklist nvidia\n")
                .configured(SECOND, ConfiguredType::Shared);
            bed.retouched(|observed| {
                change(observed, SECOND, |function| function.binding.driver = None);
            })
        }),
        case("a driver that is loaded and did not take its card", F::NoHostDriver, S::Warning, |bed| {
            loaded(bed, "x/nvidia.ko:\n")
        })
        .says("nvidia is loaded and did not take it"),
        case("the same, and another one is kept away for its sake", F::NoHostDriver, S::Warning, |bed| {
            loaded(bed, "x/nvidia.ko:\nkernel/x/nouveau.ko:\n")
                .absent("/sys/module/nouveau/initstate")
                .file("/etc/modprobe.d/nvidia.conf", "blacklist nouveau\n")
        })
        .says("nvidia is loaded and did not take it"),
        case(
            "another card's driver is loaded, and this one's is blacklisted",
            F::NoHostDriver,
            S::Warning,
            |bed| waits_for_xe(bed).file("/etc/modprobe.d/blacklist.conf", "blacklist xe\n"),
        )
        .says("blacklist xe"),
        case("another card's driver is loaded, and this one's sleeps", F::NoHostDriver, S::Warning, |bed| {
            waits_for_xe(bed)
        })
        .says("xe installed and not loaded"),
        case(
            "another card's driver is loaded, and this one's may be refused",
            F::DriverUnsigned,
            S::Note,
            |bed| waits_for_xe(bed).file(LOCKDOWN, "none [integrity] confidentiality\n"),
        )
        .also(&[F::NoHostDriver])
        .says("updates/dkms/xe.ko"),
        case("a driver that a package blacklists", F::NoHostDriver, S::Warning, |mut bed| {
            bed = bed
                .file("/lib/modules/6.12.0-test/modules.dep", "x/vfio-pci.ko:\nx/nvidia.ko:\n")
                .file("/usr/lib/modprobe.d/blacklist.conf", "blacklist nvidia\n")
                .configured(SECOND, ConfiguredType::Shared);
            bed.retouched(|observed| {
                change(observed, SECOND, |function| function.binding.driver = None);
            })
        }),
    ]
}
