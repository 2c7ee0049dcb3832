//! vGPUs that exist.

use gpuvirt_api::{GpuDocument, VgpuDocument};
use gpuvirt_model::{Reading, VgpuParams};

use super::holder;
use super::page::{Page, or_none};
use super::table::Table;
use super::vm::vms_short;

/// All vGPUs, a line each.
pub fn list(vgpus: &[VgpuDocument]) -> String {
    if vgpus.is_empty() {
        return "no vGPUs\n".to_owned();
    }
    let mut table = Table::new(["ID", "GPU", "PROFILE", "MADE BY", "HOLDERS", "VMS"]);
    for document in vgpus {
        let vgpu = &document.vgpu;
        table.row([
            vgpu.id.to_string(),
            vgpu.gpu.to_string(),
            vgpu.profile.to_string(),
            made_by(document).to_owned(),
            holder::count(&vgpu.holders),
            vms_short(&document.vms),
        ]);
    }
    let mut page = Page::new();
    page.table(0, &table);
    page.into_text()
}

/// All that is known of one vGPU.
pub fn show(document: &VgpuDocument) -> String {
    let vgpu = &document.vgpu;
    let mut page = Page::new();
    page.line(vgpu.id);
    page.field("profile", &vgpu.profile);
    page.field("GPU", vgpu.gpu);
    if vgpu.parent != vgpu.gpu {
        page.field("parent", vgpu.parent);
    }
    page.field("framework", vgpu.framework);
    page.field("driver's type", &vgpu.type_id);
    page.field_if("parameters", vgpu.params.as_ref().map(params));
    page.field_if("IOMMU group", vgpu.iommu_group);
    page.field("made by", made_by(document));
    page.field(
        "VMs",
        match vms_short(&document.vms) {
            names if names.is_empty() => "none".to_owned(),
            names => names,
        },
    );
    holder::section(&mut page, &vgpu.holders);
    page.into_text()
}

fn params(params: &Reading<VgpuParams>) -> String {
    match params {
        Reading::Known(params) => or_none(params.to_string()),
        Reading::Unknown(why) => why.to_string(),
    }
}

/// The vGPUs of a GPU, for its own page.
pub fn of_gpu(gpu: &GpuDocument) -> Table<4> {
    let mut table = Table::new(["ID", "PARENT", "PROFILE", "HOLDERS"]).optional(&["PARENT"]);
    for vgpu in &gpu.vgpus {
        let parent = if vgpu.parent == vgpu.gpu { String::new() } else { vgpu.parent.to_string() };
        let holders = holder::count(&vgpu.holders);
        table.row([vgpu.id.to_string(), parent, vgpu.profile.to_string(), holders]);
    }
    table
}

fn made_by(document: &VgpuDocument) -> &'static str {
    if document.ours { "gpuvirt" } else { "others" }
}
