//! `vm add`, `vm remove` and `xml`: the definitions of domains, edited while they are off.

use gpuvirt_domain::{Added, Device, GpuForGuest, Removed, gpu_fragment, mdev_fragment, vgpu_fragment};
use gpuvirt_model::{Domain, PciAddress, Refusal, RefusalCode, VgpuId, Warning};
use gpuvirt_plan::checks;

use crate::{DeviceRequest, Engine, EngineError, Report, View};
use gpuvirt_model::chain;

/// How often an edit is begun anew when somebody else redefines the domain meanwhile.
const EDIT_ATTEMPTS: usize = 5;

impl Engine {
    /// Gives a GPU or a vGPU to a domain that is off.
    ///
    /// # Errors
    /// [`EngineError::Refused`] with every reason, the definition untouched.
    pub fn vm_add(&self, name: &str, device: DeviceRequest, dry_run: bool) -> Result<Report, EngineError> {
        let _turn = self.turn(dry_run);
        let view = self.view()?;
        let domain = domain(&view, name)?;
        let mut refusals = checks::domain::not_addable(domain, as_checked(device), &view.observed);
        let together = with_device(domain, as_checked(device), &view);
        refusals.extend(together.refusals);
        if !refusals.is_empty() {
            return Err(EngineError::Refused(refusals));
        }
        let wanted = as_guest_device(&view, device)?;
        let mut warnings: Vec<Warning> = together.warnings;
        warnings.extend(checks::domain::also_defined_in(domain, as_checked(device), &view.observed));
        let report =
            self.edit(name, dry_run, |xml| added(name, device, gpuvirt_domain::add(xml, &wanted)))?;
        Ok(Report { warnings, ..report })
    }

    /// Takes a device that we gave it from a domain that is off.
    ///
    /// # Errors
    /// As [`Engine::vm_add`].
    pub fn vm_remove(&self, name: &str, device: DeviceRequest) -> Result<Report, EngineError> {
        let _turn = self.begin();
        let view = self.view()?;
        let domain = domain(&view, name)?;
        if let Some(refusal) = checks::domain::running(domain) {
            return Err(EngineError::Refused(vec![refusal]));
        }
        // A card that has left the host leaves its functions' addresses in the definition: the slot names them.
        let wanted = match device {
            DeviceRequest::Gpu(address) if is_vf(address, &view) => Device::Gpu(GpuForGuest::single(address)),
            DeviceRequest::Gpu(address) if !view.observed.gpus.contains_key(&address) => {
                whole(slot_functions(domain, address), address)?
            }
            _ => as_guest_device(&view, device)?,
        };
        self.edit(name, false, |xml| removed(name, device, gpuvirt_domain::remove(xml, &wanted)))
    }

    /// The `<hostdev>` elements of a GPU alone.
    ///
    /// # Errors
    /// [`EngineError::Refused`] when there is no such GPU.
    pub fn gpu_xml(&self, gpu: PciAddress) -> Result<String, EngineError> {
        match as_guest_device(&self.view()?, DeviceRequest::Gpu(gpu))? {
            Device::Gpu(gpu) => Ok(gpu_fragment(&gpu, gpuvirt_domain::Placement::LibvirtChooses)),
            Device::Mdev(uuid) => Ok(mdev_fragment(uuid)),
        }
    }

    /// The `<hostdev>` element of a vGPU alone.
    ///
    /// # Errors
    /// [`EngineError::Refused`] when there is no such vGPU.
    pub fn vgpu_xml(&self, id: impl Into<VgpuId>) -> Result<String, EngineError> {
        let (id, view) = (id.into(), self.view()?);
        let there = view.observed.vgpus.contains_key(&id);
        there
            .then(|| vgpu_fragment(id))
            .ok_or_else(|| EngineError::Refused(vec![checks::vgpu::not_found(id)]))
    }

    /// Reads the definition, edits it, and stores it if it still is what was read.
    fn edit(
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
enum Edit {
    Nothing(Box<Report>),
    Define(Definition),
}

struct Definition {
    xml: String,
    fragment: String,
    subject: String,
    verb: &'static str,
}

impl Definition {
    fn sentence(&self, dry_run: bool) -> String {
        let tense = if dry_run { "would be" } else { "was" };
        format!("{} {tense} {}", self.subject, self.verb)
    }
}

fn added(
    name: &str,
    device: DeviceRequest,
    result: Result<Added, gpuvirt_domain::EditError>,
) -> Result<Edit, EngineError> {
    match result.map_err(|error| not_editable(name, &chain(&error), "virsh edit it by hand"))? {
        Added::Changed { xml, fragment } => {
            Ok(Edit::Define(Definition { xml, fragment, subject: device.to_string(), verb: "added" }))
        }
        Added::AlreadyPresent { managed: true, .. } => Err(EngineError::Refused(vec![Refusal {
            code: RefusalCode::HostdevManaged,
            summary: format!("VM {name} cannot get {device}"),
            because: "it has the device with managed='yes': libvirt would give it back to a host driver"
                .to_owned(),
            remedy: vec![
                "virsh edit: write managed='no', or delete that hostdev and run this again".to_owned(),
                format!("gpuvirt explain {}", RefusalCode::HostdevManaged),
            ],
        }])),
        Added::AlreadyPresent { .. } => {
            let text = format!("VM {name} has {device} already; nothing to do");
            Ok(Edit::Nothing(Box::new(Report::unchanged(text))))
        }
    }
}

fn removed(
    name: &str,
    device: DeviceRequest,
    result: Result<Removed, gpuvirt_domain::EditError>,
) -> Result<Edit, EngineError> {
    match result.map_err(|error| not_editable(name, &chain(&error), "virsh edit it by hand"))? {
        Removed::Changed { xml, fragment } => {
            Ok(Edit::Define(Definition { xml, fragment, subject: device.to_string(), verb: "removed" }))
        }
        Removed::NotPresent => {
            Err(EngineError::Refused(vec![checks::domain::device_not_found(name, &device)]))
        }
        Removed::NotOurs { .. } => Err(EngineError::Refused(vec![Refusal {
            code: RefusalCode::NotOurs,
            summary: format!("{device} cannot be removed from VM {name}"),
            because: "gpuvirt did not put it there".to_owned(),
            remedy: vec!["remove it with what put it there: virsh edit, virt-manager".to_owned()],
        }])),
    }
}

/// What the rules say of the domain with one more device.
fn with_device(domain: &Domain, device: checks::domain::Device, view: &View) -> checks::several::Together {
    let mut devices = checks::several::devices_of(domain, &view.observed);
    if !devices.contains(&device) {
        devices.push(device);
    }
    checks::several::together(&domain.name, &devices, &view.observed)
}

/// The domain of this name, as far as libvirt tells.
fn domain<'a>(view: &'a View, name: &str) -> Result<&'a Domain, EngineError> {
    let Some(domains) = view.observed.domains.known() else {
        let what = "libvirt does not answer, so its domains are unknown".to_owned();
        return Err(EngineError::Failed { what, now: "nothing was changed".to_owned() });
    };
    let found = domains.iter().find(|domain| domain.name == name);
    found.ok_or_else(|| EngineError::Refused(vec![checks::domain::not_found(name)]))
}

fn as_checked(device: DeviceRequest) -> checks::domain::Device {
    match device {
        DeviceRequest::Gpu(address) => checks::domain::Device::Gpu(address),
        DeviceRequest::Vgpu(id) => checks::domain::Device::Vgpu(id),
    }
}

fn as_guest_device(view: &View, device: DeviceRequest) -> Result<Device, EngineError> {
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

/// Whether an address that a person wrote is a virtual function's: the vGPU is meant, not the slot.
fn is_vf(address: PciAddress, view: &View) -> bool {
    view.observed.functions.get(&address).is_some_and(|function| function.physfn.is_some())
}

fn whole(functions: Vec<PciAddress>, address: PciAddress) -> Result<Device, EngineError> {
    let gpu = GpuForGuest::new(functions);
    gpu.map(Device::Gpu).map_err(|error| EngineError::Bug(format!("{address}: {error}")))
}

/// The functions of a slot that a definition names.
fn slot_functions(domain: &Domain, address: PciAddress) -> Vec<PciAddress> {
    let named = domain.config.iter().filter_map(|hostdev| match hostdev {
        gpuvirt_model::Hostdev::Pci { address, .. } => Some(*address),
        gpuvirt_model::Hostdev::Mdev { .. } => None,
    });
    let mut functions: Vec<PciAddress> = named.filter(|named| named.same_slot(&address)).collect();
    if functions.is_empty() {
        functions.push(address);
    }
    functions
}

fn not_editable(name: &str, because: &str, remedy: &str) -> EngineError {
    EngineError::Refused(vec![Refusal {
        code: RefusalCode::DomainNotEditable,
        summary: format!("the definition of VM {name} cannot be edited"),
        because: because.to_owned(),
        remedy: vec![remedy.to_owned(), format!("gpuvirt explain {}", RefusalCode::DomainNotEditable)],
    }])
}
