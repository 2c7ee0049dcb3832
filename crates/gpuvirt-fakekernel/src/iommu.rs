//! IOMMU groups: who is in one, and whether a process owns it.

use nix::errno::Errno;

use crate::state::Kernel;
use crate::writes::Answer;

pub(crate) const GROUPS: &str = "/sys/kernel/iommu_groups";

impl Kernel {
    /// The folders of a group's members.
    pub(crate) fn group_members(&self, group: u32) -> Vec<String> {
        let folder = format!("{GROUPS}/{group}/devices");
        let names = self.files.names(&folder).into_iter();
        names.filter_map(|name| self.files.target(&format!("{folder}/{name}"))).collect()
    }

    /// Whether user space owns the group's DMA: a process has the group or a device of it open
    /// (`iommu_group_claim_dma_owner`).
    pub(crate) fn is_group_owned(&self, group: u32) -> bool {
        if self.is_open(&format!("/dev/vfio/{group}")) {
            return true;
        }
        let names = self.group_members(group).into_iter();
        names
            .flat_map(|member| self.files.names(&format!("{member}/vfio-dev")))
            .any(|name| self.is_open(&format!("/dev/vfio/devices/{name}")))
    }

    /// Puts a device into a group, which is made where there is none.
    pub(crate) fn join_group(&mut self, folder: &str, group: u32, domain_type: &str) {
        let name = folder.rsplit('/').next().unwrap_or_default().to_owned();
        let at = format!("{GROUPS}/{group}");
        if self.files.get(&format!("{at}/type")).is_none() {
            self.files.put_text(&format!("{at}/type"), format!("{domain_type}\n"));
            self.files.put_text(&format!("{at}/reserved_regions"), "");
        }
        self.files.put_link(&format!("{at}/devices/{name}"), folder);
        self.files.put_link(&format!("{folder}/iommu_group"), &at);
    }

    /// Takes a device out of its group; an empty group goes.
    pub(crate) fn leave_group(&mut self, folder: &str) -> Option<u32> {
        let name = folder.rsplit('/').next().unwrap_or_default();
        let group: u32 = self.files.target_name(&format!("{folder}/iommu_group"))?.parse().ok()?;
        self.files.take(&format!("{GROUPS}/{group}/devices/{name}"));
        self.files.take(&format!("{folder}/iommu_group"));
        if self.files.names(&format!("{GROUPS}/{group}/devices")).is_empty() {
            self.files.take(&format!("{GROUPS}/{group}"));
        }
        Some(group)
    }

    /// The domain type that this host gives to new groups: that of its others.
    pub(crate) fn default_domain(&self) -> String {
        let types = self.files.names(GROUPS).into_iter();
        let types = types.filter_map(|group| self.files.text(&format!("{GROUPS}/{group}/type")));
        types.into_iter().find(|text| text != "unknown").unwrap_or_else(|| "DMA-FQ".to_owned())
    }

    /// The lowest free number, as the kernel's allocator gives it.
    pub(crate) fn free_group(&self) -> u32 {
        let used: Vec<u32> = self.files.names(GROUPS).iter().filter_map(|name| name.parse().ok()).collect();
        (0..).find(|number| !used.contains(number)).unwrap_or(u32::MAX)
    }

    /// `type`: `iommu_group_store_type`. Everything but DMA to DMA-FQ needs the group's drivers gone.
    pub(crate) fn set_group_type(&mut self, group: u32, data: &[u8]) -> Answer {
        let text = String::from_utf8_lossy(data);
        let wanted = match text.trim_end() {
            "identity" => "identity",
            "DMA" => "DMA",
            "DMA-FQ" | "auto" => "DMA-FQ",
            _ => return Err(Errno::EINVAL.into()),
        };
        let path = format!("{GROUPS}/{group}/type");
        let now = self.files.text(&path).unwrap_or_default();
        let bound =
            self.group_members(group).iter().any(|at| self.files.get(&format!("{at}/driver")).is_some());
        if now != wanted && bound && !(now == "DMA" && wanted == "DMA-FQ") {
            return Err(Errno::EBUSY.into());
        }
        self.files.put_text(&path, format!("{wanted}\n"));
        Ok(())
    }
}
