//! What a driver package is, by its file's name, or what a bare version can be.
//!
//! Sources of the names: NVIDIA virtual GPU software user guide, "Installing and Configuring NVIDIA Virtual GPU Manager" and
//! "Installing the NVIDIA vGPU Software Graphics Driver"; NVIDIA GPU Operator documentation, "Build the vGPU Manager image",
//! for the AI Enterprise manager; NVIDIA's download pages for data center and desktop drivers. Only the name is looked at, so
//! a renamed file is taken for what its name says.

use serde::Serialize;

use super::{Branch, DriverVersion, Part, Release};

/// Whose driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Brand {
    /// NVIDIA.
    Nvidia,
    /// AMD.
    Amd,
    /// Intel.
    Intel,
}

/// For which guests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guest {
    /// Linux.
    Linux,
    /// Windows.
    Windows,
}

/// What a package is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PackageKind {
    /// The host's vGPU manager, from the vGPU software.
    VgpuManager,
    /// The host's vGPU manager, from NVIDIA AI Enterprise.
    AieManager,
    /// The driver for guests with vGPUs (GRID), which runs passthrough cards too.
    GuestDriver,
    /// The data center or desktop driver: for the host's own use, or for a guest with a passthrough card.
    Plain,
    /// All parts of a release in one archive.
    Bundle,
    /// A manager for another hypervisor.
    OtherHypervisor,
    /// A vendor's SR-IOV driver for the host alone.
    SriovHost,
    /// A vendor's SR-IOV driver that host and guest both have.
    SriovBoth,
}

/// A package, or a version that may be one of several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Package {
    /// The name or version that was given.
    pub name: String,
    /// Whose it is.
    pub brand: Brand,
    /// What it is; several for a bare version that can be any of these.
    pub kinds: Vec<PackageKind>,
    /// The guests that it is for, where it is for guests.
    pub guest: Option<Guest>,
    /// Its version.
    pub version: Option<DriverVersion>,
    /// The releases of vGPU software that it is a part of; none: not in the table.
    pub releases: Vec<String>,
    /// Its branch, where the table has it.
    pub branch: Option<&'static Branch>,
}

/// Why a name is no package.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name of a driver package, and no version")]
pub struct Unrecognised(pub String);

/// Longer than any file's name.
const LONGEST: usize = 255;

impl Package {
    /// Recognises a file by its name, or a bare version. Folders in front of the name are ignored.
    ///
    /// # Errors
    /// [`Unrecognised`].
    pub fn recognise(text: &str) -> Result<Self, Unrecognised> {
        let name = text.trim().rsplit(['/', '\\']).next().unwrap_or_default();
        if name.is_empty() || name.len() > LONGEST {
            return Err(Unrecognised(text.chars().take(LONGEST).collect()));
        }
        if let Some(version) = DriverVersion::parse(name) {
            return Ok(Self::bare(name, version));
        }
        let (brand, kind, guest) =
            named(&name.to_ascii_lowercase()).ok_or_else(|| Unrecognised(name.to_owned()))?;
        let version =
            Some(brand).filter(|brand| *brand == Brand::Nvidia).and_then(|_| DriverVersion::find(name));
        Ok(Self::new(name, brand, vec![kind], guest, version))
    }

    fn bare(name: &str, version: DriverVersion) -> Self {
        let parts = Release::parts(&version);
        let windows = parts.contains(&Part::Windows) || (parts.is_empty() && version.is_windows());
        let mut kinds = Vec::new();
        if parts.contains(&Part::Manager) || (parts.is_empty() && !windows) {
            kinds.push(PackageKind::VgpuManager);
        }
        // Data center drivers come out under the numbers of the guests' drivers.
        if parts.is_empty() || parts.contains(&Part::Linux) || windows {
            kinds.extend([PackageKind::GuestDriver, PackageKind::Plain]);
        }
        let guest = if windows { Guest::Windows } else { Guest::Linux };
        Self::new(name, Brand::Nvidia, kinds, Some(guest), Some(version))
    }

    fn new(
        name: &str,
        brand: Brand,
        kinds: Vec<PackageKind>,
        guest: Option<Guest>,
        version: Option<DriverVersion>,
    ) -> Self {
        let windows = guest == Some(Guest::Windows);
        let branch = version.as_ref().and_then(|version| Branch::of(version, windows));
        let releases = version.as_ref().map(|version| releases(&kinds, windows, version)).unwrap_or_default();
        Self { name: name.to_owned(), brand, kinds, guest, version, releases, branch }
    }

    /// Whether it is for Windows guests.
    pub fn is_windows(&self) -> bool {
        self.guest == Some(Guest::Windows)
    }
}

fn releases(kinds: &[PackageKind], windows: bool, version: &DriverVersion) -> Vec<String> {
    let guests = if windows { Part::Windows } else { Part::Linux };
    let parts = kinds.iter().filter_map(|kind| match kind {
        PackageKind::VgpuManager | PackageKind::AieManager | PackageKind::Bundle => Some(Part::Manager),
        PackageKind::GuestDriver => Some(guests),
        PackageKind::Plain | PackageKind::OtherHypervisor => None,
        PackageKind::SriovHost | PackageKind::SriovBoth => None,
    });
    let mut names: Vec<String> = Vec::new();
    for release in parts.flat_map(|part| Release::with(part, version)) {
        if !names.contains(&release.name()) {
            names.push(release.name());
        }
    }
    names
}

type Found = (Brand, PackageKind, Option<Guest>);

/// What a name in lower case says.
fn named(name: &str) -> Option<Found> {
    let (stem, ending) = name.rsplit_once('.')?;
    match ending {
        "run" => installer(stem),
        "deb" | "rpm" => packaged(stem),
        "exe" => windows(stem),
        "zip" => archive(stem),
        "vib" | "iso" => archive(stem).filter(|(_, kind, _)| *kind == PackageKind::OtherHypervisor),
        _ => None,
    }
}

/// `NVIDIA-Linux-x86_64-550.54.16-vgpu-kvm.run`
fn installer(stem: &str) -> Option<Found> {
    let after =
        stem.strip_prefix("nvidia-linux-x86_64-").or_else(|| stem.strip_prefix("nvidia-linux-aarch64-"))?;
    let (version, rest) = after.split_once('-').unwrap_or((after, ""));
    DriverVersion::parse(version)?;
    let (kind, guest) = match rest {
        "" | "no-compat32" => (PackageKind::Plain, Guest::Linux),
        "vgpu-kvm" => return Some((Brand::Nvidia, PackageKind::VgpuManager, None)),
        "vgpu-kvm-aie" => return Some((Brand::Nvidia, PackageKind::AieManager, None)),
        // Clouds have theirs with a word behind it.
        rest if rest == "grid" || rest.starts_with("grid-") => (PackageKind::GuestDriver, Guest::Linux),
        _ => return None,
    };
    Some((Brand::Nvidia, kind, Some(guest)))
}

/// How names of NVIDIA's drivers in distributions and in NVIDIA's own repositories begin.
const PLAIN: [&str; 8] = [
    "nvidia-driver",
    "nvidia-headless",
    "nvidia-kernel",
    "nvidia-dkms",
    "nvidia-open",
    "nvidia-utils",
    "cuda-drivers",
    "kmod-nvidia",
];

/// `nvidia-vgpu-ubuntu-550_550.163.02_amd64.deb`, `NVIDIA-vGPU-rhel-8.9-550.163.02.x86_64.rpm`
fn packaged(stem: &str) -> Option<Found> {
    let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| stem.starts_with(prefix));
    if begins(&["nvidia-vgpu-"]) {
        let kind = match stem {
            stem if stem.contains("xenserver") || stem.contains("esxi") => PackageKind::OtherHypervisor,
            stem if stem.contains("-aie") => PackageKind::AieManager,
            _ => PackageKind::VgpuManager,
        };
        Some((Brand::Nvidia, kind, None))
    } else if begins(&["nvidia-linux-grid-"]) {
        Some((Brand::Nvidia, PackageKind::GuestDriver, Some(Guest::Linux)))
    } else if begins(&PLAIN) {
        Some((Brand::Nvidia, PackageKind::Plain, Some(Guest::Linux)))
    } else if begins(&["gim-", "gim_"]) {
        Some((Brand::Amd, PackageKind::SriovHost, None))
    } else if begins(&["amdgpu-install", "amdgpu-dkms", "amdgpu_"]) {
        Some((Brand::Amd, PackageKind::Plain, Some(Guest::Linux)))
    } else if begins(&["i915-sriov", "intel-i915-dkms"]) {
        Some((Brand::Intel, PackageKind::SriovBoth, Some(Guest::Linux)))
    } else {
        None
    }
}

/// `538.33_grid_win10_win11_server2022_dch_64bit_international.exe`
fn windows(stem: &str) -> Option<Found> {
    let (brand, kind) = match stem {
        stem if stem.contains("adrenalin") || stem.contains("amd-software") => {
            (Brand::Amd, PackageKind::Plain)
        }
        stem if stem.starts_with("gfx_win_") || stem.starts_with("igfx_win_") => {
            (Brand::Intel, PackageKind::Plain)
        }
        stem if DriverVersion::find(stem).is_none() => return None,
        stem if stem.contains("_grid_") || stem.contains("-grid-") => {
            (Brand::Nvidia, PackageKind::GuestDriver)
        }
        stem if stem.contains("desktop") || stem.contains("notebook") || stem.contains("tesla") => {
            (Brand::Nvidia, PackageKind::Plain)
        }
        _ => return None,
    };
    Some((brand, kind, Some(Guest::Windows)))
}

/// `NVIDIA-GRID-Linux-KVM-550.163.02-550.163.01-553.74.zip`
fn archive(stem: &str) -> Option<Found> {
    let other = ["vsphere", "esxi", "xenserver", "nvd-vgpu", "nvd-aie", "hyperv", "azure-stack", "nutanix"];
    if other.iter().any(|word| stem.contains(word))
        && (stem.starts_with("nvidia-") || stem.starts_with("nvd-"))
    {
        return Some((Brand::Nvidia, PackageKind::OtherHypervisor, None));
    }
    let bundle = stem.starts_with("nvidia-grid-") && stem.contains("kvm");
    bundle.then_some((Brand::Nvidia, PackageKind::Bundle, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_a_package_is() {
        use PackageKind::{
            AieManager, Bundle, GuestDriver, OtherHypervisor, Plain, SriovBoth, SriovHost, VgpuManager,
        };
        for (name, kind, version, release) in [
            ("NVIDIA-Linux-x86_64-550.54.16-vgpu-kvm.run", VgpuManager, "550.54.16", "17.1"),
            ("/root/NVIDIA-Linux-x86_64-580.105.06-vgpu-kvm-aie.run", AieManager, "580.105.06", "19.3"),
            ("NVIDIA-Linux-x86_64-580.65.06-grid.run", GuestDriver, "580.65.06", "19.0"),
            ("NVIDIA-Linux-x86_64-550.144.06-grid-azure.run", GuestDriver, "550.144.06", ""),
            ("NVIDIA-Linux-x86_64-550.163.01.run", Plain, "550.163.01", ""),
            ("NVIDIA-Linux-x86_64-550.163.01-no-compat32.run", Plain, "550.163.01", ""),
            ("nvidia-vgpu-ubuntu-550_550.163.02_amd64.deb", VgpuManager, "550.163.02", "17.6"),
            ("nvidia-vgpu-ubuntu-550.163.02_amd64.deb", VgpuManager, "550.163.02", "17.6"),
            ("nvidia-vgpu-ubuntu-aie-550_550.144.02_amd64.deb", AieManager, "550.144.02", "17.5"),
            ("NVIDIA-vGPU-rhel-8.9-550.163.02.x86_64.rpm", VgpuManager, "550.163.02", "17.6"),
            ("nvidia-linux-grid-535_535.161.07_amd64.deb", GuestDriver, "535.161.07", "16.4"),
            ("nvidia-linux-grid-535-535.161.07-1.x86_64.rpm", GuestDriver, "535.161.07", "16.4"),
            ("nvidia-driver-550-server_550.163.01-0ubuntu1_amd64.deb", Plain, "550.163.01", ""),
            ("nvidia-driver-local-repo-ubuntu2204-535.183.06_1.0-1_amd64.deb", Plain, "535.183.06", ""),
            (
                "538.33_grid_win10_win11_server2019_server2022_dch_64bit_international.exe",
                GuestDriver,
                "538.33",
                "16.4",
            ),
            (
                "572.61-data-center-tesla-desktop-winserver-2022-2025-dch-international.exe",
                Plain,
                "572.61",
                "",
            ),
            ("580.88-desktop-win10-win11-64bit-international-dch-whql.exe", Plain, "580.88", ""),
            ("NVIDIA-GRID-Linux-KVM-550.163.02-550.163.01-553.74.zip", Bundle, "550.163.02", "17.6"),
            ("NVIDIA-GRID-vSphere-8.0-580.65.05-580.65.06-580.88.zip", OtherHypervisor, "580.65.05", ""),
            ("NVD-VGPU-800_595.71.03-1OEM.800.1.0.20613240.zip", OtherHypervisor, "595.71.03", ""),
            ("gim-dkms_8.4.0.K_all.deb", SriovHost, "", ""),
            ("amdgpu-install_6.4.60401-1_all.deb", Plain, "", ""),
            ("i915-sriov-dkms_2025.07.22_amd64.deb", SriovBoth, "", ""),
            ("gfx_win_101.6790.exe", Plain, "", ""),
        ] {
            let package = Package::recognise(name).unwrap();
            let found = package.version.as_ref().map(DriverVersion::as_str).unwrap_or_default();
            assert_eq!((package.kinds.as_slice(), found), ([kind].as_slice(), version), "{name}");
            assert_eq!(package.releases.join(" "), release, "{name}");
        }
    }

    #[test]
    fn a_bare_version_is_what_the_table_says_or_all_that_it_can_be() {
        use PackageKind::{GuestDriver, Plain, VgpuManager};
        for (text, kinds, guest) in [
            ("550.163.02", vec![VgpuManager], Guest::Linux),
            ("550.163.01", vec![GuestDriver, Plain], Guest::Linux),
            ("535.230.02", vec![VgpuManager, GuestDriver, Plain], Guest::Linux),
            ("553.74", vec![GuestDriver, Plain], Guest::Windows),
            ("550.200.01", vec![VgpuManager, GuestDriver, Plain], Guest::Linux),
            ("553.99", vec![GuestDriver, Plain], Guest::Windows),
        ] {
            let package = Package::recognise(text).unwrap();
            assert_eq!((package.kinds, package.guest), (kinds, Some(guest)), "{text}");
        }
    }

    #[test]
    fn other_names_are_not_guessed_at() {
        let long = "9".repeat(300);
        for name in [
            "",
            "/",
            "readme.txt",
            "550",
            "NVIDIA-Linux-x86_64-vgpu-kvm.run",
            "NVIDIA-Linux-x86_64-550.54.16-merged-vgpu-kvm.run",
            "NVIDIA-Linux-x86_64-550.54.16-vgpu-kvm",
            "setup.exe",
            "linux-image-6.8.0_amd64.deb",
            "NVIDIA-GRID.zip",
            long.as_str(),
            "\u{1b}[1m.run",
            "größe.run",
        ] {
            assert!(Package::recognise(name).is_err(), "{name:?}");
        }
    }
}
