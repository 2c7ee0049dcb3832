//! `vm set --guest-driver`: what an admin states of the driver in a VM's guest, kept in the domain's metadata beside its requests.

use gpuvirt_domain::set_requests;
use gpuvirt_model::{Requests, chain};

use crate::definition::{Definition, Edit, domain, not_editable};
use crate::{Engine, EngineError, Report};

impl Engine {
    /// States which driver package, or which version, a domain's guest has; none forgets what was stated. What QEMU gets stays
    /// byte by byte as it was, so that a running domain goes on.
    ///
    /// # Errors
    /// [`EngineError::Refused`] when there is no such domain, or its definition can't be edited.
    pub fn vm_guest_driver(
        &self,
        name: &str,
        package: Option<&str>,
        dry_run: bool,
    ) -> Result<Report, EngineError> {
        let _order = (!dry_run).then(|| self.orders.take());
        let view = self.view()?;
        let uuid = domain(&view, name)?.uuid;
        let report = self.edit(name, dry_run, |xml| {
            let cannot =
                |why: &dyn std::error::Error| not_editable(name, &chain(why), "virsh edit it by hand");
            let before = gpuvirt_domain::read(xml).map_err(|error| cannot(&error))?.requests;
            let guest_driver = package.map(str::to_owned);
            if before.guest_driver == guest_driver {
                let text = format!("VM {name} says so already; nothing to do");
                return Ok(Edit::Nothing(Box::new(Report::unchanged(text))));
            }
            // A clone's requests stay those of its original, which is how they are known.
            let domain = before.domain.or(Some(uuid));
            let after = Requests { domain, guest_driver, ..before };
            let xml = set_requests(xml, &after).map_err(|error| cannot(&error))?;
            let (subject, verb) = match package {
                Some(package) => (format!("the driver in the guest of VM {name}: {package}"), "noted"),
                None => (format!("the driver in the guest of VM {name}"), "forgotten"),
            };
            Ok(Edit::Define(Definition { xml, fragment: String::new(), subject, verb }))
        })?;
        Ok(Report { xml: None, ..report })
    }
}
