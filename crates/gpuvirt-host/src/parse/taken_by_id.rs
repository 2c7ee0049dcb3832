//! Lines that take cards for vfio-pci by vendor and device, in files of initramfs-tools and udev: they take every card of a kind,
//! wherever it sits.

use gpuvirt_model::PciDeviceId;

use super::modprobe::kernels_name;
use super::udev_override::{self, Override, Subject};
use super::vfio_ids;

/// A line, and what it takes: nothing is a value too.
pub type Taking = (String, Vec<PciDeviceId>);

/// Of `/etc/initramfs-tools/modules`: each line that gives a value, and whether it is the one that loads the driver.
pub fn of_initramfs(text: &str) -> Vec<(Taking, bool)> {
    let lines = vfio_ids::of_initramfs(text).into_iter().enumerate();
    lines.filter_map(|(at, (_, line, value))| Some(((line, sound(value?)), at == 0))).collect()
}

/// Of a line of modprobe.d each, comments and continuations gone.
pub fn of_options(lines: Vec<String>) -> Vec<Taking> {
    // Of a line the last counts.
    let value = |line: &str| vfio_ids::of_options(line).pop().map(sound);
    lines.into_iter().filter_map(|line| value(&line).map(|ids| (line, ids))).collect()
}

/// Of the kernel's command line: each word that gives a value.
pub fn of_command_line(line: &str, built_in: bool) -> Vec<Taking> {
    let found = vfio_ids::of_command_line(line, built_in).into_iter();
    found.map(|(word, ids)| (word.to_owned(), sound(ids))).collect()
}

/// The entries that the driver understands.
fn sound(ids: Vec<vfio_ids::Entry>) -> Vec<PciDeviceId> {
    ids.into_iter().flatten().collect()
}

/// Of a file of udev's rules: those that give a VFIO driver to what has an id, and ask for no address. Of each only that is told:
/// a rule may run programs too, with anybody's secrets.
pub fn of_udev(text: &str) -> Vec<Taking> {
    udev_override::of_file(text).iter().filter_map(|(_, found)| rule(found)).collect()
}

fn rule(rule: &Override) -> Option<Taking> {
    let Subject::Kind(id) = rule.of else { return None };
    let (vendor, device) = (id.vendor(), id.device());
    let told = format!(
        r#"ATTR{{vendor}}=="0x{vendor:04x}", ATTR{{device}}=="0x{device:04x}", ATTR{{driver_override}}="vfio-pci""#
    );
    (kernels_name(&rule.driver) == "vfio_pci").then(|| (told, vec![id]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_initramfs_the_line_that_loads_the_driver_is_heard() {
        let of =
            |text| of_initramfs(text).into_iter().map(|((_, ids), heard)| (ids, heard)).collect::<Vec<_>>();
        let id = |device| vec![PciDeviceId::of(1, device)];
        assert_eq!(of("vfio\nvfio_pci ids=1:1\nvfio_pci ids=1:2\n"), [(id(1), true), (id(2), false)]);
        assert_eq!(of("vfio_pci\nvfio_pci ids=1:2\n"), [(id(2), false)]);
        assert_eq!(of("vfio-pci ids=nonsense\n"), [(Vec::new(), true)]);
        assert_eq!(of("vfio-pci ids=1:1 ids=\n"), [(Vec::new(), true)]);
    }

    #[test]
    fn each_value_is_found_an_empty_one_too_and_of_a_line_the_last() {
        let ids = |found: Vec<Taking>| found.into_iter().map(|(_, ids)| ids).collect::<Vec<_>>();
        let of = |device| vec![PciDeviceId::of(1, device)];
        assert_eq!(ids(of_command_line("vfio-pci.ids=1:1 quiet vfio_pci.ids=1:2", false)), [of(1), of(2)]);
        assert_eq!(ids(of_command_line("vfio-pci.ids=1:1 vfio_pci.ids=", false)), [of(1), Vec::new()]);
        assert_eq!(ids(of_options(vec!["options vfio-pci ids=1:1 ids=1:2".to_owned()])), [of(2)]);
        assert_eq!(ids(of_options(vec!["options vfio-pci disable_vga=1".to_owned()])), [[]; 0]);
    }

    #[test]
    fn a_rule_that_asks_for_ids_and_for_no_address_takes_all_of_them() {
        let by_id = r#"ACTION=="add", SUBSYSTEM=="pci", ATTR{vendor}=="0x10de", ATTR{device}=="0x2204", ATTR{driver_override}="vfio-pci""#;
        let told = r#"ATTR{vendor}=="0x10de", ATTR{device}=="0x2204", ATTR{driver_override}="vfio-pci""#;
        let want = [(told.to_owned(), vec![PciDeviceId::of(0x10de, 0x2204)])];
        let running = format!(r#"{by_id}, RUN+="/bin/sh -c 'echo a, b'","#);
        let not_gone = by_id.replace(r#"=="add""#, r#"!="remove""#);
        for rule in [by_id, told, &running, &not_gone] {
            assert_eq!(of_udev(rule), want, "{rule}");
        }
        for other in [
            format!(r#"KERNEL=="0000:41:00.0", {by_id}"#),
            by_id.replace("vfio-pci", "nvidia"),
            by_id.replace(r#"}="vfio-pci""#, r#"}=="vfio-pci""#),
            by_id.replace(r#"ATTR{device}=="0x2204", "#, ""),
            by_id.replace("0x2204", "0x22*"),
            by_id.replace(r#"=="add""#, r#"=="remove""#),
            format!("# {by_id}"),
            "nonsense".to_owned(),
        ] {
            assert!(of_udev(&other).is_empty(), "{other}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(?s).{0,200}") {
            let _ = (of_initramfs(&text), of_udev(&text));
        }
    }
}
