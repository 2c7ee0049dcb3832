//! libvirt's events: a domain was defined, started, stopped. They say that something changed, never how things are now.
//!
//! libvirt's event loop runs on a thread of its own, which sleeps in poll(2) without a timeout: no keepalive is set, so an
//! idle host is never woken. When libvirtd goes, events end without a word, and begin again with the next connection,
//! which somebody's question opens: a libvirtd that the admin stopped is not woken by us.

#![allow(unsafe_code)] // callbacks of a C library

use std::ffi::{CStr, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Once};

use uuid::Uuid;
use virt::connect::Connect;
use virt::sys;

/// What happened to a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainEvent {
    /// The domain.
    pub uuid: Uuid,
    /// Its name.
    pub name: String,
    /// What happened.
    pub happened: Happened,
}

/// What can happen to a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happened {
    /// Its definition is new or another.
    Defined,
    /// Its definition is gone.
    Undefined,
    /// It runs.
    Started,
    /// It has stopped; its devices are free.
    Stopped,
    /// A device came to it or left it while it runs.
    DevicesChanged,
    /// Anything else: it was paused, resumed, or something that we don't know.
    Other,
}

/// Who is told. It is called on the loop's thread, and must neither block nor ask libvirt anything.
pub type Told = Arc<dyn Fn(DomainEvent) + Send + Sync>;

/// A connection, with its callbacks: they hold it open until they are taken back.
pub(crate) struct Connected {
    connect: Connect,
    callbacks: Vec<c_int>,
}

impl std::ops::Deref for Connected {
    type Target = Connect;

    fn deref(&self) -> &Connect {
        &self.connect
    }
}

impl Connected {
    /// A connection of which nobody is told anything.
    pub(crate) fn silent(connect: Connect) -> Self {
        Self { connect, callbacks: Vec::new() }
    }

    /// A connection whose events `told` gets, as far as libvirt offers them.
    pub(crate) fn with_events(connect: Connect, told: &Told) -> Self {
        // SAFETY: the three callbacks have the types that libvirt documents for their events, and it calls each with
        // exactly those arguments (virConnectDomainEventRegisterAny).
        let callbacks = unsafe {
            [
                (sys::VIR_DOMAIN_EVENT_ID_LIFECYCLE, std::mem::transmute::<Lifecycle, Generic>(lifecycle)),
                (sys::VIR_DOMAIN_EVENT_ID_DEVICE_ADDED, std::mem::transmute::<Device, Generic>(device)),
                (sys::VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, std::mem::transmute::<Device, Generic>(device)),
            ]
        };
        let registered = callbacks.into_iter().filter_map(|(event, callback)| {
            let opaque = Box::into_raw(Box::new(Arc::clone(told))).cast::<c_void>();
            // SAFETY: the connection is alive; no domain means all domains; `opaque` stays valid until `release` gets
            // it, which libvirt calls once.
            let id = unsafe {
                sys::virConnectDomainEventRegisterAny(
                    connect.as_ptr(),
                    std::ptr::null_mut(),
                    c_int::try_from(event).unwrap_or(0),
                    Some(callback),
                    opaque,
                    Some(release),
                )
            };
            if id < 0 {
                // SAFETY: libvirt did not take it, so it is ours still.
                drop(unsafe { Box::from_raw(opaque.cast::<Told>()) });
            }
            (id >= 0).then_some(id)
        });
        let callbacks = registered.collect();
        Self { connect, callbacks }
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        for id in &self.callbacks {
            // SAFETY: the connection is alive, if perhaps dead on the wire; the number is one that it gave us.
            unsafe { sys::virConnectDomainEventDeregisterAny(self.connect.as_ptr(), *id) };
        }
    }
}

/// Starts libvirt's event loop, once for the process, before its first connection.
pub(crate) fn run_loop() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        if virt::event::event_register_default_impl().is_err() {
            return;
        }
        let thread = std::thread::Builder::new().name("libvirt-events".to_owned());
        // Without the thread there are no events, and listings are as old as their readers allow.
        let _ = thread.spawn(|| while virt::event::event_run_default_impl().is_ok() {});
    });
}

type Generic = unsafe extern "C" fn(sys::virConnectPtr, sys::virDomainPtr, *mut c_void);
type Lifecycle =
    unsafe extern "C" fn(sys::virConnectPtr, sys::virDomainPtr, c_int, c_int, *mut c_void) -> c_int;
type Device =
    unsafe extern "C" fn(sys::virConnectPtr, sys::virDomainPtr, *const std::ffi::c_char, *mut c_void);

unsafe extern "C" fn lifecycle(
    _: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    event: c_int,
    _detail: c_int,
    opaque: *mut c_void,
) -> c_int {
    let happened = match u32::try_from(event) {
        Ok(sys::VIR_DOMAIN_EVENT_DEFINED) => Happened::Defined,
        Ok(sys::VIR_DOMAIN_EVENT_UNDEFINED) => Happened::Undefined,
        Ok(sys::VIR_DOMAIN_EVENT_STARTED) => Happened::Started,
        Ok(sys::VIR_DOMAIN_EVENT_STOPPED) => Happened::Stopped,
        _ => Happened::Other,
    };
    // SAFETY: libvirt passes a domain that lives for this call, and what was registered.
    unsafe { tell(domain, happened, opaque) };
    0
}

unsafe extern "C" fn device(
    _: sys::virConnectPtr,
    domain: sys::virDomainPtr,
    _alias: *const std::ffi::c_char,
    opaque: *mut c_void,
) {
    // SAFETY: as above.
    unsafe { tell(domain, Happened::DevicesChanged, opaque) };
}

/// # Safety
/// `domain` lives for the call, `opaque` is a [`Told`] that was registered and not released.
unsafe fn tell(domain: sys::virDomainPtr, happened: Happened, opaque: *mut c_void) {
    let mut uuid = [0_u8; 16];
    // SAFETY: the buffer has VIR_UUID_BUFLEN bytes; the name lives as long as the domain.
    let (told, name) = unsafe {
        let name = sys::virDomainGetName(domain);
        if name.is_null() || sys::virDomainGetUUID(domain, uuid.as_mut_ptr()) != 0 {
            return;
        }
        (&*opaque.cast::<Told>(), CStr::from_ptr(name).to_string_lossy().into_owned())
    };
    let event = DomainEvent { uuid: Uuid::from_bytes(uuid), name, happened };
    // A panic must not unwind into libvirt; its message is on stderr already.
    let _ = catch_unwind(AssertUnwindSafe(|| told(event)));
}

unsafe extern "C" fn release(opaque: *mut c_void) {
    // SAFETY: libvirt calls this once for each registration, with what was registered.
    drop(unsafe { Box::from_raw(opaque.cast::<Told>()) });
}
