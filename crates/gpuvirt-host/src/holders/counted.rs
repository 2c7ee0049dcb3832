//! Who has a card open, as the kernel itself counts it: where nobody has, no process need be looked at.
//!
//! A file keeps the module whose operations it has (fs/char_dev.c, `chrdev_open`; drivers/gpu/drm/drm_drv.c, `drm_stub_open`), a
//! sound stream the card's (sound/core/pcm_native.c, `snd_pcm_open`), a bus of I2C the adapter's (drivers/i2c/i2c-core-base.c,
//! `i2c_get_adapter`), and a VFIO device that is open its driver's (drivers/vfio/vfio_main.c, `vfio_df_device_first_open`). A
//! mapping keeps its file. So a module that nobody keeps has nobody behind any node of its functions, in no container and in no
//! hidden process. The opposite says little: other cards have the same driver, and the kernel has uses of its own.

use std::io;

use gpuvirt_model::{Function, Observed};

use crate::files::Files;
use crate::parse::pci;
use crate::{paths, writer};

/// Modules that use a module that uses a module: deeper than any driver has.
const DEEPEST: u32 = 8;

/// Whether nobody has any card of a picture open, nor is a write to one under way. Where the kernel does not count, or where
/// more than nodes of the drivers can be held, that is not known.
pub(super) fn nobody(files: Files<'_>, observed: &Observed) -> bool {
    let functions = || observed.gpus.values().flat_map(|gpu| observed.functions_of(gpu));
    observed.vgpus.is_empty()
        && observed.functions.values().all(|function| function.physfn.is_none())
        && functions().all(|function| is_unused(files, function))
        && nothing_is_written(files)
}

fn is_unused(files: Files<'_>, function: &Function) -> bool {
    // One without a driver may be about to lose it: whoever it waits for is behind its group's node.
    function.binding.driver.is_some()
        && function.device_nodes.iter().all(|node| is_counted(node) || is_missing(files, node))
        && users(files, &paths::function_file(function.address, "driver/module"), 0) == Some(0)
        && (!function.on_vfio() || no_container(files))
}

/// Whether whoever opens a node keeps its function's driver. A VFIO device's own node (`vfio/devices/...`) keeps VFIO alone until
/// an address space is bound to it, and what `misc` registers may be anybody's.
fn is_counted(node: &str) -> bool {
    let (folder, name) = node.rsplit_once('/').unwrap_or(("", node));
    let prefixes: &[&str] = match folder {
        "accel" => &["accel"],
        "snd" => &["controlC", "pcmC", "hwC", "midiC"],
        "" => &["fb", "i2c-", "nvidia"],
        // A group's.
        "vfio" => return true,
        _ => &[],
    };
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// A kernel with `vfio-dev` need not have nodes for it (CONFIG_VFIO_DEVICE_CDEV).
fn is_missing(files: Files<'_>, node: &str) -> bool {
    let number = files.sysfs.device_number(&paths::device_node(node));
    number.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Whether no VFIO container has groups in an address space: up to Linux 5.16 a driver could not go while one had
/// (drivers/vfio/vfio.c, `vfio_del_group_dev`). The module has parameters, so that it has a folder built in too.
fn no_container(files: Files<'_>) -> bool {
    let module = paths::module_named("vfio_iommu_type1");
    match files.sysfs.exists(&module) {
        true => users(files, &module, 0) == Some(0),
        false => files.sysfs.knows_absence(&module),
    }
}

/// How many uses a module and those above it have, each other's not counted; none where it is built in or the kernel does not
/// tell (Documentation/ABI/testing/sysfs-module).
fn users(files: Files<'_>, module: &str, depth: u32) -> Option<u32> {
    let all: u32 = pci::count(&files.text(&format!("{module}/refcnt")).ok()?)?;
    let above = files.sysfs.list(&format!("{module}/holders")).ok()?;
    let own = all.checked_sub(u32::try_from(above.len()).ok()?)?;
    if above.is_empty() {
        return Some(own);
    }
    let depth = Some(depth + 1).filter(|depth| *depth < DEEPEST)?;
    above.iter().try_fold(own, |sum, name| sum.checked_add(users(files, &paths::module_named(name), depth)?))
}

/// A write that is under way has its device in hand, whoever has it open.
fn nothing_is_written(files: Files<'_>) -> bool {
    writer::waiting_writers(files.sysfs).is_ok_and(|writers| writers.is_empty())
}
