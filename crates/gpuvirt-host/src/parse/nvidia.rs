//! Texts of NVIDIA's driver.

/// `Device Minor` of `/proc/driver/nvidia/gpus/ADDRESS/information`: the N of `/dev/nvidiaN`.
pub fn device_minor(text: &str) -> Option<u32> {
    text.lines().find_map(|line| line.strip_prefix("Device Minor:")?.trim().parse().ok())
}

/// The version in `/proc/driver/nvidia/version`:
/// `NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.127.06  Wed Oct  9 ...`.
pub fn driver_version(text: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with("NVRM version:"))?;
    line.split_whitespace().find(|word| is_version(word)).map(str::to_owned)
}

/// What of that file says anything: which module it is and of what version. The kernel module's own line goes on with who built
/// it on which machine, and the line below it names the compiler (`NV_COMPILER`).
pub fn version_told(text: &str) -> String {
    let kind = if is_open_module(text) { "Open Kernel Module for x86_64" } else { "x86_64 Kernel Module" };
    match driver_version(text) {
        Some(version) => format!("NVRM version: NVIDIA UNIX {kind}  {version}\n"),
        None if is_open_module(text) => format!("NVRM version: {kind}\n"),
        None if text.lines().any(|line| line.starts_with("NVRM version:")) => "NVRM version:\n".to_owned(),
        None => String::new(),
    }
}

/// Whether that file is the open kernel module's: `NVIDIA UNIX Open Kernel Module for x86_64 ...`.
pub fn is_open_module(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("NVRM version:") && line.contains("Open Kernel Module"))
}

/// `550.127.06`: two or three numbers.
pub fn is_version(text: &str) -> bool {
    let numbers = text
        .split('.')
        .filter(|part| (1..=5).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit()));
    let parts = text.split('.').count();
    (2..=3).contains(&parts) && numbers.count() == parts
}

/// `creatable_vgpu_types`: what can be made of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CreatableTypes {
    /// Ids with the driver's names, each id once.
    pub types: Vec<(u32, String)>,
    /// Lines that make no sense.
    pub odd: Vec<String>,
}

/// Reads `creatable_vgpu_types` of a virtual function. The header line (`ID    : vGPU Name`) is not always there.
pub fn creatable_types(text: &str) -> CreatableTypes {
    let mut found = CreatableTypes::default();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let known = |id: u32| found.types.iter().any(|(have, _)| *have == id);
        match creatable_type(line) {
            Some((id, name)) if !known(id) => found.types.push((id, name)),
            _ if is_header(line) => {}
            _ => found.odd.push(line.to_owned()),
        }
    }
    found
}

fn creatable_type(line: &str) -> Option<(u32, String)> {
    let (id, name) = line.split_once(':')?;
    let (id, name) = (super::pci::count(id)?, name.trim());
    let sound = id != 0 && !name.is_empty() && !name.contains(char::is_control);
    sound.then(|| (id, name.to_owned()))
}

fn is_header(line: &str) -> bool {
    line.split_once(':').is_some_and(|(id, _)| id.trim().eq_ignore_ascii_case("id"))
}

/// Whether the vendor's tool found the card in use.
pub fn lock_was_refused(stdout: &str, stderr: &str) -> bool {
    [stdout, stderr].iter().any(|text| text.contains("unbindLock"))
}

/// What `nvidia-smi vgpu -ghm` says: whether sizes are mixed; none where the card has no such mode, or where the text is
/// not understood. Only the line's end counts: its words differ by release (`Heterogenous`, `Heterogeneous`).
pub fn heterogeneous_mode(text: &str) -> Option<bool> {
    let line = text.lines().rev().find(|line| line.to_ascii_lowercase().contains("heterogen"))?;
    let word = line.rsplit(|c: char| c == ':' || c.is_whitespace()).find(|word| !word.is_empty())?;
    match word.trim_end_matches('.').to_ascii_lowercase().as_str() {
        "enabled" => Some(true),
        "disabled" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minor_is_found_among_the_rest() {
        let text =
            "Model: \t\t NVIDIA A40\nIRQ:   \t\t 127\nBus Location: \t 0000:41:00.0\nDevice Minor: \t 2\n";
        assert_eq!(device_minor(text), Some(2));
        for text in ["", "Device Minor:", "Device Minor: -1", "Device Minor: 99999999999"] {
            assert_eq!(device_minor(text), None, "{text:?}");
        }
    }

    #[test]
    fn the_version_and_the_kind_of_module_are_told() {
        for (text, version, open) in [
            (
                "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.127.06  Wed Oct  9 00:00:00 UTC 2024\n\
                 GCC version:  gcc version 12.2.0\n",
                Some("550.127.06"),
                false,
            ),
            (
                "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (a@b)\n",
                Some("580.95.05"),
                true,
            ),
            ("NVRM version:\n", None, false),
            ("GCC version: 12.2.0 Open Kernel Module\n", None, false),
            ("\u{0}", None, false),
        ] {
            assert_eq!((driver_version(text).as_deref(), is_open_module(text)), (version, open), "{text:?}");
        }
        for text in ["550", "550.", ".1", "1.2.3.4", "550.x", "1.999999", ""] {
            assert!(!is_version(text), "{text:?}");
        }
    }

    #[test]
    fn of_the_version_nobody_is_named_and_the_same_is_read() {
        for (text, want) in [
            (
                "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.127.06  (alice@build7.corp.example)  Wed Oct  9\n\
                 GCC version:  gcc version 12.2.0 (alice@build7)\n",
                "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.127.06\n",
            ),
            (
                "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (a@b)\n",
                "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05\n",
            ),
            ("NVRM version: alice@build7\n", "NVRM version:\n"),
            ("alice@build7\n", ""),
        ] {
            let told = version_told(text);
            assert_eq!(told, want);
            assert_eq!(
                (driver_version(&told), is_open_module(&told)),
                (driver_version(text), is_open_module(text))
            );
        }
    }

    #[test]
    fn types_with_and_without_a_header() {
        let want = vec![(1145, "NVIDIA L40S-1B".to_owned()), (1428, "NVIDIA H200X-141C".to_owned())];
        assert_eq!(
            creatable_types("ID    : vGPU Name\n1145  : NVIDIA L40S-1B\n1428 : NVIDIA H200X-141C\n"),
            CreatableTypes { types: want.clone(), odd: Vec::new() }
        );
        let headerless = creatable_types("1145  : NVIDIA L40S-1B\n1428 : NVIDIA H200X-141C");
        assert_eq!(headerless.types, want);
    }

    #[test]
    fn lines_that_make_no_sense_are_told() {
        let lines = ["garbage", ":", "1:", "-1 : x", "0 : none", "7 : a\u{0}b", "99999999999 : x"];
        let read = creatable_types(&lines.join("\n"));
        assert_eq!(read, CreatableTypes { types: Vec::new(), odd: lines.map(str::to_owned).to_vec() });
        // The first of two with one id stands.
        let twice = creatable_types("7 : first\n7 : second\n");
        assert_eq!(twice.types, [(7, "first".to_owned())]);
        assert_eq!(twice.odd, ["7 : second"]);
    }

    #[test]
    fn the_mixed_size_mode_is_the_last_word_of_its_line() {
        for (text, want) in [
            ("GPU 00000000:41:00.0\n    vGPU Heterogeneous Mode           : Enabled\n", Some(true)),
            ("GPU 00000000:41:00.0\n    vGPU Heterogeneous Mode           : Disabled\n", Some(false)),
            ("vGPU heterogenous mode for GPU 0 is Enabled.\n", Some(true)),
            ("    vGPU Heterogeneous Mode           : N/A\n", None),
            ("Enabled\n", None),
            ("", None),
        ] {
            assert_eq!(heterogeneous_mode(text), want, "{text:?}");
        }
        assert!(
            lock_was_refused("", "Cannot obtain unbindLock for 0000:41:00.0\n") && !lock_was_refused("x", "")
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,80}") { let _ = (device_minor(&text), creatable_types(&text), heterogeneous_mode(&text)); }
    }
}
