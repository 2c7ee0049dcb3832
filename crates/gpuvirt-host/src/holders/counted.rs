//! Who has a card open, as the kernel itself counts it: where nobody has, no process need be looked at.
//!
//! A file keeps the module whose operations it has (fs/char_dev.c, `chrdev_open`; drivers/gpu/drm/drm_drv.c, `drm_stub_open`), a
//! sound stream the card's (sound/core/pcm_native.c, `snd_pcm_open`), and a VFIO device that is open its driver's
//! (drivers/vfio/vfio_main.c, `vfio_df_device_first_open`). A mapping keeps its file. So a module that nobody keeps has nobody
//! behind any node of its functions, in no container and in no hidden process. The opposite says little: other cards have the
//! same driver, and the kernel has uses of its own.

use std::collections::BTreeSet;
use std::io;

use gpuvirt_model::{Function, Observed, VgpuId};

use crate::files::Files;
use crate::inventory::nodes;
use crate::parse::pci;
use crate::{paths, writer};

/// Modules that use a module that uses a module: deeper than any driver has.
const DEEPEST: u32 = 8;

/// Whether nobody has any card or mediated device of a picture open, nor is a write to one under way. Where the kernel does not
/// count, or where more than nodes of the drivers can be held, that is not known.
pub(super) fn nobody(files: Files<'_>, observed: &Observed) -> bool {
    let Some(modules) = modules(files, observed) else { return false };
    functions(observed).all(|function| is_counted_behind_nodes(files, function))
        && modules.iter().all(|module| users(files, module, 0) == Some(0))
        && (!is_on_vfio(observed) || vfio_counts(files))
        && writer::nobody_writes(files.sysfs)
}

fn functions(observed: &Observed) -> impl Iterator<Item = &Function> {
    observed.gpus.values().flat_map(|gpu| observed.functions_of(gpu))
}

/// The folders of the modules whose drivers the functions and mediated devices have; none where one has no driver, which may be
/// about to lose it, or where there are virtual functions.
fn modules(files: Files<'_>, observed: &Observed) -> Option<BTreeSet<String>> {
    if observed.functions.values().any(|function| function.physfn.is_some()) {
        return None;
    }
    let of_functions = functions(observed).map(|f| f.binding.driver.as_ref().map(paths::driver_module));
    let of_vgpus = observed.vgpus.keys().map(|id| match id {
        VgpuId::Mdev(uuid) => {
            let driver = files.link(&paths::mdev_file(*uuid, "driver")).ok()?;
            Some(paths::mdev_driver_module(&driver))
        }
        VgpuId::Vf(_) => None,
    });
    of_functions.chain(of_vgpus).collect()
}

/// Whether whoever is behind a node of a function keeps its driver.
fn is_counted_behind_nodes(files: Files<'_>, function: &Function) -> bool {
    let buses = nodes::connector_buses(files, function);
    function.device_nodes.iter().chain(&buses).all(|node| is_counted(node) || is_missing(files, node))
}

/// Whether whoever opens a node keeps its function's driver. An I2C bus may be that of a library of DRM's, and what `misc` registers
/// anybody's.
fn is_counted(node: &str) -> bool {
    let (folder, name) = node.rsplit_once('/').unwrap_or(("", node));
    let prefixes: &[&str] = match folder {
        "dri" | "vfio" | "vfio/devices" => return true,
        "accel" => &["accel"],
        "snd" => &["controlC", "pcmC", "hwC", "midiC"],
        "" => &["fb", "nvidia"],
        _ => &[],
    };
    prefixes.iter().any(|prefix| name.starts_with(prefix))
}

/// The kernel has more buses of I2C than nodes for them: those are there where a module for that is loaded.
fn is_missing(files: Files<'_>, node: &str) -> bool {
    let number = files.sysfs.device_number(&paths::device_node(node));
    number.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

/// Whether VFIO has devices of these. A vendor's driver that registers such need not be named after VFIO.
fn is_on_vfio(observed: &Observed) -> bool {
    let has_device = |function: &Function| function.on_vfio() || function.vfio_device.is_some();
    !observed.vgpus.is_empty() || functions(observed).any(has_device)
}

/// Whether whoever has a VFIO device open is counted with its driver. A device's own node, where the kernel makes such
/// (CONFIG_VFIO_DEVICE_CDEV), keeps VFIO alone until an address space is bound to it. And up to Linux 5.16 a driver could not go
/// while a container had its group in an address space (drivers/vfio/vfio.c, `vfio_del_group_dev`); the module of those has
/// parameters, so that it has a folder built in too.
fn vfio_counts(files: Files<'_>) -> bool {
    let module = paths::module_named("vfio_iommu_type1");
    let no_container = match files.sysfs.exists(&module) {
        true => users(files, &module, 0) == Some(0),
        false => files.sysfs.knows_absence(&module),
    };
    no_container && !files.sysfs.exists(&paths::device_node("vfio/devices"))
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
