//! Which VFIO devices can be migrated, as the kernel tells it to who debugs it. No device is opened for it.
//!
//! `/sys/kernel/debug/vfio/DEVICE/migration` is there when the device's driver saves and restores its state
//! (drivers/vfio/debugfs.c). `state` in it takes the driver's lock and is not read; `features` is there from 6.18 on.

use std::collections::BTreeMap;
use std::io;

use gpuvirt_model::{Reading, Unknown, VfioMigration, VgpuId};

use crate::files::Files;
use crate::paths;

/// More words than there are features.
const MOST_FEATURES: usize = 16;

/// Reads them.
pub(super) fn read(files: Files<'_>) -> Reading<BTreeMap<VgpuId, VfioMigration>> {
    let names = match files.sysfs.list(paths::VFIO_DEBUG) {
        Ok(names) => names,
        Err(error) => return Reading::Unknown(unknown(&error)),
    };
    let devices = names.iter().filter_map(|name| name.parse::<VgpuId>().ok());
    Reading::Known(devices.map(|device| (device, of_device(files, device))).collect())
}

fn of_device(files: Files<'_>, device: VgpuId) -> VfioMigration {
    let supported = files.sysfs.exists(&paths::vfio_migration(device, ""));
    let features = files.text(&paths::vfio_migration(device, "/features")).ok().filter(|_| supported);
    let word = |word: &&str| word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let words =
        |text: String| text.split_whitespace().filter(word).take(MOST_FEATURES).map(str::to_owned).collect();
    VfioMigration { supported, features: features.map(words) }
}

fn unknown(error: &io::Error) -> Unknown {
    match error.kind() {
        io::ErrorKind::PermissionDenied => Unknown::NeedsRoot,
        io::ErrorKind::NotFound => Unknown::Unreadable {
            what: format!("{} is not there: debugfs or CONFIG_VFIO_DEBUGFS", paths::VFIO_DEBUG),
        },
        _ => Unknown::Unreadable { what: format!("{}: {error}", paths::VFIO_DEBUG) },
    }
}
