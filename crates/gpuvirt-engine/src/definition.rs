//! A domain's definition while it is edited: read, compared and stored, and what goes into it.

use gpuvirt_domain::{Device, GpuForGuest};
use gpuvirt_model::{Domain, PciAddress, Refusal, RefusalCode, VgpuId};
use gpuvirt_plan::checks;

use crate::{DeviceRequest, Engine, EngineError, Report, View};

/// How often an edit is begun anew when somebody else redefines the domain meanwhile.
const EDIT_ATTEMPTS: usize = 5;

impl Engine {
    /// Reads the definition, edits it, and stores it if it still is what was read.
    pub(crate) fn edit(
        &self,
        name: &str,
        dry_run: bool,
        edit: impl Fn(&str) -> Result<Edit, EngineError>,
    ) -> Result<Report, EngineError> {
        for _ in 0..EDIT_ATTEMPTS {
            let Some(xml) = self.domains.inactive_xml(name)? else {
                return Err(EngineError::Refused(vec![checks::domain::not_found(name)]));
            };
            let edit = match edit(&xml)? {
                Edit::Nothing(report) => return Ok(*report),
                Edit::Define(edit) => edit,
            };
            if dry_run || self.domains.redefine(name, &xml, &edit.xml)? {
                let report = Report::changed(edit.sentence(dry_run));
                return Ok(Report { xml: Some(edit.fragment), ..report });
            }
        }
        Err(not_editable(name, "somebody else keeps redefining it", "try again when virsh edit has ended"))
    }
}

/// What an edit leads to.
pub(crate) enum Edit {
    Nothing(Box<Report>),
    Define(Definition),
}

pub(crate) struct Definition {
    pub(crate) xml: String,
    pub(crate) fragment: String,
    pub(crate) subject: String,
    pub(crate) verb: &'static str,
}

impl Definition {
    fn sentence(&self, dry_run: bool) -> String {
        let tense = if dry_run { "would be" } else { "was" };
        format!("{} {tense} {}", self.subject, self.verb)
    }
}

/// The domain of this name, as far as libvirt tells.
pub(crate) fn domain<'a>(view: &'a View, name: &str) -> Result<&'a Domain, EngineError> {
    let Some(domains) = view.observed.domains.known() else {
        let what = "libvirt does not answer, so its domains are unknown".to_owned();
        return Err(EngineError::Failed { what, now: "nothing was changed".to_owned() });
    };
    let found = domains.iter().find(|domain| domain.name == name);
    found.ok_or_else(|| EngineError::Refused(vec![checks::domain::not_found(name)]))
}

pub(crate) fn as_guest_device(view: &View, device: DeviceRequest) -> Result<Device, EngineError> {
    match device {
        DeviceRequest::Vgpu(VgpuId::Mdev(uuid)) => Ok(Device::Mdev(uuid)),
        DeviceRequest::Vgpu(VgpuId::Vf(vf)) => Ok(Device::Gpu(GpuForGuest::single(vf))),
        DeviceRequest::Gpu(address) => {
            let gpu = view.observed.gpus.get(&address);
            let missing = || EngineError::Refused(vec![checks::not_found(address, &view.observed)]);
            whole(gpu.ok_or_else(missing)?.functions.clone(), address)
        }
    }
}

pub(crate) fn whole(functions: Vec<PciAddress>, address: PciAddress) -> Result<Device, EngineError> {
    let gpu = GpuForGuest::new(functions);
    gpu.map(Device::Gpu).map_err(|error| EngineError::Bug(format!("{address}: {error}")))
}

pub(crate) fn not_editable(name: &str, because: &str, remedy: &str) -> EngineError {
    EngineError::Refused(vec![Refusal {
        code: RefusalCode::DomainNotEditable,
        summary: format!("the definition of VM {name} cannot be edited"),
        because: because.to_owned(),
        remedy: vec![remedy.to_owned(), format!("gpuvirt explain {}", RefusalCode::DomainNotEditable)],
    }])
}
