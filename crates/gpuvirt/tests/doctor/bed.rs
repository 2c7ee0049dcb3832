//! A host on the examination bed.

use std::path::Path;

use gpuvirt_command::local;
use gpuvirt_model::health::{DaemonHealth, LibvirtHealth, LibvirtVersions};
use gpuvirt_model::{
    ConfiguredType, Desired, DesiredGpu, Domain, DomainState, Finding, FindingCode, Guest, Health, Hostdev,
    Machine, MachineBus, MachineDevice, MachineFirmware, Observed, PciAddress, Reading, Records, Requests,
    Severity,
};
use gpuvirt_plan::diagnose::{self, Diagnosis};
use gpuvirt_recording::made::MadeHost;
use gpuvirt_recording::made_hosts;
use gpuvirt_recording::made_snapshot::MadeSnapshot;
use gpuvirt_recording::{RecordedHost, SnapshotOptions, write_snapshot};
use uuid::Uuid;

/// The healthy host's cards: alike, the first with the firmware's picture.
pub const FIRST: &str = "0000:01:00.0";
pub const SECOND: &str = "0000:02:00.0";
const RELEASE: &str = "6.12.0-test";

/// A change of a healthy host, and what must be found then.
pub struct Case {
    pub what: &'static str,
    pub code: FindingCode,
    pub severity: Severity,
    pub bed: fn(Bed) -> Bed,
    /// What goes with it.
    pub also: &'static [FindingCode],
    /// What its cause or its evidence says, where several things make the same finding.
    pub says: Option<&'static str>,
}

impl Case {
    pub fn new(what: &'static str, code: FindingCode, severity: Severity, bed: fn(Bed) -> Bed) -> Self {
        Self { what, code, severity, bed, also: &[], says: None }
    }

    /// The same, where this is to be read in it.
    pub fn says(self, text: &'static str) -> Self {
        Self { says: Some(text), ..self }
    }

    /// The same, where another finding can't but be there too.
    pub fn also(self, also: &'static [FindingCode]) -> Self {
        Self { also, ..self }
    }

    /// Whether exactly this is found.
    pub fn check(&self) -> Result<(), String> {
        let found = (self.bed)(Bed::healthy()).examine().findings;
        let seen: Vec<String> =
            found.iter().map(|f| format!("{} {} ({})", f.severity, f.code, f.cause)).collect();
        let mut unasked: Vec<_> = found.iter().filter(|finding| !self.also.contains(&finding.code)).collect();
        let rest = self.also.iter().all(|code| found.iter().any(|finding| finding.code == *code));
        match (unasked.pop(), unasked.is_empty() && rest) {
            (Some(one), true) if one.code == self.code && one.severity == self.severity => match self.says {
                Some(text) if !says(one, text) => Err(format!("{}: no {text:?} in {one:#?}", self.what)),
                _ => Ok(()),
            },
            _ => Err(format!("{}: wanted {} {}, found {seen:?}", self.what, self.severity, self.code)),
        }
    }
}

/// Whether a text is in a finding's cause or in what was read.
fn says(finding: &Finding, text: &str) -> bool {
    let evidence = finding.evidence.iter().flat_map(|seen| [&seen.source, &seen.value]);
    evidence.chain([&finding.cause]).any(|said| said.contains(text))
}

/// What a host is examined from.
pub struct Bed {
    dump: String,
    files: MadeSnapshot,
    pub desired: Desired,
    pub records: Records,
    pub domains: Reading<Vec<Domain>>,
    pub libvirt: LibvirtHealth,
    pub daemon: DaemonHealth,
    /// What is changed of the picture itself, where a recording can't be made so.
    pub retouch: fn(&mut Observed),
    /// The same of the other facts.
    pub treat: fn(&mut Health),
    file: Option<std::path::PathBuf>,
}

impl Bed {
    /// Two cards, everything installed, everything known, nothing configured.
    pub fn healthy() -> Self {
        let dump = made_hosts::two_gpus().dump();
        let files = MadeSnapshot::new(dump.clone())
            .file(
                "/proc/cpuinfo",
                "vendor_id\t: GenuineIntel\nflags\t\t: fpu vmx\naddress sizes\t: 46 bits physical\n\n",
            )
            .folder("/sys/class/misc/kvm")
            .file("/proc/cmdline", "BOOT_IMAGE=/vmlinuz ro intel_iommu=on\n")
            .file("/proc/sys/kernel/osrelease", &format!("{RELEASE}\n"))
            .file("/proc/interrupts", "           CPU0\n  1:          9  IR-IO-APIC    1-edge      i8042\n")
            .file("/proc/meminfo", "MemTotal:       67108864 kB\nHugepagesize:       2048 kB\n")
            .file("/proc/iomem", "0-0 : PCI Bus 0000:01\n  0-0 : 0000:01:00.0\n    0-0 : nouveau\n")
            .file(&format!("/boot/config-{RELEASE}"), "CONFIG_INTEL_IOMMU=y\nCONFIG_VFIO_PCI=m\n")
            .file(
                &format!("/lib/modules/{RELEASE}/modules.dep"),
                "kernel/drivers/vfio/pci/vfio-pci.ko:\nkernel/drivers/gpu/drm/nouveau/nouveau.ko:\n",
            )
            .file("/sys/firmware/acpi/tables/DMAR", "")
            .file("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "0\n")
            .file("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "0\n")
            .file("/sys/module/nouveau/initstate", "live\n")
            .file("/sys/module/apparmor/parameters/enabled", "Y\n")
            .file("/etc/apparmor.d/usr.sbin.libvirtd", "  /etc/libvirt/hooks/** rmix,\n")
            .file("/etc/libvirt/hooks/qemu.d/50-gpuvirt", "gpuvirt\n")
            .file("/etc/systemd/system/multi-user.target.wants/gpuvirtd.service", "")
            .file("/etc/systemd/system/sysinit.target.wants/gpuvirt-claim.service", "")
            .file("/usr/lib/udev/rules.d/70-gpuvirt.rules", "rules\n")
            .file("/usr/bin/gpuvirt", "")
            .file("/usr/sbin/gpuvirtd", "")
            .file("/usr/sbin/libvirtd", "")
            .file("/usr/bin/qemu-system-x86_64", "")
            .folder("/sys/module/vfio_iommu_type1")
            .folder("/etc/modprobe.d");
        let absent = [
            "/etc/systemd/system/gpuvirt-claim.service",
            "/etc/udev/rules.d/70-gpuvirt.rules",
            "/run/udev/rules.d/70-gpuvirt.rules",
            "/usr/local/lib/udev/rules.d/70-gpuvirt.rules",
            "/sys/module/module/parameters/sig_enforce",
            "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode",
            "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c",
            "/sys/kernel/security/lockdown",
            "/sys/fs/selinux/enforce",
            "/sys/fs/selinux/booleans/virt_hooks_unconfined",
            "/etc/apparmor.d/usr.sbin.virtqemud",
            "/sys/fs/cgroup/system.slice/nvidia-fabricmanager.service",
        ];
        let versions = LibvirtVersions { libvirt: 11_003_000, qemu: 10_000_000 };
        Self {
            dump,
            files: absent.into_iter().fold(files, MadeSnapshot::absent),
            desired: Desired::default(),
            records: Records::default(),
            domains: Reading::Known(Vec::new()),
            libvirt: LibvirtHealth {
                uri: Some("qemu:///system".to_owned()),
                versions: Reading::Known(versions),
                machines: Reading::Known(Vec::new()),
                owes_answer: false,
            },
            daemon: DaemonHealth::default(),
            retouch: |_| {},
            treat: |_| {},
            file: None,
        }
    }

    /// A recorded host of which nothing else is known.
    pub fn of_file(path: &Path) -> Self {
        let healthy = Self::healthy();
        let libvirt = LibvirtHealth::default();
        Self { file: Some(path.to_owned()), libvirt, ..healthy }
    }

    pub fn file(self, path: &str, text: &str) -> Self {
        Self { files: self.files.file(path, text), ..self }
    }

    /// Whether it was given this file.
    pub fn has(&self, path: &str) -> bool {
        self.files.has(path)
    }

    pub fn absent(self, path: &str) -> Self {
        Self { files: self.files.absent(path), ..self }
    }

    /// The dump with one text in the place of another, in the block of one device.
    pub fn device(self, address: &str, from: &str, to: &str) -> Self {
        let of_device = |block: &&str| block.lines().next().is_some_and(|line| line.ends_with(address));
        let (mut changed, mut blocks) = (false, Vec::new());
        for block in self.dump.split("\n\n") {
            if of_device(&block) && block.contains(from) {
                changed = true;
                blocks.push(block.replacen(from, to, 1));
            } else {
                blocks.push(block.to_owned());
            }
        }
        assert!(changed, "{address} has no {from:?}");
        let dump = blocks.join("\n\n");
        Self { files: self.files.with_dump(dump.clone()), dump, ..self }
    }

    /// The same files on a host with other devices.
    pub fn with_devices(self, host: &MadeHost) -> Self {
        let dump = host.dump();
        Self { files: self.files.with_dump(dump.clone()), dump, ..self }
    }

    /// Another device in the dump.
    pub fn with_device(self, block: &str) -> Self {
        let dump = format!("{}\n{block}", self.dump);
        Self { files: self.files.with_dump(dump.clone()), dump, ..self }
    }

    pub fn retouched(self, retouch: fn(&mut Observed)) -> Self {
        Self { retouch, ..self }
    }

    pub fn treated(self, treat: fn(&mut Health)) -> Self {
        Self { treat, ..self }
    }

    /// A GPU that the admin configured.
    pub fn configured(mut self, gpu: &str, graphics_type: ConfiguredType) -> Self {
        let address = at(gpu);
        let identity = self.picture().functions[&address].identity;
        self.desired = self.desired.with_gpu(DesiredGpu::new(address, identity, graphics_type));
        self
    }

    /// A VM that is off and has the first card as a whole, in a machine of today.
    pub fn vm(self, name: &str, change: fn(&mut Domain, &mut Machine)) -> Self {
        let functions = [at(SECOND), at("0000:02:00.1")];
        let mut domain = Domain {
            name: name.to_owned(),
            uuid: Uuid::from_u128(u128::from(name.len() as u64 + 1)),
            state: DomainState::ShutOff,
            autostart: false,
            config: functions
                .iter()
                .map(|address| Hostdev::Pci { address: *address, managed: false })
                .collect(),
            live: Vec::new(),
            requests: Requests::default(),
            guest: Guest { memory_kib: Some(16 << 20), ..Guest::default() },
        };
        let device = |address| MachineDevice { address, on_root_bus: false, rom_file: false };
        let mut machine = Machine {
            name: name.to_owned(),
            kvm: true,
            current_kib: Some(16 << 20),
            machine_type: Some("pc-q35-10.0".to_owned()),
            bus: MachineBus::Express,
            firmware: MachineFirmware::Uefi,
            cpu_mode: Some("host-passthrough".to_owned()),
            host_physical_bits: true,
            devices: functions.into_iter().map(device).collect(),
            ..Machine::default()
        };
        change(&mut domain, &mut machine);
        let add = |domains: Reading<Vec<Domain>>| domains.map(|list| [list, vec![domain]].concat());
        let machines = self.libvirt.machines.map(|list| [list, vec![machine]].concat());
        Self { domains: add(self.domains), libvirt: LibvirtHealth { machines, ..self.libvirt }, ..self }
    }

    fn picture(&self) -> Observed {
        self.recorded(local::recorded).unwrap().picture.observed
    }

    fn recorded<T>(&self, read: impl FnOnce(&Path) -> T) -> T {
        match &self.file {
            Some(file) => read(file),
            None => read(written(&self.files.bytes().unwrap()).path()),
        }
    }

    pub fn examine(&self) -> Diagnosis {
        self.examined(self.recorded(local::recorded).unwrap())
    }

    /// What is found in a snapshot of it.
    pub fn examine_snapshot(&self) -> Diagnosis {
        let host = self.recorded(RecordedHost::open).unwrap();
        let mut snapshot = Vec::new();
        write_snapshot(&host, &SnapshotOptions::default(), &mut snapshot).unwrap();
        self.examined(local::recorded(written(&snapshot).path()).unwrap())
    }

    fn examined(&self, host: local::Host) -> Diagnosis {
        let mut health = host.health();
        let mut observed = host.picture.observed;
        (self.treat)(&mut health);
        if self.file.is_none() {
            observed.domains = self.domains.clone();
        }
        (self.retouch)(&mut observed);
        diagnose::diagnose(&diagnose::Case {
            health: &health,
            observed: &observed,
            desired: &self.desired,
            records: &self.records,
            libvirt: &self.libvirt,
            daemon: &self.daemon,
        })
    }
}

fn written(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::Builder::new().suffix(".tar").tempfile().unwrap();
    std::io::Write::write_all(&mut file, bytes).unwrap();
    file
}

pub fn at(address: &str) -> PciAddress {
    PciAddress::parse(address).unwrap()
}
