//! Consoles and frame buffers: what holds a card without any process.

use std::fmt::Write as _;

use nix::errno::Errno;

use crate::sriov::number;
use crate::state::Kernel;
use crate::writes::Answer;

const GRAPHICS: &str = "/sys/class/graphics";
const CONSOLES: &str = "/sys/class/vtconsole";

impl Kernel {
    /// `/proc/fb` from the frame buffers that exist; without any, no console draws on one.
    pub(crate) fn renew_framebuffers(&mut self) {
        let mut text = String::new();
        for name in self.files.names(GRAPHICS) {
            let Some(number) = name.strip_prefix("fb").filter(|rest| rest.parse::<u32>().is_ok()) else {
                continue;
            };
            let Some(at) = self.files.target(&format!("{GRAPHICS}/{name}")) else { continue };
            let driver = self.files.text(&format!("{at}/name")).unwrap_or_default();
            let _ = writeln!(text, "{number} {driver}");
        }
        let none = text.is_empty();
        if self.files.get("/proc/fb").is_some() || !none {
            self.files.put_text("/proc/fb", text);
        }
        if none {
            self.console_to_dummy();
        }
    }

    /// The kernel moves its console to the dummy when the last frame buffer goes (`fbcon_fb_unregistered`).
    fn console_to_dummy(&mut self) {
        for console in self.files.names(CONSOLES) {
            let Some(at) = self.files.target(&format!("{CONSOLES}/{console}")) else { continue };
            let name = self.files.text(&format!("{at}/name")).unwrap_or_default();
            let bound = name.contains("dummy");
            if bound || name.contains("frame buffer") {
                self.files.put_text(&format!("{at}/bind"), if bound { "1\n" } else { "0\n" });
            }
        }
    }

    /// `vtconN/bind`: `store_bind`, by `simple_strtoul`, which takes anything for a number.
    pub(crate) fn bind_console(&mut self, folder: &str, data: &[u8]) -> Answer {
        let bind = number(data).unwrap_or(0) != 0;
        let path = format!("{folder}/bind");
        if self.files.get(&path).is_none() {
            return Err(Errno::ENOENT.into());
        }
        self.files.put_text(&path, if bind { "1\n" } else { "0\n" });
        let name = self.files.text(&format!("{folder}/name")).unwrap_or_default();
        // Unbinding a console gives its terminals to the dummy.
        if !name.contains("dummy") {
            for other in self.files.names(CONSOLES) {
                let Some(at) = self.files.target(&format!("{CONSOLES}/{other}")) else { continue };
                if self.files.text(&format!("{at}/name")).is_some_and(|name| name.contains("dummy")) {
                    self.files.put_text(&format!("{at}/bind"), if bind { "0\n" } else { "1\n" });
                }
            }
        }
        Ok(())
    }
}
