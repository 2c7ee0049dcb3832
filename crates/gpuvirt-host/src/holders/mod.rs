//! Who holds a card: processes, consoles, DRM clients of the kernel, sound streams, devices on its USB controller.
//!
//! Unbinding a card that somebody holds hangs, crashes the holder or takes its screen. Processes are found by the
//! device number behind their descriptors and mappings, because a container knows the node by another path, and a
//! mapping outlives its descriptor. All cards and vGPUs share one pass over `/proc`, which one card is spared where the kernel counts
//! nobody. Nothing here opens a device. Whoever maps a card's memory through its `resourceN` holds no driver: unbinding neither
//! waits for that nor takes it away, so it is not looked for.

mod console;
mod counted;
mod drm;
mod mounts;
mod process;
mod scan;
mod sound;
mod targets;
mod usb;

pub(crate) use scan::{filled, filled_where_open};
