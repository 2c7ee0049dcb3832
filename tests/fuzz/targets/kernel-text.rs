//! What the kernel's files hold, and the writes that a writer process may make.
#![no_main]

use gpuvirt_host::parse::{interrupts, mdev, mig, modules, nvidia, pci, pci_ids};
use gpuvirt_host::{BlockingWrite, Programs, writer_main};
use libfuzzer_sys::fuzz_target;

fn parsers(text: &str) {
    let _ = (pci::id(text), pci::class(text), pci::flag(text), pci::count::<u32>(text), pci::numa_node(text));
    let _ = (
        pci::driver_override(text),
        pci::reset_methods(text),
        pci::power_state(text),
        pci::power_control(text),
        pci::last_component(text),
    );
    for bar in pci::bars(text).unwrap_or_default() {
        assert!(bar.size > 0 && bar.index < 6, "{bar:?}");
    }
    let _ = (mdev::description(text), interrupts::remapped(text));
    let _ = nvidia::device_minor(text);
    let creatable = nvidia::creatable_types(text);
    let mut ids: Vec<u32> = creatable.types.iter().map(|(id, _)| *id).collect();
    ids.sort_unstable();
    assert!(ids.windows(2).all(|pair| pair[0] != pair[1]) && !ids.contains(&0), "{creatable:?}");
    assert!(creatable.types.iter().all(|(_, name)| !name.contains(char::is_control)), "{creatable:?}");
    if let Some(traits) = gpuvirt_model::named_traits(text) {
        assert!((512..=4096 * 1024).contains(&traits.framebuffer_mib), "{traits:?}");
    }
    gpu_instances(text);
    if mdev::is_type_id(text) {
        assert!(!text.contains(['/', '\0', '\n']) && text != "." && text != "..", "{text:?}");
        let _ = mdev::profile_name(text, None);
    }
}

/// Every file that a writer process may write to.
const WRITTEN: [&str; 10] = [
    "create",
    "current_vgpu_type",
    "driver_override",
    "drivers_probe",
    "remove",
    "sriov_drivers_autoprobe",
    "sriov_numvfs",
    "unbind",
    "unbindLock",
    "vgpu_params",
];
/// Tables of the vendor's command: whatever is read out of one can stand in a message and in a command.
fn gpu_instances(text: &str) {
    let _ = (mig::mode(text), mig::is_none_found(text), mig::placements(text), mig::compute_instances(text));
    for profile in mig::profiles(text).unwrap_or_default() {
        assert!(gpuvirt_model::mig::is_profile_name(&profile.name), "{profile:?}");
    }
    for instance in mig::instances(text).unwrap_or_default() {
        assert!(gpuvirt_model::mig::is_profile_name(&instance.profile), "{instance:?}");
    }
}

/// Nothing but a few files below `/sys` and `/proc/driver`, whatever is asked for: `PATH DATA`.
fn writes(text: &str) {
    let Some((path, data)) = text.split_once(' ') else { return };
    let Ok(write) = BlockingWrite::parse(path, data.as_bytes()) else { return };
    let path = write.path();
    let parts = path.split('/').skip(1);
    assert!(path.starts_with("/sys/bus/") || path.starts_with("/proc/driver/"), "{path}");
    assert!(!parts.clone().any(|part| part.is_empty() || part == "." || part == ".."), "{path}");
    let last = parts.last().unwrap_or_default();
    assert!(WRITTEN.contains(&last), "{path}");
    assert!(write.data().len() < 64 || last == "vgpu_params", "{:?}", write.data());
    assert!(!write.data().contains(|c: char| c.is_control() && c != '\n'), "{:?}", write.data());
}

/// A writer process reads requests from a pipe. Its root is a folder that is not there, so nothing is written.
fn writer(requests: &[u8]) {
    let mut answers = Vec::new();
    let _ = writer_main(requests, &mut answers, "/nonexistent", &Programs::All);
    let answers = String::from_utf8(answers).expect("answers are text");
    assert!(!answers.contains("done") && !answers.contains("content"), "wrote without a root: {answers}");
}

fuzz_target!(|bytes: &[u8]| {
    let _ = (pci_ids::names(&bytes.to_vec(), [(0x1234, 0x1111)]), modules::lists(bytes, "vfio_pci"));
    writer(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        parsers(text);
        writes(text);
    }
});
