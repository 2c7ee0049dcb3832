//! Prints what this machine, or a tree below a folder, shows: `observe [--without-holders] [--gpu=CCCC] [FOLDER]`.
//!
//! For counting system calls (`strace -c`) and for looking at a host without the daemon.
#![allow(clippy::print_stdout)]

use std::sync::Arc;

use gpuvirt_host::{GpuRules, LinuxHost, LinuxSysfs, ObserveScope};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut scope = ObserveScope::Full;
    let mut rules = GpuRules::default();
    let mut sysfs = LinuxSysfs::this_machine();
    for argument in std::env::args().skip(1) {
        if argument == "--without-holders" {
            scope = ObserveScope::WithoutHolders;
        } else if let Some(rule) = argument.strip_prefix("--gpu=") {
            rules.extra.push(rule.parse()?);
        } else {
            sysfs = LinuxSysfs::below(&argument);
        }
    }
    let started = std::time::Instant::now();
    let observed = LinuxHost::new(Arc::new(sysfs), rules).observe_scope(scope)?;
    let took = started.elapsed();
    println!("{}", serde_json::to_string_pretty(&observed)?);
    eprintln!("observed in {took:?}");
    Ok(())
}
