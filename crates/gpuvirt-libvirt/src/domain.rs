//! Domains: listed with their host devices, read and redefined.

use gpuvirt_domain::DomainXml;
use gpuvirt_model::health::LibvirtVersions;
use gpuvirt_model::{Domain, DomainState, Reading, Unknown, chain};
use uuid::Uuid;
use virt::connect::Connect;
use virt::error::ErrorNumber;
use virt::sys;

use crate::connection::{Libvirt, no_nul};
use crate::single_flight::{Asked, NoAnswer};
use crate::{Definition, Failure, LibvirtError};

/// What a listing does.
const LISTING: &str = "listing the domains";

/// All domains of a host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// Those that could be read.
    pub domains: Vec<Domain>,
    /// Those that could not.
    pub unreadable: Vec<UnreadableDomain>,
}

/// A domain whose devices are not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableDomain {
    /// Its name, or its uuid if not even that was given.
    pub name: String,
    /// Whether it runs, as far as is known: then it may hold any device.
    pub running: bool,
    /// Why its XML could not be read.
    pub why: String,
}

/// What redefining did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redefined {
    /// The new definition is stored.
    Done,
    /// The stored definition is not the expected one (any more), or gone; nothing was written.
    ChangedMeanwhile,
}

impl Listing {
    /// The domains, or unknown when a running one could not be read: it might hold what is asked about. A domain
    /// that is off and can't be read holds nothing, and is left out.
    pub fn reading(self) -> Reading<Vec<Domain>> {
        match self.unreadable.into_iter().find(|domain| domain.running) {
            None => Reading::Known(self.domains),
            Some(UnreadableDomain { name, why, .. }) => {
                Reading::Unknown(Unknown::Unreadable { what: format!("running domain {name:?}: {why}") })
            }
        }
    }
}

impl Libvirt {
    /// All domains, running or not. One that vanishes meanwhile is left out.
    ///
    /// # Errors
    /// [`LibvirtError`] when libvirt can't be asked at all.
    pub fn list(&self) -> Result<Listing, LibvirtError> {
        self.request(LISTING.to_owned(), list)
    }

    /// All domains as a listing shows them: unknown when libvirt does not answer, or when a running domain can't
    /// be read. All who ask while libvirt answers somebody share one answer, and while an answer is overdue everybody
    /// is told so at once.
    pub fn domains(&self) -> Reading<Vec<Domain>> {
        self.begin_domains()()
    }

    /// The same, asked for at once; what is returned waits for the answer.
    pub fn begin_domains(&self) -> impl FnOnce() -> Reading<Vec<Domain>> + Send + 'static {
        let this = self.clone();
        // Else it owes one that was asked for without opening a connection.
        let asked = (!self.unopened.is_overdue()).then(|| {
            let this = self.clone();
            self.listing.ask(move || this.listed().map_or_else(|error| unknown(&error), Listing::reading))
        });
        move || {
            let listing = asked.map_or(Err(NoAnswer::Overdue), Asked::answer);
            listing.unwrap_or_else(|none| this.not_listed(&none))
        }
    }

    /// What is said of domains that were not told.
    fn not_listed(&self, none: &NoAnswer) -> Reading<Vec<Domain>> {
        let (doing, waited) = (LISTING.to_owned(), self.deadline);
        unknown(&match none {
            NoAnswer::Late => {
                // The overdue listing keeps it; nobody else shall queue behind.
                if self.gives_up_for_all {
                    self.close();
                }
                LibvirtError::NoAnswer { doing, waited }
            }
            NoAnswer::Overdue => LibvirtError::Busy { doing, waited },
            NoAnswer::Lost => LibvirtError::Lost { doing, source: None },
        })
    }

    /// The listing on the connection that is there, which tells by itself whether it lives; else on a new one.
    fn listed(&self) -> Result<Listing, LibvirtError> {
        if let Some(connection) = self.present() {
            match list(&connection, LISTING) {
                Err(_) if connection.lib_version().is_err() => {}
                told => return told,
            }
        }
        list(&*self.connected()?, LISTING)
    }

    /// Whether libvirt owes the answer to a listing for longer than anybody waits: another question would most likely
    /// wait in vain.
    pub fn is_overdue(&self) -> bool {
        self.listing.is_overdue() || self.unopened.is_overdue()
    }

    /// The stored definition of a domain, secrets included; none when there is no such domain, or when it has no
    /// stored definition (a transient one).
    ///
    /// # Errors
    /// [`LibvirtError`].
    pub fn inactive_xml(&self, name: &str) -> Result<Option<Definition>, LibvirtError> {
        no_nul(name, "the domain's name")?;
        let name = name.to_owned();
        self.request(format!("reading the definition of domain {name:?}"), move |connection, doing| {
            Ok(stored(connection, &name, sys::VIR_DOMAIN_XML_SECURE, doing)?
                .map(|(_, xml)| Definition::new(xml)))
        })
    }

    /// The stored definition of a domain as everybody may see it: libvirt leaves its secrets out. It must never be
    /// defined again. None as in [`Libvirt::inactive_xml`].
    ///
    /// # Errors
    /// [`LibvirtError`].
    pub fn public_xml(&self, name: &str) -> Result<Option<String>, LibvirtError> {
        no_nul(name, "the domain's name")?;
        let name = name.to_owned();
        self.request(format!("reading the definition of domain {name:?}"), move |connection, doing| {
            Ok(stored(connection, &name, 0, doing)?.map(|(_, xml)| xml))
        })
    }

    /// Replaces the stored definition of a domain if it still is `expected`, byte for byte.
    ///
    /// libvirt offers no compare-and-define, so a change by somebody else between the comparison and the define is
    /// still overwritten: that window is one round trip to libvirtd. A running domain keeps what it has until its
    /// next start.
    ///
    /// # Errors
    /// [`LibvirtError::OtherDomain`] when `xml` has another name or uuid than the domain; nothing was written then.
    /// [`LibvirtError::NoAnswer`]: it may or may not have been written.
    pub fn redefine(&self, name: &str, expected: &str, xml: &str) -> Result<Redefined, LibvirtError> {
        no_nul(name, "the domain's name")?;
        no_nul(xml, "the domain's definition")?;
        let meant = read_xml(name, xml)?;
        let (name, expected, xml) = (name.to_owned(), Definition::new(expected.to_owned()), xml.to_owned());
        self.request(format!("defining domain {name:?}"), move |connection, doing| {
            let Some((uuid, present)) = stored(connection, &name, sys::VIR_DOMAIN_XML_SECURE, doing)? else {
                return Ok(Redefined::ChangedMeanwhile);
            };
            if meant.name != name || meant.uuid != Some(uuid) {
                return Err(LibvirtError::OtherDomain { name });
            }
            if present != expected.as_str() {
                return Ok(Redefined::ChangedMeanwhile);
            }
            define(connection, &xml, doing)?;
            Ok(Redefined::Done)
        })
    }
}

impl Libvirt {
    /// The versions of libvirt's daemon and of its QEMU.
    ///
    /// # Errors
    /// [`LibvirtError`].
    pub fn versions(&self) -> Result<LibvirtVersions, LibvirtError> {
        self.request("asking for its version".to_owned(), |connection, doing| {
            let libvirt = connection.lib_version().map_err(|error| failed(doing, &error))?;
            let qemu = connection.hyp_version().map_err(|error| failed(doing, &error))?;
            Ok(LibvirtVersions { libvirt, qemu })
        })
    }

    /// Starts a domain and waits until it runs: its hooks too, so its caller holds nothing that a hook waits for.
    ///
    /// # Errors
    /// [`LibvirtError`] with what libvirt said, a hook's own words among it.
    pub fn start(&self, name: &str) -> Result<(), LibvirtError> {
        no_nul(name, "the domain's name")?;
        let name = name.to_owned();
        self.request(format!("starting VM {name:?}"), move |connection, doing| {
            let start = || connection.lookup_domain_by_name(&name)?.create();
            start().map(drop).map_err(|error: virt::error::Error| failed(doing, &error))
        })
    }
}

/// Defines a document, validated against libvirt's schema if the rest of it allows that: what people define
/// themselves is not validated, and a domain of theirs that breaks the schema stays editable.
fn define(connection: &Connect, xml: &str, doing: &str) -> Result<(), LibvirtError> {
    let defined = match connection.define_domain_xml_flags(xml, sys::VIR_DOMAIN_DEFINE_VALIDATE) {
        Err(error) if is(&error, ErrorNumber::XmlInvalidSchema) => connection.define_domain_xml_flags(xml, 0),
        other => other,
    };
    defined
        .map(drop)
        .map_err(|error| LibvirtError::Call { doing: doing.to_owned(), source: Failure::about(&error, xml) })
}

/// The uuid and the stored definition of a domain, read with `flags` besides.
fn stored(
    connection: &Connect,
    name: &str,
    flags: u32,
    doing: &str,
) -> Result<Option<(Uuid, String)>, LibvirtError> {
    let read = || {
        let domain = connection.lookup_domain_by_name(name)?;
        if !domain.is_persistent()? {
            return Ok(None);
        }
        let xml = domain.xml_desc(sys::VIR_DOMAIN_XML_INACTIVE | flags)?;
        Ok(Some((domain.uuid()?, xml)))
    };
    match read() {
        Err(error) if is(&error, ErrorNumber::NoDomain) => Ok(None),
        other => other.map_err(|error: virt::error::Error| failed(doing, &error)),
    }
}

fn list(connection: &Connect, doing: &str) -> Result<Listing, LibvirtError> {
    let handles = |flags| connection.list_all_domains(flags).map_err(|error| failed(doing, &error));
    let mut listing = Listing::default();
    let all = handles(0)?;
    if all.is_empty() {
        return Ok(listing);
    }
    // One question for all; to ask each domain would be one a domain.
    let autostarted = handles(sys::VIR_CONNECT_LIST_DOMAINS_AUTOSTART)?;
    let autostarted: Vec<Uuid> = autostarted.iter().filter_map(|handle| handle.uuid().ok()).collect();
    for handle in all {
        match read_domain(&handle) {
            Ok(domain) => listing.domains.extend(domain.map(|domain| {
                let autostart = autostarted.contains(&domain.uuid);
                Domain { autostart, ..domain }
            })),
            // The connection, not the domain.
            Err(error) if connection.lib_version().is_err() => return Err(error),
            Err(error) => listing.unreadable.push(UnreadableDomain {
                name: name_of(&handle),
                running: handle.id().is_some(),
                why: chain(&error),
            }),
        }
    }
    listing.domains.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(listing)
}

fn unknown(error: &LibvirtError) -> Reading<Vec<Domain>> {
    Reading::Unknown(Unknown::Unreadable { what: chain(error) })
}

/// What a listing says of one domain, but for its autostart; none when it is gone. Read without secrets: nothing of this goes back.
fn read_domain(handle: &virt::domain::Domain) -> Result<Option<Domain>, LibvirtError> {
    let name = name_of(handle);
    let doing = format!("reading domain {name:?}");
    let (uuid, now) = match handle.uuid().and_then(|uuid| Ok((uuid, handle.xml_desc(0)?))) {
        Err(error) if is(&error, ErrorNumber::NoDomain) => return Ok(None),
        other => other.map_err(|error| failed(&doing, &error))?,
    };
    let now = read_xml(&name, &now)?;
    if !now.running {
        let (config, requests, guest) = (now.hostdevs, now.requests, now.guest);
        let (state, live) = (DomainState::ShutOff, Vec::new());
        return Ok(Some(Domain { name, uuid, state, autostart: false, config, live, requests, guest }));
    }
    let config = || match handle.is_persistent()? {
        true => handle.xml_desc(sys::VIR_DOMAIN_XML_INACTIVE).map(Some),
        false => Ok(None),
    };
    let config = match config() {
        // It ended and was transient: what it had is free.
        Err(error) if is(&error, ErrorNumber::NoDomain) => return Ok(None),
        other => other.map_err(|error| failed(&doing, &error))?,
    };
    let config = config.map(|xml| read_xml(&name, &xml)).transpose()?;
    let live = now.hostdevs.clone();
    // A transient domain has no other definition than the one that it runs with.
    let DomainXml { hostdevs: config, requests, guest, .. } = config.unwrap_or(now);
    let state = DomainState::Active;
    Ok(Some(Domain { name, uuid, state, autostart: false, config, live, requests, guest }))
}

fn read_xml(name: &str, xml: &str) -> Result<DomainXml, LibvirtError> {
    gpuvirt_domain::read(xml).map_err(|source| LibvirtError::Xml { name: name.to_owned(), source })
}

fn name_of(handle: &virt::domain::Domain) -> String {
    handle.name().or_else(|_| handle.uuid_string()).unwrap_or_default()
}

fn failed(doing: &str, error: &virt::error::Error) -> LibvirtError {
    LibvirtError::Call { doing: doing.to_owned(), source: Failure::from(error) }
}

fn is(error: &virt::error::Error, number: ErrorNumber) -> bool {
    error.code().is_known_and(|known| known == number)
}
