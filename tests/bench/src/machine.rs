//! The machine in general words: enough to judge the figures, not enough to find it.

use anyhow::{Context, Result};

/// Cores, processor, kernel.
pub fn describe() -> Result<String> {
    let cores = std::thread::available_parallelism().context("count the cores")?;
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").context("read /proc/cpuinfo")?;
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("", |(_, m)| m);
    let virtual_machine = if cpuinfo.contains(" hypervisor") { ", a virtual machine" } else { "" };
    let release =
        std::fs::read_to_string("/proc/sys/kernel/osrelease").context("read the kernel's release")?;
    let version: Vec<&str> = release.trim().split(['.', '-']).take(2).collect();
    Ok(format!("{cores} cores of {model}{virtual_machine}, Linux {}", version.join(".")))
}
