//! A snapshot of a host full of secrets holds none of them, says what it left out, and still shows the host.

// Helpers of tests: what is missing here is the test's own mistake.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::io::Write as _;
use std::process::Command;

use gpuvirt_model::health::{DaemonHealth, LibvirtHealth};
use gpuvirt_model::{
    ConfiguredType, Desired, DesiredGpu, Domain, DomainState, Holder, Holders, PciAddress, PciIdentity,
    Reading, Testimony, Unknown, Via,
};
use gpuvirt_recording::made::{MadeFunction, MadeIdentity};
use gpuvirt_recording::made_snapshot::MadeSnapshot;
use gpuvirt_recording::{Manifest, RecordedHost, SnapshotOptions, made_hosts, write_snapshot};
use serde_json::Value;

/// What must not leave the host. None of these is a part of a word that a snapshot has by itself.
const PLANTED: [&str; 31] = [
    "vncpass-ab12",
    "TaxOfAlice",
    "alice",
    "52:54:00:5e:c4:e7",
    "52:54:00:5E:C4:E7",
    "vault7",
    "SN-4711-0815",
    "GPU-5f3a0000-secret",
    "GPU-77aa0000-excluded",
    "ffffffffc0de5ec7",
    "5254005ec4e9",
    "token-in-rule",
    "operator9",
    "bastion3",
    "id_secret",
    "token-9f8e7d",
    "psk-wireless",
    "luks-key-77",
    "initiator-name",
    "hook-password",
    "cmdline-token",
    "cmdline-secret",
    "phrase-zz",
    "carol",
    "build8",
    "corp.example",
    "a-secret-6",
    "a-secret-8",
    "token-in-comment",
    "DrMallory",
    "acme-customer7",
];

const XML: &str = "<domain type='kvm'><name>vault7-payroll</name><uuid>00000000-0000-0000-0000-000000000007</uuid>\
    <title>of alice</title><memory unit='KiB'>8388608</memory><os><type machine='pc-q35-10.0'>hvm</type></os>\
    <sysinfo type='smbios'><system><entry name='serial'>SN-4711-0815</entry></system></sysinfo><devices>\
    <disk type='file'><source file='/home/alice/TaxOfAlice.qcow2'/><target dev='vda'/><serial>SN-4711-0815</serial></disk>\
    <interface type='network'><mac address='52:54:00:5e:c4:e7'/></interface>\
    <graphics type='vnc' passwd='vncpass-ab12' listen='vault7.corp.example'/>\
    <hostdev mode='subsystem' type='pci' managed='yes'><source><address domain='0x0000' bus='0x02' slot='0x00' \
    function='0x0'/></source><rom file='/home/alice/TaxOfAlice.rom'/></hostdev></devices></domain>";

/// A rule of udev's that takes cards for VMs, and does something else.
fn rule(vendor: &str, device: &str, more: &str) -> String {
    format!(
        "ATTR{{vendor}}==\"0x{vendor}\", ATTR{{device}}==\"0x{device}\", ATTR{{driver_override}}=\"vfio-pci\"{more}\n"
    )
}

/// The host itself, with all of its files as they are.
fn host() -> Vec<u8> {
    let card = MadeIdentity { vendor: 0x8086, device: 0x1533, subsystem: (0x8086, 1), class: 0x02_0000 };
    let nic = MadeFunction::new("/devices/pci0000:00/0000:00:1e.0", "09:00.0".parse().unwrap(), card)
        .attribute("vpd", "SN-4711-0815")
        .attribute("nvidia/vm_name", "TaxOfAlice\n")
        .attribute("serial_number", "SN-4711-0815\n");
    let release = "6.1.0-test";
    let files = MadeSnapshot::new(made_hosts::two_gpus().function(&nic).dump())
        .file("/proc/sys/kernel/hostname", "vault7\n")
        .file("/proc/sys/kernel/osrelease", &format!("{release}\n"))
        .file("/proc/cmdline", "ro intel_iommu=on rd.luks.key=luks-key-77 systemd.hostname=vault7 iommu.passphrase=phrase-zz \
             systemd.setenv=\"FOO=1 nvidia_token=cmdline-token\" dyndbg=\"file x nvidia-secret=cmdline-secret\" \
             nvidia.NVreg_ExcludedGpus=GPU-77aa0000-excluded nvidia.NVreg_TemporaryFilePath=/home/alice/tmp\n")
        .file("/proc/modules", "vfio_pci 20480 0 - Live 0xffffffffc0de5ec7\nnvidia 62 9 nvidia_drm,nvidia_uvm, Live 0xffffffffc0de5ec7 (POE)\n")
        .file("/sys/module/nvidia/parameters/NVreg_ExcludedGpus", "GPU-77aa0000-excluded\n")
        .file("/sys/module/nvidia/parameters/NVreg_TemporaryFilePath", "/home/alice/tmp\n")
        .file("/proc/driver/nvidia/version", "NVRM version: NVIDIA (carol@build8.corp.example) 570.1\n")
        .file(
            "/proc/driver/nvidia/gpus/0000:02:00.0/information",
            "GPU UUID: GPU-5f3a0000-secret\nDevice Minor: 0\n",
        )
        .file("/proc/interrupts", "  1:  9  IR-PCI-MSI  vault7.corp.example-eth 52:54:00:5E:C4:E7\n  2:  9  IR-PCI-MSI  enx5254005ec4e9-TxRx-0\n")
        .file("/proc/cpuinfo", "vendor_id\t: GenuineIntel\nflags\t: vmx\nserial\t: SN-4711-0815\n\n")
        .file("/etc/libvirt/hooks/qemu.d/50-gpuvirt", "#!/bin/sh\ncurl -u alice:hook-password vault7\n")
        .file("/etc/libvirt/qemu/vault7-payroll.xml", XML)
        .file("/etc/modprobe.d/vault7.conf", "options vfio-pci ids=10de:2204 \\\n  disable_vga=1 comment=a-secret-6\n")
        .file(
            "/etc/modprobe.d/gpu.conf",
            "# of alice\ninstall nouveau curl -H token-9f8e7d https://vault7/\nsoftdep nvidia pre: vfio-pci # token-in-comment\n\
             options nvidia NVreg_EnableMSI=1 NVreg_RegistryDwords=\"License=a-secret-8\" \
             NVreg_ExcludedGpus=\"GPU-5f3a0000-secret, GPU-77aa0000-excluded\" NVreg_TemporaryFilePath=/home/alice/tmp\n",
        )
        .file("/etc/modprobe.d/DrMallory.conf", "blacklist nouveau\n")
        .file(
            "/etc/modprobe.d/alice.conf",
            "options iwlwifi key=psk-wireless\ninstall iscsi_tcp iscsistart initiator-name token-9f8e7d\nblacklist nouveau\n",
        )
        .file("/etc/modprobe.d/acme-customer7.conf", "blacklist nvidia\n")
        .file("/etc/mkinitcpio.d/linux-alice.preset", "default_uki=\"/efi/alice.efi\"\n")
        .file("/etc/udev/rules.d/10-vfio.rules", &rule("1002", "73bf", ""))
        .file("/etc/udev/rules.d/99-DrMallory.rules", &rule("1002", "7448", ""))
        .file("/etc/udev/rules.d/10-alice.rules", "ENV{KEY}=\"token-9f8e7d\"\n")
        .file(
            "/etc/udev/rules.d/vault7.rules",
            &(rule("10de", "2204", ", RUN+=\"/usr/bin/curl -H token-in-rule https://vault7/a,b\"")
                + "ENV{KEY}=\"token-9f8e7d\"\n"),
        )
        .file("/etc/initramfs-tools/modules", "iwlwifi key=psk-wireless\nvfio-pci disable_vga=1 comment=a-secret-6\n")
        .file("/etc/kernel/cmdline", "rd.luks.key=luks-key-77\n")
        .file("/etc/kernelstub/configuration", "{\"kernel_options\": [\"luks-key-77\"]}\n")
        .file(&format!("/lib/modules/{release}/modules.dep"), "kernel/drivers/vfio/pci/vfio-pci.ko:\n")
        .file("/sys/firmware/acpi/tables/DMAR", "SN-4711-0815");
    files.bytes().unwrap()
}

/// What libvirt and gpuvirtd tell there: the real parsers' reading of the definition, and messages with everything in them.
fn testimony() -> Testimony {
    let at = PciAddress::parse("0000:02:00.0").unwrap();
    let read = gpuvirt_domain::read(XML).unwrap();
    let machine = gpuvirt_domain::machine(XML).unwrap();
    let domain = Domain {
        name: read.name,
        uuid: read.uuid.unwrap(),
        state: DomainState::ShutOff,
        autostart: false,
        config: read.hostdevs,
        live: Vec::new(),
        requests: read.requests,
        guest: read.guest,
    };
    let uri = "qemu+ssh://operator9@bastion3.corp.example:22/system?keyfile=/home/alice/.ssh/id_secret";
    let said = format!(
        "VM vault7-payroll: {uri}: operator9@bastion3: cannot access storage file '/home/alice/TaxOfAlice.qcow2' (as \
         uid:0): on vault7, mac 52:54:00:5e:c4:e7; bastion3.corp.example closed; file=/srv/alice/TaxOfAlice.rom; \
         /dev/disk/by-id/ata-SN-4711-0815 /dev/alice-vg/TaxOfAlice"
    );
    let identity: PciIdentity = PciIdentity {
        vendor: 0x10de,
        device: 0x2204,
        subsystem_vendor: 0x10de,
        subsystem_device: 0x1100,
        class: gpuvirt_model::ClassCode(0x03_0000),
    };
    let gpu = DesiredGpu::new(at, identity, ConfiguredType::Direct);
    let gpu = DesiredGpu { label: Some("rack of vault7".to_owned()), ..gpu };
    let via = Via::Mapping { path: "/home/alice/TaxOfAlice".to_owned() };
    let holder =
        Holder::Process { pid: 7, command: "vault7".to_owned(), via, container: Some("vault7".to_owned()) };
    let unseen = Some(Unknown::Unreadable { what: said.clone() });
    Testimony {
        desired: Desired::default().with_gpu(gpu),
        problems: vec![said.clone()],
        domains: Reading::Known(vec![domain]),
        libvirt: LibvirtHealth {
            uri: Some(uri.to_owned()),
            versions: Reading::Unknown(Unknown::Unreadable { what: said.clone() }),
            machines: Reading::Known(vec![machine]),
            owes_answer: false,
        },
        daemon: DaemonHealth {
            unanswered: Some(said.clone()),
            stale_boot_image: Some(said.clone()),
            problems: vec![said.clone()],
            unsettled: vec![(at, said.clone())],
            unhooked: vec!["vault7-payroll".to_owned()],
            hook_proven: Some(false),
            no_writer: Some(said.clone()),
            at_work: Vec::new(),
            unrestored: vec![(at, said.clone())],
        },
        holders: [(at, Holders { seen: vec![holder], unseen })].into(),
        lockers: Reading::Unknown(Unknown::Unreadable { what: said }),
        ..Testimony::default()
    }
}

fn snapshot() -> (Manifest, Vec<u8>) {
    let mut tar = Vec::new();
    let options = SnapshotOptions { testimony: Some(testimony()), ..SnapshotOptions::default() };
    let host = RecordedHost::from_bytes(host()).unwrap();
    let manifest = write_snapshot(&host, &options, &mut tar).unwrap();
    (manifest, tar)
}

#[test]
fn no_planted_secret_is_in_the_tar() {
    let (_, tar) = snapshot();
    // Members are stored as they are, names and headers between them; binary attributes are in hexadecimal.
    let text = String::from_utf8_lossy(&tar).to_ascii_lowercase();
    let told = serde_json::to_string(&testimony()).unwrap();
    let on_the_host = String::from_utf8_lossy(&host()).into_owned() + &told;
    for planted in PLANTED {
        assert!(on_the_host.contains(planted), "{planted} is nowhere to be left out");
        let hex: String = planted.bytes().map(|b| format!("{b:02x}")).collect();
        for form in [planted.to_ascii_lowercase(), hex] {
            let around = text.find(&form).map(|at| {
                let start = at.saturating_sub(120);
                text.chars().skip(start).take(240).collect::<String>()
            });
            assert_eq!(around, None, "{planted} as {form}");
        }
    }
    // So that the search is one: what it looks through is there.
    for there in [
        "0000:02:00.0",
        "ids=10de:2204 disable_vga=1",
        "install nouveau redacted",
        "redacted-payroll",
        "live 0x0000000000000000 (poe)",
        "nvreg_enablemsi=1 nvreg_registrydwords=redacted nvreg_excludedgpus=redacted",
        "softdep nvidia pre: vfio-pci\n",
        // In the host's order: DrMallory, acme-customer7, alice, gpu, vault7.
        "/etc/modprobe.d/0-local-0001.conf",
        "/etc/modprobe.d/0-local-0002.conf",
        "/etc/modprobe.d/0-local-0003.conf",
        "/etc/modprobe.d/gpu.conf",
        "/etc/modprobe.d/gpu.conf.local-0004.conf",
        "/etc/udev/rules.d/10-vfio.rules",
        "/etc/udev/rules.d/10-vfio.rules.local-0001.rules",
        "/etc/udev/rules.d/10-vfio.rules.local-0002.rules",
        "/etc/mkinitcpio.d/0-local-0001.preset",
        "nvidia.nvreg_excludedgpus=redacted",
        "enx000000000000-txrx-0",
        r#"attr{device}=="0x2204", attr{driver_override}="vfio-pci""#,
    ] {
        assert!(text.contains(there), "{there}");
    }
}

#[test]
fn the_manifest_names_what_was_left_out() {
    let (manifest, _) = snapshot();
    let said = manifest.redacted.join("\n");
    for want in [
        "serial numbers",
        "host names and MAC addresses",
        "passwords, disks, networks",
        "users, hosts and keys in libvirt's URI",
        "paths of files",
        "modprobe.d",
        "names of files",
        "install lines",
        "kernel lies in memory",
        "UUIDs",
    ] {
        assert!(said.contains(want), "{want}: {said}");
    }
}

#[test]
fn it_still_shows_and_finds_what_the_host_did() {
    let (_, tar) = snapshot();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&tar).unwrap();
    let run = |args: &[&str]| -> Value {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gpuvirt"));
        let output = command.arg("--host").arg(file.path()).args(args).args(["-o", "json"]).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{args:?}: {e}: {output:?}"))
    };
    let list = run(&["gpu", "list"]);
    let gpu = &list["items"][1];
    assert_eq!((&gpu["configured"], &gpu["label"]), (&"direct".into(), &"rack of redacted".into()), "{gpu}");
    assert_eq!(gpu["vms"]["known"][0]["name"], "redacted-payroll", "{gpu}");
    let doctor = run(&["doctor"]);
    let codes: Vec<&str> =
        doctor["findings"].as_array().unwrap().iter().filter_map(|found| found["code"].as_str()).collect();
    for code in ["hostdev-managed", "libvirt-uri", "taken-by-id"] {
        assert!(codes.contains(&code), "{code}: {codes:?}");
    }
    // A file is told by the name that it has there.
    let told = doctor.to_string();
    for file in
        ["/etc/modprobe.d/gpu.conf.local-0004.conf", "/etc/udev/rules.d/10-vfio.rules.local-0002.rules"]
    {
        assert!(told.contains(file), "{file}: {told}");
    }
}
