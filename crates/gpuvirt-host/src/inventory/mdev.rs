//! Mediated devices: the types that a GPU offers, and the devices that live on it.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use gpuvirt_model::{
    Framework, Holders, PciAddress, Profile, ProfileName, Reading, Vgpu, VgpuId, VgpuParams, named_traits,
};
use uuid::Uuid;

use super::nvidia_vfio::note_odd;
use super::vgpu_params;
use crate::files::{Files, shown};
use crate::parse::{mdev, pci};
use crate::paths;
use crate::sysfs::OpenFolder;

/// Types read so far, by folder: on a card with one parent for each VF they are the same on all.
pub(super) type Types = BTreeMap<String, Type>;

/// What a driver says about one of its types, the same on every parent.
#[derive(Debug, Clone)]
pub(super) struct Type {
    name: ProfileName,
    title: String,
    device_api: String,
    description: mdev::Description,
}

/// The profiles that one parent offers now. `types` carries what is known from other parents of the same card.
pub(super) fn profiles(
    files: Files<'_>,
    parent: PciAddress,
    types: &mut Types,
    oddities: &mut Vec<String>,
) -> Vec<Profile> {
    let Ok(folder) = files.sysfs.open_folder(&paths::mdev_types(parent)) else { return Vec::new() };
    let mut profiles = Vec::new();
    for type_id in folder.names().iter().filter(|name| mdev::is_type_id(name)).cloned() {
        let read = || read_type(files, &folder, &type_id, oddities);
        let kind = types.entry(type_id.clone()).or_insert_with(read).clone();
        let file = format!("{type_id}/available_instances");
        let mut note = |what: String| oddities.push(format!("{}: {what}", folder.path(&file)));
        let available = match files.text_in(&folder, &file).map(|text| pci::count(&text).ok_or(text)) {
            Ok(Ok(available)) => available,
            Ok(Err(text)) => {
                note(format!("{} is no number", shown(&text)));
                0
            }
            Err(e) => {
                note(e.to_string());
                0
            }
        };
        profiles.push(kind.offered(type_id, parent, available));
    }
    profiles
}

/// `folder`: that of all types.
fn read_type(files: Files<'_>, folder: &OpenFolder, type_id: &str, oddities: &mut Vec<String>) -> Type {
    let file = |name: &str| format!("{type_id}/{name}");
    let path = |name: &str| folder.path(&file(name));
    let mut text = |name: &str| {
        match files.text_in(folder, &file(name)) {
            Ok(text) => Some(text),
            // Not every driver has each, and an older kernel none of its own.
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => {
                oddities.push(format!("{}: {e}", path(name)));
                None
            }
        }
    };
    let title = text("name").map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    let device_api = text("device_api").unwrap_or_default().trim().to_owned();
    let description = text("description").map(|text| mdev::description(&text)).unwrap_or_default();
    note_odd(&path("description"), &description.odd, oddities);
    let sound = title.filter(|title| {
        let sound = !title.contains(char::is_control);
        if !sound {
            oddities.push(format!("{}: {} is no name", path("name"), shown(title)));
        }
        sound
    });
    Type {
        name: ProfileName(mdev::profile_name(type_id, sound.as_deref())),
        title: sound.unwrap_or_else(|| type_id.to_owned()),
        device_api,
        description,
    }
}

impl Type {
    /// The driver's description has the first word; the name says what that leaves out.
    fn offered(self, type_id: String, parent: PciAddress, available: u32) -> Profile {
        let traits = named_traits(&self.title);
        let framebuffer_mib = self.description.framebuffer_mib;
        Profile {
            name: self.name,
            parent,
            framework: Framework::Mdev,
            type_id,
            title: self.title,
            device_api: self.device_api,
            available,
            max: self.description.max_instances,
            framebuffer_mib: framebuffer_mib.or(traits.map(|traits| traits.framebuffer_mib)),
            class: traits.map(|traits| traits.class),
            sharing: self.description.sharing.or(traits.map(|traits| traits.sharing)),
            heads: self.description.heads,
            max_resolution: self.description.max_resolution,
            blocked: None,
        }
    }
}

/// A live mediated device with its place, not yet with its GPU.
#[derive(Debug, Clone)]
pub(super) struct Live {
    pub(super) uuid: Uuid,
    pub(super) parent: PciAddress,
    type_id: String,
    iommu_group: Option<u32>,
    params: Option<Reading<VgpuParams>>,
    removing: bool,
}

/// The mediated devices that live on any of `parents`.
///
/// The kernel keeps no file for the uuid or the parent: the folder's name is the one, the folder above it the
/// other.
pub(super) fn live(
    files: Files<'_>,
    parents: &BTreeSet<PciAddress>,
    oddities: &mut Vec<String>,
) -> Vec<Live> {
    if parents.is_empty() {
        return Vec::new();
    }
    let names = files.sysfs.list(paths::MDEV_DEVICES).unwrap_or_default();
    let mut found = Vec::new();
    for name in names {
        let Ok(uuid) = Uuid::parse_str(&name) else {
            oddities.push(format!("{}: {} is no uuid", paths::MDEV_DEVICES, shown(&name)));
            continue;
        };
        let Some(parent) = parent_of(files, uuid) else { continue };
        if parents.contains(&parent) {
            let link = |name: &str| files.link(&paths::mdev_file(uuid, name)).ok();
            found.push(Live {
                uuid,
                parent,
                type_id: link("mdev_type").unwrap_or_default(),
                iommu_group: link("iommu_group").and_then(|name| pci::count(&name)),
                params: vgpu_params::read(files, VgpuId::Mdev(uuid), oddities),
                removing: false,
            });
        }
    }
    found
}

/// The mediated devices of `parent` that have left the bus and not ended: a removal that waits for whoever has the
/// device open takes its entry on the bus and all links at once; its folder below the parent, with its group, stays.
/// `names` is what the parent's folder held.
pub(super) fn leaving(files: Files<'_>, parent: PciAddress, names: &[String]) -> Vec<Live> {
    let uuids = names.iter().filter_map(|name| Uuid::try_parse(name).ok());
    let left = uuids.filter(|uuid| !files.sysfs.exists(&paths::mdev(*uuid)));
    // Looked at again: one that was removed since the folder was listed is gone.
    left.filter(|uuid| files.sysfs.exists(&paths::mdev_below(parent, *uuid)))
        .map(|uuid| {
            let group = files.link(&format!("{}/iommu_group", paths::mdev_below(parent, uuid)));
            let iommu_group = group.ok().and_then(|name| pci::count(&name));
            Live { uuid, parent, type_id: String::new(), iommu_group, params: None, removing: true }
        })
        .collect()
}

/// The PCI function above a mediated device; none when it has gone or its parent is no PCI function.
fn parent_of(files: Files<'_>, uuid: Uuid) -> Option<PciAddress> {
    parent_in(&files.sysfs.read_link(&paths::mdev(uuid)).ok()?)
}

/// The same in the target of its link on the bus.
pub(crate) fn parent_in(target: &str) -> Option<PciAddress> {
    let above = target.trim_end_matches('/').rsplit('/').nth(1)?;
    PciAddress::parse(above).ok()
}

impl Live {
    /// The vGPU that it is on its GPU.
    pub(super) fn on(self, gpu: PciAddress, types: &Types) -> Vgpu {
        let profile = types
            .get(&self.type_id)
            .map_or_else(|| ProfileName(self.type_id.clone()), |kind| kind.name.clone());
        let profile = if self.removing { ProfileName("unknown".to_owned()) } else { profile };
        Vgpu {
            id: VgpuId::Mdev(self.uuid),
            uuid: Some(self.uuid),
            parent: self.parent,
            gpu,
            framework: Framework::Mdev,
            type_id: self.type_id,
            profile,
            iommu_group: self.iommu_group,
            gpu_instance: None,
            placement_id: None,
            removing: self.removing,
            params: self.params,
            holders: Holders::default(),
        }
    }
}
