//! `/proc/iomem`: who has claimed which part of a function's memory.
//!
//! A line is `START-END : NAME`, indented below the claim that it is a part of. Others than root see zeroes for the
//! addresses, and the names all the same.

use gpuvirt_model::PciAddress;
use gpuvirt_model::health::MemoryClaim;

/// What the firmware's frame buffers and those who draw in them are called there (drivers/firmware/sysfb, drivers/video/fbdev,
/// drivers/gpu/drm/sysfb).
const FRAME_BUFFERS: [&str; 8] =
    ["BOOTFB", "efidrm", "efifb", "simple-framebuffer", "simpledrm", "simplefb", "vesadrm", "vesafb"];

/// The firmware's frame buffers inside the memory of PCI functions.
pub fn frame_buffers(text: &str) -> Vec<MemoryClaim> {
    let mut claims: Vec<MemoryClaim> = Vec::new();
    let mut inside: Vec<(usize, PciAddress)> = Vec::new();
    for line in text.lines() {
        let Some((_, name)) = line.split_once(" : ") else { continue };
        let name = name.trim();
        let depth = line.len() - line.trim_start().len();
        inside.retain(|(above, _)| *above < depth);
        if let Ok(function) = PciAddress::parse(name) {
            inside.push((depth, function));
        } else if FRAME_BUFFERS.iter().any(|buffer| name.starts_with(buffer)) {
            let claim =
                inside.last().map(|(_, function)| MemoryClaim { function: *function, name: name.to_owned() });
            claims.extend(claim.filter(|claim| !claims.contains(claim)));
        }
    }
    claims
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_buffer_belongs_to_the_function_around_it() {
        let text = "00001000-0009ffff : System RAM\n80000000-8fffffff : PCI Bus 0000:01\n  \
                    80000000-8fffffff : 0000:01:00.0\n    80000000-802fffff : BOOTFB\n      \
                    80000000-802fffff : simplefb\n  90000000-90ffffff : 0000:02:00.0\n    90000000-9000ffff : nvidia\n\
                    a0000000-a02fffff : efifb\n\
                    b0000000-b0ffffff : 0000:03:00.0\n  b0000000-b02fffff : efidrm\nc0000000-c0ffffff : 0000:04:00.0\n  \
                    c0000000-c02fffff : BOOTFB\n    c0000000-c02fffff : simpledrm\n";
        let found = frame_buffers(text);
        let names: Vec<(String, &str)> =
            found.iter().map(|claim| (claim.function.to_string(), claim.name.as_str())).collect();
        let want = [
            ("0000:01:00.0", "BOOTFB"),
            ("0000:01:00.0", "simplefb"),
            ("0000:03:00.0", "efidrm"),
            ("0000:04:00.0", "BOOTFB"),
            ("0000:04:00.0", "simpledrm"),
        ];
        assert_eq!(names, want.map(|(function, name)| (function.to_owned(), name)));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "( {0,4}[0-9a-f]{0,3}( : )?(efifb|0000:01:00.0|\\PC{0,4})\n){0,6}") {
            let _ = frame_buffers(&text);
        }
    }
}
