//! Traces of GPUs that are given whole to VMs: driverctl's overrides, `vfio-pci.ids=`, domains' and Proxmox guests'
//! host devices.

use gpuvirt_model::import::{DriverOverride, HostPci, Origin, VfioIds};
use gpuvirt_model::{ConfiguredType, Domain, Hostdev, Observed, PciAddress};

use super::{Collected, Sources, Trace, adopt, what_sits_at};

pub(super) fn collect(sources: &Sources<'_>, collected: &mut Collected) {
    for over in &sources.foreign.overrides {
        driverctl(over, sources.observed, collected);
    }
    for ids in &sources.foreign.vfio_ids {
        vfio_ids(ids, sources.observed, collected);
    }
    for kept in &sources.foreign.kept_away {
        let trace = Trace::about(&kept.origin, kept.says.clone());
        collected.traces.push(trace.noting("gpuvirt needs no such line: it binds by address"));
    }
    for domain in sources.observed.domains.known().into_iter().flatten() {
        hostdevs(domain, sources, collected);
    }
    for line in sources.foreign.hostpci.iter().filter(|line| line.mdev.is_none()) {
        hostpci(line, sources.observed, collected);
    }
}

fn driverctl(over: &DriverOverride, observed: &Observed, collected: &mut Collected) {
    let trace = Trace::about(&over.origin, format!("{} is bound to {}", over.address, over.driver));
    let trace = match observed.gpu_of(over.address) {
        None => trace.noting(what_sits_at(over.address, observed)),
        Some(gpu) if !is_vfio(&over.driver) => {
            trace.of(Some(gpu.address)).noting("a host driver; gpuvirt leaves it as it is")
        }
        Some(gpu) if is_vf(over.address, observed) => {
            trace.makes(gpu.address, ConfiguredType::SharedDirect).noting("a virtual function of that GPU")
        }
        Some(gpu) => {
            // `driverctl unset-override` would take the function from its driver at once.
            collected.afterwards.push(format!("rm {}", over.origin.path));
            let forget = observed.functions.get(&over.address).and_then(|function| {
                let (vendor, device) = (function.identity.vendor, function.identity.device);
                (over.driver == "vfio-pci").then(|| forget_id(vendor, device))
            });
            collected.afterwards.extend(forget.filter(|line| !collected.afterwards.contains(line)));
            trace.makes(gpu.address, ConfiguredType::Direct)
        }
    };
    collected.traces.push(trace);
}

/// driverctl teaches vfio-pci the ids of what it gives to it (`new_id`), and nothing shows that afterwards. With them, vfio-pci
/// takes the card from the host again, and every other one of its kind.
fn forget_id(vendor: u16, device: u16) -> String {
    format!("echo {vendor:04x} {device:04x} > /sys/bus/pci/drivers/vfio-pci/remove_id")
}

/// `vfio-pci` and its variants, as the drivers themselves are called.
fn is_vfio(driver: &str) -> bool {
    driver == "vfio-pci" || driver.ends_with("-vfio-pci") || driver.ends_with("_vfio_pci")
}

fn is_vf(address: PciAddress, observed: &Observed) -> bool {
    observed.functions.get(&address).is_some_and(|function| function.physfn.is_some())
}

fn vfio_ids(ids: &VfioIds, observed: &Observed, collected: &mut Collected) {
    let trace = Trace::about(&ids.origin, format!("vfio-pci takes every {}", ids.id));
    let fits = |address: &PciAddress| {
        observed.functions.get(address).is_some_and(|function| ids.id.matches(&function.identity))
    };
    let found: Vec<PciAddress> = observed.gpus.keys().copied().filter(&fits).collect();
    if found.is_empty() {
        let companion = observed.gpus.values().find(|gpu| gpu.functions.iter().any(&fits));
        let note = match companion {
            Some(_) => "a companion function; it goes with its card",
            None => "no GPU of this host is one",
        };
        collected.traces.push(trace.of(companion.map(|gpu| gpu.address)).noting(note));
        return;
    }
    let several = (found.len() > 1)
        .then(|| format!("it takes all {} of that kind; the entries here are by address", found.len()));
    for gpu in found {
        let trace = trace.clone().makes(gpu, ConfiguredType::Direct);
        collected.traces.push(Trace { note: several.clone(), ..trace });
    }
    collected.afterwards.push(out_of_the_way(&ids.origin));
}

fn out_of_the_way(origin: &Origin) -> String {
    match origin.line {
        None => {
            "take vfio-pci.ids= off the kernel's command line (with GRUB: /etc/default/grub, then update-grub; with systemd-boot: \
             /etc/kernel/cmdline, then kernel-install or proxmox-boot-tool refresh)"
                .to_owned()
        }
        Some(line) => {
            format!(
                "take the option ids= out of line {line} of {}, then make the initramfs anew (update-initramfs -u, or dracut -f)",
                origin.path
            )
        }
    }
}

/// A domain's PCI host devices; its mediated devices are traces of shared GPUs.
fn hostdevs(domain: &Domain, sources: &Sources<'_>, collected: &mut Collected) {
    let origin = Origin::file("libvirt");
    let mut seen = Vec::new();
    for hostdev in &domain.config {
        let Hostdev::Pci { address, managed } = hostdev else { continue };
        let Some(gpu) = sources.observed.gpu_of(*address) else { continue };
        if seen.contains(&gpu.address) {
            continue;
        }
        seen.push(gpu.address);
        let trace = Trace::about(&origin, format!("VM {} has {address}", domain.name));
        let becomes = if is_vf(*address, sources.observed) {
            ConfiguredType::SharedDirect
        } else {
            ConfiguredType::Direct
        };
        let trace = trace.makes(gpu.address, becomes);
        let managed = managed.then_some("libvirt binds and unbinds it there (managed='yes')");
        collected.traces.push(Trace { note: managed.map(str::to_owned), ..trace });
        if domain.requests.list.is_empty() {
            collected.afterwards.push(adopt(domain));
        }
    }
}

fn hostpci(line: &HostPci, observed: &Observed, collected: &mut Collected) {
    for device in &line.devices {
        let address = device.address();
        let trace = Trace::about(&line.origin, format!("guest {} has {address}", line.guest));
        let trace = match observed.gpu_of(address) {
            None => trace.noting(what_sits_at(address, observed)),
            Some(gpu) if is_vf(address, observed) => trace.makes(gpu.address, ConfiguredType::SharedDirect),
            Some(gpu) => trace.makes(gpu.address, ConfiguredType::Direct),
        };
        collected.traces.push(trace);
    }
}
