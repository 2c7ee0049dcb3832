//! The host: processor, IOMMU, VFIO, modules, what is installed, libvirt, boot.

use gpuvirt_model::{ConfiguredType, FindingCode as F, Framework, Reading, Severity as S, Unknown};

use super::bed::{Bed, Case, FIRST, SECOND, at};
use super::cards::direct;

const CMDLINE: &str = "/proc/cmdline";
const CONFIG: &str = "/boot/config-6.12.0-test";
const CLAIM: &str = "/etc/systemd/system/sysinit.target.wants/gpuvirt-claim.service";

/// The same host with its IOMMU off: no groups.
fn without_groups(observed: &mut gpuvirt_model::Observed) {
    observed.host.iommu = false;
    observed.groups.clear();
    observed.functions.values_mut().for_each(|function| function.iommu_group = None);
}

/// Firmware whose tables are there, and none of them describes an IOMMU.
fn without_table(bed: Bed) -> Bed {
    bed.absent("/sys/firmware/acpi/tables/DMAR").file("/sys/firmware/acpi/tables/FACP", "")
}

pub fn with_remapping(observed: &mut gpuvirt_model::Observed, remapped: bool, waived: bool) {
    observed.host.interrupt_remapping = Reading::Known(remapped);
    observed.host.unsafe_interrupts_allowed = waived;
}

/// The second card is a VM's from the next boot on.
fn passthrough(bed: Bed) -> Bed {
    bed.configured(SECOND, ConfiguredType::Direct)
}

/// The early claim is disabled, udev's rule masked, and no card is to be claimed.
pub fn unclaimed_and_shared() -> Bed {
    let bed = Bed::healthy().absent(CLAIM).file("/etc/udev/rules.d/70-gpuvirt.rules", "");
    bed.configured(FIRST, ConfiguredType::Shared)
}

pub fn cases() -> Vec<Case> {
    let case = Case::new;
    let mut cases = vec![
        case("a processor without VT-x", F::NoCpuVirtualization, S::Error, |bed: Bed| {
            bed.file("/proc/cpuinfo", "vendor_id\t: GenuineIntel\nflags\t: fpu\n\n")
        }),
        case("a VM without nesting", F::NoCpuVirtualization, S::Error, |bed| {
            bed.file("/proc/cpuinfo", "vendor_id\t: AuthenticAMD\nflags\t: fpu hypervisor\n\n")
        }),
        case("KVM's module is not loaded, and its node is there", F::KvmMissing, S::Error, |bed| {
            bed.absent("/sys/class/misc/kvm").file("/dev/kvm", "")
        }),
        case("no groups", F::NoIommu, S::Error, |bed| bed.retouched(without_groups)),
        case("no groups: switched off", F::NoIommu, S::Error, |bed| {
            bed.file(CMDLINE, "ro intel_iommu=off\n").retouched(without_groups)
        })
        .says("The kernel was told intel_iommu=off"),
        case("the firmware has no IOMMU", F::NoIommu, S::Error, |bed| {
            without_table(bed).retouched(without_groups)
        })
        .says("it is switched off in its setup, or the board has none"),
        case("a VM without an IOMMU", F::NoIommu, S::Error, |bed| {
            without_table(bed)
                .file(
                    "/proc/cpuinfo",
                    "vendor_id\t: GenuineIntel\nflags\t\t: fpu vmx hypervisor\naddress sizes\t: 46 bits physical\n\n",
                )
                .retouched(without_groups)
        })
        .says("This host is a VM, and was given none"),
        case("a kernel without Intel's IOMMU", F::NoIommu, S::Error, |bed| {
            bed.file(CONFIG, "# CONFIG_INTEL_IOMMU is not set\nCONFIG_VFIO_PCI=m\n").retouched(without_groups)
        })
        .says("CONFIG_INTEL_IOMMU is not set"),
        case("a kernel without AMD's IOMMU", F::NoIommu, S::Error, |bed| {
            bed.file(
                "/proc/cpuinfo",
                "vendor_id\t: AuthenticAMD\nflags\t\t: fpu svm\naddress sizes\t: 46 bits physical\n\n",
            )
            .retouched(without_groups)
        })
        .says("CONFIG_AMD_IOMMU is not set"),
        case("a kernel without AMD's IOMMU, which has its own list alone", F::NoIommu, S::Error, |bed| {
            bed.file(
                "/proc/cpuinfo",
                "vendor_id\t: AuthenticAMD\nflags\t\t: fpu svm\naddress sizes\t: 46 bits physical\n\n",
            )
            .absent(CONFIG)
            .absent("/lib/modules/6.12.0-test/config")
            .absent("/lib/modules/6.12.0-test/build/.config")
            .file("/proc/config.gz", "CONFIG_INTEL_IOMMU=y\nCONFIG_VFIO_PCI=m\n")
            .retouched(without_groups)
        })
        .says("/proc/config.gz"),
        case("Intel's IOMMU is not asked for", F::NoIommu, S::Error, |bed| {
            bed.file(CMDLINE, "ro quiet\n").retouched(without_groups)
        })
        .says("no intel_iommu=on"),
        case("Intel's IOMMU is on by default and does not work", F::NoIommu, S::Error, |bed| {
            bed.file(CMDLINE, "ro quiet\n")
                .file(
                    CONFIG,
                    "CONFIG_INTEL_IOMMU=y\nCONFIG_INTEL_IOMMU_DEFAULT_ON=y\nCONFIG_VFIO_PCI=m\n",
                )
                .retouched(without_groups)
        })
        .says("Why, is not to be seen from here"),
        case("Debian's kernel, whose default is on", F::NoIommu, S::Error, |bed| {
            bed.file(CMDLINE, "ro quiet\n")
                .file(
                    CONFIG,
                    "CONFIG_INTEL_IOMMU=y\nCONFIG_INTEL_IOMMU_DEFAULT_ON_INTGPU_OFF=y\nCONFIG_VFIO_PCI=m\n",
                )
                .retouched(without_groups)
        })
        .says("Why, is not to be seen from here"),
        case("interrupts are not remapped", F::NoInterruptRemapping, S::Error, |bed| {
            bed.retouched(|observed| with_remapping(observed, false, false))
        }),
        case("interrupts are not remapped, of a VM", F::NoInterruptRemapping, S::Error, |bed| {
            super::remedies::in_a_vm(bed)
        }),
        case("interrupts are not to be remapped", F::NoInterruptRemapping, S::Error, |bed| {
            bed.file(CMDLINE, "ro intel_iommu=on intremap=off\n")
                .retouched(|observed| with_remapping(observed, false, false))
        })
        .says("intremap=off"),
        case("interrupts are not remapped, and waived", F::UnsafeInterrupts, S::Warning, |bed| {
            bed.retouched(|observed| with_remapping(observed, false, true))
        }),
        case("remapped and waived", F::UnsafeInterrupts, S::Warning, |bed| {
            bed.file("/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "Y\n")
        }),
        case("VFIO without IOMMU", F::NoIommuMode, S::Warning, |bed| {
            bed.file("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", "Y\n")
        }),
        case("the ACS override", F::AcsOverride, S::Warning, |bed| {
            bed.file(CMDLINE, "ro intel_iommu=on pcie_acs_override=downstream,multifunction\n")
        }),
        case("a kernel without vfio-pci", F::VfioMissing, S::Error, |bed| {
            bed.file("/lib/modules/6.12.0-test/modules.dep", "kernel/drivers/gpu/drm/nouveau/nouveau.ko:\n")
        }),
        case("a kernel that was built without vfio-pci", F::VfioMissing, S::Error, |bed| {
            bed.file("/lib/modules/6.12.0-test/modules.dep", "kernel/drivers/gpu/drm/nouveau/nouveau.ko:\n")
                .file(CONFIG, "CONFIG_INTEL_IOMMU=y\n# CONFIG_VFIO_PCI is not set\n")
        })
        .says("CONFIG_VFIO_PCI is not set"),
        case("a kernel without VFIO's IOMMU driver", F::VfioMissing, S::Error, without_iommu_driver)
            .says("the module vfio_iommu_type1 is neither loaded, built in nor installed"),
        case("twins by ids on the command line", F::TakenById, S::Warning, |bed| {
            bed.file(CMDLINE, "ro intel_iommu=on vfio-pci.ids=10de:2204,10de:1aef\n")
        }),
        case("twins by ids in a file", F::TakenById, S::Warning, |bed| {
            bed.file("/etc/modprobe.d/vfio.conf", "# mine\noptions vfio-pci \\\n ids=10de:2204\n")
        }),
        case("NVSwitches", F::Nvswitch, S::Note, with_switch).says("nvidia-fabricmanager does not run"),
        case("a card behind NVSwitches, for passthrough", F::Nvswitch, S::Warning, |bed| {
            with_switch(bed)
                .configured(SECOND, ConfiguredType::Direct)
                .retouched(|observed| direct(observed, SECOND))
        })
        .says("0000:02:00.0 are for passthrough and are joined by NVSwitches"),
    ];
    cases.extend(installed());
    cases
}

/// The kernel's lists of modules are there, and none has it.
pub fn without_iommu_driver(bed: Bed) -> Bed {
    bed.absent("/sys/module/vfio_iommu_type1")
        .file("/lib/modules/6.12.0-test/modules.builtin", "kernel/drivers/vfio/vfio.ko\n")
}

fn with_switch(bed: Bed) -> Bed {
    bed.with_device(
        "P: /devices/pci0000:00/0000:00:05.0\nE: SUBSYSTEM=pci\nE: PCI_CLASS=68000\nE: PCI_ID=10DE:22A3\n\
         E: PCI_SUBSYS_ID=10DE:1796\nE: PCI_SLOT_NAME=0000:00:05.0\nA: class=0x068000\\n\nA: vendor=0x10de\\n\n\
         A: device=0x22a3\\n\nA: subsystem_vendor=0x10de\\n\nA: subsystem_device=0x1796\\n\n",
    )
}

fn installed() -> Vec<Case> {
    let case = Case::new;
    vec![
        case("no libvirt", F::LibvirtMissing, S::Error, |bed: Bed| {
            bed.absent("/usr/sbin/libvirtd").absent("/usr/sbin/virtqemud")
        }),
        case("no QEMU", F::QemuMissing, S::Error, |bed| {
            ["/usr/bin/qemu-system-x86_64", "/usr/libexec/qemu-kvm", "/usr/bin/qemu-kvm"]
                .into_iter()
                .fold(bed, Bed::absent)
        }),
        case("libvirt does not answer", F::LibvirtUnreachable, S::Error, |mut bed| {
            let why = Unknown::Unreadable { what: "no answer after 5s".to_owned() };
            bed.domains = Reading::Unknown(why.clone());
            bed.libvirt.versions = Reading::Unknown(why);
            bed
        })
        .says("VMs are unknown"),
        case("libvirt owes an answer", F::LibvirtUnreachable, S::Warning, |mut bed| {
            let why = Unknown::Unreadable { what: "no answer after 700ms".to_owned() };
            bed.domains = Reading::Unknown(why.clone());
            bed.libvirt.versions = Reading::Unknown(why);
            bed.libvirt.owes_answer = true;
            bed
        })
        .says("has not answered yet"),
        case("a session's libvirt", F::LibvirtUri, S::Warning, |mut bed| {
            bed.libvirt.uri = Some("qemu:///session".to_owned());
            bed
        }),
        case("libvirt 6.0", F::LibvirtOld, S::Error, |mut bed| {
            let versions = gpuvirt_model::health::LibvirtVersions { libvirt: 6_000_000, qemu: 4_002_000 };
            bed.libvirt.versions = Reading::Known(versions);
            bed
        })
        .says("libvirt is older than 6.5.0"),
        case("libvirt 9 with NVIDIA's vendor-specific VFIO", F::LibvirtOld, S::Error, |mut bed| {
            let versions = gpuvirt_model::health::LibvirtVersions { libvirt: 9_000_000, qemu: 8_002_000 };
            bed.libvirt.versions = Reading::Known(versions);
            bed.retouched(|observed| {
                observed.gpus.get_mut(&at(SECOND)).unwrap().frameworks = vec![Framework::NvidiaVfio];
            })
        })
        .says("libvirt is older than 10.0.0: it refuses vGPUs"),
        case("no daemon", F::DaemonUnreachable, S::Warning, |mut bed| {
            bed.daemon.unanswered = Some("gpuvirtd does not answer".to_owned());
            bed
        }),
        case("a daemon that is not enabled", F::DaemonNotEnabled, S::Warning, |bed| {
            bed.absent("/etc/systemd/system/multi-user.target.wants/gpuvirtd.service")
                .configured(FIRST, ConfiguredType::Shared)
        }),
        case("a claim that is not enabled", F::ClaimNotEnabled, S::Warning, |bed| {
            passthrough(bed.absent(CLAIM))
        })
        .also(&[F::TypePending])
        .says("not there"),
        case("a claim that is masked", F::ClaimNotEnabled, S::Warning, |bed| {
            passthrough(bed.file("/etc/systemd/system/gpuvirt-claim.service", ""))
        })
        .also(&[F::TypePending])
        .says("masked"),
        case("udev's rule is not there", F::UdevRuleMissing, S::Warning, |bed| {
            passthrough(bed.absent("/usr/lib/udev/rules.d/70-gpuvirt.rules"))
        })
        .also(&[F::TypePending])
        .says("not there"),
        case("udev's rule is masked", F::UdevRuleMissing, S::Warning, |bed| {
            passthrough(bed.file("/etc/udev/rules.d/70-gpuvirt.rules", ""))
        })
        .also(&[F::TypePending])
        .says("masked"),
        case("an old initramfs", F::InitramfsStale, S::Warning, |mut bed| {
            bed.daemon.stale_boot_image = Some("/boot/initrd.img is older: update-initramfs -u".to_owned());
            bed
        }),
        case("a state that can't be read", F::StateUnreadable, S::Error, |mut bed| {
            bed.daemon.problems = vec!["state.json: expected value at line 1".to_owned()];
            bed
        }),
        case("nobody who writes", F::NoWriter, S::Error, |mut bed| {
            bed.daemon.no_writer = Some("no writer is to be had".to_owned());
            bed
        }),
        case("a change that is not settled", F::HandsOff, S::Error, |mut bed| {
            bed.daemon.unsettled = vec![(at(FIRST), format!("{FIRST} becomes direct"))];
            bed
        }),
    ]
}
