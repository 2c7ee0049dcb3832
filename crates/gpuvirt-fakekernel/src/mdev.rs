//! Mediated devices: types with a shared capacity, creation and removal (drivers/vfio/mdev).

use gpuvirt_model::PciAddress;
use nix::errno::Errno;
use uuid::Uuid;

use crate::files::Node;
use crate::inject::On;
use crate::iommu::GROUPS;
use crate::sriov::number;
use crate::state::{Kernel, Live, Pool, SizeRule};
use crate::writes::{Answer, Stop};

const MDEVS: &str = "/sys/bus/mdev/devices";
/// Length of a uuid in text (`UUID_STRING_LEN`).
const UUID_LEN: usize = 36;

impl Kernel {
    /// Makes a driver offer types, now and whenever it has the function.
    pub(crate) fn offer_mdev(
        &mut self,
        parent: PciAddress,
        (total_mib, rule): (u64, SizeRule),
        types: &[(&str, &str, u64)],
    ) {
        let Some(folder) = self.folder(parent) else { return };
        for (id, name, mib) in types {
            let at = format!("{folder}/mdev_supported_types/{id}");
            let max = total_mib.checked_div(*mib).unwrap_or(0);
            let description = format!(
                "num_heads=4, frl_config=60, framebuffer={mib}M, max_resolution=5120x2880, max_instance={max}\n"
            );
            self.files.put_text(&format!("{at}/name"), format!("{name}\n"));
            self.files.put_text(&format!("{at}/description"), description);
            self.files.put_text(&format!("{at}/device_api"), "vfio-pci\n");
            self.files.put(&format!("{at}/create"), Node::WriteOnly);
            self.files.put_folder(&format!("{at}/devices"));
        }
        let types = types.iter().map(|(id, _, mib)| ((*id).to_owned(), *mib)).collect();
        let one_each = self.physfn_of(parent).is_some();
        self.pools.list.retain(|pool| !pool.parents.contains(&parent));
        let card = self.physfn_of(parent).unwrap_or(parent);
        self.pools.list.push(Pool { card, parents: vec![parent], total_mib, rule, types, one_each });
        self.files.put_link(&format!("/sys/class/mdev_bus/{parent}"), &folder);
        self.renew_pool_of(parent);
    }

    /// Takes over the types that a recording shows, sizes from their descriptions. Parents that are virtual
    /// functions of one card share its memory.
    pub(crate) fn import_mdev(&mut self, parents: &[PciAddress]) {
        for parent in parents {
            let Some(folder) = self.folder(*parent) else { continue };
            let card = self.physfn_of(*parent).unwrap_or(*parent);
            let at = format!("{folder}/mdev_supported_types");
            let mut types = Vec::new();
            let mut total = 0;
            for id in self.files.names(&at) {
                let description = self.files.text(&format!("{at}/{id}/description")).unwrap_or_default();
                let mib = field(&description, "framebuffer=").or_else(|| field(&description, "low_gm_size:"));
                let free = self.files.text(&format!("{at}/{id}/available_instances"));
                let free = free.and_then(|text| text.parse().ok()).unwrap_or(0);
                let made = self.files.names(&format!("{at}/{id}/devices")).len() as u64;
                let max = field(&description, "max_instance=").unwrap_or(free + made);
                let mib = mib.unwrap_or(1).max(1);
                total = total.max(mib * max);
                types.push((id.clone(), mib));
                self.files.put(&format!("{at}/{id}/create"), Node::WriteOnly);
                self.files.put_folder(&format!("{at}/{id}/devices"));
            }
            self.files.put_link(&format!("/sys/class/mdev_bus/{parent}"), &folder);
            let nvidia = self.driver_of(*parent).as_deref() == Some("nvidia");
            let rule = if nvidia { SizeRule::Same } else { SizeRule::Mixed };
            let known = self.pools.list.iter_mut().find(|pool| pool.card == card);
            match known {
                Some(pool) => pool.parents.push(*parent),
                None => {
                    let one_each = *parent != card;
                    let parents = vec![*parent];
                    self.pools.list.push(Pool { card, parents, total_mib: total, rule, types, one_each });
                }
            }
        }
    }

    /// The devices of a parent, by uuid.
    pub(crate) fn mdevs_of(&self, parent: PciAddress) -> Vec<String> {
        let ours = self.pools.live.iter().filter(|(_, live)| live.parent == parent);
        ours.map(|(uuid, _)| uuid.clone()).collect()
    }

    /// Takes over a device that a recording shows.
    pub(crate) fn import_live_mdev(&mut self, uuid: &str) {
        let Some(folder) = self.files.target(&format!("{MDEVS}/{uuid}")) else { return };
        let parent = folder.rsplit('/').nth(1).and_then(|name| PciAddress::parse(name).ok());
        let type_id = self.files.target_name(&format!("{folder}/mdev_type"));
        if let Some((parent, type_id)) = parent.zip(type_id) {
            self.pools.live.insert(uuid.to_owned(), Live { parent, type_id, folder });
        }
    }

    /// Writes `available_instances` of a card's types anew.
    pub(crate) fn renew_pool_of(&mut self, parent: PciAddress) {
        let Some(pool) = self.pools.list.iter().find(|pool| pool.parents.contains(&parent)) else { return };
        let size_of = |id: &str| pool.types.iter().find(|(known, _)| known == id).map_or(0, |(_, mib)| *mib);
        let ours = self.pools.live.values().filter(|live| pool.parents.contains(&live.parent));
        let live: Vec<(PciAddress, u64)> = ours.map(|live| (live.parent, size_of(&live.type_id))).collect();
        let left = pool.total_mib.saturating_sub(live.iter().map(|(_, mib)| mib).sum());
        let locked = live.first().map(|(_, mib)| *mib).filter(|_| pool.rule == SizeRule::Same);
        let mut texts = Vec::new();
        for parent in &pool.parents {
            let Some(folder) = self.folder(*parent) else { continue };
            let taken = pool.one_each && live.iter().any(|(at, _)| at == parent);
            for (id, mib) in &pool.types {
                let fits = left.checked_div(*mib).unwrap_or(0);
                let fits = if taken || locked.is_some_and(|size| size != *mib) { 0 } else { fits };
                let fits = if pool.one_each { fits.min(1) } else { fits };
                texts.push((format!("{folder}/mdev_supported_types/{id}"), fits));
            }
        }
        for (at, fits) in texts {
            // A type shows only while its driver has the parent.
            if self.files.get(&at).is_some() {
                self.files.put_text(&format!("{at}/available_instances"), format!("{fits}\n"));
            }
        }
    }

    /// `create_store`.
    pub(crate) fn create_mdev(&mut self, parent: PciAddress, type_id: &str, data: &[u8]) -> Answer {
        if !(UUID_LEN..=UUID_LEN + 1).contains(&data.len()) {
            return Err(Errno::EINVAL.into());
        }
        let text = data.get(..UUID_LEN).and_then(|text| std::str::from_utf8(text).ok());
        let uuid = text.and_then(|text| Uuid::try_parse(text).ok()).ok_or(Errno::EINVAL)?;
        if self.pools.live.contains_key(&uuid.to_string()) {
            return Err(Errno::EEXIST.into());
        }
        // The parent's unbinding waits for another device.
        if self.is_locked(parent) {
            return Err(Errno::ENODEV.into());
        }
        let after = self.struck(&On::CreateMdev { parent })?;
        let folder = self.folder(parent).ok_or(Errno::ENODEV)?;
        let type_folder = format!("{folder}/mdev_supported_types/{type_id}");
        if self.files.text(&format!("{type_folder}/available_instances")).as_deref() == Some("0") {
            // The driver's own choice; GVT-g, mtty and our test module answer so.
            return Err(Errno::ENOSPC.into());
        }
        self.add_mdev(parent, &type_folder, uuid);
        after
    }

    fn add_mdev(&mut self, parent: PciAddress, type_folder: &str, uuid: Uuid) {
        let Some(folder) = self.folder(parent) else { return };
        let device = format!("{folder}/{uuid}");
        let type_id = type_folder.rsplit('/').next().unwrap_or_default().to_owned();
        self.pools.live.insert(uuid.to_string(), Live { parent, type_id, folder: device.clone() });
        let driver = match self.driver_of(parent).as_deref() {
            Some("nvidia") => "nvidia-vgpu-vfio",
            Some("i915") => "intel_vgpu_mdev",
            _ => "gpuvirt-vgpu",
        };
        self.files.put_text(&format!("{device}/uevent"), format!("DRIVER={driver}\n"));
        self.files.put(&format!("{device}/remove"), Node::WriteOnly);
        self.files.put_text(&format!("{device}/power/control"), "auto\n");
        // A type's folder begins with its driver's name.
        if driver == "nvidia-vgpu-vfio" || type_folder.contains("/nvidia-") {
            self.files.put_text(&format!("{device}/nvidia/vgpu_params"), "\n");
        }
        self.files.put_link(&format!("{device}/subsystem"), "/sys/bus/mdev");
        self.files.put_link(&format!("{device}/mdev_type"), type_folder);
        self.files.put_link(&format!("{device}/driver"), &format!("/sys/bus/mdev/drivers/{driver}"));
        self.files.put_link(&format!("/sys/bus/mdev/drivers/{driver}/{uuid}"), &device);
        self.files.put_link(&format!("{MDEVS}/{uuid}"), &device);
        self.files.put_link(&format!("{type_folder}/devices/{uuid}"), &device);
        let group = self.free_group();
        // A group without a domain of the IOMMU's: VFIO makes it for devices that it emulates.
        self.join_group(&device, group, "unknown");
        // Every emulated VFIO device's group is called so; here it says nothing about safety.
        self.files.put_text(&format!("{GROUPS}/{group}/name"), "vfio-noiommu\n");
        self.vfio_show(&device, group);
        self.renew_pool_of(parent);
    }

    /// `remove_store` of a mediated device: zero is a number, and does nothing.
    pub(crate) fn remove_mdev(&mut self, uuid: &str, data: &[u8]) -> Answer {
        if number(data).ok_or(Errno::EINVAL)? == 0 {
            return Ok(());
        }
        let id = Uuid::try_parse(uuid).map_err(|_| Errno::ENODEV)?;
        let after = match self.struck(&On::RemoveMdev { uuid: id }) {
            Err(Stop::Blocks) => return self.begin_removal(uuid),
            other => other?,
        };
        if self.is_mdev_open(uuid) {
            return self.begin_removal(uuid);
        }
        self.remove_mdev_now(uuid);
        after
    }

    /// What is gone already while a removal waits: everything by which the device is found, and none of what it
    /// takes. Its folder stays with its group, it counts, and whoever has it open goes on using it.
    fn begin_removal(&mut self, uuid: &str) -> Answer {
        if let Some(folder) = self.pools.live.get(uuid).map(|live| live.folder.clone()) {
            self.take_mdev_links(&folder);
            for name in ["driver", "mdev_type", "remove"] {
                self.files.take(&format!("{folder}/{name}"));
            }
        }
        Err(Stop::Blocks)
    }

    fn take_mdev_links(&mut self, folder: &str) {
        let parent = folder.rsplit_once('/').map_or("", |(above, _)| above);
        for place in ["/sys/bus/mdev".to_owned(), format!("{parent}/mdev_supported_types")] {
            for link in self.files.links_into(&place, folder) {
                self.files.take(&link);
            }
        }
    }

    pub(crate) fn remove_mdev_now(&mut self, uuid: &str) {
        let Some(live) = self.pools.live.remove(uuid) else { return };
        self.take_mdev_links(&live.folder);
        if let Some(group) = self.leave_group(&live.folder) {
            self.vfio_hide(&live.folder, group);
        }
        self.files.take(&live.folder);
        self.renew_pool_of(live.parent);
    }

    /// Whether a process has the device's group or the device open.
    pub(crate) fn is_mdev_open(&self, uuid: &str) -> bool {
        let Some(folder) = self.pools.live.get(uuid).map(|live| &live.folder) else { return false };
        let group = self.files.target_name(&format!("{folder}/iommu_group"));
        let devices = self.files.names(&format!("{folder}/vfio-dev"));
        group.is_some_and(|group| self.is_open(&format!("/dev/vfio/{group}")))
            || devices.iter().any(|name| self.is_open(&format!("/dev/vfio/devices/{name}")))
    }
}

/// The number behind a key in a type's description.
fn field(text: &str, key: &str) -> Option<u64> {
    let rest = text.get(text.find(key)? + key.len()..)?.trim_start();
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}
