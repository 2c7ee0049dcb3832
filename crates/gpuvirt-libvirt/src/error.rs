//! What libvirt did not do for us.

use std::time::Duration;

use gpuvirt_domain::XmlError;

/// A request to libvirt that did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum LibvirtError {
    /// A NUL byte can't be handed to libvirt.
    #[error("{what} has a NUL byte in it")]
    Nul {
        /// Which text.
        what: &'static str,
    },
    /// No connection.
    #[error("no connection to libvirt at {uri}")]
    Connect {
        /// Where.
        uri: String,
        /// What libvirt's library said.
        #[source]
        source: Failure,
    },
    /// The connection is gone, and none is opened for this.
    #[error("the connection to libvirt at {uri} is closed, and none is opened for this")]
    NotConnected {
        /// Where.
        uri: String,
    },
    /// libvirt refused or failed.
    #[error("{doing}")]
    Call {
        /// What we asked for, with the object.
        doing: String,
        /// What libvirt said.
        #[source]
        source: Failure,
    },
    /// No answer in time. The request is not taken back: libvirt may still carry it out.
    #[error("{doing}: libvirt did not answer within {waited:?}, and may still do it")]
    NoAnswer {
        /// What we asked for, with the object.
        doing: String,
        /// How long we waited.
        waited: Duration,
    },
    /// All requests that may run at a time are waiting for libvirt, and none ended in time.
    #[error("{doing}: earlier requests to libvirt got no answer within {waited:?}")]
    Busy {
        /// What we wanted to ask for, with the object.
        doing: String,
        /// How long we waited.
        waited: Duration,
    },
    /// A definition that libvirt gave, or that it was to get, can't be understood.
    #[error("the definition of domain {name:?} can't be understood")]
    Xml {
        /// The domain.
        name: String,
        /// Why.
        #[source]
        source: XmlError,
    },
    /// A definition that would define another domain than the one it is for.
    #[error("the new definition of domain {name:?} is that of another domain: name or uuid differ")]
    OtherDomain {
        /// The domain.
        name: String,
    },
    /// The request's thread could not be started or ended without an answer.
    #[error("{doing}: the request was lost")]
    Lost {
        /// What we asked for, with the object.
        doing: String,
        /// Why its thread did not start, if it did not.
        #[source]
        source: Option<std::io::Error>,
    },
}

/// What libvirt said, without secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (libvirt error {code})")]
pub struct Failure {
    /// libvirt's message.
    pub message: String,
    /// libvirt's error number, `virErrorNumber`.
    pub code: u32,
}

impl From<&virt::error::Error> for Failure {
    fn from(error: &virt::error::Error) -> Self {
        Self { message: error.message().trim().to_owned(), code: error.code().to_raw() }
    }
}

impl Failure {
    /// What libvirt said about a document that it did not take, with the document's passwords blotted out and
    /// without the line of it that the parser would quote.
    pub(crate) fn about(error: &virt::error::Error, xml: &str) -> Self {
        let mut failure = Self::from(error);
        // libxml2 shows the offending line below its message, cut anywhere.
        if failure.message.contains("\n<") || failure.message.ends_with('^') {
            failure.message.truncate(failure.message.find('\n').unwrap_or(failure.message.len()));
        }
        for secret in crate::definition::secrets(xml) {
            failure.message = failure.message.replace(&secret, "***");
        }
        failure
    }
}
