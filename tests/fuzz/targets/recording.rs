//! Recorded hosts: umockdev dumps and snapshot tars of any content, and the inventory over what was understood.
#![no_main]

use std::sync::Arc;

use gpuvirt_host::{GpuRules, LinuxHost, Sysfs};
use gpuvirt_recording::RecordedHost;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(host) = RecordedHost::from_bytes(bytes.to_vec()) else { return };
    let _ = (host.notes(), host.manifest(), host.domains());
    for folder in ["/", "/sys/bus/pci/devices", "/sys/kernel/iommu_groups", "/dev", "/proc", "/../.."] {
        for name in host.list(folder).unwrap_or_default() {
            let path = format!("{}/{name}", folder.trim_end_matches('/'));
            let _ = (host.read(&path, 4096), host.read_link(&path), host.device_number(&path));
        }
    }
    let _ = LinuxHost::new(Arc::new(host), GpuRules::default()).observe();
});
