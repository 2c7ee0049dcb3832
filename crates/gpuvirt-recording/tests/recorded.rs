//! A recorded host answers as the kernel does.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use gpuvirt_host::{DeviceNumber, Sysfs};
use gpuvirt_model::{Reading, Testimony};
use gpuvirt_recording::made::{MadeDevice, MadeFunction, MadeHost, MadeIdentity, many_functions};
use gpuvirt_recording::{RecordedHost, SnapshotOptions, write_snapshot};

const GPU: MadeIdentity =
    MadeIdentity { vendor: 0x10de, device: 0x2235, subsystem: (0x10de, 0x145a), class: 0x03_0000 };
const PORT: &str = "/devices/pci0000:00/0000:00:01.0";
const UUID: &str = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";

fn host() -> MadeHost {
    let gpu = MadeFunction::new(PORT, "01:00.0".parse().unwrap(), GPU)
        .driver("nvidia")
        .group(7)
        .drm("card0", 0)
        .bar(0, 16 << 20)
        .attribute("mdev_supported_types/nvidia-558/name", "NVIDIA A40-2Q\n")
        .attribute("mdev_supported_types/nvidia-558/available_instances", "3\n");
    let mdev = MadeDevice::new(&format!("{PORT}/0000:01:00.0/{UUID}"), "mdev")
        .property("DRIVER", "nvidia-vgpu-vfio")
        .link("driver", "/sys/bus/mdev/drivers/nvidia-vgpu-vfio")
        .link("mdev_type", &format!("/sys{PORT}/0000:01:00.0/mdev_supported_types/nvidia-558"))
        .link("iommu_group", "/sys/kernel/iommu_groups/40");
    let tty = MadeDevice::new("/devices/virtual/tty/tty1", "tty").node("tty1", 4, 1);
    MadeHost::new().function(&gpu).device(&mdev).device(&tty)
}

fn open(text: &str) -> RecordedHost {
    RecordedHost::from_bytes(text.as_bytes().to_vec()).unwrap()
}

fn read(host: &dyn Sysfs, path: &str) -> String {
    String::from_utf8(host.read(path, 4096).unwrap_or_else(|error| panic!("{path}: {error}"))).unwrap()
}

#[test]
fn files_are_found_on_every_way_that_the_kernel_offers() {
    let host = open(&host().dump());
    for folder in [
        "/sys/bus/pci/devices/0000:01:00.0",
        "/sys/bus/pci/drivers/nvidia/0000:01:00.0",
        "/sys/kernel/iommu_groups/7/devices/0000:01:00.0",
        "/sys/class/drm/card0/device",
        "/sys/class/mdev_bus/0000:01:00.0",
        "/sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0",
        "/sys/bus/pci/devices/0000:01:00.0/driver/0000:01:00.0",
    ] {
        assert_eq!(read(&host, &format!("{folder}/class")), "0x030000\n", "{folder}");
    }
    let gpu = "/sys/bus/pci/devices/0000:01:00.0";
    assert_eq!(host.read_link(gpu).unwrap(), "../../../devices/pci0000:00/0000:00:01.0/0000:01:00.0");
    assert_eq!(host.read_link(&format!("{gpu}/driver")).unwrap(), "../../../../bus/pci/drivers/nvidia");
    assert_eq!(host.read_link(&format!("{gpu}/subsystem")).unwrap(), "../../../../bus/pci");
    assert_eq!(host.read_link(&format!("{gpu}/iommu_group")).unwrap(), "../../../../kernel/iommu_groups/7");
    assert!(read(&host, &format!("{gpu}/uevent")).contains("PCI_SLOT_NAME=0000:01:00.0\n"));
    assert!(!read(&host, &format!("{gpu}/uevent")).contains("SUBSYSTEM"));
    assert_eq!(host.read(&format!("{gpu}/config"), 2).unwrap(), [0xde, 0x10]);
}

#[test]
fn folders_list_what_is_in_them() {
    let host = open(&host().dump());
    let list = |path: &str| host.list(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    assert_eq!(list("/sys/bus/pci/devices"), ["0000:01:00.0"]);
    assert_eq!(list("/sys/class/drm"), ["card0"]);
    assert_eq!(list("/sys/kernel/iommu_groups"), ["40", "7"]);
    assert_eq!(list("/sys/bus/pci/devices/0000:01:00.0/drm"), ["card0"]);
    assert_eq!(list("/sys/bus/pci/devices/0000:01:00.0/power"), ["control", "runtime_status"]);
    let all = list("/sys/bus/pci/devices/0000:01:00.0");
    for name in ["class", "driver", "drm", "mdev_supported_types", "power", "subsystem", "uevent", UUID] {
        assert!(all.iter().any(|n| n == name), "{name}: {all:?}");
    }
    assert!(all.is_sorted());
    let code = |path: &str| host.list(path).unwrap_err().raw_os_error();
    assert_eq!(code("/sys/nothing"), Some(2));
    assert_eq!(code("/sys/bus/pci/devices/0000:01:00.0/class"), Some(20));
}

#[test]
fn mediated_devices_and_their_types_are_linked() {
    let host = open(&host().dump());
    let types = "/sys/class/mdev_bus/0000:01:00.0/mdev_supported_types";
    assert_eq!(host.list(types).unwrap(), ["nvidia-558"]);
    assert_eq!(
        host.list(&format!("{types}/nvidia-558")).unwrap(),
        ["available_instances", "devices", "name"]
    );
    assert_eq!(host.list(&format!("{types}/nvidia-558/devices")).unwrap(), [UUID]);
    assert_eq!(read(&host, &format!("{types}/nvidia-558/name")), "NVIDIA A40-2Q\n");
    assert_eq!(read(&host, &format!("/sys/bus/mdev/devices/{UUID}/mdev_type/available_instances")), "3\n");
    assert_eq!(
        host.read_link(&format!("/sys/bus/mdev/devices/{UUID}/mdev_type")).unwrap(),
        "../mdev_supported_types/nvidia-558"
    );
}

#[test]
fn nodes_have_their_numbers() {
    let host = open(&host().dump());
    let number = |path: &str| host.device_number(path).unwrap();
    assert_eq!(number("/dev/dri/card0"), Some(DeviceNumber { major: 226, minor: 0 }));
    assert_eq!(number("/dev/tty1"), Some(DeviceNumber { major: 4, minor: 1 }));
    assert_eq!(number("/sys/bus/pci/devices/0000:01:00.0/class"), None);
    assert!(host.device_number("/dev/dri/card9").is_err());
    assert_eq!(host.list("/dev/dri").unwrap(), ["card0"]);
}

#[test]
fn what_is_not_recorded_is_absent_and_nothing_can_be_written() {
    let host = open(&host().dump());
    for path in
        ["/proc/interrupts", "/etc/passwd", "/sys/../etc/passwd", "/proc/self/fd/0", "", "/", "relative"]
    {
        let _ = host.list(path);
        assert!(host.read(path, 10).is_err(), "{path}");
    }
    let error = host.write("/sys/bus/pci/drivers_probe", b"0000:01:00.0").unwrap_err();
    assert_eq!(error.raw_os_error(), Some(30), "EROFS");
}

#[test]
fn link_loops_end() {
    let text = "P: /devices/a\nE: SUBSYSTEM=x\nL: l=l\nL: m=n/x\nL: n=m\nL: up=../../../../../..\n";
    let host = open(text);
    assert_eq!(host.read("/sys/devices/a/l", 10).unwrap_err().raw_os_error(), Some(40), "ELOOP");
    assert!(host.read("/sys/devices/a/m", 10).is_err());
    assert!(host.read("/sys/devices/a/up/etc/passwd", 10).is_err());
}

#[test]
fn a_dump_with_properties_only_still_names_its_functions() {
    let text = "P: /devices/pci0000:00/0000:00:02.0\nE: DRIVER=i915\nE: PCI_CLASS=30000\nE: PCI_ID=8086:5917\n\
                E: PCI_SUBSYS_ID=17AA:224B\nE: SUBSYSTEM=pci\n";
    let host = open(text);
    let gpu = "/sys/bus/pci/devices/0000:00:02.0";
    assert_eq!(read(&host, &format!("{gpu}/class")), "0x030000\n");
    assert_eq!(read(&host, &format!("{gpu}/vendor")), "0x8086\n");
    assert_eq!(read(&host, &format!("{gpu}/subsystem_device")), "0x224b\n");
    assert_eq!(host.read_link(&format!("{gpu}/driver")).unwrap(), "../../../bus/pci/drivers/i915");
    assert_eq!(host.list("/sys/bus/pci/drivers/i915").unwrap(), ["0000:00:02.0"]);
    assert!(host.list(gpu).unwrap().contains(&"class".to_owned()));
    assert!(host.notes().iter().any(|note| note.contains("without \"class\"")), "{:?}", host.notes());
    assert!(host.notes().iter().any(|note| note.contains("no IOMMU group")));
}

#[test]
fn a_snapshot_of_a_recorded_host_is_that_host() {
    let first = open(&host().dump());
    let mut tar = Vec::new();
    let options = SnapshotOptions {
        date: "2026-11-20".to_owned(),
        testimony: Some(Testimony { domains: Reading::Known(Vec::new()), ..Testimony::default() }),
        extra_gpus: vec!["1234:11e8".parse().unwrap()],
    };
    let manifest = write_snapshot(&first, &options, &mut tar).unwrap();
    assert_eq!(manifest.date, "2026-11-20");
    let again = RecordedHost::from_bytes(tar.clone()).unwrap();
    assert_eq!(again.manifest(), Some(&manifest));
    assert_eq!(again.domains(), Some(&[][..]));
    let mut second = Vec::new();
    write_snapshot(&again, &options, &mut second).unwrap();
    assert_eq!(tar, second, "a snapshot of a snapshot is the same file");
    for path in ["/sys/bus/pci/devices/0000:01:00.0/driver/0000:01:00.0/config", "/sys/class/drm/card0/dev"] {
        assert_eq!(first.read(path, 4096).unwrap(), again.read(path, 4096).unwrap());
    }
}

#[test]
fn serial_numbers_do_not_travel() {
    let gpu = MadeFunction::new(PORT, "01:00.0".parse().unwrap(), GPU)
        .child(
            MadeDevice::new(&format!("{PORT}/0000:01:00.0/drm/card0"), "drm")
                .bytes_attribute("edid", b"SECRETEDID"),
        )
        .attribute("vpd", "SECRETVPD");
    let mut tar = Vec::new();
    let host = open(&MadeHost::new().function(&gpu).dump());
    let manifest = write_snapshot(&host, &SnapshotOptions::default(), &mut tar).unwrap();
    let text = String::from_utf8_lossy(&tar);
    assert!(
        !text.contains("SECRET")
            && !text.contains(&"SECRETEDID".bytes().map(|b| format!("{b:02X}")).collect::<String>())
    );
    assert_eq!(manifest.redacted, ["monitors' serial numbers", "vital product data (serial numbers)"]);
}

#[test]
fn several_hundred_functions_are_all_there() {
    let text = many_functions(400);
    let host = open(&text);
    assert_eq!(text, many_functions(400));
    let names = host.list("/sys/bus/pci/devices").unwrap();
    assert!(names.len() >= 400, "{}", names.len());
    for name in names {
        let path = format!("/sys/bus/pci/devices/{name}");
        assert!(read(&host, &format!("{path}/class")).starts_with("0x0"), "{path}");
        assert!(host.read(&format!("{path}/config"), 4096).unwrap().len() >= 64);
        assert!(host.read_link(&format!("{path}/iommu_group")).is_ok());
    }
    assert!(host.notes().is_empty(), "{:?}", host.notes());
}

#[test]
fn regions_that_lost_their_newlines_are_told_apart_again() {
    let region = "0x0000007800000000 0x000000780fffffff 0x000000000014220c";
    let block = "P: /devices/pci0000:00/0000:00:02.0\nE: SUBSYSTEM=pci\nA: resource=";
    let path = "/sys/bus/pci/devices/0000:00:02.0/resource";
    for (recorded, want) in [
        (format!("{region}{region}"), format!("{region}\n{region}\n")),
        (format!("{region}\\n{region}\\n"), format!("{region}\n{region}\n")),
        (format!("{region}0x00"), format!("{region}0x00")),
        (region.to_owned(), region.to_owned()),
    ] {
        assert_eq!(read(&open(&format!("{block}{recorded}\n")), path), want);
    }
}
