//! Which VMs start and run, as hooks tell it: what libvirt can't be asked while a domain starts.
//!
//! ```text
//! prepare  -> a claim: the VM has these devices from now on
//! release  -> the claim ends, and a ticket says that what was made for its start may go
//! a change -> refused where a claim has what it would take; a claim waits for a change of its GPU
//! ```
//!
//! It lives in memory. What it does not know (our own restart) comes back by `reconnect` hooks and by libvirt's next
//! listing; and who holds a device open is seen in the kernel all the same.

mod changing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use gpuvirt_model::{Domain, DomainState, Hostdev, IommuGroup, PciAddress, Reading, VgpuId};
use uuid::Uuid;

use crate::View;
use crate::under_change::has_part_of;

use changing::At;

/// Claims and tickets.
#[derive(Default)]
pub(crate) struct Starts {
    state: Mutex<State>,
    changed: Condvar,
    /// Called when a change ends for whose sake something of a VM that had ended was kept.
    pub(crate) due: Option<Box<dyn Fn() + Send + Sync>>,
}

#[derive(Debug, Default)]
struct State {
    /// Rises with every claim, and at the end of every change.
    now: u64,
    claims: BTreeMap<Uuid, Claim>,
    /// By domain, with the moment of each: what is decided on one says nothing about a later one.
    tickets: BTreeMap<Uuid, u64>,
    /// Which start of each VM began last.
    begun: BTreeMap<Uuid, u64>,
    /// When each VM ended that did: an older listing may still show it.
    ended: BTreeMap<Uuid, u64>,
    /// The GPUs that changes are at.
    changing: BTreeMap<PciAddress, At>,
    last_change: u64,
    /// How many changes of each GPU have ended.
    changes: BTreeMap<PciAddress, u64>,
    /// GPUs on which something of VMs that ended was kept until what is done to the GPU ends.
    kept: BTreeSet<PciAddress>,
    /// When the listing was begun that was told last.
    synced: u64,
    /// VMs that start with the host, as libvirt last listed them, if it has yet.
    autostarted: Option<Vec<Domain>>,
}

#[derive(Debug)]
struct Claim {
    name: String,
    devices: Vec<Hostdev>,
    since: u64,
}

/// Why a claim was not taken.
#[derive(Debug)]
pub(crate) enum Unclaimed {
    /// The host changed since it was looked at: look again.
    LookAgain,
    /// A change of this GPU does not end in time.
    Changing(PciAddress),
    /// Another VM was faster.
    Taken,
}

/// What a start wants to claim.
pub(crate) struct Wanted<'a> {
    /// The VM, with its devices as `config`.
    pub domain: &'a Domain,
    /// The GPUs that they are of.
    pub gpus: &'a BTreeSet<PciAddress>,
    /// [`Starts::mark`] from before the host was looked at.
    pub seen: u64,
    /// Longest wait for a change of one of the GPUs.
    pub end: Instant,
}

/// The GPUs that a domain's devices are of, and those in one IOMMU group with one of them: while a driver comes to a part of
/// a group, nobody can tell whether the group may be opened.
pub(crate) fn gpus_of(domain: &Domain, view: &View) -> BTreeSet<PciAddress> {
    let gpu = |device: &Hostdev| match device {
        Hostdev::Pci { address, .. } => view.observed.gpu_of(*address).map(|gpu| gpu.address),
        Hostdev::Mdev { uuid } => view.observed.vgpus.get(&VgpuId::Mdev(*uuid)).map(|vgpu| vgpu.gpu),
    };
    let group = |device: &Hostdev| match device {
        Hostdev::Pci { address, .. } => {
            view.observed.groups.get(&view.observed.functions.get(address)?.iommu_group?)
        }
        Hostdev::Mdev { .. } => None,
    };
    let groups: Vec<&IommuGroup> = domain.config.iter().filter_map(group).collect();
    let all = view.observed.gpus.keys().copied();
    let beside = all.filter(|gpu| groups.iter().any(|group| has_part_of(group, *gpu)));
    domain.config.iter().filter_map(gpu).chain(beside).collect()
}

impl Starts {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The present moment, for [`Starts::sync`] and [`Starts::claim`].
    pub(crate) fn mark(&self) -> u64 {
        self.state().now
    }

    /// The VM has its devices from now on; a pending removal of what was made for it is taken over.
    pub(crate) fn claim(&self, wanted: &Wanted<'_>) -> Result<(), Unclaimed> {
        let mut state = self.state();
        let is_changed =
            |state: &State, gpu: &PciAddress| state.changing.get(gpu).is_some_and(|at| at.depth > 0);
        while let Some(gpu) = wanted.gpus.iter().copied().find(|gpu| is_changed(&state, gpu)) {
            let left = wanted.end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Unclaimed::Changing(gpu));
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        if state.last_change > wanted.seen {
            return Err(Unclaimed::LookAgain);
        }
        let uuid = wanted.domain.uuid;
        let others = state.claims.iter().filter(|(other, _)| **other != uuid);
        let taken = others.flat_map(|(_, claim)| &claim.devices);
        if taken.into_iter().any(|device| wanted.domain.has_configured(device)) {
            return Err(Unclaimed::Taken);
        }
        state.note(wanted.domain);
        state.tickets.remove(&uuid);
        Ok(())
    }

    /// A VM runs with these devices, whether that was asked before or not.
    pub(crate) fn runs(&self, domain: &Domain) {
        let mut state = self.state();
        state.note(domain);
        state.tickets.remove(&domain.uuid);
    }

    /// The VM ended: what was made for it may go, unless it starts again first.
    pub(crate) fn release(&self, domain: Uuid) {
        self.state().release(domain);
    }

    /// A start begins: its number, for [`Starts::came_too_late`].
    pub(crate) fn begin(&self, domain: Uuid) -> u64 {
        let mut state = self.state();
        state.now += 1;
        let now = state.now;
        state.begun.insert(domain, now);
        now
    }

    /// The number of the start of this VM that began last.
    pub(crate) fn last_begun(&self, domain: Uuid) -> u64 {
        self.state().begun.get(&domain).copied().unwrap_or_default()
    }

    /// A start has what it wanted after libvirt had called it off: as [`Starts::release`], unless its VM starts anew
    /// already. What is there is that start's then.
    pub(crate) fn came_too_late(&self, domain: Uuid, start: u64) {
        let mut state = self.state();
        if state.begun.get(&domain) == Some(&start) {
            state.release(domain);
        }
    }

    /// libvirt says that the VM is off: what was made for it may go, unless it starts now.
    pub(crate) fn expire(&self, domain: Uuid) {
        let mut state = self.state();
        if !state.claims.contains_key(&domain) {
            state.ticket(domain);
        }
    }

    /// The domains whose vGPUs may go.
    pub(crate) fn tickets(&self) -> BTreeSet<Uuid> {
        self.state().tickets.keys().copied().collect()
    }

    /// Which ticket a domain has, for [`Starts::spent`].
    pub(crate) fn ticket(&self, domain: Uuid) -> Option<u64> {
        self.state().tickets.get(&domain).copied()
    }

    /// What was made for this domain is gone, as it was decided when it had this ticket. A newer one stays.
    pub(crate) fn spent(&self, domain: Uuid, ticket: Option<u64>) {
        let mut state = self.state();
        if ticket.is_some() && state.tickets.get(&domain).copied() == ticket {
            state.tickets.remove(&domain);
        }
    }

    /// Whether a domain starts or runs, as far as we were told.
    pub(crate) fn runs_now(&self, domain: Uuid) -> bool {
        self.state().claims.contains_key(&domain)
    }

    /// Whether any does.
    pub(crate) fn any_runs(&self) -> bool {
        !self.state().claims.is_empty()
    }

    /// Whether a start has a device.
    pub(crate) fn has(&self, device: &Hostdev) -> bool {
        let state = self.state();
        state.claims.values().flat_map(|claim| &claim.devices).any(|claimed| claimed.same_device(device))
    }

    /// The name of a VM that has one of these devices.
    pub(crate) fn who_has(&self, devices: &[Hostdev]) -> Option<String> {
        self.state().who_has(devices)
    }

    /// What a listing that was begun at `before` tells: VMs of which we did not know, and claims that ended unseen. One that was
    /// begun before the one that was told last tells nothing: what has ended since is forgotten by then.
    pub(crate) fn sync(&self, before: u64, domains: &[Domain]) {
        let mut state = self.state();
        if before < state.synced {
            return;
        }
        state.synced = before;
        let active = |uuid: &Uuid| {
            domains.iter().any(|domain| domain.uuid == *uuid && domain.state == DomainState::Active)
        };
        state.claims.retain(|uuid, claim| claim.since > before || active(uuid));
        state.ended.retain(|_, when| *when > before);
        state.autostarted = Some(domains.iter().filter(|domain| domain.autostart).cloned().collect());
        for domain in domains.iter().filter(|domain| domain.state == DomainState::Active) {
            let fresh = state.claims.get(&domain.uuid).is_some_and(|claim| claim.since > before);
            let ended = state.ended.get(&domain.uuid).is_some_and(|when| *when > before);
            if !fresh && !ended {
                state.claims.insert(
                    domain.uuid,
                    Claim { name: domain.name.clone(), devices: domain.live.clone(), since: before },
                );
            }
        }
    }

    /// The VMs that were to start with the host when libvirt last listed them, off or running; none: it has not yet.
    pub(crate) fn autostarted(&self) -> Option<Vec<Domain>> {
        self.state().autostarted.clone()
    }

    /// These domains with what the claims know better: a VM that starts is active, with its devices.
    pub(crate) fn joined(&self, domains: Reading<Vec<Domain>>) -> Reading<Vec<Domain>> {
        domains.map(|mut domains| {
            let state = self.state();
            for (uuid, claim) in &state.claims {
                match domains.iter_mut().find(|domain| domain.uuid == *uuid) {
                    Some(domain) if domain.state == DomainState::Active => {}
                    Some(domain) => {
                        domain.state = DomainState::Active;
                        domain.live.clone_from(&claim.devices);
                    }
                    None => domains.push(claim.as_domain(*uuid)),
                }
            }
            domains
        })
    }
}

impl State {
    fn who_has(&self, devices: &[Hostdev]) -> Option<String> {
        let meant = |device: &Hostdev| devices.iter().any(|wanted| wanted.same_device(device));
        let claim = self.claims.values().find(|claim| claim.devices.iter().any(meant));
        claim.map(|claim| claim.name.clone())
    }

    fn release(&mut self, domain: Uuid) {
        self.now += 1;
        self.ended.insert(domain, self.now);
        self.claims.remove(&domain);
        self.ticket(domain);
    }

    fn ticket(&mut self, domain: Uuid) {
        self.now += 1;
        self.tickets.insert(domain, self.now);
    }

    fn note(&mut self, domain: &Domain) {
        self.now += 1;
        let claim = Claim { name: domain.name.clone(), devices: domain.config.clone(), since: self.now };
        self.claims.insert(domain.uuid, claim);
    }
}

impl Claim {
    fn as_domain(&self, uuid: Uuid) -> Domain {
        Domain {
            name: self.name.clone(),
            uuid,
            state: DomainState::Active,
            autostart: false,
            config: Vec::new(),
            live: self.devices.clone(),
            requests: gpuvirt_model::Requests::default(),
            guest: gpuvirt_model::Guest::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_spent_by_what_was_decided_on_it_alone() {
        let (starts, domain) = (Starts::default(), Uuid::from_u128(1));
        starts.release(domain);
        let first = starts.ticket(domain);
        // While its devices go the VM starts again, and ends.
        starts.release(domain);
        starts.spent(domain, first);
        assert_eq!(starts.tickets(), BTreeSet::from([domain]));
        starts.spent(domain, starts.ticket(domain));
        assert!(starts.tickets().is_empty());
        starts.spent(domain, None);
    }

    #[test]
    fn a_start_that_came_too_late_takes_nothing_from_the_next_one_of_its_vm() {
        let starts = Starts::default();
        let device = Hostdev::Mdev { uuid: Uuid::from_u128(9) };
        let claim = Claim { name: "vm".to_owned(), devices: vec![device.clone()], since: 0 };
        let domain = claim.as_domain(Uuid::from_u128(1));
        let domain = Domain { config: domain.live.clone(), ..domain };
        let first = starts.begin(domain.uuid);
        starts.runs(&domain);
        // libvirt has called it off, and somebody starts the VM again while the first one still works.
        starts.release(domain.uuid);
        let second = starts.begin(domain.uuid);
        starts.runs(&domain);
        starts.came_too_late(domain.uuid, first);
        assert!(starts.has(&device) && starts.tickets().is_empty(), "the second start has it");
        starts.came_too_late(domain.uuid, second);
        assert!(!starts.has(&device));
        assert_eq!(starts.tickets(), BTreeSet::from([domain.uuid]));
    }
}
