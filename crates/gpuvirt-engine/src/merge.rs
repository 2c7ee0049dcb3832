//! The documents after a change beside which others were made: what it changed, on what the others stored meanwhile.
//!
//! A change decides on the documents as they were when it looked. Where it lent the host since, another GPU's change, or
//! the admin's word on the host, may have been stored: that stands.

use std::collections::BTreeMap;

use gpuvirt_model::{Desired, DesiredGpu, DesiredVgpu, GpuInstanceRecord, PciAddress, Records, VgpuId};

/// What a change of a GPU makes of a document.
pub(crate) struct Change<'a, T> {
    /// The GPU.
    pub(crate) gpu: PciAddress,
    /// As it was decided on; the GPU's own entry may be in it already.
    pub(crate) from: &'a T,
    /// As it is to be.
    pub(crate) to: &'a T,
}

/// The desired document: the change's own entry and whatever else it changed, the rest as it is stored.
pub(crate) fn desired(change: &Change<'_, Desired>, stored: &Desired) -> Desired {
    let Change { gpu, from, to } = *change;
    let by_address = |of: &Desired| -> BTreeMap<PciAddress, DesiredGpu> {
        of.gpus.iter().map(|entry| (entry.address, entry.clone())).collect()
    };
    let (from_gpus, mut gpus) = (by_address(from), by_address(stored));
    gpus.retain(|address, _| to.gpu(*address).is_some() || !from_gpus.contains_key(address));
    for entry in &to.gpus {
        let (was, is) = (from_gpus.get(&entry.address), gpus.get(&entry.address));
        let next = match (was, is) {
            (was, is) if entry.address == gpu => own_entry(was, entry, is),
            (Some(was), _) if was == entry => continue,
            // What others forgot stays forgotten.
            (Some(_), None) => continue,
            (Some(was), Some(is)) => others_entry(was, entry, is),
            (None, _) => entry.clone(),
        };
        gpus.insert(entry.address, next);
    }
    let host = if to.host == from.host { stored.host.clone() } else { to.host.clone() };
    let next = Desired { host, gpus: gpus.into_values().collect(), ..stored.clone() };
    if next == *stored {
        return next;
    }
    Desired { generation: stored.generation.saturating_add(1), ..next }
}

/// The entry of the GPU that is changed: as the change has it, but a cordon and vGPUs that are only remembered are
/// others' to change meanwhile. Whoever has another word on it waits for the change to end.
fn own_entry(was: Option<&DesiredGpu>, to: &DesiredGpu, is: Option<&DesiredGpu>) -> DesiredGpu {
    let Some(is) = is else { return to.clone() };
    let kept = was.is_some_and(|was| was.cordoned == to.cordoned);
    let vgpus = vgpus(was.map_or(&[], |was| was.vgpus.as_slice()), &to.vgpus, &is.vgpus);
    DesiredGpu { cordoned: if kept { is.cordoned } else { to.cordoned }, vgpus, ..to.clone() }
}

/// The entry of another GPU, of which a change takes or gives something: all the rest as it is stored.
fn others_entry(was: &DesiredGpu, to: &DesiredGpu, is: &DesiredGpu) -> DesiredGpu {
    let of_was = DesiredGpu { cordoned: to.cordoned, vgpus: to.vgpus.clone(), ..was.clone() };
    let merged = own_entry(Some(was), to, Some(is));
    if of_was == *to {
        DesiredGpu { cordoned: merged.cordoned, vgpus: merged.vgpus, ..is.clone() }
    } else {
        merged
    }
}

/// vGPUs of a document, each by itself, in the order in which they are stored.
fn vgpus(from: &[DesiredVgpu], to: &[DesiredVgpu], stored: &[DesiredVgpu]) -> Vec<DesiredVgpu> {
    let in_it = |list: &[DesiredVgpu], id: VgpuId| list.iter().any(|vgpu| vgpu.id == id);
    let mut merged: Vec<DesiredVgpu> =
        stored.iter().filter(|vgpu| in_it(to, vgpu.id) || !in_it(from, vgpu.id)).cloned().collect();
    for new in to.iter().filter(|vgpu| !from.contains(vgpu)) {
        match merged.iter_mut().find(|vgpu| vgpu.id == new.id) {
            Some(known) => known.clone_from(new),
            None => merged.push(new.clone()),
        }
    }
    merged
}

/// Our records, each by itself.
pub(crate) fn records(change: &Change<'_, Records>, stored: &Records) -> Records {
    let Change { from, to, .. } = *change;
    let stored = stored.clone();
    Records {
        host_bindings: merged(&from.host_bindings, &to.host_bindings, stored.host_bindings),
        vgpus: merged(&from.vgpus, &to.vgpus, stored.vgpus),
        vfs: merged(&from.vfs, &to.vfs, stored.vfs),
        gpu_instances: instances(&from.gpu_instances, &to.gpu_instances, stored.gpu_instances),
        vgpu_modes: merged(&from.vgpu_modes, &to.vgpu_modes, stored.vgpu_modes),
        version: stored.version,
    }
}

fn merged<K: Ord + Clone, V: PartialEq + Clone>(
    from: &BTreeMap<K, V>,
    to: &BTreeMap<K, V>,
    mut stored: BTreeMap<K, V>,
) -> BTreeMap<K, V> {
    // What the change forgets may be another's by that name: a vGPU of a VM that started again meanwhile, on another GPU.
    stored.retain(|key, value| to.contains_key(key) || from.get(key) != Some(&*value));
    let new = to.iter().filter(|(key, value)| from.get(*key) != Some(*value));
    stored.extend(new.map(|(key, value)| (key.clone(), value.clone())));
    stored
}

fn instances(
    from: &[GpuInstanceRecord],
    to: &[GpuInstanceRecord],
    mut stored: Vec<GpuInstanceRecord>,
) -> Vec<GpuInstanceRecord> {
    stored.retain(|record| to.contains(record) || !from.contains(record));
    let new: Vec<_> = to.iter().filter(|record| !from.contains(record) && !stored.contains(record)).collect();
    stored.extend(new.into_iter().cloned());
    stored
}

#[cfg(test)]
mod tests {
    use gpuvirt_model::{ConfiguredType, DesiredHost, DriverName, HostBinding};

    use super::*;

    fn at(text: &str) -> PciAddress {
        PciAddress::parse(text).unwrap()
    }

    fn entry(address: &str, to: ConfiguredType) -> DesiredGpu {
        DesiredGpu::new(at(address), identity(), to)
    }

    fn identity() -> gpuvirt_model::PciIdentity {
        gpuvirt_model::PciIdentity {
            vendor: 0x8086,
            device: 0x56c0,
            subsystem_vendor: 0x8086,
            subsystem_device: 1,
            class: gpuvirt_model::ClassCode(0x03_00_00),
        }
    }

    const A: &str = "0000:01:00.0";
    const B: &str = "0000:02:00.0";

    #[test]
    fn what_others_stored_meanwhile_stands() {
        let from = Desired::default().with_gpu(entry(B, ConfiguredType::Shared));
        let to = from.with_gpu(entry(A, ConfiguredType::Direct));
        let maintained = DesiredHost { maintenance: true, ..from.host.clone() };
        let stored = from.with_gpu(entry(B, ConfiguredType::Direct)).with_host(maintained);
        let merged = desired(&Change { gpu: at(A), from: &from, to: &to }, &stored);
        assert_eq!(merged.gpu(at(A)), to.gpu(at(A)));
        assert_eq!(merged.gpu(at(B)), stored.gpu(at(B)));
        assert!(merged.host.maintenance);
        assert_eq!(merged.generation, stored.generation + 1);
        // What others forgot stays forgotten.
        let forgotten = stored.without_gpu(at(B));
        let merged = desired(&Change { gpu: at(A), from: &from, to: &to }, &forgotten);
        assert_eq!(merged.gpus.iter().map(|entry| entry.address).collect::<Vec<_>>(), [at(A)]);
    }

    #[test]
    fn an_entry_that_the_change_began_with_is_stored_and_a_cordon_is_kept() {
        // `config apply` decides on a picture that has the entry already.
        let staged = Desired::default().with_gpu(entry(A, ConfiguredType::Direct));
        let change = Change { gpu: at(A), from: &staged, to: &staged };
        let merged = desired(&change, &Desired::default());
        assert_eq!(merged.gpus, staged.gpus);
        let cordoned = DesiredGpu { cordoned: true, ..entry(A, ConfiguredType::Shared) };
        let merged = desired(&change, &Desired::default().with_gpu(cordoned));
        let own = merged.gpu(at(A)).unwrap();
        assert!(own.cordoned && own.graphics_type == ConfiguredType::Direct);
        // Nothing new is no new generation.
        assert_eq!(desired(&change, &staged), staged);
    }

    fn vgpu(number: u128) -> DesiredVgpu {
        let id = uuid::Uuid::from_u128(number).into();
        DesiredVgpu { id, profile: gpuvirt_model::ProfileName("a".to_owned()), params: Default::default() }
    }

    fn ids(of: &Desired, gpu: &str) -> Vec<VgpuId> {
        of.gpu(at(gpu)).unwrap().vgpus.iter().map(|vgpu| vgpu.id).collect()
    }

    #[test]
    fn of_an_entry_each_vgpu_is_merged_by_itself() {
        let with = |gpu: &str, vgpus: Vec<DesiredVgpu>| DesiredGpu {
            vgpus,
            ..entry(gpu, ConfiguredType::SharedDirect)
        };
        let from = Desired::default().with_gpu(with(A, vec![vgpu(1), vgpu(2), vgpu(3)]));
        let from = from.with_gpu(with(B, vec![vgpu(4), vgpu(5)]));
        // The change makes one of its GPU, and takes one that is only remembered of another.
        let to = from.with_vgpus(at(A), &[vgpu(6)]).without_vgpus(&[vgpu(3).id, vgpu(4).id]);
        // Meanwhile others took one of each and gave one to each, and changed what the other is to be.
        let stored = from.without_vgpus(&[vgpu(2).id, vgpu(5).id]).with_vgpus(at(A), &[vgpu(7)]);
        let stored = stored.with_vgpus(at(B), &[vgpu(8)]);
        let other = DesiredGpu { label: Some("x".to_owned()), ..stored.gpu(at(B)).unwrap().clone() };
        let stored = stored.with_gpu(other);
        let merged = desired(&Change { gpu: at(A), from: &from, to: &to }, &stored);
        assert_eq!(ids(&merged, A), [1, 7, 6].map(|number| vgpu(number).id));
        assert_eq!(ids(&merged, B), [vgpu(8).id]);
        assert_eq!(merged.gpu(at(B)).unwrap().label.as_deref(), Some("x"));
        // What others forgot is not brought back by a vGPU that went.
        let merged = desired(&Change { gpu: at(A), from: &from, to: &to }, &stored.without_gpu(at(B)));
        assert!(merged.gpu(at(B)).is_none());
    }

    #[test]
    fn of_the_records_each_is_merged_by_itself() {
        let binding = |driver: Option<&str>| HostBinding {
            driver: driver.map(|name| DriverName::parse(name).unwrap()),
            ..HostBinding::default()
        };
        let of = |entries: &[(&str, Option<&str>)]| Records {
            host_bindings: entries.iter().map(|(gpu, driver)| (at(gpu), binding(*driver))).collect(),
            ..Records::default()
        };
        let (from, to) = (of(&[(A, None)]), of(&[(A, Some("i915"))]));
        let stored = of(&[(A, None), (B, Some("xe"))]);
        let change = Change { gpu: at(A), from: &from, to: &to };
        assert_eq!(records(&change, &stored), of(&[(A, Some("i915")), (B, Some("xe"))]));
        let gone = Change { gpu: at(A), from: &from, to: &of(&[]) };
        assert_eq!(records(&gone, &stored), of(&[(B, Some("xe"))]));
        let anew = of(&[(A, Some("nvidia"))]);
        assert_eq!(records(&gone, &anew), anew, "what others stored by that name since");
    }
}
