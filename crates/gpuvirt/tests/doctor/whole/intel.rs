//! The server of Intel's.

use super::*;

/// The card's driver is not loaded.
fn nvidia_gone(made: MadeSnapshot) -> MadeSnapshot {
    let made = dumped(made, SHARED, "E: DRIVER=", "E: WAS_DRIVER=");
    let made = dumped(made, SHARED, "L: driver=", "L: was_driver=");
    let files = [
        "/sys/module/nvidia",
        "/sys/module/nvidia/version",
        "/sys/module/nvidia_vgpu_vfio",
        "/proc/driver/nvidia/version",
    ];
    files.into_iter().fold(made, MadeSnapshot::absent)
}

pub fn breaks() -> Vec<Break> {
    const RELEASE: &str = "/lib/modules/6.12.0-55.el10.x86_64/modules.dep";
    let mut all = of_both();
    all.extend([
        broken(
            CMDLINE,
            |made| without_groups(made).file(CMDLINE, "ro\n"),
            Found(F::NoIommu, "no intel_iommu=on"),
        ),
        broken(
            "/boot/config-6.12.0-55.el10.x86_64",
            |made| without_groups(made).file("/boot/config-6.12.0-55.el10.x86_64", "CONFIG_VFIO_PCI=m\n"),
            Found(F::NoIommu, "CONFIG_INTEL_IOMMU is not set"),
        ),
        broken(
            "/sys/firmware/acpi/tables/DMAR",
            |made| without_table(made, "/sys/firmware/acpi/tables/DMAR"),
            Found(F::NoIommu, "switched off in its setup"),
        ),
        broken(
            RELEASE,
            |made| made.file(RELEASE, "kernel/x.ko:\n"),
            Found(F::VfioMissing, "has no vfio-pci"),
        ),
        broken(
            "/lib/modules/6.12.0-55.el10.x86_64/modules.builtin",
            |made| made.absent(CONTAINER).absent(UNSAFE).file(RELEASE, "kernel/vfio-pci.ko:\n"),
            Found(F::VfioMissing, "vfio_iommu_type1"),
        ),
        broken("/sys/module/nvidia", nvidia_gone, Found(F::NoHostDriver, "nvidia installed and not loaded")),
        broken(
            "/sys/module/nvidia/version",
            |made| no_vgpus(made).absent("/sys/module/nvidia_vgpu_vfio"),
            Found(F::WrongHostDriver, "580.178.05"),
        ),
        broken(
            "/proc/driver/nvidia/version",
            |made| {
                no_vgpus(made).absent("/sys/module/nvidia_vgpu_vfio").file(
                    "/proc/driver/nvidia/version",
                    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build\n",
                )
            },
            Found(F::WrongHostDriver, "its open kernel module"),
        ),
        broken(
            "/sys/module/nvidia_vgpu_vfio",
            |made| no_vgpus(made).absent("/sys/module/nvidia_vgpu_vfio"),
            Found(F::WrongHostDriver, ""),
        ),
        broken(
            "/sys/fs/selinux/enforce",
            |made| made.forget("/sys/fs/selinux/enforce"),
            Unchecked("SELinux"),
        ),
        broken(
            "/sys/fs/selinux/booleans/virt_hooks_unconfined",
            |made| {
                told(made.file("/sys/fs/selinux/booleans/virt_hooks_unconfined", "0 0"), |told| {
                    told.daemon.hook_proven = Some(false);
                    told.virtqemud_confined = Reading::Known(true);
                })
            },
            Found(F::HookBlocked, "virt_hooks_unconfined"),
        ),
        broken(
            "how SELinux confines virtqemud",
            |made| {
                told(made, |told| {
                    let what = "permission denied".to_owned();
                    told.virtqemud_confined = Reading::Unknown(Unknown::Unreadable { what });
                })
            },
            Unchecked("how SELinux confines virtqemud"),
        ),
        broken(LOCKDOWN, nvidia_gone, Found(F::DriverUnsigned, LOCKDOWN)),
        broken(SECURE_BOOT, |made| nvidia_gone(made).forget(LOCKDOWN), Found(F::DriverUnsigned, SECURE_BOOT)),
        broken(
            "/sys/module/module/parameters/sig_enforce",
            |made| nvidia_gone(made).file("/sys/module/module/parameters/sig_enforce", "Y\n"),
            Found(F::DriverUnsigned, "/sys/module/module/parameters/sig_enforce"),
        ),
        broken(
            "/usr/sbin/grubby",
            |made| made.file(CMDLINE, "pcie_acs_override=downstream\n"),
            Found(F::AcsOverride, "grubby --update-kernel=ALL --remove-args="),
        ),
        broken(
            "/usr/sbin/virtqemud",
            |made| made.absent("/usr/sbin/virtqemud"),
            Found(F::LibvirtMissing, ""),
        ),
        broken(
            "/usr/libexec/qemu-kvm",
            |made| made.absent("/usr/libexec/qemu-kvm"),
            Found(F::QemuMissing, ""),
        ),
        broken(CLAIM, |made| told(made.absent(CLAIM), direct), Found(F::ClaimNotEnabled, "")),
        broken(RULES, |made| told(made.absent(RULES), direct), Found(F::UdevRuleMissing, "")),
        broken(FREE, |made| made.forget(FREE).forget(PAGES), Unchecked("huge pages")),
        broken(
            AWAKE,
            |made| {
                let made = dumped(made, SHARED, "drivers/nvidia", "drivers/vfio-pci");
                let made = dumped(made, SHARED, "A: power_state=D0\\n", "A: power_state=D3cold\\n");
                dumped(made, SHARED, "A: power/runtime_status=active", "A: power/runtime_status=suspended")
            },
            Found(F::D3cold, AWAKE),
        ),
        broken(
            "how many virtual functions",
            |made| told(made, |told| told.desired.gpus[0].vf_count = Some(8)),
            Found(F::TypePending, "was to have 8"),
        ),
        broken(
            "libvirt's version for vGPUs",
            |made| told(made, |told| told.libvirt.versions = versions(9_000_000, 8_002_000)),
            Found(F::LibvirtOld, "10.0.0"),
        ),
    ]);
    all
}

fn direct(told: &mut Testimony) {
    told.desired.gpus[0].graphics_type = gpuvirt_model::ConfiguredType::Direct;
}

/// The virtual functions show no types: whether the driver makes vGPUs shows elsewhere alone.
fn no_vgpus(made: MadeSnapshot) -> MadeSnapshot {
    (4..8).fold(made, |made, function| {
        dumped(made, &format!("0000:26:00.{function}"), "A: nvidia/", "A: was_nvidia/")
    })
}
