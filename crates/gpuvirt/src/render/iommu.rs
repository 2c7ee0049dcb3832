//! An IOMMU group: whether it can be given away, and who is in it.

use gpuvirt_api::gpu::GroupDocument;
use gpuvirt_model::MemberRole;

use super::page::Page;
use super::table::Table;

/// A group with each member's role.
pub fn section(page: &mut Page, group: &GroupDocument) {
    let viable = match (group.group.noiommu, group.viable) {
        (true, _) => "no isolation: VFIO's no-IOMMU mode",
        (false, true) => "viable",
        (false, false) => "not viable: other devices in it have host drivers",
    };
    page.heading(format_args!("IOMMU group {}: {viable}", group.group.id));
    page.field_if("domain type", group.group.domain_type.as_ref());
    let mut table = Table::new(["MEMBER", "ROLE", "DRIVER", "NAME"]).optional(&["NAME"]);
    for member in &group.roles {
        table.row([
            member.address.to_string(),
            role(member.role).to_owned(),
            member.driver.clone().unwrap_or_default(),
            member.name.clone().unwrap_or_default(),
        ]);
    }
    for other in &group.group.others {
        table.row([other.clone(), "no PCI function".to_owned(), String::new(), String::new()]);
    }
    page.table(2, &table);
}

fn role(role: MemberRole) -> &'static str {
    match role {
        MemberRole::Card => "this card",
        MemberRole::Bridge => "bridge",
        MemberRole::Idle => "idle",
        MemberRole::Foreign => "foreign",
    }
}
