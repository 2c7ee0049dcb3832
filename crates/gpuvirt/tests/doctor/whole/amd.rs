//! The desktop of AMD's.

use super::*;

/// The host's own card loses its driver.
fn amdgpu_gone(made: MadeSnapshot) -> MadeSnapshot {
    let made = dumped(made, OWN, "E: DRIVER=", "E: WAS_DRIVER=");
    dumped(made, OWN, "L: driver=", "L: was_driver=")
}

/// The VM's card is without power.
fn off(made: MadeSnapshot) -> MadeSnapshot {
    let made = dumped(made, GIVEN, "A: power_state=D0\\n", "A: power_state=D3cold\\n");
    dumped(made, GIVEN, "A: power/runtime_status=active", "A: power/runtime_status=suspended")
}

pub fn breaks() -> Vec<Break> {
    let mut all = of_both();
    all.extend([
        broken(
            "/boot/config-6.12.57+deb13-amd64",
            |made| without_groups(made).file("/boot/config-6.12.57+deb13-amd64", "CONFIG_VFIO_PCI=m\n"),
            Found(F::NoIommu, "CONFIG_AMD_IOMMU is not set"),
        ),
        broken(
            "/sys/firmware/acpi/tables/IVRS",
            |made| without_table(made, "/sys/firmware/acpi/tables/IVRS"),
            Found(F::NoIommu, "switched off in its setup"),
        ),
        broken(
            "/lib/modules/6.12.57+deb13-amd64/modules.dep",
            |made| amdgpu_gone(made).absent("/sys/module/amdgpu/initstate"),
            Found(F::NoHostDriver, "amdgpu installed and not loaded"),
        ),
        broken(
            "/lib/modules/6.12.57+deb13-amd64/modules.builtin",
            |made| {
                made.absent(CONTAINER)
                    .absent(UNSAFE)
                    .file("/lib/modules/6.12.57+deb13-amd64/modules.dep", "kernel/vfio-pci.ko:\n")
            },
            Found(F::VfioMissing, "vfio_iommu_type1"),
        ),
        broken(
            "/sys/module/amdgpu/initstate",
            |made| amdgpu_gone(made).absent("/sys/module/amdgpu/initstate"),
            Found(F::NoHostDriver, "modprobe amdgpu"),
        ),
        broken(
            "/sys/module/apparmor/parameters/enabled",
            |made| made.forget("/sys/module/apparmor/parameters/enabled"),
            Unchecked("AppArmor's profile of libvirt"),
        ),
        broken(PROFILE, |made| made.file(PROFILE, "profile libvirtd {\n}\n"), Found(F::HookBlocked, PROFILE)),
        broken(LOCKDOWN, |made| made.forget(LOCKDOWN), Unchecked("the kernel's lockdown")),
        broken(
            "/usr/sbin/update-grub",
            |made| made.file(CMDLINE, "pcie_acs_override=downstream\n"),
            Found(F::AcsOverride, "/etc/default/grub; update-grub # then reboot"),
        ),
        broken(
            "/usr/sbin/libvirtd",
            |made| made.absent("/usr/sbin/libvirtd").absent("/usr/sbin/virtqemud"),
            Found(F::LibvirtMissing, ""),
        ),
        broken(
            "/usr/bin/qemu-system-x86_64",
            |made| {
                ["/usr/bin/qemu-system-x86_64", "/usr/libexec/qemu-kvm", "/usr/bin/qemu-kvm"]
                    .into_iter()
                    .fold(made, MadeSnapshot::absent)
            },
            Found(F::QemuMissing, ""),
        ),
        broken(CLAIM, |made| made.absent(CLAIM), Found(F::ClaimNotEnabled, "")),
        broken(RULES, |made| made.absent(RULES), Found(F::UdevRuleMissing, "")),
        broken(
            "/proc/meminfo",
            |made| made.file("/proc/meminfo", "MemTotal: 8388608 kB\nHugepagesize: 1048576 kB\n"),
            Found(F::MemoryNotLockable, ""),
        ),
        broken(
            FREE,
            |made| made.file(PAGES, "10\n").file(FREE, "7\n"),
            Found(F::MemoryNotLockable, "7 of 10 free"),
        ),
        broken(
            "/proc/iomem",
            |made| made.file("/proc/iomem", "0-0 : 0000:06:00.0\n  0-0 : BOOTFB\n"),
            Found(F::FirmwareFramebuffer, ""),
        ),
        broken(AWAKE, |made| off(made).file(AWAKE, "N\n"), Found(F::D3cold, AWAKE)),
        broken(
            "the card's group",
            |made| dumped(made, "0000:00:1d.0", "iommu_groups/7", "iommu_groups/21"),
            Found(F::GroupNotViable, ""),
        ),
        broken(
            "the card's resets",
            |made| dumped(made, GIVEN, "A: reset_method=flr bus", "A: reset_method="),
            Found(F::NoResetMethod, ""),
        ),
        broken(
            "the card's windows",
            |made| {
                dumped(
                    made,
                    GIVEN,
                    "0x0000003800000000 0x0000003bffffffff",
                    "0x0000000000000000 0x00000003ffffffff",
                )
            },
            Found(F::BarUnassigned, ""),
        ),
        broken(
            "the card's node",
            |made| dumped(made, GIVEN, "A: numa_node=0", "A: numa_node=1"),
            Found(F::NumaRemote, ""),
        ),
        broken(
            "the card's driver",
            |made| dumped(made, GIVEN, "drivers/vfio-pci", "drivers/amdgpu"),
            Found(F::TypePending, ""),
        ),
        broken(
            "the card's power",
            |made| dumped(made, GIVEN, "A: power_state=D0\\n", "A: power_state=error\\n"),
            Found(F::PowerStuck, ""),
        ),
        broken(
            "which display is the firmware's",
            |made| {
                told(
                    dumped(
                        dumped(made, GIVEN, "A: boot_vga=0", "A: boot_vga=1"),
                        GIVEN,
                        "drivers/vfio-pci",
                        "drivers/amdgpu",
                    ),
                    |_| {},
                )
            },
            Found(F::BootDisplay, ""),
        ),
        broken(
            "what is configured",
            |made| told(made, |told| told.desired.gpus[1].identity.device = 1),
            Found(F::IdentityChanged, ""),
        ),
        broken(
            "what is configured elsewhere",
            |made| told(made, |told| told.desired.gpus[0].address.bus = 0x77),
            Found(F::GpuNotFound, ""),
        ),
        broken(
            "the request",
            |made| told(made, |told| domain(told).requests.list[0].assigned = None),
            Found(F::RequestWithoutDevice, ""),
        ),
        broken(
            "whose requests they are",
            |made| told(made, |told| domain(told).requests.domain = Some(uuid::Uuid::nil())),
            Found(F::CopiedRequest, ""),
        ),
        broken(
            "the guest's memory",
            |made| told(made, |told| domain(told).guest.hard_limit_kib = Some(1024)),
            Found(F::MemoryNotLockable, ""),
        ),
        broken(
            "the guest's processor",
            |made| told(made, |told| machine(told).host_physical_bits = false),
            Found(F::ApertureSmall, ""),
        ),
        broken(
            "the guest's bus",
            |made| told(made, |told| machine(told).bus = gpuvirt_model::MachineBus::Conventional),
            Found(F::ConventionalBus, ""),
        ),
        broken(
            "the guest's machine",
            |made| told(made, |told| machine(told).machine_type = Some("pc-q35-99.0".to_owned())),
            Found(F::QemuOld, ""),
        ),
        broken(
            "who holds the VM's card",
            |made| {
                told(dumped(made, GIVEN, "drivers/vfio-pci", "drivers/amdgpu"), |told| {
                    let (own, given) = (crate::doctor::bed::at(OWN), crate::doctor::bed::at(GIVEN));
                    let held = told.holders.remove(&own).unwrap();
                    told.holders.insert(given, held);
                })
            },
            Found(F::TypePending, "gnome-shell"),
        ),
    ]);
    all
}

fn domain(told: &mut Testimony) -> &mut gpuvirt_model::Domain {
    let gpuvirt_model::Reading::Known(domains) = &mut told.domains else { panic!("domains are known") };
    &mut domains[0]
}

fn machine(told: &mut Testimony) -> &mut gpuvirt_model::Machine {
    let gpuvirt_model::Reading::Known(machines) = &mut told.libvirt.machines else {
        panic!("machines are known")
    };
    &mut machines[0]
}
