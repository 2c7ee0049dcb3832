//! The engine's domains: libvirt's, or those of a recorded host.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use gpuvirt_engine::ports::{Asker, Domains, PortError};
use gpuvirt_libvirt::{Libvirt, LibvirtError, Redefined, Told};
use gpuvirt_model::health::LibvirtVersions;
use gpuvirt_model::{Domain, Reading, Unknown};

use super::libvirt_daemon::Met;
use super::{autostarted, libvirt_daemon};
use crate::server::{Definitions, Patience};

/// Longest wait for libvirt's answer to a question. libvirt lists none while one is being started, hooks included, so that a
/// listing of ours says "unknown" rather than wait for that.
const LIST_DEADLINE: Duration = Duration::from_secs(5);

/// Longest wait of who is to have told everything within a second, where a listing takes milliseconds as it should.
const SOON: Duration = Duration::from_millis(700);

/// Longest wait for a domain's start: libvirt itself goes on with it.
const START_DEADLINE: Duration = Duration::from_secs(300);

/// libvirt as the engine's domains, asked only once [`Gate::open`] was called.
#[derive(Clone)]
pub struct LibvirtDomains {
    /// For questions, with a short deadline.
    lists: Libvirt,
    /// For edits, with the library's own.
    definitions: Libvirt,
    /// For starts of domains, which take as long as their memory is large.
    starts: Libvirt,
    gate: Gate,
    met: Arc<Met>,
}

/// Whether libvirt may be asked. It starts after we are ready: asking earlier would wait for who waits for us.
#[derive(Debug, Clone, Default)]
pub struct Gate(Arc<AtomicBool>);

impl Gate {
    /// From now on libvirt may be asked.
    pub fn open(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether it may be: the daemon is ready.
    pub fn is_open(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl LibvirtDomains {
    /// libvirt at a URI. Nothing is connected yet.
    ///
    /// # Errors
    /// A URI that can't be one.
    pub fn new(uri: &str) -> Result<Self, LibvirtError> {
        let lists = Libvirt::with_deadline(uri, LIST_DEADLINE)?;
        let starts = Libvirt::with_deadline(uri, START_DEADLINE)?;
        let definitions = Libvirt::open(uri)?;
        Ok(Self { lists, definitions, starts, gate: Gate::default(), met: Arc::default() })
    }

    /// The same, and `told` gets the events of the connection on which domains are listed.
    #[must_use]
    pub fn with_events(self, told: Told) -> Self {
        Self { lists: self.lists.with_events(told), ..self }
    }

    /// What must be opened before libvirt is asked.
    pub fn gate(&self) -> Gate {
        self.gate.clone()
    }

    /// For a question, with the wait that its asker has.
    fn asked(&self, patience: Patience) -> Libvirt {
        match patience {
            Patience::Usual => self.lists.clone(),
            Patience::Short => self.lists.in_a_hurry(SOON),
        }
    }

    /// Whom to ask for domains; where nobody, why not.
    fn lister(&self, asker: Asker) -> Result<Libvirt, &'static str> {
        if !self.gate.is_open() {
            return Err("gpuvirtd is still starting and has not asked libvirt");
        }
        match asker {
            Asker::Somebody => Ok(self.lists.clone()),
            Asker::InAHurry => Ok(self.asked(Patience::Short)),
            // Where an answer is overdue, this one is told so at once and asks nothing.
            Asker::Nobody if self.lists.is_overdue() => Ok(self.lists.clone()),
            Asker::Nobody if self.lists.is_alive() => Ok(self.lists.without_opening()),
            Asker::Nobody if self.met.is_there(self.lists.uri(), self.lists.has_died()) => {
                Ok(self.lists.clone())
            }
            Asker::Nobody => Err("libvirt does not run, and is not started for this"),
        }
    }

    fn definitions(&self) -> Result<&Libvirt, PortError> {
        let closed = || failed("libvirt is not asked yet", "gpuvirtd is still starting");
        self.gate.is_open().then_some(&self.definitions).ok_or_else(closed)
    }
}

impl Domains for LibvirtDomains {
    fn list(&self) -> Reading<Vec<Domain>> {
        self.list_for(Asker::Somebody)
    }

    fn list_for(&self, asker: Asker) -> Reading<Vec<Domain>> {
        self.begin_list(asker)()
    }

    fn begin_list(&self, asker: Asker) -> Box<dyn FnOnce() -> Reading<Vec<Domain>> + '_> {
        match self.lister(asker) {
            Err(why) => {
                let unknown = Unknown::Unreadable { what: why.to_owned() };
                Box::new(|| Reading::Unknown(unknown))
            }
            Ok(libvirt) => {
                let answer = libvirt.begin_domains();
                Box::new(move || {
                    let domains = answer();
                    if domains.known().is_some() {
                        self.met.answered(libvirt.uri());
                    }
                    domains
                })
            }
        }
    }

    fn autostarted_by_files(&self) -> Option<Vec<Domain>> {
        (self.lists.uri() == libvirt_daemon::SYSTEM).then(autostarted::by_files).flatten()
    }

    fn inactive_xml(&self, name: &str) -> Result<Option<String>, PortError> {
        let xml = self.definitions()?.inactive_xml(name).map_err(libvirt)?;
        Ok(xml.map(gpuvirt_libvirt::Definition::into_string))
    }

    fn redefine(&self, name: &str, expected: &str, xml: &str) -> Result<bool, PortError> {
        let redefined = self.definitions()?.redefine(name, expected, xml).map_err(libvirt)?;
        Ok(redefined == Redefined::Done)
    }

    fn is_connected(&self) -> bool {
        self.lists.is_alive()
    }

    fn start(&self, name: &str) -> Result<(), PortError> {
        self.definitions()?;
        self.starts.start(name).map_err(libvirt)
    }
}

impl Definitions for LibvirtDomains {
    fn libvirt(&self, patience: Patience) -> (Option<String>, Reading<LibvirtVersions>) {
        let libvirt = self.asked(patience);
        let uri = Some(libvirt.uri().to_owned());
        // Not behind a listing that is overdue already: its own deadline would be waited for once more.
        if !self.gate.is_open() || libvirt.is_overdue() {
            let what = "libvirt is not asked now".to_owned();
            return (uri, Reading::Unknown(Unknown::Unreadable { what }));
        }
        let unreadable = |error: &LibvirtError| Unknown::Unreadable { what: gpuvirt_model::chain(error) };
        (uri, libvirt.versions().map_or_else(|error| Reading::Unknown(unreadable(&error)), Reading::Known))
    }

    fn owes_answer(&self, patience: Patience) -> bool {
        self.gate.is_open() && self.asked(patience).is_overdue()
    }

    fn public_xml(&self, name: &str) -> Result<Option<String>, PortError> {
        // A question, so within the time that its client waits; an edit may take longer. All wait for one listing
        // first, so that a libvirt that answers nobody costs them one wait together and not one each.
        self.definitions()?;
        drop(self.lists.domains());
        self.listed_xml(name, Patience::Usual)
    }

    fn listed_xml(&self, name: &str, patience: Patience) -> Result<Option<String>, PortError> {
        self.definitions()?;
        let libvirt = self.asked(patience);
        if libvirt.is_overdue() {
            let doing = format!("the definition of VM {name:?} was not asked for");
            return Err(failed(&doing, "libvirt still owes the answer to a listing"));
        }
        libvirt.public_xml(name).map_err(self::libvirt)
    }
}

/// The domains of a recorded host: a list, and no libvirt behind it.
#[derive(Debug, Clone, Default)]
pub struct RecordedDomains(pub Vec<Domain>);

impl RecordedDomains {
    fn definition<T>(&self, name: &str) -> Result<Option<T>, PortError> {
        if self.0.iter().any(|domain| domain.name == name) {
            let doing = format!("VM {name:?} has no definition here");
            return Err(failed(&doing, "a recorded host has no libvirt"));
        }
        Ok(None)
    }
}

impl Domains for RecordedDomains {
    fn list(&self) -> Reading<Vec<Domain>> {
        Reading::Known(self.0.clone())
    }

    fn inactive_xml(&self, name: &str) -> Result<Option<String>, PortError> {
        self.definition(name)
    }

    fn redefine(&self, name: &str, _: &str, _: &str) -> Result<bool, PortError> {
        self.definition::<bool>(name).map(|_| false)
    }

    fn start(&self, name: &str) -> Result<(), PortError> {
        self.definition::<()>(name).map(drop)
    }
}

impl Definitions for RecordedDomains {
    fn public_xml(&self, name: &str) -> Result<Option<String>, PortError> {
        self.definition(name)
    }
}

fn libvirt(error: LibvirtError) -> PortError {
    failed("libvirt can't be used", error)
}

fn failed(doing: &str, why: impl Into<Box<dyn Error + Send + Sync>>) -> PortError {
    PortError { doing: doing.to_owned(), source: why.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libvirt_is_not_asked_before_the_gate_is_open() {
        let domains = LibvirtDomains::new("test:///default").unwrap();
        assert!(matches!(domains.list(), Reading::Unknown(_)));
        assert!(domains.inactive_xml("test").is_err());
        assert!(domains.public_xml("test").is_err());
        domains.gate().open();
        assert_eq!(domains.list().known().map(Vec::len), Some(1));
        assert!(domains.inactive_xml("test").unwrap().is_some());
        assert!(domains.public_xml("test").unwrap().is_some());
        assert!(domains.public_xml("nobody").unwrap().is_none());
    }

    #[test]
    fn a_definition_is_replaced_only_when_it_is_the_expected_one() {
        let domains = LibvirtDomains::new("test:///default").unwrap();
        domains.gate().open();
        let xml = domains.inactive_xml("test").unwrap().unwrap();
        assert!(!domains.redefine("test", "<domain/>", &xml).unwrap());
        assert!(domains.redefine("test", &xml, &xml).unwrap());
    }

    #[test]
    fn a_recorded_host_has_domains_and_no_definitions() {
        let domain = Domain {
            name: "web".to_owned(),
            uuid: uuid::Uuid::from_u128(1),
            state: gpuvirt_model::DomainState::ShutOff,
            autostart: false,
            config: Vec::new(),
            live: Vec::new(),
            requests: gpuvirt_model::Requests::default(),
            guest: gpuvirt_model::Guest::default(),
        };
        let domains = RecordedDomains(vec![domain]);
        assert_eq!(domains.list().known().map(Vec::len), Some(1));
        assert!(domains.inactive_xml("web").is_err());
        assert_eq!(domains.inactive_xml("nobody").unwrap(), None);
        assert!(domains.redefine("web", "", "").is_err());
    }
}
