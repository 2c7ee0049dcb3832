//! The kernel's console on a card's frame buffer: it holds the card without any process.

use gpuvirt_model::{Gpu, Holder, Observed, PciAddress};

use crate::files::Files;
use crate::parse::{console, pci};
use crate::paths;

/// The frame buffers that the console can be drawing on.
#[derive(Debug)]
pub(super) struct Consoles {
    /// Number, driver, and the function that it belongs to; none: the firmware's, on the boot display.
    frame_buffers: Vec<(u32, String, Option<PciAddress>)>,
}

impl Consoles {
    /// Reads them; nothing when no console is bound to a frame buffer.
    pub(super) fn read(files: Files<'_>) -> Self {
        if !frame_buffer_console_is_bound(files) {
            return Self { frame_buffers: Vec::new() };
        }
        let listed = files.long_text(paths::PROC_FB, crate::sysfs::ATTRIBUTE).unwrap_or_default();
        let mut buffers = console::frame_buffers(&listed);
        // The console is on fb0 unless that is gone or the command line says otherwise.
        if buffers.iter().any(|(number, _)| *number == 0) && !consoles_are_mapped(files) {
            buffers.retain(|(number, _)| *number == 0);
        }
        let owner = |number| {
            let target = files.sysfs.read_link(&paths::frame_buffer(number)).ok()?;
            console::function_in(&target)
        };
        Self {
            frame_buffers: buffers
                .into_iter()
                .map(|(number, driver)| (number, driver, owner(number)))
                .collect(),
        }
    }

    /// The consoles on this card.
    pub(super) fn on(&self, observed: &Observed, gpu: &Gpu) -> Vec<Holder> {
        let is_boot_display = observed
            .functions_of(gpu)
            .any(|function| function.boot_vga == Some(true) || function.boot_display == Some(true));
        self.frame_buffers
            .iter()
            .filter(|(_, _, owner)| owner.map_or(is_boot_display, |owner| gpu.functions.contains(&owner)))
            .map(|(number, driver, _)| Holder::Console {
                framebuffer: format!("fb{number}"),
                driver: driver.clone(),
            })
            .collect()
    }
}

fn frame_buffer_console_is_bound(files: Files<'_>) -> bool {
    let is_bound = |console: &String| {
        let text = |name| files.text(&paths::vtconsole_file(console, name)).unwrap_or_default();
        pci::flag(&text("bind")) == Some(true) && console::is_frame_buffer_console(&text("name"))
    };
    files.sysfs.list(paths::VTCONSOLES).unwrap_or_default().iter().any(is_bound)
}

fn consoles_are_mapped(files: Files<'_>) -> bool {
    files.text(paths::CMDLINE).is_ok_and(|line| console::maps_consoles(&line))
}
