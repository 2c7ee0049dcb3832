//! Named checks: each says in one [`Refusal`] what is in the way, why, and what to do. All run, before anything is
//! written, so that the admin sees every obstacle at once.

pub mod domain;
pub(crate) mod driver;
mod gpu;
pub mod guest;
mod holder;
mod iommu;
mod lock;
pub mod mig;
pub mod params;
pub mod passthrough;
pub mod prepare;
mod profile;
pub mod several;
mod sriov;
pub mod start;
pub mod vgpu;
pub mod wish;

use gpuvirt_model::{
    ConfiguredType, Desired, Gpu, GraphicsType, Observed, PciAddress, Refusal, RefusalCode, Warning,
};

use crate::{Plan, Step, sriov as vfs};

pub use driver::host_driver_mismatch;
pub use gpu::{not_found, without_vfs};
pub use holder::shell_word;
pub(crate) use iommu::{REMAPPED_IN_A_VM, UNSAFE_NOW, is_inner_graphics};
pub use lock::{NO_WRITER_REMEDY, Waiting, no_writer, untouchable};

/// A switch that is about to happen: what the checks look at.
#[derive(Debug, Clone, Copy)]
pub struct Switch<'a> {
    /// The GPU.
    pub gpu: &'a Gpu,
    /// The fresh picture.
    pub observed: &'a Observed,
    /// The desired document, before the request.
    pub desired: &'a Desired,
    /// The type to become.
    pub to: GraphicsType,
    /// What would be done.
    pub plan: &'a Plan,
}

/// Everything that is in the way of a switch. What the admin accepted is not taken out: see [`without_accepted`].
///
/// A plan without steps is refused for what is not as asked for all the same: another card at the address, a driver that
/// makes no vGPUs, vGPUs that live. So asking twice is safe.
pub fn refusals(switch: &Switch) -> Vec<Refusal> {
    let mut found: Vec<Refusal> = Vec::new();
    found.extend(gpu::identity_changed(switch));
    match driver::wrong_host_driver(switch) {
        Some(refusal) => found.push(refusal),
        None => found.extend(vgpu::no_support(switch)),
    }
    // However they are made: a GPU on which vGPUs live is shared-direct.
    let ends_vgpus =
        matches!(switch.to, GraphicsType::Shared | GraphicsType::Basic) || vfs::takes_vfs(switch.plan);
    found.extend(ends_vgpus.then(|| gpu::vgpus_alive(switch)).flatten());
    if switch.plan.is_empty() {
        return found;
    }
    if vfs::takes_vfs(switch.plan) {
        found.extend(gpu::vfs_bound(switch));
    }
    if vfs::makes_vfs(switch.plan) {
        found.extend(iommu::no_iommu(switch));
    }
    if switch.to == GraphicsType::Direct {
        found.extend(gpu::not_an_endpoint(switch));
        found.extend(gpu::unresponsive(switch));
        found.extend(iommu::no_iommu(switch));
        found.extend(iommu::group_not_viable(switch));
        found.extend(iommu::no_interrupt_remapping(switch));
        found.extend(driver::vfio_missing(switch));
    }
    let unbinds = switch.plan.unbinds().next().is_some();
    // They vanish with any driver that has the card, vfio-pci included. Those that the plan takes itself are ours.
    if (unbinds || switch.to == GraphicsType::Direct) && !vfs::takes_vfs(switch.plan) {
        found.extend(gpu::vfs_alive(switch));
        if !ends_vgpus {
            found.extend(gpu::vgpus_alive(switch));
        }
    }
    if unbinds {
        found.extend(holder::domain_running(switch));
        found.extend(holder::gpu_in_use(switch));
    } else {
        found.extend(prepare::tool_in_the_way(switch));
    }
    // The firmware's frame buffer draws on a card without any driver too, and vfio-pci takes it away when it binds.
    // On the way back nothing draws on the card yet.
    if switch.to == GraphicsType::Direct {
        found.extend(holder::boot_display(switch));
        found.extend(holder::console_active(switch));
    }
    found
}

/// What must be known about a switch that is not refused.
pub fn warnings(switch: &Switch) -> Vec<Warning> {
    let mut found: Vec<Warning> = Vec::new();
    found.extend(driver::unsure(switch));
    if switch.to == GraphicsType::Direct {
        found.extend(gpu::no_reset_method(switch));
        found.extend(iommu::interrupt_remapping_unknown(switch));
    }
    if switch.plan.unbinds().next().is_some() {
        found.extend(holder::unseen(switch));
        found.extend(holder::also_defined_in(switch));
    }
    found
}

/// Splits refusals into those that stand and those that the admin accepted by name.
pub fn without_accepted(all: Vec<Refusal>, accepted: &[RefusalCode]) -> (Vec<Refusal>, Vec<Refusal>) {
    all.into_iter().partition(|refusal| !(refusal.code.acceptable() && accepted.contains(&refusal.code)))
}

impl Switch<'_> {
    fn summary(&self) -> String {
        format!("{} cannot become {}", self.gpu.address, self.to)
    }

    fn refuse(&self, code: RefusalCode, because: String, remedy: Vec<String>) -> Refusal {
        Refusal { code, summary: self.summary(), because, remedy: with_explain(code, remedy) }
    }

    /// Whether the function is taken from a driver, or from the firmware's frame buffer by binding it to VFIO.
    fn takes(&self, function: PciAddress) -> bool {
        let binds = |step: &Step| {
            matches!(step, Step::Probe { function: bound, expect: Some(driver) }
                if *bound == function && driver.is_vfio())
        };
        self.plan.unbinds().any(|unbound| unbound == function) || self.plan.steps.iter().any(binds)
    }
}

/// Every remedy ends with where to read more.
fn with_explain(code: RefusalCode, mut remedy: Vec<String>) -> Vec<String> {
    if code.acceptable() {
        remedy.push(format!("--accept {code} to go ahead all the same"));
    }
    remedy.push(format!("gpuvirt explain {code}"));
    remedy
}

/// The type that a GPU is configured for, `default` resolved.
fn configured(desired: &Desired, address: PciAddress) -> Option<(ConfiguredType, GraphicsType)> {
    desired.gpu(address).map(|entry| (entry.graphics_type, entry.graphics_type.resolve(&desired.host)))
}

fn list(items: impl IntoIterator<Item = impl ToString>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}
