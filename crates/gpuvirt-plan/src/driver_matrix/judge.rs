//! Whether a package fits a GPU, or a VM's devices.
//!
//! The rules: a vGPU takes the GRID driver and no other, of a release that goes with the host's manager; a passthrough card
//! takes the data center driver or the GRID driver, and the host's driver does not see it; the plain driver makes no vGPUs.

use gpuvirt_model::HostDriverKind;

use super::together::{guests_of, managers_for};
use super::{
    Branch, Brand, DriverVersion, Judgement, Package, PackageKind, Part, Release, Together, Use, UsedAs,
    Verdict, card,
};

/// Judges a package for one use of a GPU.
pub fn judge(package: &Package, used: &Use) -> Judgement {
    if brand(used.vendor) != Some(package.brand) {
        let (whose, name) = (brand_text(package.brand), shown(&used.name));
        let text = format!("it is {whose}'s, and {} is no card of {whose}'s: {name}", used.gpu);
        return Judgement::does_not(text);
    }
    let several = package.kinds.len() > 1;
    let judgements = package.kinds.iter().map(|kind| {
        let mut judgement = one(package, *kind, used);
        if several {
            judgement.because.iter_mut().for_each(|text| *text = format!("as {}: {text}", kind.text()));
        }
        judgement
    });
    let found = Judgement::any(judgements.collect());
    let found = found.unwrap_or_else(|| Judgement::unknown("it can't be told what it is"));
    let disagree = several && found.verdict == Verdict::Unknown;
    if disagree { found.try_this("name the package's file instead of the version") } else { found }
}

fn brand(vendor: u16) -> Option<Brand> {
    match vendor {
        0x10de => Some(Brand::Nvidia),
        0x1002 => Some(Brand::Amd),
        0x8086 => Some(Brand::Intel),
        _ => None,
    }
}

/// The brand's own name.
pub fn brand_text(brand: Brand) -> &'static str {
    match brand {
        Brand::Nvidia => "NVIDIA",
        Brand::Amd => "AMD",
        Brand::Intel => "Intel",
    }
}

fn shown(name: &str) -> &str {
    if name.is_empty() { "a card without a known name" } else { name }
}

fn one(package: &Package, kind: PackageKind, used: &Use) -> Judgement {
    if kind == PackageKind::Bundle {
        return Judgement::unknown("it is an archive of a manager and of guests' drivers")
            .try_this("unpack it, and name the file below Host_Drivers or Guest_Drivers");
    }
    if kind == PackageKind::OtherHypervisor {
        return Judgement::does_not("it is the manager for another hypervisor, and this is Linux with KVM")
            .try_this("get the package for Linux KVM, RHEL KVM or Ubuntu KVM of the same release");
    }
    if package.brand != Brand::Nvidia {
        return others(package, kind, used);
    }
    let too = package.branch.and_then(|branch| card::unknown_to(branch, &used.name));
    if let Some(why) = too {
        return Judgement::does_not(format!("{}: {why}", shown(&used.name)));
    }
    match kind {
        PackageKind::VgpuManager | PackageKind::AieManager => manager(package, kind, used),
        PackageKind::GuestDriver => guest(package, used),
        _ => plain(package, used),
    }
}

fn manager(package: &Package, kind: PackageKind, used: &Use) -> Judgement {
    let gpu = used.gpu;
    if used.in_guest {
        return Judgement::does_not("a vGPU manager is the host's driver: it has no place in a VM").try_this(
            "install NVIDIA's GRID driver in the VM, or with a passthrough card the data center driver",
        );
    }
    if used.used_as == UsedAs::Passthrough {
        return Judgement::does_not(format!(
            "{gpu} is passed through: no manager sees it, and its VM takes a guest's driver"
        ))
        .try_this(format!("gpuvirt gpu set {gpu} --type shared-direct, to share it as vGPUs"))
        .try_this("or install the data center driver in the VM that has it");
    }
    if card::is_geforce(&used.name) {
        return Judgement::does_not(format!(
            "{} is a GeForce card: NVIDIA offers vGPUs on none of them",
            used.name
        ))
        .try_this(format!("gpuvirt gpu set {gpu} --type direct, to pass it through"));
    }
    let aie = kind == PackageKind::AieManager;
    if card::is_compute(&used.name) && !aie {
        let bare = DriverVersion::parse(&package.name).is_some();
        let text = format!(
            "{} is made for computing: since vGPU software 13 its vGPUs come with NVIDIA AI Enterprise's manager (-aie)",
            used.name
        );
        let found = if bare { Judgement::unknown(text) } else { Judgement::does_not(text) };
        return found.try_this("get the package whose name ends on -vgpu-kvm-aie, of the same version");
    }
    let Some(branch) = package.branch else { return unknown_branch(package) };
    let licence = if aie { "NVIDIA AI Enterprise" } else { "the vGPU software" };
    let mut found = Judgement::fits(format!("it makes vGPUs on the card, with the licence of {licence}"));
    found.because.push(format!("its guests need drivers of {}", branches(&guests_of(branch))));
    if used.used_as == UsedAs::Host {
        found.because.push("it gives the host's own programs neither CUDA nor graphics".to_owned());
    }
    found
}

fn guest(package: &Package, used: &Use) -> Judgement {
    let gpu = used.gpu;
    match used.used_as {
        UsedAs::Passthrough if card::is_geforce(&used.name) => Judgement::does_not(format!(
            "{} is a GeForce card, which the GRID driver does not know",
            used.name
        ))
        .try_this("install the driver of the card's own series in the VM"),
        UsedAs::Passthrough => {
            let mut found =
                Judgement::fits(format!("{gpu} is passed through, and the GRID driver runs it like a vGPU"));
            found
                .because
                .push("features of NVIDIA's virtual workstations need its licence there too".to_owned());
            found
        }
        UsedAs::Host => {
            let mut found = Judgement::fits("NVIDIA supports it on a host without VMs too, with its licence");
            found.because.push("it makes no vGPUs".to_owned());
            found
        }
        UsedAs::Vgpu => with_manager(package, used),
    }
}

/// The guest's driver with the manager that the host has now.
fn with_manager(package: &Package, used: &Use) -> Judgement {
    let host = &used.host_driver;
    if host.kind != HostDriverKind::VgpuHost {
        return Judgement::unknown(format!(
            "the host has no vGPU manager for {} now: {}",
            used.gpu, host.evidence
        ))
        .try_this("gpuvirt gpu show GPU; install the manager first, its release decides about the guests'");
    }
    let manager = host.version.as_deref().and_then(DriverVersion::parse);
    let (Some(manager), Some(guest)) = (manager, package.version.as_ref()) else {
        return Judgement::unknown(format!(
            "the version of the host's manager for {} is not known",
            used.gpu
        ));
    };
    let branch = Branch::of(&manager, false);
    let names = format!("the host's manager is {}", located(&manager, branch, Part::Manager));
    match Together::of(&manager, guest, package.is_windows()) {
        Together::SameRelease => Judgement::fits(format!("{names}, of the same major release")),
        Together::GuestOneOlder => {
            Judgement::fits(format!("{names}, one branch newer; features of the older one only"))
        }
        Together::PreviousLts => {
            Judgement::fits(format!("{names}; both are long-term branches, the guest's the one before"))
        }
        Together::GuestNewer => no_match(&format!("{names}, which is older than this driver"), branch),
        Together::GuestTooOld => no_match(&format!("{names}, which takes no guests so old"), branch),
        Together::Unknown => {
            let mut found = Judgement::unknown(names);
            found.because.push("the table does not have both branches".to_owned());
            found.try_this("compare both with NVIDIA's release notes: Compatibility Requirements")
        }
    }
}

fn no_match(text: &str, manager: Option<&Branch>) -> Judgement {
    let found = Judgement::does_not(format!("{text}: the vGPU would not load"));
    let Some(branch) = manager else { return found };
    let found = found.try_this(format!("install a guest's driver of {}", branches(&guests_of(branch))));
    match Release::newest_of(branch) {
        Some(release) => found.try_this(guests_text(release)),
        None => found,
    }
}

fn plain(package: &Package, used: &Use) -> Judgement {
    let gpu = used.gpu;
    match (used.used_as, used.in_guest) {
        (UsedAs::Passthrough, _) => {
            Judgement::fits(format!("{gpu} is passed through: the VM drives it like a card of its own"))
        }
        (UsedAs::Vgpu, true) => {
            let found = Judgement::does_not(
                "a vGPU takes NVIDIA's GRID driver; the data center driver finds no card there",
            );
            let manager = used.host_driver.version.as_deref().and_then(DriverVersion::parse);
            match manager.and_then(|version| Release::with(Part::Manager, &version).first().copied()) {
                Some(release) => found.try_this(guests_text(release)),
                None => found.try_this("install the GRID driver that came with the host's manager"),
            }
        }
        (UsedAs::Vgpu, false) => {
            let found =
                Judgement::does_not(format!("{gpu} is for vGPUs, and a plain host driver makes none"));
            found.try_this(
                "install NVIDIA's vGPU manager, whose name ends on -vgpu-kvm, of the branch that you need",
            )
        }
        (UsedAs::Host, _) if package.is_windows() => {
            Judgement::does_not("it is for Windows, and this is the host")
        }
        (UsedAs::Host, _) => {
            let mut found = Judgement::fits("it drives the card for the host's own programs");
            found.because.push("it makes no vGPUs".to_owned());
            found
        }
    }
}

/// What can be said of AMD's and Intel's.
fn others(package: &Package, kind: PackageKind, used: &Use) -> Judgement {
    let vendor = brand_text(package.brand);
    let notes = format!(
        "{vendor}'s release notes say which guests' and hosts' drivers go together; there is no table here"
    );
    match (kind, used.used_as, used.in_guest) {
        (PackageKind::SriovHost, _, true) => {
            Judgement::does_not("it is the host's driver: it has no place in a VM")
        }
        (PackageKind::SriovHost, UsedAs::Passthrough, false) => {
            Judgement::does_not(format!("{} is passed through: no host driver sees it", used.gpu))
        }
        (PackageKind::Plain, UsedAs::Passthrough, _) => Judgement::fits(format!(
            "{} is passed through: the VM drives it like a card of its own",
            used.gpu
        )),
        (PackageKind::Plain, UsedAs::Host, _) if package.is_windows() => {
            Judgement::does_not("it is for Windows, and this is the host")
        }
        (PackageKind::Plain, UsedAs::Host, _) => {
            Judgement::fits("it drives the card for the host's own programs")
        }
        _ => Judgement::unknown(notes),
    }
}

fn unknown_branch(package: &Package) -> Judgement {
    let version = package.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    Judgement::unknown(format!("the table does not have the branch of its version{version}"))
        .try_this("compare it with NVIDIA's release notes: Supported GPUs, Compatibility Requirements")
}

/// `550.163.02 (vGPU software 17.6)`
fn located(version: &DriverVersion, branch: Option<&Branch>, part: Part) -> String {
    let names: Vec<String> = Release::with(part, version).iter().map(|release| release.name()).collect();
    match (names.is_empty(), branch.and_then(|branch| branch.vgpu)) {
        (false, _) => format!("{version} (vGPU software {})", names.join(", ")),
        (true, Some(release)) => format!("{version} (vGPU software {release} by its branch)"),
        (true, None) => format!("{version}"),
    }
}

/// `vGPU software 19 (R580), 18 (R570)`
pub fn branches(all: &[&Branch]) -> String {
    let one = |branch: &&Branch| Some(format!("{} (R{})", branch.vgpu?, branch.number));
    format!("vGPU software {}", all.iter().filter_map(one).collect::<Vec<_>>().join(", "))
}

/// The branches whose managers take a guest's driver of this branch, in words.
pub fn managers_text(guest: &Branch) -> String {
    branches(&managers_for(guest))
}

/// The branches whose guests a manager of this branch takes, in words.
pub fn guests_branches_text(manager: &Branch) -> String {
    branches(&guests_of(manager))
}

fn guests_text(release: &Release) -> String {
    let linux = release.linux.map(|version| format!("NVIDIA-Linux-x86_64-{version}-grid.run"));
    let windows = release.windows.map(|version| format!("{version}_grid_win*.exe"));
    let both: Vec<String> = linux.into_iter().chain(windows).collect();
    format!("vGPU software {} has {}", release.name(), both.join(" and "))
}

impl PackageKind {
    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Self::VgpuManager => "NVIDIA's vGPU manager for the host",
            Self::AieManager => "NVIDIA AI Enterprise's vGPU manager for the host",
            Self::GuestDriver => "NVIDIA's GRID driver for guests",
            Self::Plain => "the plain driver (data center, desktop)",
            Self::Bundle => "all parts of a release of NVIDIA's vGPU software",
            Self::OtherHypervisor => "NVIDIA's vGPU manager for another hypervisor",
            Self::SriovHost => "an SR-IOV driver for the host",
            Self::SriovBoth => "an SR-IOV driver for host and guest",
        }
    }
}
