//! The library's functions as safe ones: loaded, initialised, asked, shut down.
//!
//! What is known of each is NVIDIA's NVML API reference, "Multi Instance GPU Management".

use std::ffi::CString;
use std::mem::{MaybeUninit, size_of};
use std::os::raw::{c_char, c_uint};
use std::ptr::null_mut;

use gpuvirt_model::{MigPlacement, PciAddress};
use nvml_wrapper_sys::bindings as nvml;

use crate::NvmlError;

/// The library as drivers install it.
const LIBRARY: &str = "libnvidia-ml.so.1";
/// More of anything than a card has.
const MANY: c_uint = 256;

/// The library, initialised.
pub(crate) struct Library {
    functions: nvml::NvmlLib,
}

/// A card.
#[derive(Clone, Copy)]
pub(crate) struct Card<'a> {
    library: &'a Library,
    device: nvml::nvmlDevice_t,
    gpu: PciAddress,
}

/// A GPU instance.
#[derive(Clone, Copy)]
pub(crate) struct Instance<'a> {
    card: Card<'a>,
    handle: nvml::nvmlGpuInstance_t,
}

/// A kind of GPU instance.
pub(crate) struct Profile {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) slices: u32,
    pub(crate) instances: u32,
    pub(crate) memory_mib: u64,
}

/// Calls a function of the library: its name, the card for messages, its arguments.
macro_rules! call {
    ($library:expr, $gpu:expr, $function:ident($($argument:expr),*)) => {{
        let missing = || NvmlError::Missing { function: stringify!($function) };
        let function = $library.functions.$function.as_ref().map_err(|_| missing())?;
        // SAFETY: the library is loaded and initialised for as long as `$library` lives, the handles came from it, and
        // every pointer is to a value or a buffer of ours of the size that the function is told.
        let code = unsafe { function($($argument),*) };
        match code {
            nvml::nvmlReturn_enum_NVML_SUCCESS => Ok(()),
            code => Err(NvmlError::Refused { function: stringify!($function), gpu: $gpu, code }),
        }
    }};
}

impl NvmlError {
    /// Whether the card just does not have what was asked for.
    pub(crate) fn is_none(&self) -> bool {
        let codes = [
            nvml::nvmlReturn_enum_NVML_ERROR_NOT_SUPPORTED,
            nvml::nvmlReturn_enum_NVML_ERROR_INVALID_ARGUMENT,
            nvml::nvmlReturn_enum_NVML_ERROR_NOT_FOUND,
        ];
        matches!(self, Self::Refused { code, .. } if codes.contains(code))
    }
}

impl Library {
    /// Loads and initialises it.
    pub(crate) fn open(gpu: PciAddress) -> Result<Self, NvmlError> {
        let failed = |source| NvmlError::Open { library: LIBRARY, source: Box::new(source) };
        // SAFETY: loading runs the library's initialisers; it is the driver's own, looked for where the system's loader
        // looks, by a process that does nothing else.
        let functions = unsafe { nvml::NvmlLib::new(LIBRARY) }.map_err(failed)?;
        let library = Self { functions };
        call!(library, gpu, nvmlInit_v2())?;
        Ok(library)
    }

    /// The card at an address.
    pub(crate) fn card(&self, gpu: PciAddress) -> Result<Card<'_>, NvmlError> {
        // An address holds no NUL.
        let address = CString::new(gpu.to_string()).unwrap_or_default();
        let mut device = null_mut();
        call!(self, gpu, nvmlDeviceGetHandleByPciBusId_v2(address.as_ptr(), &raw mut device))?;
        Ok(Card { library: self, device, gpu })
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        if let Ok(shutdown) = self.functions.nvmlShutdown.as_ref() {
            // SAFETY: it was initialised once, and nothing of it is used afterwards.
            let _ = unsafe { shutdown() };
        }
    }
}

impl<'a> Card<'a> {
    /// Current and pending MIG mode.
    pub(crate) fn mode(&self) -> Result<(bool, bool), NvmlError> {
        let (mut current, mut pending) = (0, 0);
        call!(self.library, self.gpu, nvmlDeviceGetMigMode(self.device, &raw mut current, &raw mut pending))?;
        Ok((current == nvml::NVML_DEVICE_MIG_ENABLE, pending == nvml::NVML_DEVICE_MIG_ENABLE))
    }

    /// A profile of GPU instances by its place in the library's own list.
    pub(crate) fn profile(&self, at: u32) -> Result<Profile, NvmlError> {
        // SAFETY: the structure is plain integers and bytes, for all of which zero is a value.
        let mut info: nvml::nvmlGpuInstanceProfileInfo_v2_t = unsafe { MaybeUninit::zeroed().assume_init() };
        // NVML_STRUCT_VERSION(GpuInstanceProfileInfo, 2): the size with the version in the highest byte.
        info.version =
            u32::try_from(size_of::<nvml::nvmlGpuInstanceProfileInfo_v2_t>()).unwrap_or(0) | 2 << 24;
        call!(self.library, self.gpu, nvmlDeviceGetGpuInstanceProfileInfoV(self.device, at, &raw mut info))?;
        Ok(Profile {
            id: info.id,
            name: text(&info.name),
            slices: info.sliceCount,
            instances: info.instanceCount,
            memory_mib: info.memorySizeMB,
        })
    }

    /// How many more of a profile fit now.
    pub(crate) fn free(&self, profile: u32) -> Result<u32, NvmlError> {
        let mut count = 0;
        call!(
            self.library,
            self.gpu,
            nvmlDeviceGetGpuInstanceRemainingCapacity(self.device, profile, &raw mut count)
        )?;
        Ok(count)
    }

    /// Where GPU instances of a profile can be.
    pub(crate) fn placements(&self, profile: u32) -> Result<Vec<MigPlacement>, NvmlError> {
        let empty = nvml::nvmlGpuInstancePlacement_t { start: 0, size: 0 };
        let (mut found, mut count) = (vec![empty; MANY as usize], 0);
        // Without a buffer it tells how many there are; a larger buffer is never asked to be filled.
        let ask = |into: *mut nvml::nvmlGpuInstancePlacement_t, count: &mut c_uint| {
            let count: *mut c_uint = count;
            call!(
                self.library,
                self.gpu,
                nvmlDeviceGetGpuInstancePossiblePlacements_v2(self.device, profile, into, count)
            )
        };
        ask(null_mut(), &mut count)?;
        if count > MANY {
            return Ok(Vec::new());
        }
        ask(found.as_mut_ptr(), &mut count)?;
        found.truncate(count.min(MANY) as usize);
        Ok(found.iter().map(|place| MigPlacement { start: place.start, size: place.size }).collect())
    }

    /// The GPU instances of a profile. The library fills the buffer without being told its size: it must hold as many as
    /// the card can have.
    pub(crate) fn instances(&self, profile: u32) -> Result<Vec<Instance<'a>>, NvmlError> {
        let (mut found, mut count) = (vec![null_mut(); MANY as usize], MANY);
        call!(
            self.library,
            self.gpu,
            nvmlDeviceGetGpuInstances(self.device, profile, found.as_mut_ptr(), &raw mut count)
        )?;
        found.truncate(count as usize);
        Ok(found.into_iter().map(|handle| Instance { card: *self, handle }).collect())
    }
}

impl Instance<'_> {
    /// Its number and its place.
    pub(crate) fn place(&self) -> Result<(u32, MigPlacement), NvmlError> {
        let (library, gpu) = (self.card.library, self.card.gpu);
        // SAFETY: the structure is plain integers and a pointer, for all of which zero is a value.
        let mut info: nvml::nvmlGpuInstanceInfo_t = unsafe { MaybeUninit::zeroed().assume_init() };
        call!(library, gpu, nvmlGpuInstanceGetInfo(self.handle, &raw mut info))?;
        Ok((info.id, MigPlacement { start: info.placement.start, size: info.placement.size }))
    }

    /// The numbers of its compute instances of one profile, by that profile's place in the library's own list.
    pub(crate) fn compute_instances(&self, at: u32) -> Result<Vec<u32>, NvmlError> {
        let (library, gpu) = (self.card.library, self.card.gpu);
        // SAFETY: the structure is plain integers, for all of which zero is a value.
        let mut kind: nvml::nvmlComputeInstanceProfileInfo_t = unsafe { MaybeUninit::zeroed().assume_init() };
        call!(library, gpu, nvmlGpuInstanceGetComputeInstanceProfileInfo(self.handle, at, 0, &raw mut kind))?;
        let mut count = MANY;
        let mut found: Vec<nvml::nvmlComputeInstance_t> = vec![null_mut(); MANY as usize];
        call!(
            library,
            gpu,
            nvmlGpuInstanceGetComputeInstances(self.handle, kind.id, found.as_mut_ptr(), &raw mut count)
        )?;
        let number = |handle| {
            // SAFETY: the structure is plain integers and pointers, for all of which zero is a value.
            let mut info: nvml::nvmlComputeInstanceInfo_t = unsafe { MaybeUninit::zeroed().assume_init() };
            call!(library, gpu, nvmlComputeInstanceGetInfo_v2(handle, &raw mut info)).map(|()| info.id)
        };
        found.into_iter().take(count as usize).map(number).collect()
    }
}

/// A text of the library, up to its NUL.
fn text(bytes: &[c_char]) -> String {
    let bytes: Vec<u8> =
        bytes.iter().map(|byte| byte.to_ne_bytes()[0]).take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_ends_at_its_nul() {
        let bytes: Vec<c_char> = b"MIG 1g.5gb\0rest".iter().map(|b| c_char::from_ne_bytes([*b])).collect();
        assert_eq!(text(&bytes), "MIG 1g.5gb");
        assert_eq!(text(&[]), "");
    }
}
