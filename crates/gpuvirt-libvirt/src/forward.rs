//! The functions of libvirt's that we call, under their own names: each finds the library's and goes on there.
//!
//! `virt` declares them; because they are defined here, no linker asks for the library, which is loaded when the first of them
//! is called ([`library`]). One that is missing in this table is linked as ever: then the program brings the library
//! along, which is slower and nothing else; an end-to-end test tells.

#![allow(unsafe_code)] // C's calling convention and names
#![allow(non_snake_case)] // libvirt's names

use std::ffi::{c_char, c_int, c_uchar, c_uint, c_ulong, c_void};
use std::sync::OnceLock;

use virt::sys::{
    virConnectDomainEventGenericCallback, virConnectPtr, virDomainPtr, virErrorFunc, virErrorPtr,
    virFreeCallback,
};

use crate::library;

/// Defines functions that go on in the library's function of the same name, and answer `$failed` without a library.
macro_rules! forward {
    ($($name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)? = $failed:expr;)*) => {
        $(
            #[unsafe(no_mangle)]
            unsafe extern "C" fn $name($($argument: $type),*) $(-> $result)? {
                type Function = unsafe extern "C" fn($($type),*) $(-> $result)?;
                static FOUND: OnceLock<Option<Function>> = OnceLock::new();
                let found = FOUND.get_or_init(|| {
                    let name = const {
                        match std::ffi::CStr::from_bytes_with_nul(concat!(stringify!($name), "\0").as_bytes()) {
                            Ok(name) => name,
                            Err(_) => panic!("a name has no NUL in it"),
                        }
                    };
                    // SAFETY: the library's function of this name has these types: they are `virt`'s declaration of it.
                    library::function(name).map(|found| unsafe { std::mem::transmute::<_, Function>(found.as_ptr()) })
                });
                match found {
                    // SAFETY: the caller keeps to the library's contract.
                    Some(function) => unsafe { function($($argument),*) },
                    None => $failed,
                }
            }
            // That the types are those of the declaration, the compiler checks here.
            const _: unsafe extern "C" fn($($type),*) $(-> $result)? = virt::sys::$name;
        )*
    };
}

forward! {
    virConnectOpen(name: *const c_char) -> virConnectPtr = std::ptr::null_mut();
    virConnectClose(connect: virConnectPtr) -> c_int = -1;
    virConnectIsAlive(connect: virConnectPtr) -> c_int = -1;
    virConnectGetLibVersion(connect: virConnectPtr, version: *mut c_ulong) -> c_int = -1;
    virConnectGetVersion(connect: virConnectPtr, version: *mut c_ulong) -> c_int = -1;
    virConnectListAllDomains(connect: virConnectPtr, domains: *mut *mut virDomainPtr, flags: c_uint) -> c_int = -1;
    virConnectDomainEventRegisterAny(
        connect: virConnectPtr,
        domain: virDomainPtr,
        event: c_int,
        callback: virConnectDomainEventGenericCallback,
        opaque: *mut c_void,
        free: virFreeCallback
    ) -> c_int = -1;
    virConnectDomainEventDeregisterAny(connect: virConnectPtr, callback: c_int) -> c_int = -1;
    virDomainCreate(domain: virDomainPtr) -> c_int = -1;
    virDomainDefineXMLFlags(connect: virConnectPtr, xml: *const c_char, flags: c_uint) -> virDomainPtr = std::ptr::null_mut();
    virDomainFree(domain: virDomainPtr) -> c_int = -1;
    virDomainGetID(domain: virDomainPtr) -> c_uint = c_uint::MAX;
    virDomainGetName(domain: virDomainPtr) -> *const c_char = std::ptr::null();
    virDomainGetUUID(domain: virDomainPtr, uuid: *mut c_uchar) -> c_int = -1;
    virDomainGetUUIDString(domain: virDomainPtr, text: *mut c_char) -> c_int = -1;
    virDomainGetXMLDesc(domain: virDomainPtr, flags: c_uint) -> *mut c_char = std::ptr::null_mut();
    virDomainIsPersistent(domain: virDomainPtr) -> c_int = -1;
    virDomainLookupByName(connect: virConnectPtr, name: *const c_char) -> virDomainPtr = std::ptr::null_mut();
    virEventRegisterDefaultImpl() -> c_int = -1;
    virEventRunDefaultImpl() -> c_int = -1;
    virGetLastError() -> virErrorPtr = std::ptr::null_mut();
    virSetErrorFunc(data: *mut c_void, handler: virErrorFunc) = ();
}
