//! What is not known, so that no finding can be made of it.

use gpuvirt_model::{Fact, Reading, Unknown};

use super::Case;

/// Each fact that could not be read, with the reason.
pub(super) fn list(case: &Case<'_>) -> Vec<(String, Unknown)> {
    let health = case.health;
    let mut list = Vec::new();
    let mut add =
        |what: &str, why: Option<&Unknown>| list.extend(why.map(|why| (what.to_owned(), why.clone())));
    add("the processor's flags", unknown(&health.cpu.features));
    add("whether KVM is there", unknown(&health.cpu.kvm));
    add("the kernel's command line", unknown(&health.boot.command_line));
    add("the firmware's IOMMU table", unknown(&health.iommu.table));
    add("VFIO's settings", unknown(&health.vfio.noiommu));
    add("whether VFIO's IOMMU driver is there", unknown(&health.vfio.iommu_driver));
    add("modules' options", unknown(&health.modules.options));
    add("installed display drivers", unknown(&health.modules.display_drivers));
    add("the host's memory", unknown(&health.memory.total_kib));
    add("huge pages", unknown(&health.memory.pools));
    add("what libvirt's daemons may lock", unknown(&health.memory.lockers));
    add("Secure Boot", unknown(&health.security.secure_boot));
    add("the kernel's lockdown", unknown(&health.security.lockdown));
    add("SELinux", unknown(&health.security.selinux));
    add("how SELinux confines virtqemud", confinement(case));
    add("AppArmor's profile of libvirt", unknown(&health.security.apparmor_hooks));
    add("libvirt's hook", unknown(&health.install.hook));
    add("what is installed", unknown(&health.install.libvirt));
    add("claims of the cards' memory", unknown(&health.display.claims));
    if let Reading::Unknown(why) = &case.libvirt.versions {
        add("libvirt's version", Some(why));
    }
    if let Reading::Unknown(why) = &case.libvirt.machines {
        add("VMs' definitions", Some(why));
    }
    if let Reading::Unknown(why) = &case.observed.host.interrupt_remapping {
        add("interrupt remapping", Some(why));
    }
    list
}

/// Of interest where SELinux enforces. Earlier recordings have no word of it.
fn confinement<'a>(case: &Case<'a>) -> Option<&'a Unknown> {
    let security = &case.health.security;
    let why = security.virtqemud_confined.unknown().filter(|_| security.selinux.is(&true));
    why.filter(|why| !matches!(why, Unknown::NotRecorded))
}

fn unknown<T>(fact: &Fact<T>) -> Option<&Unknown> {
    fact.unknown()
}
