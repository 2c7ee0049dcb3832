//! NVIDIA's vendor-specific VFIO: virtual functions that become vGPUs by a type, without mediated devices.
//!
//! The driver tells of its types only what a free virtual function could become now: no size, no count, and nothing
//! of a type that is set. So names are taken from wherever on the card they show.

use std::collections::BTreeMap;
use std::io;

use gpuvirt_model::{
    Framework, Holders, NamedTraits, PciAddress, Profile, ProfileName, Reading, Sharing, Vgpu, VgpuId,
    VgpuParams, named_traits,
};

use super::function::Seen;
use super::vgpu_params;
use crate::files::{Files, shown};
use crate::parse::{mdev as mdev_text, nvidia, pci};
use crate::paths;

/// A virtual function as the driver shows it.
#[derive(Debug, Clone)]
pub(super) struct Vf {
    address: PciAddress,
    iommu_group: Option<u32>,
    /// Its type, 0 for none; unknown when the file makes no sense.
    current: Option<u32>,
    /// The GPU instance that its vGPU lives on, where the driver says.
    gpu_instance: Option<u32>,
    /// Where on a card with mixed sizes its vGPU sits.
    placement_id: Option<u32>,
    /// Types that it could get now, with the driver's names.
    creatable: Vec<(u32, String)>,
    /// The parameters of the vGPU that it is.
    params: Option<Reading<VgpuParams>>,
}

/// The virtual functions of one card, with the names of all types that show on any of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Card {
    vfs: Vec<Vf>,
    titles: BTreeMap<u32, String>,
}

/// Reads a virtual function's `nvidia` folder; none where it has none.
pub(super) fn read(files: Files<'_>, seen: &Seen, oddities: &mut Vec<String>) -> Option<Vf> {
    let address = seen.function.address;
    if seen.function.physfn.is_none() || !seen.folder.has("nvidia") {
        return None;
    }
    let path = paths::nvidia_vgpu_file(address, "current_vgpu_type");
    let current = match files.text(&path).map(|text| pci::count(&text).ok_or(text)) {
        Ok(Ok(current)) => Some(current),
        Ok(Err(text)) => {
            oddities.push(format!("{path}: {} is no number", shown(&text)));
            None
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => return None,
        Err(e) => {
            oddities.push(format!("{path}: {e}"));
            None
        }
    };
    let path = paths::nvidia_vgpu_file(address, "creatable_vgpu_types");
    let text = files.text(&path).unwrap_or_else(|e| {
        oddities.push(format!("{path}: {e}"));
        String::new()
    });
    let creatable = nvidia::creatable_types(&text);
    note_odd(&path, &creatable.odd, oddities);
    let iommu_group = seen.function.iommu_group;
    let live = current.is_some_and(|id| id != 0);
    let params = if live { vgpu_params::read(files, VgpuId::Vf(address), oddities) } else { None };
    let number = |name| if live { number(files, address, name) } else { None };
    let (gpu_instance, placement_id) = (number("gpu_instance_id"), number("placement_id"));
    Some(Vf { address, iommu_group, current, gpu_instance, placement_id, creatable: creatable.types, params })
}

/// What of a driver's file makes no sense, with the file; a whole file of nonsense in a few lines.
pub(super) fn note_odd(path: &str, odd: &[String], oddities: &mut Vec<String>) {
    const SHOWN: usize = 4;
    oddities.extend(odd.iter().take(SHOWN).map(|line| format!("{path}: {} makes no sense", shown(line))));
    if odd.len() > SHOWN {
        oddities.push(format!("{path}: {} more lines make no sense", odd.len() - SHOWN));
    }
}

/// A number that the driver tells of a vGPU: ENXIO for a virtual function without one, all ones (`NVML_INVALID`) for one on
/// no GPU instance, words (`Not Applicable`) for one that has no place of its own.
fn number(files: Files<'_>, vf: PciAddress, name: &str) -> Option<u32> {
    let text = files.text(&paths::nvidia_vgpu_file(vf, name)).ok()?;
    pci::count(&text).filter(|id| *id != u32::MAX)
}

impl Card {
    /// Adds a virtual function.
    pub(super) fn push(&mut self, vf: Vf) {
        for (id, title) in &vf.creatable {
            self.titles.entry(*id).or_insert_with(|| title.clone());
        }
        self.vfs.push(vf);
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.vfs.is_empty()
    }

    /// What the card offers now, by virtual function. A type that is set is listed too, with nothing available,
    /// so that it can be counted.
    pub(super) fn profiles(&self) -> Vec<Profile> {
        self.vfs.iter().flat_map(|vf| self.profiles_of(vf)).collect()
    }

    fn profiles_of(&self, vf: &Vf) -> Vec<Profile> {
        let free = vf.current == Some(0);
        let mut ids: Vec<u32> = Vec::new();
        for id in vf.creatable.iter().map(|(id, _)| *id).chain(vf.current) {
            if id != 0 && !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids.into_iter().map(|id| self.profile(vf.address, id, u32::from(free))).collect()
    }

    fn profile(&self, parent: PciAddress, id: u32, available: u32) -> Profile {
        let title = self.titles.get(&id).cloned();
        let traits = title.as_deref().and_then(named_traits);
        Profile {
            name: self.name(id),
            parent,
            framework: Framework::NvidiaVfio,
            type_id: id.to_string(),
            title: title.unwrap_or_else(|| unnamed(id)),
            device_api: "vfio-pci".to_owned(),
            available,
            max: traits.and_then(|traits| self.max_of(traits)),
            framebuffer_mib: traits.map(|traits| traits.framebuffer_mib),
            class: traits.map(|traits| traits.class),
            sharing: traits.map(|traits| traits.sharing),
            heads: None,
            max_resolution: None,
            blocked: None,
        }
    }

    /// How many time-sliced vGPUs of this size fit on the empty card, told only while it is empty: then every type is
    /// listed, and the largest takes all of the card's frame buffer. Each vGPU takes a virtual function.
    fn max_of(&self, traits: NamedTraits) -> Option<u32> {
        let time_sliced = |traits: &NamedTraits| traits.sharing == Sharing::TimeSliced;
        let empty = self.vfs.iter().all(|vf| vf.current == Some(0));
        let listed = self.titles.values().filter_map(|title| named_traits(title)).filter(time_sliced);
        let whole =
            listed.map(|traits| traits.framebuffer_mib).max().filter(|_| empty && time_sliced(&traits));
        let fit = u32::try_from(whole?.checked_div(traits.framebuffer_mib)?).ok()?;
        Some(fit.min(u32::try_from(self.vfs.len()).ok()?))
    }

    fn name(&self, id: u32) -> ProfileName {
        let title = self.titles.get(&id).map(String::as_str);
        ProfileName(mdev_text::profile_name(&unnamed(id), title))
    }

    /// The virtual functions that are vGPUs now.
    pub(super) fn live(&self, gpu: PciAddress) -> Vec<Vgpu> {
        let vgpu = |vf: &Vf| {
            let id = vf.current.filter(|id| *id != 0)?;
            Some(Vgpu {
                id: VgpuId::Vf(vf.address),
                uuid: None,
                parent: vf.address,
                gpu,
                framework: Framework::NvidiaVfio,
                type_id: id.to_string(),
                profile: self.name(id),
                iommu_group: vf.iommu_group,
                gpu_instance: vf.gpu_instance,
                placement_id: vf.placement_id,
                removing: false,
                params: vf.params.clone(),
                holders: Holders::default(),
            })
        };
        self.vfs.iter().filter_map(vgpu).collect()
    }
}

/// A type that shows its name nowhere, as on a card that is full: spelled like a mediated device's type.
fn unnamed(id: u32) -> String {
    format!("nvidia-{id}")
}
