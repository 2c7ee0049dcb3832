//! The connection: made on first need, kept, and replaced when it died.

use std::fmt;
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::Duration;

use gpuvirt_model::{Domain, Reading};
use virt::connect::Connect;

use crate::bounded::Requests;
use crate::events::{self, Connected, Told};
use crate::single_flight::SingleFlight;
use crate::{Failure, LibvirtError, library};

/// The longest that any request is waited for, connecting included. libvirtd's first connection after its start
/// waits for it to probe QEMU's capabilities, which takes seconds on slow machines.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// How many times longer than the last a listing takes that is still nothing out of the ordinary.
const USUAL_SPREAD: u32 = 4;

/// libvirt at one URI. Cheap to clone; clones share the connection and the limit on requests.
#[derive(Clone)]
pub struct Libvirt {
    uri: Arc<str>,
    connection: Arc<Mutex<Option<Arc<Connected>>>>,
    told: Option<Told>,
    requests: Requests,
    /// The listing that all who want one share.
    pub(crate) listing: SingleFlight<Reading<Vec<Domain>>>,
    /// The same of who opens no connection: others are to have theirs on a new one where there is none.
    pub(crate) unopened: SingleFlight<Reading<Vec<Domain>>>,
    pub(crate) deadline: Duration,
    /// Who waits as long as anybody closes a connection that owes an answer: nobody else shall queue behind it.
    pub(crate) gives_up_for_all: bool,
    opens: bool,
}

impl Libvirt {
    /// libvirt at a URI, `qemu:///system` for the host's. Connects when first needed.
    ///
    /// # Errors
    /// [`LibvirtError::Nul`].
    pub fn open(uri: &str) -> Result<Self, LibvirtError> {
        Self::with_deadline(uri, DEADLINE)
    }

    /// The same, with another longest wait for a request.
    ///
    /// # Errors
    /// [`LibvirtError::Nul`].
    pub fn with_deadline(uri: &str, deadline: Duration) -> Result<Self, LibvirtError> {
        no_nul(uri, "the libvirt URI")?;
        Ok(Self {
            uri: uri.into(),
            connection: Arc::new(Mutex::new(None)),
            told: None,
            requests: Requests::new(deadline),
            listing: SingleFlight::new(deadline),
            unopened: SingleFlight::new(deadline),
            deadline,
            gives_up_for_all: true,
            opens: true,
        })
    }

    /// The same connection, its listing and its requests shared, for who waits no longer than this; where a listing takes long
    /// anyway, not much longer than the last one took. That an answer is not there by then says little of the connection: it
    /// stays.
    #[must_use]
    pub fn in_a_hurry(&self, deadline: Duration) -> Self {
        let pace = self.listing.took().map_or(Duration::ZERO, |took| took.saturating_mul(USUAL_SPREAD));
        let deadline = deadline.max(pace).min(self.deadline);
        let (requests, listing) = (self.requests.within(deadline), self.listing.within(deadline));
        Self { requests, listing, deadline, gives_up_for_all: false, ..self.clone() }
    }

    /// The same connection for who asks on it alone: none is opened where it is dead. A libvirtd that is told to end hangs up
    /// first, and where its socket is systemd's, who connects then has it started again.
    #[must_use]
    pub fn without_opening(&self) -> Self {
        Self { listing: self.unopened.within(self.deadline), opens: false, ..self.clone() }
    }

    /// The same, and `told` gets the events of each connection that is opened. It must neither block nor ask libvirt.
    #[must_use]
    pub fn with_events(self, told: Told) -> Self {
        Self { told: Some(told), ..self }
    }

    /// Where it is asked.
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Closes the connection, when no request uses it any more. The next request opens another.
    pub fn close(&self) {
        drop(self.slot().take());
    }

    /// Whether a connection is open, and its other end too, as far as is seen without asking it anything.
    pub fn is_alive(&self) -> bool {
        self.other_end() == Some(true)
    }

    /// Whether one is open, and its other end hung up, as far as is seen in the same way.
    pub fn has_died(&self) -> bool {
        self.other_end() == Some(false)
    }

    /// Whether the other end of the connection is there; none where none is open.
    fn other_end(&self) -> Option<bool> {
        self.present().map(|present| present.is_alive().unwrap_or(false))
    }

    /// Runs a request on a connection that answered just before.
    pub(crate) fn request<T: Send + 'static>(
        &self,
        doing: String,
        request: impl FnOnce(&Connect, &str) -> Result<T, LibvirtError> + Send + 'static,
    ) -> Result<T, LibvirtError> {
        let this = self.clone();
        let object = doing.clone();
        let result = self.requests.run(&doing, move || {
            let connection = this.connected()?;
            request(&connection, &object)
        });
        if self.gives_up_for_all && matches!(result, Err(LibvirtError::NoAnswer { .. })) {
            // Whoever still waits on it keeps it; nobody else shall queue behind.
            self.close();
        }
        result
    }

    /// The present connection if it is alive, else a new one, where one may be opened.
    pub(crate) fn connected(&self) -> Result<Arc<Connected>, LibvirtError> {
        // Not under the lock: a request on a dead connection can take as long as it likes.
        let present = self.present();
        // Without an event loop the library does not notice that the daemon went away before it asks it something,
        // and a dead connection stays dead.
        if let Some(connection) = present.filter(|present| present.lib_version().is_ok()) {
            return Ok(connection);
        }
        if !self.opens {
            return Err(LibvirtError::NotConnected { uri: self.uri.to_string() });
        }
        let opened =
            self.opened().map_err(|source| LibvirtError::Connect { uri: self.uri.to_string(), source })?;
        let opened = Arc::new(match &self.told {
            Some(told) => Connected::with_events(opened, told),
            None => Connected::silent(opened),
        });
        *self.slot() = Some(Arc::clone(&opened));
        Ok(opened)
    }

    fn opened(&self) -> Result<Connect, Failure> {
        library::load()
            .map_err(|why| Failure { message: format!("its library can't be loaded: {why}"), code: 0 })?;
        // The library's own handler prints every error to stderr, whatever is in it.
        static QUIET: Once = Once::new();
        QUIET.call_once(virt::error::clear_error_callback);
        if self.told.is_some() {
            events::run_loop();
        }
        Connect::open(Some(&self.uri)).map_err(|error| Failure::from(&error))
    }

    /// The connection that was opened last, dead or alive.
    pub(crate) fn present(&self) -> Option<Arc<Connected>> {
        self.slot().clone()
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<Arc<Connected>>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Libvirt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Libvirt").field("uri", &self.uri).finish_non_exhaustive()
    }
}

/// The library takes C strings.
pub(crate) fn no_nul(text: &str, what: &'static str) -> Result<(), LibvirtError> {
    if text.contains('\0') { Err(LibvirtError::Nul { what }) } else { Ok(()) }
}
