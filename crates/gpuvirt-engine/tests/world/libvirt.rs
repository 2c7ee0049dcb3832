//! libvirt, as the engine asks it.

use std::io;
use std::sync::atomic::Ordering;

use gpuvirt_engine::ports::{Asker, Domains, PortError};
use gpuvirt_model::{Domain, Reading, Unknown};

use super::{World, port};

impl Domains for World {
    fn list(&self) -> Reading<Vec<Domain>> {
        assert!(!self.libvirt_panics.load(Ordering::Relaxed), "libvirt was asked");
        if self.libvirt_hangs.load(Ordering::Relaxed) {
            return Reading::Unknown(Unknown::Unreadable { what: "libvirt did not answer".to_owned() });
        }
        let listed = self.libvirt.lock().unwrap().clone();
        if let Some(act) = self.while_listing.lock().unwrap().take() {
            act();
        }
        Reading::Known(listed)
    }

    /// As libvirt does: the answer comes while its asker does something else.
    fn begin_list(&self, _: Asker) -> Box<dyn FnOnce() -> Reading<Vec<Domain>> + '_> {
        let world = self.clone();
        let answer = std::thread::spawn(move || world.list());
        Box::new(|| answer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    }

    fn autostarted_by_files(&self) -> Option<Vec<Domain>> {
        let known = self.libvirt.lock().unwrap().clone();
        let has = self.libvirt_has_files.load(Ordering::Relaxed);
        has.then(|| known.into_iter().filter(|domain| domain.autostart).collect())
    }

    fn inactive_xml(&self, name: &str) -> Result<Option<String>, PortError> {
        Ok(self.definitions.lock().unwrap().get(name).cloned())
    }

    fn redefine(&self, name: &str, expected: &str, xml: &str) -> Result<bool, PortError> {
        let mut definitions = self.definitions.lock().unwrap();
        if let Some(edit) = self.others_edits.lock().unwrap().pop() {
            let edited = expected.replace("<!-- keep -->", &format!("<!-- keep --><!-- {edit} -->"));
            definitions.insert(name.to_owned(), edited);
        }
        let unchanged = definitions.get(name).is_some_and(|stored| stored == expected);
        if unchanged {
            definitions.insert(name.to_owned(), xml.to_owned());
        }
        Ok(unchanged)
    }

    fn start(&self, name: &str) -> Result<(), PortError> {
        if let Some(act) = self.start_fails.lock().unwrap().take() {
            act();
            return Err(port("starting", io::Error::other("libvirt did not start it")));
        }
        self.start_domain(name)
    }
}

impl World {
    /// What libvirt does at a start, hook included.
    pub fn start_domain(&self, name: &str) -> Result<(), PortError> {
        let mut domains = self.libvirt.lock().unwrap();
        let Some(domain) = domains.iter_mut().find(|domain| domain.name == name) else {
            return Err(port("starting", io::Error::from(io::ErrorKind::NotFound)));
        };
        let definitions = self.definitions.lock().unwrap();
        domain.live = gpuvirt_domain::read(&definitions[name]).unwrap().hostdevs;
        domain.state = gpuvirt_model::DomainState::Active;
        Ok(())
    }
}
