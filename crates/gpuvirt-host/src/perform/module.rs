//! Loading a kernel module.

use gpuvirt_model::DriverName;

use super::settle::{State, settle};
use crate::error::HostError;
use crate::files::Files;
use crate::paths;

/// Loads a module, unless it is there or built in.
pub(super) fn load(files: Files<'_>, module: &DriverName) -> Result<(), HostError> {
    if is_there(files, module) {
        return Ok(());
    }
    let loaded = files.sysfs.load_module(module.as_str());
    let state = if is_there(files, module) {
        State::Reached
    } else {
        State::NotYet("the kernel does not have it".to_owned())
    };
    settle(&format!("loading module {module}"), loaded, state)
}

/// A PCI driver that is registered, or a module that is loaded.
fn is_there(files: Files<'_>, module: &DriverName) -> bool {
    files.sysfs.exists(&paths::driver(module)) || files.sysfs.exists(&paths::module(module))
}
