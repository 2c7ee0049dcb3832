//! libvirt's library, loaded when it is first wanted and not with the program.
//!
//! Behind it stand some fifty other libraries. To load them takes several times as long as all else that a start of ours does
//! before it is ready, and a boot wants cards to be ready before libvirt's own daemon, which no caller asks anything until then.
//!
//! [`forward`](super::forward) has the library's functions under their own names, each of which leads here.

#![allow(unsafe_code)] // the loader's two functions have no safe form

use std::ffi::{CStr, c_void};
use std::ptr::NonNull;
use std::sync::OnceLock;

use nix::libc;

/// The library's name since its first release with this interface: what a linker would have noted too.
const NAME: &CStr = c"libvirt.so.0";

/// The loader's handle of it, for as long as the process lives.
#[derive(Clone, Copy)]
struct Handle(NonNull<c_void>);

// SAFETY: the handle is never closed, and the loader's functions may be called by any thread.
unsafe impl Send for Handle {}
// SAFETY: as above; nothing is written through it.
unsafe impl Sync for Handle {}

static LIBRARY: OnceLock<Result<Handle, String>> = OnceLock::new();

/// Loads the library, the first time. Whoever calls one of its functions has called this before.
///
/// # Errors
/// The loader's own words; they name the file that is missing.
pub(crate) fn load() -> Result<(), &'static str> {
    handle().map(drop)
}

fn handle() -> Result<Handle, &'static str> {
    LIBRARY.get_or_init(open).as_ref().copied().map_err(String::as_str)
}

fn open() -> Result<Handle, String> {
    // SAFETY: the name ends with NUL; libvirt's initialisers and those of its libraries are what a linked program runs too.
    let handle = unsafe { libc::dlopen(NAME.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
    NonNull::new(handle).map(Handle).ok_or_else(said)
}

/// What the loader said of its last failure, in this thread.
fn said() -> String {
    // SAFETY: it gives NULL or a string that stays until this thread calls the loader again.
    let text = unsafe { libc::dlerror().as_ref().map(|text| CStr::from_ptr(text)) };
    text.map_or_else(|| "it gave no reason".to_owned(), |text| text.to_string_lossy().into_owned())
}

/// A function of the library's; none where it has none of that name, or could not be loaded.
pub(super) fn function(name: &CStr) -> Option<NonNull<c_void>> {
    let Handle(library) = handle().ok()?;
    // SAFETY: the handle is open, the name ends with NUL.
    NonNull::new(unsafe { libc::dlsym(library.as_ptr(), name.as_ptr()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_loaded_once_and_has_what_we_call() {
        load().unwrap();
        load().unwrap();
        assert!(function(c"virConnectOpen").is_some());
        assert!(function(c"virNoSuchFunction").is_none());
    }
}
