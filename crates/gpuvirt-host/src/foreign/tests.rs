use gpuvirt_model::import::HostPciDevice;

use super::*;
use crate::plain_tree::PlainTree;

fn read_tree(files: &[(&str, &str)]) -> ForeignSetup {
    read(&PlainTree::of(files).sysfs())
}

#[test]
fn a_host_without_other_tools_has_nothing() {
    assert_eq!(read_tree(&[("proc/cmdline", "quiet\n")]), ForeignSetup::default());
}

#[test]
fn each_tools_files_are_read() {
    let uuid = "5f8a6d6e-0c2c-4a53-9d3c-0c1c2b6f3a11";
    let definition = format!("etc/mdevctl.d/0000:41:00.0/{uuid}");
    let found = read_tree(&[
        ("etc/driverctl.d/pci-0000:41:00.0", "vfio-pci\n"),
        ("etc/driverctl.d/pci-0000:42:00.0", "\n"),
        ("etc/driverctl.d/vmbus-x", "uio\n"),
        (&definition, r#"{"mdev_type": "nvidia-558", "start": "auto"}"#),
        ("etc/mdevctl.d/scripts.d/callouts/x", "#!"),
        ("proc/cmdline", "vfio-pci.ids=10de:2235\n"),
        ("etc/modprobe.d/vfio.conf", "\noptions vfio-pci ids=1002:73bf\n"),
        ("usr/lib/modprobe.d/vfio.conf", "options vfio-pci ids=1:2\n"),
        ("etc/pve/qemu-server/100.conf", "name: win\nhostpci0: mapping=gpus\nhostpci1: 81:00\n"),
        ("etc/pve/mapping/pci.cfg", "gpus\n\tmap path=0000:41:00.0\n"),
    ]);
    assert!(found.oddities.is_empty(), "{:?}", found.oddities);
    assert_eq!(found.overrides.len(), 1);
    assert_eq!(found.overrides[0].origin.to_string(), "/etc/driverctl.d/pci-0000:41:00.0");
    assert_eq!(found.mdevs.len(), 1);
    let origins: Vec<String> = found.vfio_ids.iter().map(|ids| ids.origin.to_string()).collect();
    assert_eq!(origins, ["/proc/cmdline", "/etc/modprobe.d/vfio.conf:2"]);
    let guests: Vec<_> = found.hostpci.iter().map(|line| (line.guest.as_str(), &line.devices)).collect();
    let function = HostPciDevice::Function(PciAddress::parse("41:00.0").unwrap());
    let slot = HostPciDevice::Slot(PciAddress::parse("81:00.0").unwrap());
    assert_eq!(guests, [("win", &vec![function.into()]), ("win", &vec![slot.into()])]);
}

#[test]
fn what_takes_cards_early_is_read_by_line() {
    let by_ids = r#"SUBSYSTEM=="pci", ATTR{vendor}=="0x1002", ATTR{device}=="0x73bf""#;
    let rules = format!(
        "# mine\n{by_ids}, ATTR{{driver_override}}=\"vfio-pci\"\nKERNEL==\"0000:41:00.0\", \
         ATTR{{driver_override}}=\"vfio-pci\"\n{by_ids}, ATTR{{driver_override}}=\"amdgpu\"\n\
         KERNEL==\"0000:41:00.1\", ATTR{{driver_override}}=\"\"\nRUN+=\"/bin/sh -c 'echo x > $sys$devpath/driver_override'\"\n"
    );
    let found = read_tree(&[
        ("usr/sbin/update-initramfs", ""),
        (
            "etc/initramfs-tools/modules",
            "vfio\nvfio-pci ids=1002:73bf,zz:1 disable_vga=1\nvfio_pci ids=1:2\n",
        ),
        ("etc/udev/rules.d/10-vfio.rules", &rules),
        ("etc/udev/rules.d/70-gpuvirt.rules", &rules),
        ("etc/udev/rules.d/readme", &rules),
        (
            "etc/modprobe.d/vfio.conf",
            "install vfio-pci /usr/local/bin/take.sh\ninstall amdgpu /bin/false\nalias pci:v00001002d* vfio-pci\n",
        ),
    ]);
    let ids: Vec<String> = found.vfio_ids.iter().map(|ids| ids.origin.to_string()).collect();
    let initramfs = "/etc/initramfs-tools/modules";
    assert_eq!(
        ids,
        [&format!("{initramfs}:2"), &format!("{initramfs}:3"), "/etc/udev/rules.d/10-vfio.rules:2"]
    );
    let heard: Vec<bool> = found.vfio_ids.iter().map(|ids| ids.heard).collect();
    assert_eq!(heard, [true, false, true], "a module is loaded once");
    let overrides: Vec<_> =
        found.overrides.iter().map(|over| (over.address.to_string(), over.origin.to_string())).collect();
    let rule = "/etc/udev/rules.d/10-vfio.rules:3".to_owned();
    assert_eq!(overrides, [("0000:41:00.0".to_owned(), rule)]);
    assert_eq!(found.kept_away.len(), 3, "{:?}", found.kept_away);
    let odd = found.oddities.join("\n");
    for want in ["modules:2: \"zz:1\"", "10-vfio.rules:4: a rule", "10-vfio.rules:6: a rule"] {
        assert!(odd.contains(want), "{want}: {odd}");
    }
    assert_eq!(found.oddities.len(), 3, "{odd}");
}

#[test]
fn what_initramfs_tools_is_told_counts_where_that_is_installed() {
    let modules = ("etc/initramfs-tools/modules", "vfio-pci ids=1002:73bf\n");
    let found = |more: &str| read_tree(&[modules, (more, "")]).vfio_ids.len();
    assert_eq!(found("usr/sbin/dracut"), 0);
    assert_eq!(found("usr/sbin/update-initramfs"), 1);
    assert_eq!(found("etc/hostname"), 1, "a tree without programs");
}

#[test]
fn a_mapping_means_the_devices_of_this_node() {
    let guest = ("etc/pve/qemu-server/100.conf", "hostpci0: mapping=gpus\n");
    let both = "gpus\n\tmap id=1002:73bf,node=here,path=0000:06:00.0,subsystem-id=1002:1100\n\
                \tmap id=10de:2235,node=there,path=0000:03:00.0\n";
    let mappings = ("etc/pve/mapping/pci.cfg", both);
    let running = ("proc/sys/kernel/hostname", "here.example.com\n");
    let of_backup = ("etc/hostname", "here\n");
    for name in [running, of_backup] {
        let found = read_tree(&[guest, mappings, name]);
        assert!(found.oddities.is_empty(), "{:?}", found.oddities);
        let [line] = found.hostpci.as_slice() else { panic!("{:?}", found.hostpci) };
        let named: Vec<String> = line.devices.iter().map(|d| d.device.address().to_string()).collect();
        assert_eq!(named, ["0000:06:00.0"]);
        assert_eq!(line.devices[0].id, Some((0x1002, 0x73bf)));
        assert_eq!(line.devices[0].subsystem_id, Some((0x1002, 0x1100)));
    }
    let elsewhere = ("proc/sys/kernel/hostname", "third\n");
    for (files, want) in [
        (vec![guest, mappings, elsewhere], "no entry for this node, third"),
        (vec![guest, mappings], "is not known"),
    ] {
        let found = read_tree(&files);
        assert!(found.hostpci.is_empty(), "{:?}", found.hostpci);
        assert!(found.oddities[0].contains(want), "{:?}", found.oddities);
    }
}

#[test]
fn modprobes_folders_are_read_as_modprobe_reads_them() {
    let found = read_tree(&[
        ("etc/modprobe.d/a.conf", "options vfio-pci ids=1:1\n"),
        ("etc/modprobe.d/masked.conf", ""),
        ("run/modprobe.d/a.conf", "options vfio-pci ids=bad:1\n"),
        ("run/modprobe.d/b.conf", "options vfio-pci ids=1:2\n"),
        ("usr/local/lib/modprobe.d/b.conf", "options vfio-pci ids=bad:2\n"),
        ("usr/local/lib/modprobe.d/c.conf", "options vfio-pci ids=1:3\n"),
        ("usr/lib/modprobe.d/c.conf", "options vfio-pci ids=bad:3\n"),
        ("usr/lib/modprobe.d/d.conf", "options vfio-pci ids=1:4\nblacklist nouveau\n"),
        ("usr/lib/modprobe.d/masked.conf", "options vfio-pci ids=bad:4\nblacklist nvidia\n"),
        ("lib/modprobe.d/d.conf", "options vfio-pci ids=bad:5\n"),
        ("lib/modprobe.d/e.conf", "options vfio-pci ids=1:5\n"),
        ("lib/modprobe.d/no.conf.bak", "options vfio-pci ids=bad:6\n"),
    ]);
    let origins: Vec<String> = found.vfio_ids.iter().map(|ids| ids.origin.to_string()).collect();
    let want = [
        "/etc/modprobe.d/a.conf:1",
        "/run/modprobe.d/b.conf:1",
        "/usr/local/lib/modprobe.d/c.conf:1",
        "/usr/lib/modprobe.d/d.conf:1",
        "/lib/modprobe.d/e.conf:1",
    ];
    assert_eq!(origins, want);
    assert!(found.oddities.is_empty(), "{:?}", found.oddities);
    let kept: Vec<String> = found.kept_away.iter().map(|kept| kept.origin.to_string()).collect();
    assert_eq!(kept, ["/usr/lib/modprobe.d/d.conf:2"]);
}

#[test]
fn what_is_not_understood_is_named_and_hides_nothing() {
    let found = read_tree(&[
        ("etc/driverctl.d/pci-nonsense", "vfio-pci\n"),
        ("etc/driverctl.d/pci-0000:41:00.0", "vfio-pci\n"),
        ("etc/mdevctl.d/0000:41:00.0/no-uuid", "{}"),
        ("etc/mdevctl.d/0000:41:00.0/5f8a6d6e-0c2c-4a53-9d3c-0c1c2b6f3a11", "{"),
        ("proc/cmdline", "vfio-pci.ids=zz\n"),
        ("etc/pve/qemu-server/100.conf", "hostpci0: mapping=gone\n"),
    ]);
    let odd = found.oddities.join("\n");
    for want in ["pci-nonsense", "no-uuid", "3a11: ", "/proc/cmdline: \"zz\"", "100.conf:1: no mapping"] {
        assert!(odd.contains(want), "{want}: {odd}");
    }
    assert_eq!((found.oddities.len(), found.overrides.len()), (5, 1));
}

#[test]
fn each_value_of_ids_is_read_and_where_it_can_count() {
    let release = ("proc/sys/kernel/osrelease", "6.1.0-test\n");
    let cmdline = ("proc/cmdline", "vfio-pci.ids=1:1,1:2 quiet vfio_pci.ids=\n");
    let options = ("etc/modprobe.d/vfio.conf", "options vfio-pci ids=1:3 ids=1:4\n");
    for (list, built_in) in [("vfio-pci.ko", true), ("vfio-pci-core.ko", false)] {
        let list = format!("kernel/drivers/vfio/pci/{list}\n");
        let builtin = ("lib/modules/6.1.0-test/modules.builtin", list.as_str());
        let found = read_tree(&[release, cmdline, options, builtin]);
        let counts: Vec<usize> = found.vfio_ids.iter().map(|value| value.ids.len()).collect();
        assert_eq!((counts, found.vfio_built_in), (vec![2, 0, 1, 1], built_in), "{list}");
    }
    assert!(!read_tree(&[release, cmdline]).vfio_built_in);
}
