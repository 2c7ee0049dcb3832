//! A recorded host many times over: each copy in a PCI domain of its own, as large servers number their segments.
//!
//! What a generated host has is what its maker thought of; a recording has what a kernel shows, bridges, nodes, sound cards,
//! parents of mediated devices and all.

use std::fmt::Write as _;

/// What every address of the recording begins with.
const DOMAIN: &str = "0000:";
/// Between one copy's IOMMU groups and the next one's.
const GROUPS: usize = 1000;

/// So many copies of a dump. What is on no PCI bus stays as it is, once.
pub fn of(dump: &str, copies: usize) -> String {
    let mut out = String::with_capacity(dump.len() * copies);
    for copy in 0..copies {
        for block in dump.split("\n\n").filter(|block| !block.trim().is_empty()) {
            if copy == 0 {
                out.push_str(block.trim_end());
            } else if block.starts_with("P: /devices/pci") {
                moved(block.trim_end(), copy, &mut out);
            } else {
                continue;
            }
            out.push_str("\n\n");
        }
    }
    out
}

/// One device in another domain and another group. The names of its nodes may stand on one machine only once.
fn moved(block: &str, copy: usize, out: &mut String) {
    let domain = format!("{copy:04x}:");
    for line in block.lines().filter(|line| !line.starts_with("N: ") && !line.starts_with("E: DEVNAME=")) {
        let line = line.replace(DOMAIN, &domain).replace("/pci0000:", &format!("/pci{domain}"));
        match line
            .rsplit_once("iommu_groups/")
            .and_then(|(before, group)| Some((before, group.parse::<usize>().ok()?)))
        {
            Some((before, group)) => {
                let _ = write!(out, "{before}iommu_groups/{}", group + copy * GROUPS);
            }
            None => out.push_str(&line),
        }
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
}

/// How many PCI functions a dump has.
pub fn functions(dump: &str) -> usize {
    dump.lines().filter(|line| line.starts_with("E: PCI_SLOT_NAME=")).count()
}

#[cfg(test)]
mod tests {
    use gpuvirt_host::{GpuRules, LinuxHost, Sysfs};
    use gpuvirt_recording::RecordedHost;

    use super::*;

    const LAB: &str = include_str!("../../hosts/lab.umockdev");

    #[test]
    fn each_copy_has_every_function_and_every_gpu_again() {
        let folder = tempfile::tempdir().unwrap();
        let counted = |copies: usize| {
            let path = folder.path().join("host.umockdev");
            std::io::Write::write_all(&mut std::fs::File::create(&path).unwrap(), of(LAB, copies).as_bytes())
                .unwrap();
            let host = RecordedHost::open(&path).unwrap();
            assert!(host.notes().is_empty(), "{:?}", host.notes());
            let listed = host.list("/sys/bus/pci/devices").unwrap().len();
            let host = LinuxHost::new(std::sync::Arc::new(host), GpuRules::default());
            let observed = host.observe().unwrap();
            (listed, observed.functions.len(), observed.gpus.len(), observed.groups.len())
        };
        let (listed, looked_at, gpus, groups) = counted(1);
        assert!(listed == functions(LAB) && gpus > 4 && groups > 4, "{listed} {gpus} {groups}");
        assert_eq!(counted(3), (3 * listed, 3 * looked_at, 3 * gpus, 3 * groups));
    }
}
