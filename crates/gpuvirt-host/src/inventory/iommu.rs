//! One IOMMU group.

use gpuvirt_model::{IommuGroup, PciAddress};

use crate::files::Files;
use crate::paths;

/// Reads a group's members and kind. A group that has gone meanwhile has no members.
pub(super) fn read(files: Files<'_>, id: u32) -> IommuGroup {
    let names = files.sysfs.list(&paths::group_file(id, "devices")).unwrap_or_default();
    let mut group =
        IommuGroup { id, members: Vec::new(), others: Vec::new(), domain_type: None, noiommu: false };
    for name in names {
        match PciAddress::parse(&name) {
            Ok(address) => group.members.push(address),
            Err(_) => group.others.push(name),
        }
    }
    let word = |name: &str| files.text(&paths::group_file(id, name)).map(|text| text.trim().to_owned()).ok();
    group.domain_type = word("type").filter(|text| !text.is_empty());
    group.noiommu = word("name").is_some_and(|name| name == "vfio-noiommu");
    group
}
