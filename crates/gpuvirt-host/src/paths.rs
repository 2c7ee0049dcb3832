//! Every kernel path that this crate uses, built from typed values. No other module spells one.

use gpuvirt_model::{DriverName, PciAddress, UnitName, VgpuId};
use uuid::Uuid;

/// All PCI functions.
pub(crate) const PCI_DEVICES: &str = "/sys/bus/pci/devices";
/// All registered PCI drivers.
pub(crate) const PCI_DRIVERS: &str = "/sys/bus/pci/drivers";
/// Binds a driverless function.
pub(crate) const DRIVERS_PROBE: &str = "/sys/bus/pci/drivers_probe";
/// The number of the kernel's last uevent.
pub(crate) const UEVENT_SEQNUM: &str = "/sys/kernel/uevent_seqnum";
/// All IOMMU groups.
pub(crate) const IOMMU_GROUPS: &str = "/sys/kernel/iommu_groups";
/// There once the mdev core is.
pub(crate) const MDEV_BUS: &str = "/sys/bus/mdev";
/// Links to the devices that offer types of mediated devices.
pub(crate) const MDEV_PARENTS: &str = "/sys/class/mdev_bus";
/// Live mediated devices.
pub(crate) const MDEV_DEVICES: &str = "/sys/bus/mdev/devices";
/// Virtual consoles' back ends.
pub(crate) const VTCONSOLES: &str = "/sys/class/vtconsole";
/// Processes.
pub(crate) const PROC: &str = "/proc";
/// Our own process's name.
pub(crate) const OWN_COMM: &str = "/proc/self/comm";
/// Our own open files.
pub(crate) const OWN_FILES: &str = "/proc/self/fd";
/// Frame buffers with their drivers.
pub(crate) const PROC_FB: &str = "/proc/fb";
/// The kernel's command line.
pub(crate) const CMDLINE: &str = "/proc/cmdline";
/// Interrupts with their chips.
pub(crate) const INTERRUPTS: &str = "/proc/interrupts";
/// The kernel's release.
pub(crate) const OS_RELEASE: &str = "/proc/sys/kernel/osrelease";
/// A uuid that every boot chooses anew.
pub(crate) const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// Whether the VFIO type 1 back end goes without interrupt remapping.
pub(crate) const UNSAFE_INTERRUPTS: &str = "/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts";
/// The class of nodes for I2C buses, there when the module i2c-dev is loaded.
pub(crate) const I2C_NODES: &str = "/sys/class/i2c-dev";
/// NVIDIA's module, there when it is loaded.
pub(crate) const NVIDIA_MODULE: &str = "/sys/module/nvidia";
/// Its version.
pub(crate) const NVIDIA_MODULE_VERSION: &str = "/sys/module/nvidia/version";
/// The module that NVIDIA's vGPU host driver has besides.
pub(crate) const NVIDIA_VGPU_MODULE: &str = "/sys/module/nvidia_vgpu_vfio";
/// What NVIDIA's driver tells of itself.
pub(crate) const NVIDIA_VERSION: &str = "/proc/driver/nvidia/version";
/// The program of NVIDIA's vGPU host driver that loads its types.
pub(crate) const NVIDIA_VGPUD: &str = "/usr/bin/nvidia-vgpud";
/// Installed modules of all kernels.
pub(crate) const LIB_MODULES: &str = "/lib/modules";
/// What the processors are.
pub(crate) const CPUINFO: &str = "/proc/cpuinfo";
/// KVM's device as the kernel has it: there while the module for the processor, `kvm_intel` or `kvm_amd`, works.
pub(crate) const KVM_CLASS: &str = "/sys/class/misc/kvm";
/// Its node, which systemd makes at boot whether the module is loaded or not (`kmod static-nodes`).
pub(crate) const KVM_NODE: &str = "/dev/kvm";
/// The firmware's tables.
pub(crate) const ACPI_TABLES: &str = "/sys/firmware/acpi/tables";
/// Whether VFIO's mode without any IOMMU is on.
pub(crate) const VFIO_NOIOMMU: &str = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode";
/// Who has claimed which physical addresses.
pub(crate) const IOMEM: &str = "/proc/iomem";
/// What the firmware says about Secure Boot: four bytes of attributes, then the value (UEFI specification, 3.3).
pub(crate) const SECURE_BOOT: &str =
    "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
/// The boot loader's own name, by the interface that systemd-boot and newer GRUBs share (systemd.io/BOOT_LOADER_INTERFACE).
pub(crate) const LOADER_INFO: &str =
    "/sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
/// The command line that kernel-install, and Proxmox's tool, give to kernels.
pub(crate) const KERNEL_CMDLINE: &str = "/etc/kernel/cmdline";
/// Debian's way from an installed kernel to kernel-install.
pub(crate) const SYSTEMD_BOOT_HOOK: &str = "/etc/kernel/postinst.d/zz-systemd-boot";
/// The boot partitions that proxmox-boot-tool keeps.
pub(crate) const PROXMOX_BOOT: &str = "/etc/kernel/proxmox-boot-uuids";
/// What kernelstub, Pop!_OS's way to systemd-boot, is told.
pub(crate) const KERNELSTUB: &str = "/etc/kernelstub/configuration";
/// Fedora's editor of boot entries.
pub(crate) const GRUBBY: &str = "/usr/sbin/grubby";
/// Debian's way to a new configuration of GRUB.
pub(crate) const UPDATE_GRUB: &str = "/usr/sbin/update-grub";
/// GRUB's own way, where Arch has it; Debian's update-grub and Fedora's grubby stand before it.
pub(crate) const GRUB_MKCONFIG: &str = "/usr/bin/grub-mkconfig";
/// What mkinitcpio makes of each kernel, a file each.
pub(crate) const MKINITCPIO_PRESETS: &str = "/etc/mkinitcpio.d";
/// Whether vfio-pci keeps idle cards awake.
pub(crate) const VFIO_AWAKE: &str = "/sys/module/vfio_pci/parameters/disable_idle_d3";
/// The program of initramfs-tools that makes images anew, which goes with its package, and where such programs are.
pub(crate) const UPDATE_INITRAMFS: &str = "/usr/sbin/update-initramfs";
pub(crate) const PROGRAMS: &str = "/usr/sbin";
/// What initramfs-tools loads early, with parameters.
pub(crate) const INITRAMFS_MODULES: &str = "/etc/initramfs-tools/modules";
/// The admin's own rules for udev.
pub(crate) const UDEV_OWN: &str = "/etc/udev/rules.d";
/// The kernel's lockdown.
pub(crate) const LOCKDOWN: &str = "/sys/kernel/security/lockdown";
/// Whether the kernel loads signed modules alone (`module.sig_enforce`).
pub(crate) const SIGNATURES_ENFORCED: &str = "/sys/module/module/parameters/sig_enforce";
/// Whether SELinux enforces.
pub(crate) const SELINUX_ENFORCE: &str = "/sys/fs/selinux/enforce";
/// SELinux's switch for libvirt's hooks.
pub(crate) const SELINUX_HOOKS: &str = "/sys/fs/selinux/booleans/virt_hooks_unconfined";
/// Whether AppArmor is on.
pub(crate) const APPARMOR: &str = "/sys/module/apparmor/parameters/enabled";
/// The profiles that the kernel has, with their modes.
pub(crate) const APPARMOR_LOADED: &str = "/sys/kernel/security/apparmor/profiles";
/// The files of profiles, with what the admin adds to them (`local`) and disables (`disable`).
pub(crate) const APPARMOR_PROFILES: &str = "/etc/apparmor.d";
/// AppArmor's profiles of libvirt's daemons, the modular one last.
pub(crate) const APPARMOR_LIBVIRT: [&str; 2] =
    ["/etc/apparmor.d/usr.sbin.libvirtd", "/etc/apparmor.d/usr.sbin.virtqemud"];
/// libvirt's stored definitions of QEMU's domains, for root alone.
pub(crate) const DOMAINS: &str = "/etc/libvirt/qemu";
/// Links to those that start with the host.
pub(crate) const AUTOSTARTED_DOMAINS: &str = "/etc/libvirt/qemu/autostart";
/// What libvirt notes of domains while they run.
pub(crate) const RUNNING_DOMAINS: &str = "/run/libvirt/qemu";
/// Our hook.
pub(crate) const HOOK: &str = "/etc/libvirt/hooks/qemu.d/50-gpuvirt";
/// What it calls.
pub(crate) const COMMAND: &str = "/usr/bin/gpuvirt";
/// systemd's command.
pub(crate) const SYSTEMCTL: &str = "/usr/bin/systemctl";
/// Our daemon.
pub(crate) const DAEMON: &str = "/usr/sbin/gpuvirtd";
/// There while systemd starts our daemon with the host.
pub(crate) const DAEMON_ENABLED: &str = "/etc/systemd/system/multi-user.target.wants/gpuvirtd.service";
/// There while systemd claims passthrough cards early in a boot.
pub(crate) const CLAIM_ENABLED: &str = "/etc/systemd/system/sysinit.target.wants/gpuvirt-claim.service";
/// The admin's own word on that unit.
pub(crate) const CLAIM_UNIT: &str = "/etc/systemd/system/gpuvirt-claim.service";
/// Our file of udev's rules, in the folders that udev reads, the one that counts most first (udev(7)).
pub(crate) const UDEV_RULES: [&str; 4] = [
    "/etc/udev/rules.d/70-gpuvirt.rules",
    "/run/udev/rules.d/70-gpuvirt.rules",
    "/usr/local/lib/udev/rules.d/70-gpuvirt.rules",
    "/usr/lib/udev/rules.d/70-gpuvirt.rules",
];
/// libvirt's daemons for QEMU: the old one for everything, and the new one.
pub(crate) const LIBVIRT_DAEMONS: [&str; 2] = ["/usr/sbin/libvirtd", "/usr/sbin/virtqemud"];
/// QEMU, where distributions put it.
pub(crate) const EMULATORS: [&str; 3] =
    ["/usr/bin/qemu-system-x86_64", "/usr/libexec/qemu-kvm", "/usr/bin/qemu-kvm"];
/// The service that sets NVSwitches up, there while it runs.
pub(crate) const FABRIC_MANAGER: &str = "/sys/fs/cgroup/system.slice/nvidia-fabricmanager.service";
/// Where distributions keep the list of PCI names.
pub(crate) const PCI_IDS: [&str; 3] =
    ["/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids", "/var/lib/pciutils/pci.ids"];

/// How much memory there is, and how much of it can be had.
pub(crate) const MEMINFO: &str = "/proc/meminfo";
/// What ZFS caches beside the page cache.
pub(crate) const ZFS_CACHE: &str = "/proc/spl/kstat/zfs/arcstats";
/// Huge pages, a folder for each size.
pub(crate) const HUGE_PAGES: &str = "/sys/kernel/mm/hugepages";
/// driverctl's overrides, one file for each device: `pci-ADDRESS`.
pub(crate) const DRIVERCTL: &str = "/etc/driverctl.d";
/// mdevctl's definitions, one folder for each parent.
pub(crate) const MDEVCTL: &str = "/etc/mdevctl.d";
/// What the admin and packages tell modprobe, the folder that counts most first (modprobe.d(5)).
pub(crate) const MODPROBE: [&str; 5] = [
    "/etc/modprobe.d",
    "/run/modprobe.d",
    "/usr/local/lib/modprobe.d",
    "/usr/lib/modprobe.d",
    "/lib/modprobe.d",
];
/// Proxmox guests of this node.
pub(crate) const PROXMOX_GUESTS: &str = "/etc/pve/qemu-server";
/// Proxmox's mappings of PCI devices.
pub(crate) const PROXMOX_MAPPINGS: &str = "/etc/pve/mapping/pci.cfg";

/// The host's name as the kernel has it.
pub(crate) const HOSTNAME: &str = "/proc/sys/kernel/hostname";
/// Where systemd keeps it.
pub(crate) const ETC_HOSTNAME: &str = "/etc/hostname";

/// A PCI function's folder.
pub(crate) fn function(address: PciAddress) -> String {
    format!("{PCI_DEVICES}/{address}")
}

/// One file of a PCI function.
pub(crate) fn function_file(address: PciAddress, name: &str) -> String {
    format!("{PCI_DEVICES}/{address}/{name}")
}

/// Whether a function may sleep while it is idle.
pub(crate) fn power_control(address: PciAddress) -> String {
    function_file(address, "power/control")
}

/// A PCI driver's folder, there when the driver is registered.
pub(crate) fn driver(name: &DriverName) -> String {
    format!("/sys/bus/pci/drivers/{name}")
}

/// The file that unbinds a function from this driver, and from no other.
pub(crate) fn unbind(name: &DriverName) -> String {
    format!("/sys/bus/pci/drivers/{name}/unbind")
}

/// A module's folder, there when it is loaded or built in with parameters; the kernel writes `_` for `-`.
pub(crate) fn module(name: &DriverName) -> String {
    format!("/sys/module/{}", name.as_str().replace('-', "_"))
}

/// One file of an IOMMU group.
pub(crate) fn group_file(group: u32, name: &str) -> String {
    format!("{IOMMU_GROUPS}/{group}/{name}")
}

/// The folder of mediated device types of a function.
pub(crate) fn mdev_types(parent: PciAddress) -> String {
    function_file(parent, "mdev_supported_types")
}

/// One file of a mediated device type.
pub(crate) fn mdev_type_file(parent: PciAddress, type_id: &str, name: &str) -> String {
    format!("{PCI_DEVICES}/{parent}/mdev_supported_types/{type_id}/{name}")
}

/// A live mediated device.
pub(crate) fn mdev(uuid: Uuid) -> String {
    format!("{MDEV_DEVICES}/{uuid}")
}

/// One file of a live mediated device.
pub(crate) fn mdev_file(uuid: Uuid, name: &str) -> String {
    format!("{MDEV_DEVICES}/{uuid}/{name}")
}

/// A mediated device's folder below its parent: there for as long as it lives, also while its removal waits.
pub(crate) fn mdev_below(parent: PciAddress, uuid: Uuid) -> String {
    function_file(parent, &uuid.to_string())
}

/// One file of what NVIDIA's driver shows of a virtual function that it makes vGPUs on.
pub(crate) fn nvidia_vgpu_file(vf: PciAddress, name: &str) -> String {
    format!("{PCI_DEVICES}/{vf}/nvidia/{name}")
}

/// A live vGPU's parameters, where NVIDIA's driver has it.
pub(crate) fn vgpu_params(vgpu: VgpuId) -> String {
    match vgpu {
        VgpuId::Mdev(uuid) => mdev_file(uuid, "nvidia/vgpu_params"),
        VgpuId::Vf(vf) => nvidia_vgpu_file(vf, "vgpu_params"),
    }
}

/// What NVIDIA's driver tells about one of its GPUs.
pub(crate) fn nvidia_information(address: PciAddress) -> String {
    format!("{PROC}/driver/nvidia/gpus/{address}/information")
}

/// The lock that a driver of NVIDIA's kind has for each of its cards.
pub(crate) fn unbind_lock(driver: &DriverName, address: PciAddress) -> String {
    format!("{PROC}/driver/{driver}/gpus/{address}/unbindLock")
}

/// One file of the modules installed for a kernel.
pub(crate) fn modules_file(release: &str, name: &str) -> String {
    format!("{LIB_MODULES}/{release}/{name}")
}

/// The module that has a driver of PCI functions.
pub(crate) fn driver_module(name: &DriverName) -> String {
    format!("{}/module", driver(name))
}

/// The module that has a driver of mediated devices.
pub(crate) fn mdev_driver_module(name: &str) -> String {
    format!("/sys/bus/mdev/drivers/{name}/module")
}

/// A module's folder by its name.
pub(crate) fn module_named(name: &str) -> String {
    format!("/sys/module/{name}")
}

/// One file of a pool of huge pages; `pool` is a name out of [`HUGE_PAGES`].
pub(crate) fn huge_pages(pool: &str, name: &str) -> String {
    format!("{HUGE_PAGES}/{pool}/{name}")
}

/// A kernel's own file, where distributions put it.
pub(crate) fn kernel_images(release: &str) -> [String; 2] {
    [format!("/boot/vmlinuz-{release}"), modules_file(release, "vmlinuz")]
}

/// What a kernel was built with, where distributions put it, and where the running one has it itself (CONFIG_IKCONFIG_PROC).
pub(crate) fn kernel_configs(release: &str) -> [String; 4] {
    [
        format!("/boot/config-{release}"),
        modules_file(release, "config"),
        modules_file(release, "build/.config"),
        "/proc/config.gz".to_owned(),
    ]
}

/// One file of a process.
pub(crate) fn process_file(pid: u32, name: &str) -> String {
    format!("{PROC}/{pid}/{name}")
}

/// The processes of a service's control group; there while it runs. Services that an admin moved out of `system.slice`
/// are not seen.
pub(crate) fn service_processes(unit: &UnitName) -> String {
    format!("/sys/fs/cgroup/system.slice/{unit}/cgroup.procs")
}

/// The VFIO devices that the kernel shows to who debugs it (CONFIG_VFIO_DEBUGFS, 6.8): a folder for each.
pub(crate) const VFIO_DEBUG: &str = "/sys/kernel/debug/vfio";

/// The folder that a VFIO device has there when its driver saves and restores its state, or a file in it.
pub(crate) fn vfio_migration(device: VgpuId, file: &str) -> String {
    format!("{VFIO_DEBUG}/{device}/migration{file}")
}

/// A device node.
pub(crate) fn device_node(name: &str) -> String {
    format!("/dev/{name}")
}

/// One file of a virtual console's back end.
pub(crate) fn vtconsole_file(console: &str, name: &str) -> String {
    format!("{VTCONSOLES}/{console}/{name}")
}

/// DRM clients inside the kernel, by the minor number of the card's node.
pub(crate) fn drm_internal_clients(minor: u32) -> String {
    format!("/sys/kernel/debug/dri/{minor}/internal_clients")
}

/// A sound card's folder, by its number.
pub(crate) fn sound_card(card: u32) -> String {
    format!("{PROC}/asound/card{card}")
}

/// A frame buffer's link to its device.
pub(crate) fn frame_buffer(number: u32) -> String {
    format!("/sys/class/graphics/fb{number}")
}
