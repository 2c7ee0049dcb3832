//! The made-up hosts of `tests/hosts` by their names.

use crate::made_snapshot::MadeSnapshot;
use crate::{made_hosts, made_whole};

/// Name and dump of each host that a dump can hold.
pub fn all() -> [(&'static str, String); 8] {
    [
        ("emulated-card", made_hosts::emulated_card().dump()),
        ("gvt-host", made_hosts::gvt_host().dump()),
        ("muxed-laptop", made_hosts::muxed_laptop().dump()),
        ("sample-types-host", made_hosts::sample_types_host().dump()),
        ("sriov-host", made_hosts::sriov_host().dump()),
        ("two-gpus", made_hosts::two_gpus().dump()),
        ("vgpu-host", made_hosts::vgpu_host().dump()),
        ("vgpu-types-host", made_hosts::vgpu_types_host().dump()),
    ]
}

/// Name and content of each host that needs a snapshot: which modules are loaded is in no dump.
pub fn snapshots() -> [(&'static str, MadeSnapshot); 4] {
    let version =
        |text: &str| format!("NVRM version: {text}\nGCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n");
    let plain =
        version("NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (root@localhost)");
    let manager = version("NVIDIA UNIX x86_64 Kernel Module  550.127.06  Wed Oct  9 18:50:31 UTC 2024");
    let of = |text: &str| {
        MadeSnapshot::new(made_hosts::bare_card().dump())
            .folder("/sys/module/nvidia")
            .file("/proc/driver/nvidia/version", text)
            .file("/proc/interrupts", INTERRUPTS)
    };
    [
        ("amd-two-gpus", made_whole::amd_two_gpus()),
        ("intel-secure-boot", made_whole::intel_secure_boot()),
        ("nvidia-plain", of(&plain).file("/sys/module/nvidia/version", "580.95.05\n")),
        (
            "vgpu-manager",
            of(&manager)
                .file("/sys/module/nvidia/version", "550.127.06\n")
                .folder("/sys/module/nvidia_vgpu_vfio"),
        ),
    ]
}

/// One chip that remaps.
const INTERRUPTS: &str = "           CPU0\n  1:          9  IR-IO-APIC    1-edge      i8042\n";
