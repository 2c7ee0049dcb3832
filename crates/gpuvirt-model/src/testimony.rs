//! What was known of a recorded host that no file of its kernel's shows: what the admin asked for, what gpuvirt made, libvirt's
//! domains as far as GPUs care, and who held what at that moment.
//!
//! A snapshot carries it beside the files, so that `--host` shows what the host showed. It is made of values alone that are read
//! out of definitions; passwords, disks, networks and everything else of a domain were never in them.

mod names;
mod texts;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::health::{DaemonHealth, LibvirtHealth, Locker};
use crate::{Desired, Domain, Holders, Observed, PciAddress, Reading, Records, Unknown, VgpuId};

pub use texts::TestimonyText;

/// What gpuvirtd, or the command where there was none, knew of its host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Testimony {
    /// What the admin asked for.
    pub desired: Desired,
    /// What gpuvirt made in that boot.
    pub records: Records,
    /// What could not be understood of gpuvirt's own files, as listings say it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// libvirt's domains.
    pub domains: Reading<Vec<Domain>>,
    /// libvirt, and the machines of the domains that GPUs are a matter of.
    pub libvirt: LibvirtHealth,
    /// What gpuvirtd knew of itself and its part.
    pub daemon: DaemonHealth,
    /// Who held each GPU.
    pub holders: BTreeMap<PciAddress, Holders>,
    /// Who held each vGPU.
    pub vgpu_holders: BTreeMap<VgpuId, Holders>,
    /// libvirt's daemons with what they may lock.
    pub lockers: Reading<Vec<Locker>>,
    /// Whether SELinux confined the virtqemud that ran. Earlier recordings don't have it.
    #[serde(default = "not_recorded", skip_serializing_if = "is_not_recorded")]
    pub virtqemud_confined: Reading<bool>,
}

fn not_recorded() -> Reading<bool> {
    Reading::Unknown(Unknown::NotRecorded)
}

fn is_not_recorded(reading: &Reading<bool>) -> bool {
    *reading == not_recorded()
}

impl Default for Testimony {
    fn default() -> Self {
        Self {
            desired: Desired::default(),
            records: Records::default(),
            problems: Vec::new(),
            domains: Reading::Unknown(Unknown::NotRecorded),
            libvirt: LibvirtHealth::default(),
            daemon: DaemonHealth::default(),
            holders: BTreeMap::new(),
            vgpu_holders: BTreeMap::new(),
            lockers: Reading::Unknown(Unknown::NotRecorded),
            virtqemud_confined: not_recorded(),
        }
    }
}

impl Testimony {
    /// The same, with what a picture shows of domains and holders.
    #[must_use]
    pub fn of(mut self, observed: &Observed) -> Self {
        self.domains = observed.domains.clone();
        self.holders = observed.gpus.values().map(|gpu| (gpu.address, gpu.holders.clone())).collect();
        self.vgpu_holders = observed.vgpus.values().map(|vgpu| (vgpu.id, vgpu.holders.clone())).collect();
        self
    }

    /// Puts domains and holders into a picture of the recorded files. What the testimony does not have stays as it is.
    pub fn tell(&self, observed: &mut Observed) {
        observed.domains = self.domains.clone();
        for gpu in observed.gpus.values_mut() {
            if let Some(holders) = self.holders.get(&gpu.address) {
                gpu.holders = holders.clone();
            }
        }
        for vgpu in observed.vgpus.values_mut() {
            if let Some(holders) = self.vgpu_holders.get(&vgpu.id) {
                vgpu.holders = holders.clone();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DomainState, Guest, Holder, Machine, Requests, Via};
    use uuid::Uuid;

    fn domain(name: &str) -> Domain {
        Domain {
            name: name.to_owned(),
            uuid: Uuid::from_u128(7),
            state: DomainState::ShutOff,
            autostart: false,
            config: Vec::new(),
            live: Vec::new(),
            requests: Requests::default(),
            guest: Guest::default(),
        }
    }

    #[test]
    fn what_earlier_recordings_do_not_have_is_not_recorded() {
        let earlier = serde_json::to_value(Testimony::default()).unwrap();
        assert!(earlier.get("virtqemudConfined").is_none(), "{earlier}");
        let read: Testimony = serde_json::from_value(earlier).unwrap();
        assert_eq!(read, Testimony::default());
        let told = Testimony { virtqemud_confined: Reading::Known(true), ..Testimony::default() };
        let read: Testimony = serde_json::from_value(serde_json::to_value(&told).unwrap()).unwrap();
        assert_eq!(read, told);
    }

    #[test]
    fn what_people_named_has_one_word_wherever_it_stands() {
        let via = Via::Fd { fd: 3, path: "/dev/dri/card0".to_owned() };
        let (command, container) = ("Xorg".to_owned(), Some("docker acme".to_owned()));
        let process = Holder::Process { pid: 7, command, via, container };
        let vm = Holder::Domain { name: "payroll".to_owned(), uuid: Uuid::from_u128(7) };
        // A VM that libvirt no longer tells of.
        let gone = Holder::Domain { name: "gone-since".to_owned(), uuid: Uuid::from_u128(8) };
        let machine = |name: &str| Machine { name: name.to_owned(), ..Machine::default() };
        let gpu = PciAddress { domain: 0, bus: 1, slot: 0, function: 0 };
        let held = "[gpu-in-use] it is held by process 4242 (ledger), fd 9 on /dev/dri/card1, in container docker acme \
                    (stop it); [domain-running] of payroll";
        let unread = |what: &str| Unknown::Unreadable { what: what.to_owned() };
        let testimony = Testimony {
            domains: Reading::Known(vec![domain("acme"), domain("payroll")]),
            libvirt: LibvirtHealth {
                machines: Reading::Known(vec![machine("payroll")]),
                versions: Reading::Unknown(unread("payroll is locked")),
                ..LibvirtHealth::default()
            },
            daemon: DaemonHealth {
                problems: vec!["VM payroll, not payrolls: payroll".to_owned()],
                unhooked: vec!["acme".to_owned()],
                unrestored: vec![(gpu, held.to_owned()), (gpu, "killed by ledger".to_owned())],
                unanswered: Some("asked while payroll starts".to_owned()),
                no_writer: Some("Xorg has its socket, in docker acme".to_owned()),
                ..DaemonHealth::default()
            },
            holders: BTreeMap::from([(
                gpu,
                Holders { seen: vec![process, vm, gone], unseen: Some(unread("of Xorg")) },
            )]),
            lockers: Reading::Unknown(unread("payroll")),
            virtqemud_confined: Reading::Unknown(unread("payroll")),
            ..Testimony::default()
        };
        assert_eq!(testimony.names(), ["Xorg", "acme", "docker acme", "gone-since", "payroll"]);
        let hidden = testimony.without_names();
        let text = serde_json::to_string(&hidden).unwrap();
        for named in ["acme", "Xorg", "gone-since", "ledger", "payroll\"", "payroll ", "4242"] {
            assert!(!text.contains(named), "{named}: {text}");
        }
        let unrestored: Vec<&str> = hidden.daemon.unrestored.iter().map(|(_, why)| why.as_str()).collect();
        assert_eq!(unrestored, ["[gpu-in-use] [domain-running]", "redacted"]);
        assert_eq!(hidden.daemon.unanswered.as_deref(), Some("asked while vm2 starts"));
        assert_eq!(hidden.daemon.problems, ["VM vm2, not payrolls: vm2"]);
        assert_eq!(hidden.daemon.unhooked, ["vm1"]);
        let names: Vec<&str> =
            hidden.domains.known().unwrap().iter().map(|domain| domain.name.as_str()).collect();
        assert_eq!(names, ["vm1", "vm2"]);
        assert_eq!(hidden.libvirt.machines.known().unwrap()[0].name, "vm2");
        assert!(text.contains(r#""kind":"domain","name":"vm2""#), "{text}");
        assert!(text.contains("/dev/dri/card0"), "what they hold stays: {text}");
    }
}
