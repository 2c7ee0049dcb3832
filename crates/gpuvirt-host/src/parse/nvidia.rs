//! Texts of NVIDIA's driver.

/// `Device Minor` of `/proc/driver/nvidia/gpus/ADDRESS/information`: the N of `/dev/nvidiaN`.
pub fn device_minor(text: &str) -> Option<u32> {
    text.lines().find_map(|line| line.strip_prefix("Device Minor:")?.trim().parse().ok())
}

/// `creatable_vgpu_types` of a virtual function: ids with names. The header line (`ID    : vGPU Name`) is not
/// always there.
pub fn creatable_types(text: &str) -> Vec<(u32, String)> {
    let line = |line: &str| {
        let (id, name) = line.split_once(':')?;
        let name = name.trim();
        let id: u32 = id.trim().parse().ok()?;
        (id != 0 && !name.is_empty()).then(|| (id, name.to_owned()))
    };
    text.lines().filter_map(line).collect()
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
    fn types_with_and_without_a_header() {
        let want = vec![(1145, "NVIDIA L40S-1B".to_owned()), (1428, "NVIDIA H200X-141C".to_owned())];
        assert_eq!(
            creatable_types("ID    : vGPU Name\n1145  : NVIDIA L40S-1B\n1428 : NVIDIA H200X-141C\n"),
            want
        );
        assert_eq!(creatable_types("\n:\n1:\n-1 : x\n0 : none\n"), vec![]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,80}") { let _ = (device_minor(&text), creatable_types(&text)); }
    }
}
