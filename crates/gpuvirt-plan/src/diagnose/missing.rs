//! What was configured on a GPU and is not there: a reboot or somebody took its vGPUs, or some of its virtual functions.
//!
//! Only what an admin configured counts: vGPUs that are made for a VM's start come and go with that. A type that is not in force
//! is told by `gpu.rs`, and what is missing with it.

use std::collections::BTreeMap;

use gpuvirt_model::{
    DesiredGpu, DesiredVgpu, Finding, FindingCode, Function, Gpu, GraphicsType, Severity, Subject, VgpuId,
    VgpuParams,
};

use super::Case;
use crate::checks::shell_word;
use crate::{parameter, vendor};

/// Leads every GPU to what is configured, vGPUs included; what is so already is left as it is.
pub(super) const LEAD: &str = "gpuvirt config export -o yaml | gpuvirt config apply -f -";

/// Of a GPU whose type is in force.
pub(super) fn findings(case: &Case<'_>, gpu: &Gpu) -> Vec<Finding> {
    [vgpus(case, gpu), gpu_instances(case, gpu), virtual_functions(case, gpu)].into_iter().flatten().collect()
}

/// GPU instances that the daemon's start could not make, MIG mode itself among the reasons: a reboot loses both on most cards.
/// Which live is known to the card's driver alone, which is not asked here; of those that were made in this boot we have a note.
fn gpu_instances(case: &Case<'_>, gpu: &Gpu) -> Option<Finding> {
    let wanted = &entry(case, gpu)?.gpu_instances;
    let address = gpu.address;
    let (_, why) = case.daemon.unrestored.iter().find(|(of, _)| *of == address)?;
    let made = case.records.gpu_instances.iter().any(|record| record.gpu == address);
    if wanted.is_empty() || made {
        return None;
    }
    let cause = format!(
        "gpuvirtd's start could not make the {} GPU instances that are configured on it: vGPUs that live on them can't be made",
        wanted.len()
    );
    let finding = Finding::new(FindingCode::TypePending, Severity::Warning, Subject::Gpu(address), cause);
    Some(
        finding
            .seen_at("configured", wanted.join(", "))
            .seen_at("gpuvirtd", why)
            .remedy(format!("gpuvirt mig list {address} # whether MIG mode is on, and what there is"))
            .remedy(format!("{LEAD} # when nothing is in the way")),
    )
}

/// The configured vGPUs of a GPU that do not live, where they are to: not on one that is for something else, that waits for the
/// next boot, or that a change is at.
pub(super) fn vgpus_of<'a>(case: &Case<'a>, gpu: &Gpu) -> Vec<&'a DesiredVgpu> {
    let gone = entry(case, gpu).into_iter().flat_map(|entry| &entry.vgpus);
    gone.filter(|vgpu| is_gone(case, vgpu.id)).collect()
}

/// Whether a vGPU is known not to live: of a virtual function that can't be read nobody knows.
pub(super) fn is_gone(case: &Case<'_>, id: VgpuId) -> bool {
    let known = |function: &Function| {
        function.binding_unknown.is_none() && !function.locked && function.oddities.is_empty()
    };
    let function = id.vf().and_then(|vf| case.observed.functions.get(&vf));
    !case.observed.vgpus.contains_key(&id) && function.is_none_or(known)
}

fn entry<'a>(case: &Case<'a>, gpu: &Gpu) -> Option<&'a DesiredGpu> {
    let entry = case.desired.gpu(gpu.address)?;
    let later = entry.waits_for_a_boot(case.observed.host.boot_id);
    let shares = entry.graphics_type.resolve(&case.desired.host) == GraphicsType::SharedDirect;
    (shares && !later && !case.is_unsettled(gpu.address)).then_some(entry)
}

/// What names them, for people.
pub(super) fn named(vgpus: &[&DesiredVgpu]) -> String {
    let names = vgpus.iter().map(|vgpu| format!("{} ({})", vgpu.id, vgpu.profile));
    names.collect::<Vec<_>>().join(", ")
}

fn vgpus(case: &Case<'_>, gpu: &Gpu) -> Option<Finding> {
    let gone = vgpus_of(case, gpu);
    let all = case.desired.gpu(gpu.address)?.vgpus.len();
    let ids: Vec<String> = gone.iter().map(|vgpu| vgpu.id.to_string()).collect();
    let place = match gone.first()?.id {
        VgpuId::Mdev(_) => "/sys/bus/mdev/devices".to_owned(),
        VgpuId::Vf(_) => format!("/sys/bus/pci/devices/{}/virtfn*", gpu.address),
    };
    let finding = Finding::new(
        FindingCode::TypePending,
        Severity::Warning,
        Subject::Gpu(gpu.address),
        format!(
            "{} of the {all} vGPUs that are configured on it are not there: VMs that have them do not start",
            gone.len()
        ),
    )
    .seen_at("configured", named(&gone))
    .seen_at(place, format!("no vGPU {}", ids.join(" ")));
    let finding = make_again(gpu, &gone).into_iter().fold(finding, Finding::remedy);
    Some(
        finding
            .remedy("gpuvirt status # why the last start did not make them")
            .remedy(format!("gpuvirt vgpu remove {} # when they are no longer wanted", ids.join(" "))),
    )
}

/// The commands that make vGPUs again, by the names that they had.
pub(super) fn make_again(gpu: &Gpu, vgpus: &[&DesiredVgpu]) -> Vec<String> {
    let mut alike: BTreeMap<(&str, String), Vec<String>> = BTreeMap::new();
    for vgpu in vgpus {
        // A virtual function can't be asked for by its address: the whole document can.
        let VgpuId::Mdev(uuid) = vgpu.id else { return vec![LEAD.to_owned()] };
        alike.entry((&vgpu.profile.0, arguments(&vgpu.params))).or_default().push(format!(" --uuid {uuid}"));
    }
    let command = |((profile, params), uuids): ((&str, String), Vec<String>)| {
        let (address, profile, uuids) = (gpu.address, shell_word(profile), uuids.concat());
        format!("gpuvirt vgpu create --gpu {address} --profile {profile}{uuids}{params}")
    };
    alike.into_iter().map(command).collect()
}

fn arguments(params: &VgpuParams) -> String {
    params.iter().map(|(name, value)| format!(" --param {name}={value}")).collect()
}

/// Some are there, and not as many as were asked for, or as gpuvirt made in this boot.
fn virtual_functions(case: &Case<'_>, gpu: &Gpu) -> Option<Finding> {
    let (entry, primary) = (entry(case, gpu)?, case.observed.primary_of(gpu)?);
    let is = primary.sriov.as_ref()?.enabled;
    let made = case.records.vfs.get(&gpu.address).map(|record| record.count);
    let (whose, wanted) = match (entry.vf_count, made) {
        (Some(count), _) => ("configured", count),
        (None, Some(count)) => ("made by gpuvirt in this boot", count),
        (None, None) => return None,
    };
    if is == 0 || is >= wanted {
        return None;
    }
    let address = gpu.address;
    let place = format!("/sys/bus/pci/devices/{address}/sriov_numvfs");
    let finding = Finding::new(
        FindingCode::TypePending,
        Severity::Warning,
        Subject::Gpu(address),
        format!("it has {is} virtual functions and was to have {wanted}: fewer VMs can have a share of it"),
    )
    .seen_at(&place, is)
    .seen_at(whose, wanted);
    if parameter::at_loading_only(primary) {
        let file = "/etc/modprobe.d/gim.conf";
        return Some(finding.remedy(format!(
            "its driver gim makes them when it is loaded: options gim vf_num={wanted} in {file}, and reboot"
        )));
    }
    // The kernel knows no way from one number to another but by way of none.
    let none = match vendor::vf_tool(primary, case.observed) {
        Some(tool) => format!("have {tool} take its virtual functions away, when no VM uses them"),
        None => format!("echo 0 > {place} # when no VM uses them"),
    };
    let again = format!("gpuvirt gpu set {address} --type shared-direct # makes all of them again");
    Some(finding.remedy(none).remedy(if entry.vgpus.is_empty() { again } else { format!("{LEAD} # then") }))
}
