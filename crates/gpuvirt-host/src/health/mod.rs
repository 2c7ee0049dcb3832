//! What only the doctor asks of a host, one file a topic: read through the seam, each fact with its place, nothing judged.
//!
//! A file that may not be read is unknown, and one that a recording does not hold is unknown too, unless the recording
//! says that it was not there. Nothing here wakes a card or opens a device.

mod boot;
mod cpu;
mod display;
mod function;
mod install;
mod iommu;
mod loader;
mod memory;
mod module;
mod nvswitch;
mod reader;
mod security;
mod vfio;

use gpuvirt_model::{Health, PciAddress};

use crate::files::Files;
use reader::Reader;

/// Reads everything, for these functions of GPUs and this kernel.
pub(crate) fn read(
    files: Files<'_>,
    functions: impl IntoIterator<Item = PciAddress>,
    release: Option<&str>,
) -> Health {
    let reader = Reader::new(files);
    let memory = memory::read(reader);
    let security = security::read(reader, &memory.lockers);
    Health {
        cpu: cpu::read(reader),
        boot: boot::read(reader, release),
        iommu: iommu::read(reader),
        vfio: vfio::read(reader, release),
        modules: module::read(reader, release),
        memory,
        security,
        install: install::read(reader),
        display: display::read(reader),
        nvswitch: nvswitch::read(reader),
        functions: function::read(reader, functions),
    }
}
