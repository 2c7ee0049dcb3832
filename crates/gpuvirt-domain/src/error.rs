//! Why a document can't be taken for a libvirt domain.
//!
//! The parser's own message is not kept: it quotes the document, and the document holds passwords.

/// A document that is no readable domain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XmlError {
    /// Longer than libvirt itself would send.
    #[error("the domain XML is {bytes} bytes long; libvirt sends no more than {limit}")]
    TooLarge {
        /// Length in bytes.
        bytes: usize,
        /// Longest accepted.
        limit: usize,
    },
    /// More nesting, attributes or namespaces than any domain has.
    #[error("the domain XML has more than {limit} {what}")]
    Absurd {
        /// What there is too much of.
        what: &'static str,
        /// The most that is accepted.
        limit: usize,
    },
    /// A document type declaration: libvirt writes none, and entities are how small documents become huge.
    #[error("the domain XML has a document type declaration")]
    Dtd,
    /// Not well-formed.
    #[error("the domain XML is malformed at line {line}, column {column}")]
    Malformed {
        /// Line, from 1.
        line: u32,
        /// Column, from 1.
        column: u32,
    },
    /// Some other document.
    #[error("the XML is no libvirt domain: its root element is not <domain>")]
    NotADomain,
    /// Without its name, uuid or devices.
    #[error("the domain XML has no usable <{element}>")]
    Missing {
        /// The element.
        element: &'static str,
    },
    /// A device whose host or guest address can't be read.
    #[error("the domain XML has a <{element}> whose {what} can't be read")]
    BadDevice {
        /// Kind of device, as libvirt names its element.
        element: String,
        /// Which part of it.
        what: &'static str,
    },
}
