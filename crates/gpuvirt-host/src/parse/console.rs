//! Consoles and frame buffers.

use gpuvirt_model::PciAddress;

/// `/proc/fb`: a line `N driver` for each frame buffer.
pub fn frame_buffers(text: &str) -> Vec<(u32, String)> {
    let line = |line: &str| {
        let (number, driver) = line.split_once(' ')?;
        Some((number.parse().ok()?, driver.trim().to_owned()))
    };
    text.lines().filter_map(line).collect()
}

/// A console back end's `name`, e.g. `(M) frame buffer device`: whether it draws on a frame buffer.
pub fn is_frame_buffer_console(name: &str) -> bool {
    name.contains("frame buffer")
}

/// Whether the kernel's command line maps consoles to frame buffers by hand. Without it the console is on `fb0`
/// (drivers/video/fbdev/core/fbcon.c, `con2fb_map_boot`).
pub fn maps_consoles(command_line: &str) -> bool {
    super::command_line::own(command_line).any(|word| word.starts_with("fbcon=map:"))
}

/// The PCI function that a device's link leads through, the nearest; none for a firmware's frame buffer that hangs
/// below no function.
pub fn function_in(target: &str) -> Option<PciAddress> {
    target.split('/').rev().find_map(|part| PciAddress::parse(part).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_buffers_and_their_functions() {
        assert_eq!(
            frame_buffers("0 EFI VGA\n1 nouveaudrmfb\n\nx y\n"),
            [(0, "EFI VGA".to_owned()), (1, "nouveaudrmfb".to_owned())]
        );
        let at = |text| PciAddress::parse(text).ok();
        for (target, want) in [
            ("../../devices/pci0000:00/0000:00:01.0/0000:01:00.0/graphics/fb0", at("0000:01:00.0")),
            ("../../devices/pci0000:00/0000:00:02.0/simple-framebuffer.0/graphics/fb0", at("0000:00:02.0")),
            ("../../devices/platform/efi-framebuffer.0/graphics/fb0", None),
        ] {
            assert_eq!(function_in(target), want);
        }
        assert!(maps_consoles("quiet fbcon=map:1 ro") && !maps_consoles("fbcon=rotate:1"));
        assert!(!maps_consoles("quiet -- fbcon=map:1"));
        assert!(
            is_frame_buffer_console("(M) frame buffer device\n") && !is_frame_buffer_console("(S) VGA+\n")
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,60}") {
            let _ = (frame_buffers(&text), function_in(&text), maps_consoles(&text));
        }
    }
}
