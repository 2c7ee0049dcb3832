//! Remedies, typed as they are: what each of them does.

use std::process::Command;

use gpuvirt_model::{FindingCode, Observed, PciAddress};

use super::bed::{Bed, SECOND};
use super::{cards, hosts};

fn at(text: &str) -> PciAddress {
    PciAddress::parse(text).unwrap()
}

/// The remedies of the finding with this name, which the bed must have.
fn remedies(bed: Bed, code: FindingCode) -> Vec<String> {
    let found = bed.examine().findings;
    let one = found.iter().find(|finding| finding.code == code);
    one.unwrap_or_else(|| panic!("no {code} in {found:#?}")).remedy.clone()
}

/// A VM whose virtual IOMMU does not remap.
pub fn in_a_vm(bed: Bed) -> Bed {
    bed.file(
        "/proc/cpuinfo",
        "vendor_id\t: GenuineIntel\nflags\t\t: fpu vmx hypervisor\naddress sizes\t: 46 bits physical\n\n",
    )
    .retouched(|observed| hosts::with_remapping(observed, false, false))
}

type Retouch = fn(&mut Observed);

/// Cards of which nothing is known to be better or worse for hiding KVM, with and without.
pub fn of_no_use() -> Vec<(&'static str, Bed)> {
    let bed = |device: Retouch| Bed::healthy().vm("games", |_, _| {}).retouched(device);
    let hidden = |device: Retouch| {
        Bed::healthy().vm("games", |_, machine| machine.kvm_hidden = true).retouched(device)
    };
    let old: Retouch = |host| is(host, 0x10c3);
    let board: Retouch = |host| is(host, 0x06d9);
    vec![
        ("a GeForce older than Fermi", bed(old)),
        ("a GeForce older than Fermi, hidden", hidden(old)),
        ("a Quadro of Fermi", bed(board)),
        ("a Quadro of Fermi, hidden", hidden(board)),
    ]
}

fn is(observed: &mut Observed, device: u16) {
    observed.functions.get_mut(&at(SECOND)).unwrap().identity.device = device;
}

#[test]
fn what_sysfs_forgets_is_not_promised_for_the_next_boot() {
    let (mut now, mut later) = (0, 0);
    for case in crate::cases() {
        for line in (case.bed)(Bed::healthy()).examine().findings.iter().flat_map(|found| &found.remedy) {
            if line.contains("> /sys/") {
                assert!(!line.contains("from the next boot on"), "{line}");
                now += 1;
            }
            if line.contains("from the next boot on") {
                assert!(line.contains("> /etc/"), "{line}");
                later += 1;
            }
        }
    }
    assert!(now > 3 && later > 3, "{now} {later}");
    let stuck = Bed::healthy().device(SECOND, "A: power_state=D0\\n", "A: power_state=error\\n");
    let stuck = remedies(stuck, FindingCode::PowerStuck);
    for want in
        ["> /etc/modprobe.d/", "mkinitcpio -P", "d3cold_allowed # keeps it awake, until the next boot"]
    {
        assert!(stuck.iter().any(|line| line.contains(want)), "{want}: {stuck:#?}");
    }
}

/// A container's daemon is not looked at.
#[test]
fn what_libvirt_may_lock_is_put_right_in_its_unit() {
    let bed = crate::cases().into_iter().find(|case| case.code == FindingCode::LockLimitLow).unwrap();
    let lines = remedies((bed.bed)(Bed::healthy()), FindingCode::LockLimitLow);
    assert!(lines.iter().any(|line| line.contains("LimitMEMLOCK=infinity")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.starts_with("systemctl cat virtqemud #")), "{lines:#?}");
    assert!(lines.iter().all(|line| !line.contains("container")), "{lines:#?}");
}

#[test]
fn interrupts_of_a_vm_are_remapped_outside_of_it() {
    let of_vm = remedies(in_a_vm(Bed::healthy()), FindingCode::NoInterruptRemapping);
    assert!(of_vm[0].contains("<ioapic driver='qemu'/>"), "{of_vm:#?}");
    assert!(of_vm.iter().all(|line| !line.contains("firmware")), "{of_vm:#?}");
    let host = Bed::healthy().retouched(|observed| hosts::with_remapping(observed, false, false));
    let host = remedies(host, FindingCode::NoInterruptRemapping);
    assert!(host[0].contains("firmware") && !host[0].contains("ioapic"), "{host:#?}");
    for lines in [of_vm, host] {
        // Where the module is loaded already, modprobe's parameter is lost.
        assert!(
            lines.iter().any(|line| line.contains("echo Y > /sys/module/vfio_iommu_type1/")),
            "{lines:#?}"
        );
        assert!(lines.iter().all(|line| !line.contains("modprobe vfio_iommu_type1 allow")), "{lines:#?}");
    }
}

/// The part of a line from one text to the end of another.
fn part<'a>(line: &'a str, from: &str, to: &str) -> &'a str {
    let start = line.find(from).unwrap_or_else(|| panic!("{from} in {line}"));
    let end = line[start..].find(to).unwrap_or_else(|| panic!("{to} in {line}")) + start + to.len();
    &line[start..end]
}

#[test]
fn the_xml_for_a_larger_window_is_read_as_one() {
    let small = cards::guest_with("<cpu mode='host-model'/>");
    let lines = remedies(small, FindingCode::ApertureSmall);
    let domain = lines.iter().find(|line| line.contains("<domain ")).unwrap();
    let argument = lines.iter().find(|line| line.contains("X-PciMmio64Mb")).unwrap();
    let xml = format!(
        "{}<name>games</name><memory>1</memory><os><type>hvm</type></os>{}</domain>",
        part(domain, "<domain ", ">"),
        part(argument, "<qemu:commandline>", "</qemu:commandline>"),
    );
    let read = gpuvirt_domain::machine(&xml).unwrap_or_else(|error| panic!("{error}: {xml}"));
    assert!(read.mmio64_mib.is_some_and(|mib| mib >= 65536), "{xml}");
    // The prefix is libvirt's own: with another name behind it the part is dropped.
    assert!(xml.contains("xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'"), "{xml}");
}

#[test]
fn a_rom_is_saved_by_the_line_as_it_stands() {
    let bed = crate::cases().into_iter().find(|case| case.code == FindingCode::ShadowedRom).unwrap();
    let lines = remedies((bed.bed)(Bed::healthy()), FindingCode::ShadowedRom);
    let line = lines.iter().find(|line| line.starts_with("echo 1 > ")).unwrap();
    let shown = format!("/sys/bus/pci/devices/{SECOND}/rom");
    let root = tempfile::tempdir().unwrap();
    let (rom, saved) = (root.path().join("rom"), root.path().join("saved"));
    let file = part(lines.last().unwrap(), "/var/lib/libvirt/", ".rom");
    let typed = line.replace(&shown, rom.to_str().unwrap()).replace(file, saved.to_str().unwrap());
    let ran = Command::new("bash").args(["-c", &typed]).output().unwrap();
    assert!(ran.status.success(), "{typed}: {}", String::from_utf8_lossy(&ran.stderr));
    // A file keeps what was written; the card's shows its ROM for a 1.
    assert_eq!(std::fs::read_to_string(&saved).unwrap(), "1\n", "{typed}");
    assert_eq!(std::fs::read_to_string(&rom).unwrap(), "0\n", "{typed}");
}
