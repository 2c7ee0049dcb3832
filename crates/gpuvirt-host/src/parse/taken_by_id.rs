//! Lines that take cards for vfio-pci by vendor and device, in files of initramfs-tools and udev: they take every card of a kind,
//! wherever it sits.

use super::modprobe::{self, kernels_name};
use super::vfio_ids;

/// A line, and vendor and device of what it takes.
pub type Taking = (String, Vec<(u16, u16)>);

/// Of `/etc/initramfs-tools/modules`: a module's name with its parameters, a line each (initramfs-tools(7)).
pub fn of_initramfs(text: &str) -> Vec<Taking> {
    let lines = modprobe::lines(text).into_iter();
    lines
        .filter_map(|line| {
            // As modprobe.d spells it.
            let ids = vfio_ids::of_modprobe(&format!("options {line}"));
            let ids: Vec<_> = ids.into_iter().filter_map(|(_, ids)| ids.ok()).collect();
            let ids: Vec<_> = ids.into_iter().map(|(vendor, device, _)| (vendor, device)).collect();
            (!ids.is_empty()).then_some((line, ids))
        })
        .collect()
}

/// Of a file of udev's rules: those that give a VFIO driver to what has an id, and ask for no address.
pub fn of_udev(text: &str) -> Vec<Taking> {
    modprobe::lines(text).into_iter().filter_map(|line| Some((line.clone(), vec![rule(&line)?]))).collect()
}

fn rule(line: &str) -> Option<(u16, u16)> {
    let (mut overridden, mut vendor, mut device) = (false, None, None);
    for part in line.split(',').map(str::trim) {
        let (key, compares, value) = match part.split_once("==") {
            Some((key, value)) => (key.trim(), true, value.trim().trim_matches('"')),
            None => {
                let (key, value) = part.split_once('=')?;
                (key.trim().trim_end_matches(':'), false, value.trim().trim_matches('"'))
            }
        };
        match (key, compares) {
            // The device itself, or one above it, by its address.
            ("KERNEL" | "KERNELS" | "DEVPATH" | "ENV{PCI_SLOT_NAME}", true) => return None,
            ("ATTR{vendor}" | "ATTRS{vendor}", true) => vendor = id(value),
            ("ATTR{device}" | "ATTRS{device}", true) => device = id(value),
            ("ATTR{driver_override}", false) => overridden = kernels_name(value) == "vfio_pci",
            _ => {}
        }
    }
    if overridden { Some((vendor?, device?)) } else { None }
}

fn id(text: &str) -> Option<u16> {
    u16::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initramfs_tools_gives_parameters_to_modules() {
        let text = "# vfio_pci ids=1:1\nvfio\nvfio_pci  ids=10de:2204,10de:1aef disable_vga=1\nvfio-pci ids=1002:73bf\n\
                    snd ids=1:2\nvfio-pci ids=nonsense\n";
        let want = [
            ("vfio_pci ids=10de:2204,10de:1aef disable_vga=1", vec![(0x10de, 0x2204), (0x10de, 0x1aef)]),
            ("vfio-pci ids=1002:73bf", vec![(0x1002, 0x73bf)]),
        ];
        assert_eq!(of_initramfs(text), want.map(|(line, ids)| (line.to_owned(), ids)));
    }

    #[test]
    fn a_rule_that_asks_for_ids_and_for_no_address_takes_all_of_them() {
        let by_id = r#"ACTION=="add", SUBSYSTEM=="pci", ATTR{vendor}=="0x10de", ATTR{device}=="0x2204", ATTR{driver_override}="vfio-pci""#;
        assert_eq!(of_udev(by_id), [(by_id.to_owned(), vec![(0x10de, 0x2204)])]);
        for other in [
            format!(r#"KERNEL=="0000:41:00.0", {by_id}"#),
            by_id.replace("vfio-pci", "nvidia"),
            by_id.replace(r#"}="vfio-pci""#, r#"}=="vfio-pci""#),
            by_id.replace(r#"ATTR{device}=="0x2204", "#, ""),
            by_id.replace("0x2204", "0x22*"),
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
