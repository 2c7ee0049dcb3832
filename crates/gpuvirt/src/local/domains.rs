//! libvirt's domains from its own files, for the doctor and for snapshots while gpuvirtd does not answer.
//!
//! As root alone. What libvirt itself would say may be newer; nothing is concluded from a file that can't be understood.

use gpuvirt_host::domain::DomainFiles;
use gpuvirt_model::{Domain, DomainState, Machine, Reading, Unknown};

/// The domains, and the machines of those that GPUs are a matter of.
pub(super) fn of(files: &[DomainFiles]) -> (Reading<Vec<Domain>>, Reading<Vec<Machine>>) {
    let (mut domains, mut machines) = (Vec::new(), Vec::new());
    for file in files {
        match domain(file) {
            Ok(Some((domain, machine))) => {
                domains.push(domain);
                machines.extend(machine);
            }
            Ok(None) => {}
            // It may hold any card: then none is known to be free.
            Err(why) if file.running.is_some() => {
                let what = format!("running domain {:?}: {why}", file.name);
                return (
                    Reading::Unknown(Unknown::Unreadable { what: what.clone() }),
                    Reading::Unknown(Unknown::Unreadable { what }),
                );
            }
            // One that is off and can't be understood holds nothing.
            Err(_) => {}
        }
    }
    (Reading::Known(domains), Reading::Known(machines))
}

fn domain(file: &DomainFiles) -> Result<Option<(Domain, Option<Machine>)>, String> {
    let running = file.running.as_deref().map(inner).transpose()?;
    let Some(xml) = file.stored.as_deref().or(running) else { return Ok(None) };
    let read = |xml: &str| gpuvirt_domain::read(xml).map_err(|error| gpuvirt_model::chain(&error));
    let config = read(xml)?;
    let live = running.map(read).transpose()?;
    let uuid = config.uuid.ok_or("it has no uuid")?;
    let domain = Domain {
        name: config.name,
        uuid,
        state: if live.is_some() { DomainState::Active } else { DomainState::ShutOff },
        autostart: file.autostart,
        config: config.hostdevs,
        live: live.map(|live| live.hostdevs).unwrap_or_default(),
        requests: config.requests,
        guest: config.guest,
    };
    let concerned = !(domain.config.is_empty() && domain.live.is_empty() && domain.requests.list.is_empty());
    let machine = concerned.then(|| gpuvirt_domain::machine(xml).ok()).flatten();
    Ok(Some((domain, machine)))
}

/// The domain within libvirt's notes of a running one: `<domstatus ...> ... <domain ...>...</domain></domstatus>`.
fn inner(status: &str) -> Result<&str, String> {
    const END: &str = "</domain>";
    let part = || status.get(status.find("<domain ")?..status.rfind(END)? + END.len());
    part().ok_or_else(|| "its file holds no domain".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gpuvirt_model::Hostdev;

    const CARD: &str = "<hostdev mode='subsystem' type='pci' managed='no'><source><address domain='0x0000' bus='0x41' \
                        slot='0x00' function='0x0'/></source></hostdev>";

    fn xml(id: &str, devices: &str) -> String {
        format!(
            "<domain type='kvm'{id}><name>vm</name><uuid>00000000-0000-0000-0000-000000000007</uuid><memory \
             unit='KiB'>1024</memory><os><type machine='pc-q35-10.0'>hvm</type></os><devices><graphics type='vnc' \
             passwd='hunter2'/>{devices}</devices></domain>"
        )
    }

    fn files(stored: Option<String>, running: Option<&str>) -> DomainFiles {
        let running = running.map(|domain| {
            format!("<!-- made by libvirt -->\n<domstatus state='running' pid='7'>\n<monitor path='/x'/>{domain}\n</domstatus>\n")
        });
        DomainFiles { name: "vm".to_owned(), stored, running, autostart: true }
    }

    #[test]
    fn stored_running_and_transient_domains_are_read() {
        let off = format!("<!--\nWARNING: generated\n-->\n\n{}", xml("", CARD));
        let (domains, machines) = of(&[files(Some(off), None)]);
        let domain = &domains.known().unwrap()[0];
        assert_eq!((domain.state, domain.autostart, domain.live.len()), (DomainState::ShutOff, true, 0));
        assert!(matches!(domain.config.as_slice(), [Hostdev::Pci { managed: false, .. }]));
        assert_eq!(machines.known().unwrap().len(), 1);
        let running = xml(" id='3'", CARD);
        let (domains, machines) =
            of(&[files(Some(xml("", "")), Some(&running)), files(None, Some(&running))]);
        let domains = domains.known().unwrap();
        assert!(domains.iter().all(|domain| domain.state == DomainState::Active && domain.live.len() == 1));
        assert_eq!(
            (domains[0].config.len(), domains[1].config.len(), machines.known().unwrap().len()),
            (0, 1, 2)
        );
    }

    #[test]
    fn what_can_not_be_understood_hides_a_running_domain_and_no_other() {
        let (domains, _) = of(&[files(Some("<domain".to_owned()), None), files(Some(xml("", CARD)), None)]);
        assert_eq!(domains.known().map(Vec::len), Some(1));
        for broken in ["", "<domain id='3'>hunter2", "hunter2</domain><domain "] {
            let (domains, machines) = of(&[files(None, Some(broken))]);
            let said = format!("{domains:?} {machines:?}");
            assert!(domains.known().is_none() && said.contains("vm") && !said.contains("hunter2"), "{said}");
        }
    }
}
