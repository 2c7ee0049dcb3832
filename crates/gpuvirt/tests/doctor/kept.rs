//! What keeps drivers away or takes cards by what they are, and how the kernel's command line is changed on each kind of host.

use gpuvirt_model::{ConfiguredType, FindingCode as F, Severity as S};

use super::bed::{Bed, Case, SECOND, at};

const CMDLINE: &str = "/proc/cmdline";
const LIST: &str = "/lib/modules/6.12.0-test/modules.dep";
const CONF: &str = "/etc/modprobe.d/vfio.conf";
const IOMMU_DRIVER: &str = "/sys/module/vfio_iommu_type1";

/// The host is to use the second card, whose drivers sleep.
fn waiting(bed: Bed, drivers: &str) -> Bed {
    let bed = bed.file(LIST, &format!("x/vfio-pci.ko:\n{drivers}")).absent("/sys/module/nouveau/initstate");
    bed.configured(SECOND, ConfiguredType::Shared).retouched(|observed| {
        observed.functions.get_mut(&at(SECOND)).unwrap().binding.driver = None;
    })
}

pub fn told(bed: Bed, words: &str) -> Bed {
    bed.file(CMDLINE, &format!("ro intel_iommu=on {words}\n"))
}

/// A VM whose card libvirt binds itself.
fn managed(bed: Bed) -> Bed {
    bed.vm("games", |domain, _| {
        domain.config = vec![gpuvirt_model::Hostdev::Pci { address: at(SECOND), managed: true }];
    })
}

/// VFIO's container has no IOMMU driver yet.
fn without_container(bed: Bed) -> Bed {
    bed.absent(IOMMU_DRIVER).file(LIST, "x/vfio-pci.ko:\nx/vfio_iommu_type1.ko:\nx/nouveau.ko:\n")
}

pub fn cases() -> Vec<Case> {
    let mut cases = drivers();
    cases.extend(vfio());
    cases
}

fn drivers() -> Vec<Case> {
    let case = Case::new;
    vec![
        case("the host's driver on modprobe's list at boot", F::NoHostDriver, S::Warning, |bed| {
            told(waiting(bed, "x/nouveau.ko:\n"), "modprobe.blacklist=pcspkr,nouveau")
        })
        .says("modprobe.blacklist=pcspkr,nouveau"),
        case("the host's driver on the kernel's list", F::NoHostDriver, S::Warning, |bed| {
            told(waiting(bed, "x/nouveau.ko:\n"), "module_blacklist=nouveau")
        })
        .says("module_blacklist=nouveau"),
        case("one driver on the list for the other's sake", F::NoHostDriver, S::Warning, |bed| {
            told(waiting(bed, "x/nouveau.ko:\nkernel/nvidia.ko:\n"), "modprobe.blacklist=nouveau")
        })
        .says("nvidia, nouveau installed and not loaded"),
    ]
}

fn vfio() -> Vec<Case> {
    let case = Case::new;
    vec![
        case("vfio-pci on the kernel's list", F::VfioKeptAway, S::Error, |bed| {
            told(bed, "module_blacklist=floppy,vfio_pci")
        })
        .says("module_blacklist=floppy,vfio_pci"),
        case("what vfio-pci is built on, on the kernel's list", F::VfioKeptAway, S::Error, |bed| {
            told(bed, "module_blacklist=vfio")
        })
        .says("/sys/module/vfio"),
        case("the IOMMU's driver on the kernel's list", F::VfioKeptAway, S::Error, |bed| {
            told(without_container(bed), "module_blacklist=vfio_iommu_type1")
        })
        .says("the module vfio_iommu_type1"),
        case("vfio-pci is installed by /bin/false", F::VfioKeptAway, S::Error, |bed| {
            bed.file(CONF, "install vfio-pci /bin/false\n")
        })
        .says("install vfio-pci /bin/false"),
        case("vfio-pci on modprobe's list, for libvirt", F::VfioKeptAway, S::Warning, |bed| {
            told(managed(bed), "modprobe.blacklist=vfio_pci")
        })
        .says("administratively prohibited"),
        case("vfio-pci blacklisted by a file, for libvirt", F::VfioKeptAway, S::Warning, |bed| {
            managed(bed).file(CONF, "blacklist vfio-pci\n")
        })
        .says("blacklist vfio-pci"),
    ]
}

/// What looks alike and keeps nothing away, or takes one card alone.
pub fn nothing_kept() -> Vec<(&'static str, Bed)> {
    let bed = Bed::healthy;
    let loaded =
        told(managed(bed()), "modprobe.blacklist=vfio_pci").file("/sys/bus/pci/drivers/vfio-pci/x", "");
    vec![
        ("modprobe's list, and nobody who asks it", told(bed(), "modprobe.blacklist=vfio_pci")),
        ("a name with a hyphen, on modprobe's list", told(managed(bed()), "modprobe.blacklist=vfio-pci")),
        ("a name with a hyphen, on the kernel's list", told(bed(), "module_blacklist=vfio-pci")),
        (
            "a list that a later one replaces",
            told(bed(), "module_blacklist=vfio_pci module_blacklist=floppy"),
        ),
        ("words for the first process", told(bed(), "-- module_blacklist=vfio_pci")),
        (
            "a driver that nobody waits for",
            told(bed(), "module_blacklist=nouveau,nvidia modprobe.blacklist=amdgpu"),
        ),
        (
            "a script that loads it in the end",
            bed().file(CONF, "install vfio-pci /usr/local/bin/vfio-pci-override.sh\n"),
        ),
        ("vfio-pci, loaded all the same", loaded),
        (
            "the kernel asks for VFIO's container by its name",
            told(without_container(bed()), "modprobe.blacklist=vfio_iommu_type1"),
        ),
        (
            "a rule for one address",
            bed().file("/etc/udev/rules.d/10-vfio.rules", &super::by_id::rule("KERNEL==\"0000:02:00.0\", ")),
        ),
        ("ids of a subsystem that no card has", told(bed(), "vfio-pci.ids=10de:2204:1043:0001")),
        (
            "ids of sound controllers alone",
            told(bed(), "vfio-pci.ids=10de:ffffffff:ffffffff:ffffffff:00040300:00ffff00"),
        ),
        (
            "identical twins that nothing takes by what they are",
            bed()
                .configured(SECOND, ConfiguredType::Direct)
                .retouched(|observed| super::cards::direct(observed, SECOND)),
        ),
    ]
}

/// Where a loader tells its name.
pub const INFO: &str = "/sys/firmware/efi/efivars/LoaderInfo-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
const SYSTEMD_BOOT: &str = "\u{6}\0\0\0s\0y\0s\0t\0e\0m\0d\0-\0b\0o\0o\0t\0 \0\0";

/// What they are told: the doctor is to take away a part of the first and all of the second.
pub const WORDS: &str = "module_blacklist=floppy,nouveau pcie_acs_override=downstream";

/// A host that is started like this, told something that is to be dropped, and something of which a part is.
pub fn loaders() -> Vec<(&'static [&'static str], Bed)> {
    let bed = |words: &str| told(waiting(Bed::healthy(), "x/nouveau.ko:\n"), words);
    let systemd_boot = || bed(WORDS).file(INFO, SYSTEMD_BOOT);
    let grub = || bed(WORDS).absent(INFO);
    vec![
        (
            &[
                r"sed -i -e 's/\bmodule_blacklist=floppy,nouveau\b/module_blacklist=floppy/' /etc/default/grub; update-grub # then reboot",
                r"sed -i -e 's/\bpcie_acs_override=downstream\b//' /etc/default/grub; update-grub # then reboot",
            ],
            grub().file("/usr/sbin/update-grub", ""),
        ),
        (
            &[
                r"sed -i -e 's/\bpcie_acs_override=downstream\b//' /etc/default/grub; grub-mkconfig -o /boot/grub/grub.cfg # then reboot",
            ],
            grub().file("/usr/bin/grub-mkconfig", ""),
        ),
        (
            &[
                r"sed -i -e 's/\bpcie_acs_override=downstream\b//' /etc/kernel/cmdline; mkinitcpio -P # then reboot",
            ],
            systemd_boot()
                .file("/etc/kernel/cmdline", "")
                .file("/etc/mkinitcpio.d/linux.preset", "default_uki=\"/efi/EFI/Linux/arch.efi\"\n"),
        ),
        (
            &[
                "grubby --update-kernel=ALL --remove-args='module_blacklist=floppy,nouveau' \
                 --args='module_blacklist=floppy' # then reboot",
                "grubby --update-kernel=ALL --remove-args='pcie_acs_override=downstream' # then reboot",
            ],
            grub().file("/usr/sbin/grubby", ""),
        ),
        (
            &[
                r"sed -i -e 's/\bmodule_blacklist=floppy,nouveau\b/module_blacklist=floppy/' /etc/default/grub; update-grub; proxmox-boot-tool refresh # then reboot",
            ],
            grub().file("/usr/sbin/update-grub", "").file("/etc/kernel/proxmox-boot-uuids", ""),
        ),
        (
            &[
                r"sed -i -e 's/\bpcie_acs_override=downstream\b//' /etc/kernel/cmdline; proxmox-boot-tool refresh # then reboot",
            ],
            systemd_boot().file("/etc/kernel/proxmox-boot-uuids", "").file("/etc/kernel/cmdline", ""),
        ),
        (
            &[
                r"sed -i -e 's/\bpcie_acs_override=downstream\b//' /etc/kernel/cmdline; kernel-install add 6.12.0-test /lib/modules/6.12.0-test/vmlinuz # then reboot",
            ],
            systemd_boot().file("/etc/kernel/cmdline", "").file("/lib/modules/6.12.0-test/vmlinuz", ""),
        ),
        (
            &[
                r"grep -qs . /etc/kernel/cmdline || sed -e 's/\(BOOT_IMAGE\|initrd\)=[^ ]* \?//g' /proc/cmdline >/etc/kernel/cmdline; sed -i -e 's/\bpcie_acs_override=downstream\b//' /etc/kernel/cmdline; kernel-install add 6.12.0-test /boot/vmlinuz-6.12.0-test # then reboot",
            ],
            systemd_boot()
                .file("/etc/kernel/postinst.d/zz-systemd-boot", "")
                .file("/boot/vmlinuz-6.12.0-test", ""),
        ),
        (
            &[
                "kernelstub --delete-options 'module_blacklist=floppy,nouveau' --add-options 'module_blacklist=floppy' \
                 # then reboot",
            ],
            systemd_boot().file("/etc/kernelstub/configuration", ""),
        ),
        (
            &[
                "drop pcie_acs_override=downstream from the line options of this host's entry below loader/entries, which bootctl list names, and reboot",
            ],
            systemd_boot(),
        ),
        (
            &[
                "Debian, Ubuntu: drop pcie_acs_override=downstream from GRUB_CMDLINE_LINUX in /etc/default/grub; update-grub; reboot",
                "Arch: drop pcie_acs_override=downstream from GRUB_CMDLINE_LINUX in /etc/default/grub; grub-mkconfig -o /boot/grub/grub.cfg; reboot",
                "with mkinitcpio's unified images: drop pcie_acs_override=downstream from /etc/kernel/cmdline; mkinitcpio -P; reboot",
                "with systemd-boot: drop pcie_acs_override=downstream from /etc/kernel/cmdline; kernel-install add \"$(uname -r)\" IMAGE, \
                 on Proxmox proxmox-boot-tool refresh; reboot",
            ],
            // How it was started nobody told.
            bed(WORDS).file("/usr/sbin/update-grub", "").file("/usr/sbin/grubby", ""),
        ),
    ]
}

#[test]
fn the_command_line_is_changed_as_this_host_is_started() {
    for (want, bed) in loaders() {
        let found = bed.examine().findings;
        let remedies: Vec<&str> =
            found.iter().flat_map(|finding| &finding.remedy).map(String::as_str).collect();
        for line in want {
            assert!(remedies.contains(line), "{line} is none of {remedies:#?}");
        }
    }
}

/// Typed as they are, the remedies leave of the loader's file what nobody minds, and tell the loader.
#[test]
fn the_remedies_edit_the_loaders_file() {
    let mut edited = 0;
    for (_, bed) in loaders() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path.rsplit('/').next().unwrap().to_owned() + "-of-test");
        let (grub, stored) = (at("/etc/default/grub"), at("/etc/kernel/cmdline"));
        let now = root.path().join("now");
        let fresh = !bed.has("/etc/kernel/cmdline");
        let words = WORDS;
        for (file, text) in [
            (&grub, format!("GRUB_CMDLINE_LINUX=\"quiet {words}\"\n")),
            (&stored, format!("root=/dev/sda1 quiet {words}\n")),
            (&now, format!("BOOT_IMAGE=/vmlinuz initrd=\\a\\b root=/dev/sda1 quiet {words}\n")),
        ] {
            if !(fresh && file == &stored) {
                std::io::Write::write_all(&mut std::fs::File::create(file).unwrap(), text.as_bytes())
                    .unwrap();
            }
        }
        let log = root.path().join("log");
        let tools: String =
            ["update-grub", "grub-mkconfig", "mkinitcpio", "proxmox-boot-tool", "kernel-install"]
                .iter()
                .map(|tool| format!("{tool}() {{ echo {tool} \"$@\" >>{}; }}\n", log.display()))
                .collect();
        let found = bed.examine().findings;
        let typed: Vec<String> = found
            .iter()
            .flat_map(|finding| &finding.remedy)
            .filter(|line| line.starts_with("sed ") || line.starts_with("grep -qs "))
            .map(|line| {
                line.replace("/etc/default/grub", grub.to_str().unwrap())
                    .replace("/etc/kernel/cmdline", stored.to_str().unwrap())
                    .replace("/proc/cmdline", now.to_str().unwrap())
            })
            .collect();
        let Some(first) = typed.first() else { continue };
        let file = if first.contains(grub.to_str().unwrap()) { &grub } else { &stored };
        for line in &typed {
            let ran =
                std::process::Command::new("bash").args(["-c", &format!("{tools}{line}")]).output().unwrap();
            assert!(ran.status.success(), "{line}: {}", String::from_utf8_lossy(&ran.stderr));
        }
        let text = std::fs::read_to_string(file).unwrap();
        assert!(!text.contains("pcie_acs_override"), "{typed:#?} left {text}");
        assert!(
            !text.contains("nouveau") && text.contains("module_blacklist=floppy"),
            "{typed:#?} left {text}"
        );
        assert!(text.contains("quiet") && !text.contains("BOOT_IMAGE") && !text.contains("initrd"), "{text}");
        let told = std::fs::read_to_string(&log).unwrap();
        assert!(told.lines().count() >= typed.len(), "{typed:#?} told {told}");
        edited += 1;
    }
    assert!(edited >= 7, "{edited}");
}
