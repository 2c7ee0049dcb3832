//! Which VMs are to start with the host, from libvirt's own files: while libvirt has listed none, a start of another VM is to leave
//! them their room all the same. It may be that start which woke libvirt.

use gpuvirt_host::{LinuxSysfs, Sysfs};
use gpuvirt_model::{Domain, DomainState, chain};

/// The domains that start with the host, as if all were off; none where no files tell. One that can't be understood is left out:
/// libvirt could not start it either.
pub(super) fn by_files() -> Option<Vec<Domain>> {
    of(&LinuxSysfs::this_machine())
}

fn of(sysfs: &dyn Sysfs) -> Option<Vec<Domain>> {
    let definitions = gpuvirt_host::domain::autostarted(sysfs).unwrap_or_else(|error| {
        tracing::warn!(error = chain(&error), "it can't be told which VMs are to start with the host");
        None
    })?;
    Some(definitions.iter().filter_map(|xml| domain(xml)).collect())
}

fn domain(xml: &str) -> Option<Domain> {
    let read = gpuvirt_domain::read(xml).ok()?;
    Some(Domain {
        name: read.name,
        uuid: read.uuid?,
        state: DomainState::ShutOff,
        autostart: true,
        config: read.hostdevs,
        live: Vec::new(),
        requests: read.requests,
        guest: read.guest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_is_a_vm_that_is_off_and_what_is_none_is_left_out() {
        let xml = "<!--\nWARNING: generated\n-->\n\n<domain type='kvm'><name>vm</name><uuid>00000000-0000-0000-0000-000000000007</uuid>\
                   <memory>1024</memory><os><type>hvm</type></os><devices><hostdev mode='subsystem' type='mdev' model='vfio-pci'>\
                   <source><address uuid='00000000-0000-0000-0000-000000000001'/></source></hostdev></devices></domain>";
        let vm = domain(xml).unwrap();
        assert_eq!(
            (vm.name.as_str(), vm.state, vm.autostart, vm.config.len()),
            ("vm", DomainState::ShutOff, true, 1)
        );
        assert!(domain("<domain><name>vm</name>").is_none());
        assert!(domain(&xml.replace("<uuid>00000000-0000-0000-0000-000000000007</uuid>", "")).is_none());
    }
}
