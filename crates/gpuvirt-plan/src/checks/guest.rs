//! Checks on the guest itself: whether its memory can be locked for devices, and whether an IOMMU of its own goes with
//! them.
//!
//! VFIO maps all of a guest's memory for a PCI device, and what is mapped is locked. libvirt sees to the limit
//! (RLIMIT_MEMLOCK) by itself when it starts QEMU: all memory and 1 GiB besides, and with an IOMMU in the guest that
//! memory once for each device, because each has mappings of its own. So an ordinary domain passes here. It is refused
//! only where that can't work: a `<hard_limit>`, which libvirt takes for the limit as it is, is smaller than what is
//! locked; or the host does not have the memory. A mediated device's driver locks what the guest uses when it uses it:
//! there a small limit is a warning.

mod limit;
mod room;

use gpuvirt_model::{Guest, HostMemory, Refusal, RefusalCode, VgpuId, Warning, WarningCode};

use super::domain::Device;
use super::holder::shell_word;
use super::with_explain;

pub(crate) use limit::scarce_limit;
pub(crate) use room::huge_pages;

/// A guest with the devices of GPUs that it has or would have.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    /// The domain's name.
    pub vm: &'a str,
    /// The guest.
    pub guest: &'a Guest,
    /// The GPUs and vGPUs, each once.
    pub devices: &'a [Device],
    /// The host's memory, where it is known.
    pub memory: Option<&'a HostMemory>,
}

/// Whether the guest starts now, so that the memory must be there, or at another time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// It starts now.
    Now,
    /// It starts when no other VM runs: what there is of the host's huge pages is free then.
    Alone,
    /// It is being edited.
    Later,
}

/// A refusal without its first line.
pub(crate) type Found = (RefusalCode, String, Vec<String>);

/// What forbids the devices in this guest.
pub(crate) fn refusals(judged: &Judged<'_>, moment: Moment) -> Vec<Found> {
    let mut found: Vec<Found> = viommu_with_vgpu(judged).into_iter().collect();
    let (Some(memory), true) = (judged.guest.memory_kib, judged.devices.iter().any(is_pci)) else {
        return found;
    };
    found.extend(limit::over_the_limit(judged, memory));
    found.extend(judged.memory.and_then(|host| room::more_than_there_is(judged, memory, host, moment)));
    found
}

/// What forbids giving this guest one of these devices, at a time when it is off.
pub fn not_addable(judged: &Judged<'_>) -> Vec<Refusal> {
    let found = refusals(judged, Moment::Later).into_iter();
    let refusal = |(code, because, remedy)| Refusal {
        code,
        summary: format!("VM {} cannot get it", judged.vm),
        because,
        remedy: with_explain(code, remedy),
    };
    found.map(refusal).collect()
}

/// What must be known about the devices in this guest.
pub fn warnings(judged: &Judged<'_>) -> Vec<Warning> {
    let mut found: Vec<Warning> = caching_mode(judged).into_iter().collect();
    found.extend(limit::of_vgpus(judged));
    found
}

/// A vGPU's driver translates addresses by what QEMU told it of the whole guest, not device by device.
pub(crate) fn viommu_with_vgpu(judged: &Judged<'_>) -> Option<Found> {
    let viommu = judged.guest.viommu.as_ref()?;
    let vgpu = judged.devices.iter().find_map(|device| match device {
        Device::Vgpu(id) => Some(format!("the vGPU {id}")),
        Device::NewVgpu(_) => Some("a vGPU".to_owned()),
        Device::Gpu(_) => None,
    })?;
    let because = format!("its guest has an IOMMU of its own (model {}) and {vgpu}", viommu.model);
    let remedy = vec![format!(
        "take out either: <iommu> by virsh edit, or the vGPU by gpuvirt vm remove {}",
        shell_word(judged.vm)
    )];
    Some((RefusalCode::ViommuWithVgpu, because, remedy))
}

/// With Intel's model QEMU hears of the guest's mappings in caching mode only, with AMD's not at all.
fn caching_mode(judged: &Judged<'_>) -> Option<Warning> {
    let viommu = judged.guest.viommu.as_ref()?;
    let whole = judged.devices.iter().find_map(|device| match device {
        Device::Gpu(gpu) => Some(gpu),
        Device::Vgpu(_) | Device::NewVgpu(_) => None,
    })?;
    let what = match viommu.model.as_str() {
        "intel" if !viommu.caching_mode => "it needs <driver caching_mode='on'/>",
        "amd" => {
            "QEMU releases without DMA remapping for this model can't do that: use model intel or virtio"
        }
        _ => return None,
    };
    let text = format!(
        "VM {} has an IOMMU of its own (model {}) and the whole GPU {whole}: {what}, or QEMU fails when the guest \
         turns its IOMMU on",
        judged.vm, viommu.model
    );
    Some(Warning { code: WarningCode::ViommuCachingMode, text })
}

/// A device for which VFIO maps, and so locks, all of the guest's memory.
fn is_pci(device: &Device) -> bool {
    match device {
        Device::Gpu(_) | Device::Vgpu(VgpuId::Vf(_)) | Device::NewVgpu(VgpuId::Vf(_)) => true,
        Device::Vgpu(VgpuId::Mdev(_)) | Device::NewVgpu(VgpuId::Mdev(_)) => false,
    }
}

/// Memory for people: in the largest unit in which it is a whole number, from MiB on rounded down.
fn amount(kib: u64) -> String {
    match kib {
        kib if kib >= 1 << 20 && kib % (1 << 20) == 0 => format!("{} GiB", kib >> 20),
        kib if kib >= 1 << 10 => format!("{} MiB", kib >> 10),
        kib => format!("{kib} KiB"),
    }
}

#[cfg(test)]
mod tests {
    use gpuvirt_model::{PciAddress, Viommu};
    use uuid::Uuid;

    use super::*;

    pub(super) const GIB: u64 = 1 << 20;

    pub(super) fn gpu(bus: u8) -> Device {
        Device::Gpu(PciAddress { domain: 0, bus, slot: 0, function: 0 })
    }

    fn vf() -> Device {
        Device::Vgpu(VgpuId::Vf(PciAddress { domain: 0, bus: 9, slot: 0, function: 4 }))
    }

    pub(super) fn mdev() -> Device {
        Device::NewVgpu(VgpuId::Mdev(Uuid::from_u128(1)))
    }

    pub(super) fn with(memory: u64, limit: Option<u64>, viommu: Option<&str>) -> Guest {
        let viommu = viommu.map(|model| Viommu { model: model.to_owned(), caching_mode: false });
        Guest { memory_kib: Some(memory), hard_limit_kib: limit, viommu, ..Guest::default() }
    }

    /// 64 GiB, of which 20 and 2 of swap can be had.
    fn host() -> HostMemory {
        HostMemory {
            total_kib: 64 * GIB,
            available_kib: 22 * GIB,
            cached_elsewhere_kib: 0,
            default_huge_page_kib: Some(2048),
            free_huge_pages: [(2048, 1024), (GIB, 0)].into(),
        }
    }

    pub(super) fn found(guest: &Guest, devices: &[Device], moment: Moment) -> Vec<Found> {
        let host = host();
        refusals(&Judged { vm: "vm", guest, devices, memory: Some(&host) }, moment)
    }

    #[test]
    fn an_ordinary_domain_passes_and_one_that_cannot_lock_its_memory_does_not() {
        let (no, yes) = (Vec::<RefusalCode>::new(), vec![RefusalCode::MemoryNotLockable]);
        for (guest, devices, want, text) in [
            (with(8 * GIB, None, None), vec![gpu(1)], &no, ""),
            (Guest::default(), vec![gpu(1), vf()], &no, ""),
            (with(8 * GIB, Some(8 * GIB), None), vec![gpu(1), gpu(2)], &no, ""),
            (with(8 * GIB, Some(8 * GIB - 1), None), vec![gpu(1)], &yes, "lets it lock 8191 MiB"),
            (with(8 * GIB, Some(GIB), None), vec![vf()], &yes, "<hard_limit> lets it lock 1 GiB"),
            (with(8 * GIB, Some(GIB), None), vec![mdev()], &no, ""),
            (with(8 * GIB, Some(GIB), None), vec![], &no, ""),
            // With an IOMMU in the guest each device has mappings of its own.
            (with(8 * GIB, Some(9 * GIB), Some("intel")), vec![gpu(1)], &no, ""),
            (with(8 * GIB, Some(9 * GIB), Some("intel")), vec![gpu(1), gpu(2)], &yes, "its 2 devices"),
            (with(23 * GIB, None, None), vec![gpu(1)], &yes, "only 22 GiB can be had"),
            (with(23 * GIB, None, None), vec![mdev()], &no, ""),
            (with(65 * GIB, None, None), vec![gpu(1)], &yes, "this host has 64 GiB"),
            (with(u64::MAX, Some(u64::MAX - 1), Some("intel")), vec![gpu(1), gpu(2)], &yes, ""),
        ] {
            let found = found(&guest, &devices, Moment::Now);
            let codes: Vec<RefusalCode> = found.iter().map(|found| found.0).collect();
            assert!(codes.iter().all(|code| want.contains(code)), "{guest:?}: {codes:?}");
            assert_eq!(codes.is_empty(), want.is_empty(), "{guest:?}");
            let because: Vec<&str> = found.iter().map(|found| found.1.as_str()).collect();
            assert!(because.join("\n").contains(text), "{because:?}");
        }
    }

    #[test]
    fn while_it_is_edited_only_what_can_never_be_is_refused() {
        assert_eq!(found(&with(23 * GIB, None, None), &[gpu(1)], Moment::Later), []);
        assert_eq!(found(&with(65 * GIB, None, None), &[gpu(1)], Moment::Later).len(), 1);
    }

    #[test]
    fn an_iommu_in_the_guest_goes_with_no_vgpu_and_needs_caching_mode_with_a_gpu() {
        let guest = with(GIB, None, Some("intel"));
        for device in [vf(), mdev()] {
            let codes: Vec<RefusalCode> = found(&guest, &[device], Moment::Now).iter().map(|f| f.0).collect();
            assert_eq!(codes, [RefusalCode::ViommuWithVgpu]);
        }
        assert_eq!(found(&guest, &[gpu(1)], Moment::Now), []);
        let told = |guest: &Guest, device| {
            let judged = Judged { vm: "vm", guest, devices: &[device], memory: None };
            warnings(&judged).iter().map(|warning| warning.code).collect::<Vec<_>>()
        };
        assert_eq!(told(&guest, gpu(1)), [WarningCode::ViommuCachingMode]);
        let caching = Viommu { model: "intel".to_owned(), caching_mode: true };
        assert_eq!(told(&Guest { viommu: Some(caching), ..guest.clone() }, gpu(1)), []);
        assert_eq!(told(&with(GIB, None, Some("virtio")), gpu(1)), []);
        assert_eq!(told(&with(GIB, None, Some("amd")), gpu(1)), [WarningCode::ViommuCachingMode]);
        assert_eq!(told(&with(GIB, Some(GIB - 1), None), mdev()), [WarningCode::MemoryLimit]);
        assert_eq!(told(&with(GIB, Some(GIB), None), mdev()), []);
    }
}
