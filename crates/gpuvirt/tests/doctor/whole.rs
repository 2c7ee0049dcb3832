//! Recorded hosts of which everything is known and with which nothing is wrong: broken one fact at a time.

mod amd;
mod intel;

use std::collections::BTreeSet;

use gpuvirt_command::local;
use gpuvirt_model::health::LibvirtVersions;
use gpuvirt_model::{FindingCode as F, Reading, Testimony, Unknown};
use gpuvirt_plan::diagnose::{self, Diagnosis};
use gpuvirt_recording::made_snapshot::MadeSnapshot;

/// What the command finds on a recording.
pub fn examine(made: &MadeSnapshot) -> Diagnosis {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("host.tar");
    std::io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), &made.bytes().unwrap()).unwrap();
    let host = local::recorded(&path).unwrap();
    let (health, (libvirt, daemon), picture) = (host.health(), host.known(), &host.picture);
    diagnose::diagnose(&diagnose::Case {
        health: &health,
        observed: &picture.observed,
        desired: &picture.desired,
        records: &picture.records,
        libvirt: &libvirt,
        daemon: &daemon,
    })
}

/// What one fact less is heard of.
pub enum Heard {
    /// A finding that says this: in its cause, in what was seen, in what to do.
    Found(F, &'static str),
    /// It is not known any more, and said so.
    Unchecked(&'static str),
}
use Heard::{Found, Unchecked};

/// A fact and what its loss makes of the host.
pub struct Break {
    /// The path, or what it is of a dump or a testimony.
    pub fact: &'static str,
    pub host: fn(MadeSnapshot) -> MadeSnapshot,
    pub heard: Heard,
}

fn broken(fact: &'static str, host: fn(MadeSnapshot) -> MadeSnapshot, heard: Heard) -> Break {
    Break { fact, host, heard }
}

/// The same host with this in its testimony.
fn told(made: MadeSnapshot, change: fn(&mut Testimony)) -> MadeSnapshot {
    let mut testimony = made.told().unwrap().clone();
    change(&mut testimony);
    made.testimony(testimony)
}

/// The dump with one text in the place of another in a device's block; no device: in all.
fn dumped(made: MadeSnapshot, device: &str, from: &str, to: &str) -> MadeSnapshot {
    let mut changed = false;
    let block = |block: &str| {
        let here = block.lines().next().is_some_and(|line| line.ends_with(device));
        changed |= here && block.contains(from);
        if here { block.replace(from, to) } else { block.to_owned() }
    };
    let dump: Vec<String> = made.dump().split("\n\n").map(block).collect();
    assert!(changed, "{device} has no {from:?}");
    made.with_dump(dump.join("\n\n"))
}

fn without_groups(made: MadeSnapshot) -> MadeSnapshot {
    dumped(made, "", "L: iommu_group=", "L: was_iommu_group=")
}

/// The firmware tells of no IOMMU, and of something else.
fn without_table(made: MadeSnapshot, table: &'static str) -> MadeSnapshot {
    without_groups(made).absent(table).file("/sys/firmware/acpi/tables/FACP", "")
}

/// What libvirt and QEMU say they are.
fn versions(libvirt: u32, qemu: u32) -> Reading<LibvirtVersions> {
    Reading::Known(LibvirtVersions { libvirt, qemu })
}

const OWN: &str = "0000:03:00.0";
const GIVEN: &str = "0000:06:00.0";
const SHARED: &str = "0000:26:00.0";
const CMDLINE: &str = "/proc/cmdline";
const LOCKDOWN: &str = "/sys/kernel/security/lockdown";
const SECURE_BOOT: &str = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
const PROFILE: &str = "/etc/apparmor.d/usr.sbin.libvirtd";
const HOOK: &str = "/etc/libvirt/hooks/qemu.d/50-gpuvirt";
const COMMAND: &str = "/usr/bin/gpuvirt";
const DAEMON: &str = "/usr/sbin/gpuvirtd";
const ENABLED: &str = "/etc/systemd/system/multi-user.target.wants/gpuvirtd.service";
const CLAIM: &str = "/etc/systemd/system/sysinit.target.wants/gpuvirt-claim.service";
const RULES: &str = "/usr/lib/udev/rules.d/70-gpuvirt.rules";
const CONTAINER: &str = "/sys/module/vfio_iommu_type1";
const UNSAFE: &str = "/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts";
const NOIOMMU: &str = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode";
const AWAKE: &str = "/sys/module/vfio_pci/parameters/disable_idle_d3";
const FREE: &str = "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages";
const PAGES: &str = "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages";

/// What either host has.
fn of_both() -> Vec<Break> {
    vec![
        broken(
            "/proc/cpuinfo",
            |made| made.file("/proc/cpuinfo", "vendor_id\t: X\nflags\t: fpu\n"),
            Found(F::NoCpuVirtualization, ""),
        ),
        broken("/sys/class/misc/kvm", |made| made.absent("/sys/class/misc/kvm"), Found(F::KvmMissing, "")),
        broken(
            CMDLINE,
            |made| made.file(CMDLINE, "ro pcie_acs_override=downstream\n"),
            Found(F::AcsOverride, ""),
        ),
        broken(
            "/proc/sys/kernel/osrelease",
            |made| made.absent("/proc/sys/kernel/osrelease"),
            Unchecked("installed display drivers"),
        ),
        broken(
            "/proc/interrupts",
            |made| made.file("/proc/interrupts", "      CPU0\n 24:    9  PCI-MSI 1-edge      nvme0q0\n"),
            Found(F::NoInterruptRemapping, ""),
        ),
        broken("/proc/meminfo", |made| made.file("/proc/meminfo", "x\n"), Unchecked("the host's memory")),
        broken("/proc/iomem", |made| made.forget("/proc/iomem"), Unchecked("claims of the cards' memory")),
        broken(
            CONTAINER,
            |made| made.absent(CONTAINER).absent(UNSAFE).file(CMDLINE, "module_blacklist=vfio_iommu_type1\n"),
            Found(F::VfioKeptAway, "vfio_iommu_type1"),
        ),
        broken(PAGES, |made| made.forget(PAGES).forget(FREE), Unchecked("huge pages")),
        broken(UNSAFE, |made| made.file(UNSAFE, "Y\n"), Found(F::UnsafeInterrupts, "")),
        broken(NOIOMMU, |made| made.file(NOIOMMU, "Y\n"), Found(F::NoIommuMode, "")),
        broken(
            "/etc/udev/rules.d",
            |made| made.file("/etc/udev/rules.d/1.rules", BY_ID),
            Found(F::TakenById, "/etc/udev/rules.d/1.rules"),
        ),
        broken(
            "/etc/modprobe.d",
            |made| made.file("/etc/modprobe.d/x.conf", "options vfio-pci ids=1002:73bf,10de:26b9\n"),
            Found(F::TakenById, "/etc/modprobe.d/x.conf"),
        ),
        broken(HOOK, |made| made.absent(HOOK), Found(F::HookMissing, "")),
        broken("the hook's mode", |made| made.mode(HOOK, 0o644), Found(F::HookNotExecutable, "")),
        broken(COMMAND, |made| made.absent(COMMAND), Found(F::HookProgramMissing, "")),
        broken(
            DAEMON,
            |made| told(made.absent(DAEMON), |told| told.daemon.unanswered = Some("no answer".to_owned())),
            Found(F::DaemonUnreachable, DAEMON),
        ),
        broken(ENABLED, |made| made.absent(ENABLED), Found(F::DaemonNotEnabled, "")),
        broken(
            "the URI",
            |made| told(made, |told| told.libvirt.uri = Some("qemu:///session".to_owned())),
            Found(F::LibvirtUri, ""),
        ),
        broken(
            "libvirt's version",
            |made| told(made, |told| told.libvirt.versions = versions(6_000_000, 10_000_000)),
            Found(F::LibvirtOld, ""),
        ),
        broken(
            "the daemon's problems",
            |made| told(made, |told| told.daemon.problems = vec!["state.json".to_owned()]),
            Found(F::StateUnreadable, ""),
        ),
        broken(
            "the daemon's writer",
            |made| told(made, |told| told.daemon.no_writer = Some("none".to_owned())),
            Found(F::NoWriter, ""),
        ),
        broken(
            "the boot image",
            |made| {
                told(made, |told| {
                    told.daemon.stale_boot_image = Some("older: update-initramfs -u".to_owned())
                })
            },
            Found(F::InitramfsStale, ""),
        ),
        broken(
            "a start without a hook",
            |made| told(made, |told| told.daemon.unhooked = vec!["games".to_owned()]),
            Found(F::HookNotRun, ""),
        ),
        broken(
            "the domains",
            |made| {
                told(made, |told| {
                    told.domains = Reading::Unknown(Unknown::Unreadable { what: "no answer".to_owned() })
                })
            },
            Found(F::LibvirtUnreachable, ""),
        ),
        broken(
            "the lockers",
            |made| told(made, |told| told.lockers = Reading::Unknown(Unknown::NotRecorded)),
            Unchecked("what libvirt's daemons may lock"),
        ),
    ]
}

const BY_ID: &str = "SUBSYSTEM==\"pci\", ATTR{vendor}==\"0x1002\", ATTR{device}==\"0x73bf\", ATTR{driver_override}=\"vfio-pci\"\n\
                     SUBSYSTEM==\"pci\", ATTR{vendor}==\"0x10de\", ATTR{device}==\"0x26b9\", ATTR{driver_override}=\"vfio-pci\"\n";

#[test]
fn hosts_of_which_everything_is_known_have_no_finding() {
    for (name, made, _) in wholes() {
        let diagnosis = examine(&made);
        assert!(diagnosis.findings.is_empty(), "{name}: {:#?}", diagnosis.findings);
        assert!(diagnosis.unchecked.is_empty(), "{name}: {:?}", diagnosis.unchecked);
    }
}

/// A host without a finding says something only where each fact that it is made of could have made one.
#[test]
fn a_host_without_finding_has_one_for_each_fact_that_is_broken() {
    let mut wrong = Vec::new();
    for (name, made, breaks) in wholes() {
        let facts: BTreeSet<&str> = breaks.iter().map(|one| one.fact).collect();
        let unread: Vec<&str> = made.paths().filter(|path| !facts.contains(path)).collect();
        assert!(unread.is_empty(), "{name}: nobody breaks {unread:?}");
        for one in breaks {
            let diagnosis = examine(&(one.host)(made.clone()));
            let heard = match &one.heard {
                Heard::Found(code, text) => diagnosis.findings.iter().any(|finding| {
                    let seen = finding.evidence.iter().flat_map(|seen| [&seen.source, &seen.value]);
                    let mut said = seen.chain(&finding.remedy).chain([&finding.cause]);
                    finding.code == *code && said.any(|said| said.contains(text))
                }),
                Heard::Unchecked(what) => diagnosis.unchecked.iter().any(|(unchecked, _)| unchecked == what),
            };
            if !heard {
                let found: Vec<String> = diagnosis
                    .findings
                    .iter()
                    .map(|found| format!("{} ({})", found.code, found.cause))
                    .collect();
                wrong.push(format!(
                    "{name} without {}: {found:?}, unchecked {:?}",
                    one.fact, diagnosis.unchecked
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

type Whole = (&'static str, MadeSnapshot, Vec<Break>);

fn wholes() -> [Whole; 2] {
    use gpuvirt_recording::made_whole;
    [
        ("amd-two-gpus", made_whole::amd_two_gpus(), amd::breaks()),
        ("intel-secure-boot", made_whole::intel_secure_boot(), intel::breaks()),
    ]
}
