//! Memory: how much, in which pages, on which nodes, and what libvirt may lock of it.

use gpuvirt_model::health::{HugePages, Locker, MemoryHealth};
use gpuvirt_model::{Fact, Reading};

use super::reader::Reader;
use crate::parse::{memory, pci, process_limits};
use crate::paths;

pub(super) fn read(reader: Reader<'_>) -> MemoryHealth {
    let line = |name: &'static str| {
        let text = reader.text(paths::MEMINFO);
        Reader::understood(text.map(|text| text.and_then(|text| memory::meminfo(&text, name))))
    };
    MemoryHealth {
        total_kib: line("MemTotal"),
        huge_page_kib: line("Hugepagesize"),
        pools: reader.list(paths::HUGE_PAGES).map(|names| pools(reader, &names.unwrap_or_default())),
        lockers: lockers(reader),
    }
}

fn pools(reader: Reader<'_>, names: &[String]) -> Vec<HugePages> {
    let number = |pool: &str, name| pci::count(&reader.files.text(&paths::huge_pages(pool, name)).ok()?);
    let pool = |name: &String| {
        let (total, free) = (number(name, "nr_hugepages")?, number(name, "free_hugepages")?);
        Some(HugePages { size_kib: memory::huge_page_size(name)?, total, free })
    };
    names.iter().filter_map(pool).collect()
}

/// The names of libvirt's daemons as processes.
const DAEMONS: [&str; 2] = ["libvirtd", "virtqemud"];

/// libvirt's daemons that run. A recording holds no processes.
fn lockers(reader: Reader<'_>) -> Fact<Vec<Locker>> {
    let sysfs = reader.files.sysfs;
    if !sysfs.knows_absence(paths::PROC) {
        return Fact { source: paths::PROC.to_owned(), ..Fact::default() };
    }
    let pids = sysfs.list(paths::PROC).unwrap_or_default();
    let pids = pids.iter().filter_map(|name| pci::count::<u32>(name));
    let found = pids.filter_map(|pid| locker(reader, pid)).collect();
    Fact { source: paths::PROC.to_owned(), value: Reading::Known(found) }
}

/// A daemon of libvirt's that starts the VMs of `qemu:///system`. A user's own (`qemu:///session`) and one in a container start
/// others, and may lock little by design.
fn locker(reader: Reader<'_>, pid: u32) -> Option<Locker> {
    let text = |name| reader.files.text(&paths::process_file(pid, name)).ok();
    let command = text("comm")?.trim().to_owned();
    if !DAEMONS.contains(&command.as_str()) {
        return None;
    }
    let status = text("status").filter(|status| process_limits::is_of_host(status) == Some(true))?;
    let limit_kib = process_limits::locked_kib(&text("limits")?)?;
    Some(Locker { pid, command, limit_kib, may_raise: process_limits::may_raise(&status)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Files;
    use crate::plain_tree::PlainTree;

    #[test]
    fn only_the_systems_own_daemons_lock_for_its_vms() {
        let tree = PlainTree::of(&[]);
        let put = |pid: u32, command: &str, whose: &str| {
            let file = |name: &str, text: &str| tree.put(&format!("proc/{pid}/{name}"), text);
            let limits = "Max locked memory         8388608              8388608              bytes\n";
            let status = format!("Name:\t{command}\n{whose}CapEff:\t0000000000000000\n");
            file("comm", &format!("{command}\n"));
            file("limits", limits);
            file("status", &status);
        };
        put(7, "libvirtd", "Uid:\t0\t0\t0\t0\nNSpid:\t7\n");
        put(8, "libvirtd", "Uid:\t1000\t1000\t1000\t1000\nNSpid:\t8\n");
        put(9, "virtqemud", "Uid:\t0\t0\t0\t0\nNSpid:\t9\t1\n");
        put(10, "sshd", "Uid:\t0\t0\t0\t0\nNSpid:\t10\n");
        let sysfs = tree.sysfs();
        let found = lockers(Reader::new(Files::new(&sysfs)));
        let libvirtd =
            Locker { pid: 7, command: "libvirtd".to_owned(), limit_kib: Some(8192), may_raise: false };
        assert_eq!(found.value, Reading::Known(vec![libvirtd]));
    }
}
