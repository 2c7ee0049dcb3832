//! `vm add`, `vm remove` and `xml`: the definitions of domains, edited while they are off.

use gpuvirt_domain::{Device, GpuForGuest, Removed, gpu_fragment, mdev_fragment, vgpu_fragment};
use gpuvirt_model::{Domain, Hostdev, PciAddress, Refusal, RefusalCode, VgpuId, Wanted, Warning};
use gpuvirt_plan::checks;

use crate::definition::{Definition, Edit, as_guest_device, domain, not_editable, whole};
use crate::request::{self, VmOrder, VmRequest};
use crate::{DeviceRequest, Engine, EngineError, Report, View};
use gpuvirt_model::chain;

impl Engine {
    /// Gives a domain that is off what it is to ask for: a request in its metadata, and a host device. An order that is
    /// given again by its key is found done, whatever the domain does by now.
    ///
    /// # Errors
    /// [`EngineError::Refused`] with every reason, the definition untouched.
    pub fn vm_add(
        &self,
        name: &str,
        order: impl Into<VmOrder>,
        dry_run: bool,
    ) -> Result<Report, EngineError> {
        let order = order.into();
        let (request, key) = (&order.request, order.key);
        let _order = (!dry_run).then(|| self.orders.take());
        let view = self.view()?;
        let domain = domain(&view, name)?;
        request::not_a_clone(domain)?;
        if order.is_done(domain) {
            return Ok(Report::unchanged(format!("VM {name} has {request} already; nothing to do")));
        }
        let mut refusals = already_refused(domain, &view, request);
        let details = self.details(&view)?;
        let asking = request::Asking { domain, view: &view, details: &details };
        let grants = match request::grants(&asking, request) {
            Ok(grants) => grants,
            Err(EngineError::Refused(more)) => {
                add_each_once(&mut refusals, more);
                Vec::new()
            }
            Err(error) => return Err(error),
        };
        for grant in &grants {
            let found = checks::domain::not_addable(domain, grant.checked, &view.observed);
            add_each_once(&mut refusals, found);
        }
        let devices = with_devices(domain, &grants, &view);
        let mut wanted = checks::several::wanted_of(&domain.requests);
        wanted.extend(grants.iter().filter_map(request::Grant::new_vgpu));
        let together = checks::several::together(&domain.name, &devices, &wanted, &view.observed);
        add_each_once(&mut refusals, together.refusals);
        let memory = self.host.memory();
        let (vm, guest) = (domain.name.as_str(), &domain.guest);
        let judged = checks::guest::Judged { vm, guest, devices: &devices, memory: memory.as_ref() };
        add_each_once(&mut refusals, checks::guest::not_addable(&judged));
        let lent = is_lent_card(request, &view) || grants.iter().any(|grant| gets_lent(grant, &view));
        refusals.retain(|refusal| !(lent && refusal.code == RefusalCode::NotPassthrough));
        if !refusals.is_empty() {
            return Err(EngineError::Refused(refusals));
        }
        let also =
            |grant: &request::Grant| checks::domain::also_defined_in(domain, grant.checked, &view.observed);
        let mut warnings: Vec<Warning> = together.warnings;
        warnings.extend(checks::guest::warnings(&judged));
        warnings.extend(grants.iter().filter_map(also));
        let subject = request.to_string();
        let edit = |xml: &str| request::added(name, domain.uuid, (&subject, key), &grants, xml);
        let report = self.edit(name, dry_run, edit)?;
        Ok(Report { warnings, ..report })
    }

    /// Takes a device that we gave it from a domain that is off, and the request for it.
    ///
    /// # Errors
    /// As [`Engine::vm_add`].
    pub fn vm_remove(&self, name: &str, device: DeviceRequest) -> Result<Report, EngineError> {
        let _order = self.orders.take();
        let view = self.view()?;
        let domain = domain(&view, name)?;
        if let Some(refusal) = checks::domain::running(domain) {
            return Err(EngineError::Refused(vec![refusal]));
        }
        // A card that has left the host leaves its functions' addresses in the definition: the slot names them.
        let wanted = match device {
            DeviceRequest::Gpu(address) if names_vf(address, domain, &view) => {
                Device::Gpu(GpuForGuest::single(address))
            }
            DeviceRequest::Gpu(address) if !view.observed.gpus.contains_key(&address) => {
                whole(slot_functions(domain, address), address)?
            }
            _ => as_guest_device(&view, device)?,
        };
        self.edit(name, false, |xml| removed(name, device, &wanted, xml))
    }

    /// Forgets a request by its number, and takes the device that it got with it.
    ///
    /// # Errors
    /// As [`Engine::vm_add`].
    pub fn vm_remove_request(&self, name: &str, id: u32) -> Result<Report, EngineError> {
        let _order = self.orders.take();
        let view = self.view()?;
        let domain = domain(&view, name)?;
        if let Some(refusal) = checks::domain::running(domain) {
            return Err(EngineError::Refused(vec![refusal]));
        }
        self.edit(name, false, |xml| request_removed(name, id, xml))
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
}

/// Whether a card is asked for that becomes direct when its VM starts.
fn is_lent_card(request: &VmRequest, view: &View) -> bool {
    let VmRequest::Device(DeviceRequest::Gpu(address)) = request else { return false };
    view.desired.gpu(*address).is_some_and(|entry| crate::lend::is_lent(entry, view))
}

/// The same of a card of a kind that was chosen.
fn gets_lent(grant: &request::Grant, view: &View) -> bool {
    let checks::domain::Device::Gpu(gpu) = grant.checked else { return false };
    view.desired.gpu(gpu).is_some_and(|entry| crate::lend::is_lent(entry, view))
}

/// What is refused before a device is looked for: a domain that runs, a device that is not there.
fn already_refused(domain: &Domain, view: &View, request: &VmRequest) -> Vec<Refusal> {
    match request {
        VmRequest::Device(device) => checks::domain::not_addable(domain, as_checked(*device), &view.observed),
        VmRequest::Profile { .. } | VmRequest::Match(_) => {
            checks::domain::running(domain).into_iter().collect()
        }
    }
}

fn removed(name: &str, device: DeviceRequest, wanted: &Device, xml: &str) -> Result<Edit, EngineError> {
    let cannot = |why: &dyn std::error::Error| not_editable(name, &chain(why), "virsh edit it by hand");
    let before = gpuvirt_domain::read(xml).map_err(|error| cannot(&error))?.requests;
    match gpuvirt_domain::remove(xml, wanted).map_err(|error| cannot(&error))? {
        Removed::Changed { xml, fragment } => {
            let left = request::without(&before, wanted);
            // libvirt writes metadata in a form of its own: what says the same already is left as it stands.
            let xml = match left == before {
                true => xml,
                false => gpuvirt_domain::set_requests(&xml, &left).map_err(|error| cannot(&error))?,
            };
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

fn request_removed(name: &str, id: u32, xml: &str) -> Result<Edit, EngineError> {
    let cannot = |why: &dyn std::error::Error| not_editable(name, &chain(why), "virsh edit it by hand");
    let domain = gpuvirt_domain::read(xml).map_err(|error| cannot(&error))?;
    let (subject, mut left) = (format!("request-{id}"), domain.requests.clone());
    let Some(request) = domain.requests.list.iter().find(|request| request.id == id) else {
        return Err(EngineError::Refused(vec![checks::domain::device_not_found(name, &subject)]));
    };
    left.list.retain(|request| request.id != id);
    let of_it = |device: &&Hostdev| domain.requests.of_device(device).is_some_and(|found| found.id == id);
    let device = match &request.assigned {
        None => None,
        Some(Hostdev::Mdev { uuid }) => Some(Device::Mdev(*uuid)),
        Some(Hostdev::Pci { address, .. }) => {
            let functions = domain.hostdevs.iter().filter(of_it).filter_map(|device| match device {
                Hostdev::Pci { address, .. } => Some(*address),
                Hostdev::Mdev { .. } => None,
            });
            Some(whole(functions.collect(), *address)?)
        }
    };
    let (mut xml, mut fragment) = (xml.to_owned(), String::new());
    if let Some(device) = device {
        if let Removed::Changed { xml: without, fragment: cut } =
            gpuvirt_domain::remove(&xml, &device).map_err(|error| cannot(&error))?
        {
            (xml, fragment) = (without, cut);
        }
    }
    let xml = gpuvirt_domain::set_requests(&xml, &left).map_err(|error| cannot(&error))?;
    Ok(Edit::Define(Definition { xml, fragment, subject, verb: "removed" }))
}

/// The domain's devices and these.
fn with_devices(domain: &Domain, grants: &[request::Grant], view: &View) -> Vec<checks::domain::Device> {
    let mut devices = checks::several::devices_of(domain, &view.observed);
    for grant in grants {
        if !devices.iter().any(|device| device.is(grant.checked)) {
            devices.push(grant.checked);
        }
    }
    devices
}

/// Several checks may find the same.
fn add_each_once(refusals: &mut Vec<Refusal>, more: Vec<Refusal>) {
    for refusal in more {
        if !refusals.contains(&refusal) {
            refusals.push(refusal);
        }
    }
}

fn as_checked(device: DeviceRequest) -> checks::domain::Device {
    match device {
        DeviceRequest::Gpu(address) => checks::domain::Device::Gpu(address),
        DeviceRequest::Vgpu(id) => checks::domain::Device::Vgpu(id),
    }
}

/// Whether an address that a person wrote is a virtual function's: the vGPU is meant, not the slot. One that is gone
/// is known by its request.
fn names_vf(address: PciAddress, domain: &Domain, view: &View) -> bool {
    let there = view.observed.functions.get(&address).map(|function| function.physfn.is_some());
    there.unwrap_or_else(|| {
        let request = domain.requests.of_device(&Hostdev::Pci { address, managed: false });
        request.is_some_and(|request| matches!(request.wanted, Wanted::Profile { .. } | Wanted::Vgpu { .. }))
    })
}

/// The functions of a slot that a definition names.
fn slot_functions(domain: &Domain, address: PciAddress) -> Vec<PciAddress> {
    let named = domain.config.iter().filter_map(|hostdev| match hostdev {
        Hostdev::Pci { address, .. } => Some(*address),
        Hostdev::Mdev { .. } => None,
    });
    let mut functions: Vec<PciAddress> = named.filter(|named| named.same_slot(&address)).collect();
    if functions.is_empty() {
        functions.push(address);
    }
    functions
}
