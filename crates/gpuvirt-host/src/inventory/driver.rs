//! What the driver of a card is for: NVIDIA's comes in kinds that share a name, of which one makes vGPUs.
//!
//! `/proc/driver/nvidia/version` tells the version and whether the module is the open one, and nothing of vGPUs. The
//! vGPU host driver brings a second module, `nvidia_vgpu_vfio`; what the card itself offers outweighs any module.

use gpuvirt_model::{DriverName, Gpu, HostDriver, HostDriverKind};

use crate::files::Files;
use crate::parse::nvidia;
use crate::paths;

/// Drivers that are made for nothing but virtual functions for guests.
const VGPU_HOSTS: [&str; 1] = ["gim"];

/// NVIDIA's modules, looked at once for all cards.
#[derive(Debug, Default)]
pub(super) struct Modules(Option<Nvidia>);

#[derive(Debug, Clone)]
struct Nvidia {
    /// Modules show at all: a recording may lack them.
    seen: bool,
    vgpu: bool,
    open: bool,
    version: Option<String>,
    /// The vGPU host driver's programs are there.
    installed: bool,
}

impl Modules {
    /// The driver of a card whose frameworks are known.
    pub(super) fn driver(&mut self, files: Files<'_>, gpu: &Gpu, driver: Option<&DriverName>) -> HostDriver {
        let Some(driver) = driver.filter(|driver| !driver.leaves_group_viable()) else {
            return known(HostDriverKind::None, "no host driver has it".to_owned());
        };
        if driver.as_str() == "nvidia" {
            let modules = self.0.get_or_insert_with(|| look(files)).clone();
            let mut found = nvidias(&modules, gpu);
            found.version = modules.version;
            return found;
        }
        let frameworks: Vec<String> = gpu.frameworks.iter().map(ToString::to_string).collect();
        if !frameworks.is_empty() {
            known(HostDriverKind::VgpuHost, format!("{driver} offers vGPUs: {}", frameworks.join(", ")))
        } else if VGPU_HOSTS.contains(&driver.as_str()) {
            known(HostDriverKind::VgpuHost, format!("{driver} is made for virtual functions"))
        } else {
            known(HostDriverKind::Other, format!("{driver} offers no vGPUs"))
        }
    }
}

fn look(files: Files<'_>) -> Nvidia {
    let text = files.text(paths::NVIDIA_VERSION).unwrap_or_default();
    let version = files.text(paths::NVIDIA_MODULE_VERSION).ok().map(|text| text.trim().to_owned());
    let sound = |version: &String| nvidia::is_version(version);
    Nvidia {
        seen: files.sysfs.exists(paths::NVIDIA_MODULE),
        vgpu: files.sysfs.exists(paths::NVIDIA_VGPU_MODULE),
        open: nvidia::is_open_module(&text),
        version: version.filter(sound).or_else(|| nvidia::driver_version(&text)),
        installed: files.sysfs.exists(paths::NVIDIA_VGPUD),
    }
}

fn nvidias(modules: &Nvidia, gpu: &Gpu) -> HostDriver {
    let offers = !gpu.frameworks.is_empty();
    let without = "nvidia is loaded without nvidia_vgpu_vfio";
    match (offers, modules) {
        (true, _) => known(HostDriverKind::VgpuHost, "the card offers vGPU types".to_owned()),
        (_, Nvidia { vgpu: true, .. }) => {
            known(HostDriverKind::VgpuHost, "nvidia_vgpu_vfio is loaded".to_owned())
        }
        (_, Nvidia { seen: false, .. }) => {
            known(HostDriverKind::Unknown, "the loaded modules do not show".to_owned())
        }
        (_, Nvidia { installed: true, .. }) => {
            known(HostDriverKind::Plain, format!("{without}, though {} is there", paths::NVIDIA_VGPUD))
        }
        (_, Nvidia { open: true, .. }) => known(HostDriverKind::OpenModule, without.to_owned()),
        (_, Nvidia { open: false, .. }) => known(HostDriverKind::Plain, without.to_owned()),
    }
}

fn known(kind: HostDriverKind, evidence: String) -> HostDriver {
    HostDriver { kind, version: None, evidence }
}
