//! Which parameters of modules a snapshot shows, and which of their values: on the kernel's command line, in modprobe.d and
//! below `/sys/module`.
//!
//! What a finding, a listing or `gpuvirt import` reads, and what else explains how a GPU behaves, by name: a module takes any
//! text in the place of a parameter that it does not have, and some that it has are free text (`NVreg_RegistryDwords`).

/// What is left out of values, in a manifest's words.
pub(crate) const VALUES: &str = "GPUs' UUIDs, paths and texts among what the kernel and its modules are told";
/// What stands for a value that is not shown.
pub(crate) const REDACTED: &str = "redacted";

/// Parameters by module, with `_` for `-` in both.
const KNOWN: [(&str, &[&str]); 16] = [
    (
        "amdgpu",
        &[
            "aspm",
            "cik_support",
            "dc",
            "dpm",
            "gpu_recovery",
            "modeset",
            "reset_method",
            "runpm",
            "si_support",
        ],
    ),
    ("gim", &["vf_num"]),
    ("i915", &["enable_guc", "enable_gvt", "max_vfs", "modeset"]),
    ("kvm", &["halt_poll_ns", "ignore_msrs", "nx_huge_pages", "report_ignored_msrs", "tdp_mmu"]),
    ("kvm_amd", &["avic", "nested", "npt", "sev", "sev_es", "sev_snp"]),
    ("kvm_intel", &["enable_apicv", "ept", "nested", "unrestricted_guest"]),
    ("nouveau", &["modeset", "runpm"]),
    ("nvidia_drm", &["fbdev", "modeset"]),
    ("nvidia_uvm", &["uvm_disable_hmm"]),
    ("pci_stub", &["ids"]),
    ("radeon", &["cik_support", "modeset", "runpm", "si_support"]),
    ("snd_hda_intel", &["enable", "power_save", "power_save_controller"]),
    ("vfio", &["enable_unsafe_noiommu_mode"]),
    ("vfio_iommu_type1", &["allow_unsafe_interrupts", "disable_hugepages", "dma_entry_limit"]),
    (
        "vfio_pci",
        &["disable_denylist", "disable_idle_d3", "disable_vga", "enable_sriov", "ids", "nointxmask"],
    ),
    ("xe", &["max_vfs", "modeset"]),
];
/// Modules of NVIDIA's driver, under the names that distributions give to its versions too, and how its own parameters begin.
const NVIDIAS: &str = "nvidia";
const NVIDIAS_OWN: &str = "NVreg_";
/// Longest word that is shown as a value.
const LONGEST: usize = 32;

/// Whether a parameter of a module is shown; the module by the name that the kernel has for it.
pub(crate) fn is_known(module: &str, name: &str) -> bool {
    let of_nvidia = module.starts_with(NVIDIAS) && name.starts_with(NVIDIAS_OWN);
    let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let listed = KNOWN.iter().any(|(known, names)| *known == module && names.contains(&name));
    listed || (of_nvidia && is_name && name.len() <= LONGEST + NVIDIAS_OWN.len())
}

/// Whether a value is shown: a number, a list of ids, or a plain word; of NVIDIA's own parameters, which take free text, a
/// number alone.
pub(crate) fn is_shown(name: &str, value: &str) -> bool {
    let number = is_number(value);
    if name.starts_with(NVIDIAS_OWN) {
        return number;
    }
    number
        || is_ids(value)
        || is_ids(unquoted(value))
        || unquoted(value).is_empty()
        || (value.len() <= LONGEST && is_plain(value))
}

/// `NAME=VALUE`, or `NAME`, as it may be shown: quotes may stand around all of it, or around the value.
pub(crate) fn told(word: &str, shown: impl Fn(&str) -> bool) -> String {
    match unquoted(word).split_once('=') {
        Some((name, value)) if !shown(value) => format!("{name}={REDACTED}"),
        _ => word.to_owned(),
    }
}

/// The text of a file below `/sys/module/MODULE/parameters`. The kernel has `Y`, numbers and `(null)` there, lists of numbers,
/// and of texts what it was told.
pub(crate) fn told_by_kernel(module: &str, name: &str, text: &str) -> String {
    let value = text.trim_end();
    let is_text = !value.is_empty() && value != "(null)" && !is_numbers(value);
    let shown = !is_text || (is_known(module, name) && is_shown(name, value));
    if shown { text.to_owned() } else { format!("{REDACTED}\n") }
}

/// What stands in a pair of quotes, and else the text itself.
pub(crate) fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text)
}

/// Words that name nobody's file, card or address: a list of them has commas.
pub(crate) fn is_plain(value: &str) -> bool {
    let word = |word: &str| {
        word.len() <= LONGEST && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_:.-".contains(&b))
    };
    !value.to_ascii_lowercase().contains("gpu-") && value.split(',').all(word)
}

/// The same, or options about PCI devices by address, path or model (`pci=` in the kernel's kernel-parameters.txt).
pub(crate) fn is_of_devices(value: &str) -> bool {
    let value = unquoted(value);
    value.split('/').skip(1).all(is_step) && is_plain(&value.replace(['=', '@', ';', '/'], ","))
}

/// Whether a part of a path begins with a device and its function.
fn is_step(part: &str) -> bool {
    let step = part.split([',', ';', '@']).next().unwrap_or_default();
    let is_hex = |text: &str| (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    step.split_once('.').is_some_and(|(device, function)| is_hex(device) && is_hex(function))
}

fn is_number(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    match digits.strip_prefix("0x") {
        Some(hex) => (1..=16).contains(&hex.len()) && hex.bytes().all(|b| b.is_ascii_hexdigit()),
        None => (1..=20).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()),
    }
}

fn is_numbers(value: &str) -> bool {
    value.split(',').all(|part| is_number(part) || ["Y", "N"].contains(&part))
}

/// `VENDOR:DEVICE[:SUBVENDOR:SUBDEVICE[:CLASS:MASK]],...` (`pci_add_dynid` in drivers/pci/pci-driver.c), each in hexadecimal; in
/// quotes there may be blanks between them.
fn is_ids(value: &str) -> bool {
    let number = |number: &str| {
        let digits = number.strip_prefix("0x").unwrap_or(number);
        (1..=8).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit())
    };
    let is_id = |id: &str| id.contains(':') && id.split(':').count() <= 6 && id.split(':').all(number);
    value.split(',').all(|id| is_id(id.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_ids_and_plain_words_are_shown_of_what_is_known() {
        for (name, value, want) in [
            ("modeset", "1", true),
            ("modeset", "-1", true),
            ("ids", "10de:2204,10de:1aef,0x1002:73bf,1002:73bf:ffffffff:ffffffff,8086:56a0", true),
            ("ids", "\"10de:2204,10de:1aef\"", true),
            ("ids", "zz:1", true),
            ("reset_method", "pci", true),
            ("reset_method", "\"pci\"", false),
            ("reset_method", "a-word-of-more-than-thirty-two-letters", false),
            ("reset_method", "/home/alice", false),
            ("reset_method", "GPU-1-2", false),
            ("NVreg_EnableMSI", "1", true),
            ("NVreg_EnableMSI", "0x1f", true),
            ("NVreg_RegistryDwords", "hunter8", false),
            ("NVreg_RegistryDwords", "\"License=hunter8\"", false),
        ] {
            assert_eq!(is_shown(name, value), want, "{name}={value}");
        }
        for (module, name, want) in [
            ("nvidia", "NVreg_EnableMSI", true),
            ("nvidia_current", "NVreg_EnableMSI", true),
            ("nvidia", "token", false),
            ("nvidia", "NVreg_\"x", false),
            ("vfio_pci", "ids", true),
            ("vfio_pci", "comment", false),
            ("iwlwifi", "ids", false),
        ] {
            assert_eq!(is_known(module, name), want, "{module} {name}");
        }
    }

    #[test]
    fn a_text_below_sys_module_is_shown_where_it_is_no_text_of_anybodys() {
        for (module, name, text, want) in [
            ("vfio_pci", "disable_idle_d3", "N\n", "N\n"),
            ("amdgpu", "mcbp", "-1\n", "-1\n"),
            ("kvm", "mine", "Y,N,17\n", "Y,N,17\n"),
            ("i915", "vbt_firmware", "(null)\n", "(null)\n"),
            ("i915", "vbt_firmware", "alice.bin\n", "redacted\n"),
            ("amdgpu", "reset_method", "\n", "\n"),
            ("nvidia", "NVreg_RegistryDwords", "License=hunter8\n", "redacted\n"),
        ] {
            assert_eq!(told_by_kernel(module, name, text), want, "{module} {name} {text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(name in ".{0,12}", value in "(?s).{0,60}") {
            let _ = (is_known("nvidia", &name), is_shown(&name, &value), told_by_kernel("nvidia", &name, &value));
        }
    }
}
