//! What only the doctor asks of a host, one file a topic: read through the seam, each fact with its place, nothing judged.
//!
//! A file that may not be read is unknown, and one that a recording does not hold is unknown too, unless the recording
//! says that it was not there. Nothing here wakes a card or opens a device.

mod boot;
mod cpu;
mod function;
mod iommu;
mod reader;
mod vfio;

use gpuvirt_model::{Health, Observed};

use crate::files::Files;
use reader::Reader;

/// Reads everything, for the GPUs of this picture.
pub(crate) fn read(files: Files<'_>, observed: &Observed) -> Health {
    let reader = Reader::new(files);
    Health {
        cpu: cpu::read(reader),
        boot: boot::read(reader, observed.host.kernel_release.as_deref()),
        iommu: iommu::read(reader),
        vfio: vfio::read(reader),
        functions: function::read(reader, observed),
    }
}
