//! Checks on GPU instances: whether a card may have them, and whether one may be made or removed.

use gpuvirt_model::{
    Desired, Gpu, GpuInstance, GpuInstanceProfile, GraphicsType, MigState, Observed, PciAddress, ProgramPath,
    Records, Refusal, RefusalCode, Vgpu, VgpuMode,
};

use super::{Switch, configured, list, with_explain};
use crate::{Wanted, mig, sriov};

/// A request about a card's GPU instances.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The GPU.
    pub gpu: &'a Gpu,
    /// The fresh picture.
    pub observed: &'a Observed,
    /// The desired document.
    pub desired: &'a Desired,
}

/// The vendor's command for a card, by the driver that has it.
pub fn command_for<'a>(gpu: &Gpu, observed: &'a Observed) -> Option<&'a ProgramPath> {
    let driver = observed.primary_of(gpu)?.binding.driver.as_ref()?;
    observed.host.driver_rules.of(driver)?.command.as_ref()
}

impl Request<'_> {
    /// What is in the way before the card's GPU instances are even looked at; on success the command for them.
    ///
    /// # Errors
    /// The refusal.
    pub fn command(&self, asked: &str) -> Result<&ProgramPath, Refusal> {
        let address = self.gpu.address;
        let set = || vec![format!("gpuvirt gpu set {address} --type shared-direct --vgpu-mode mig")];
        let refuse = |code, because, remedy| Err(self.refuse(asked, code, because, remedy));
        let Some((_, kind)) = configured(self.desired, address) else {
            let because = format!("nobody configured {address} with gpuvirt, so it is not touched");
            return refuse(RefusalCode::Unmanaged, because, set());
        };
        let entry = self.desired.gpu(address);
        if self.observed.primary_of(self.gpu).map(|f| f.identity) != entry.map(|entry| entry.identity) {
            let because = format!("another card than the configured one sits at {address}");
            let again = vec![format!("gpuvirt gpu unset {address}, then configure it anew")];
            return refuse(RefusalCode::IdentityChanged, because, again);
        }
        if kind != GraphicsType::SharedDirect {
            let because = format!("{address} is configured as {kind}");
            return refuse(RefusalCode::NotSharedDirect, because, set());
        }
        if entry.and_then(|entry| entry.vgpu_mode) != Some(VgpuMode::Mig) {
            let mode = entry.and_then(|entry| entry.vgpu_mode).map(|mode| mode.to_string());
            let because = format!("its vGPU mode is {}", mode.unwrap_or_else(|| "not configured".to_owned()));
            return refuse(RefusalCode::MigOff, because, set());
        }
        command_for(self.gpu, self.observed).map_or_else(|| Err(self.no_command(asked)), Ok)
    }

    /// Refuses a card that has no vendor's command, whatever it is configured for.
    pub fn no_command(&self, asked: &str) -> Refusal {
        let driver = self.observed.primary_of(self.gpu).and_then(|f| f.binding.driver.clone());
        let driver = driver.map_or_else(|| "no driver".to_owned(), |driver| format!("the driver {driver}"));
        let because = format!("no command of a vendor is known for {driver} of {}", self.gpu.address);
        let name = "name it in gpuvirtd.toml: [[driver]] with name and command".to_owned();
        self.refuse(asked, RefusalCode::NoMig, because, vec![name])
    }

    fn refuse(&self, asked: &str, code: RefusalCode, because: String, remedy: Vec<String>) -> Refusal {
        let summary = format!("{} {asked}", self.gpu.address);
        Refusal { code, summary, because, remedy: with_explain(code, remedy) }
    }

    fn card_is_cut(&self, asked: &str, state: &MigState) -> Option<Refusal> {
        let address = self.gpu.address;
        if !state.supported {
            let because = format!("{address} has no MIG mode, by its vendor's command");
            let other = format!("gpuvirt gpu set {address} --type shared-direct --vgpu-mode same-size");
            return Some(self.refuse(asked, RefusalCode::NoMig, because, vec![other]));
        }
        (!state.enabled).then(|| match state.pending {
            Some(true) => {
                let because = format!("MIG mode of {address} comes on with its next reset");
                let idle = "stop what uses the card and ask again, or reboot the host".to_owned();
                self.refuse(asked, RefusalCode::MigOff, because, vec![idle])
            }
            _ => {
                let because = format!("MIG mode of {address} is off");
                let set = format!("gpuvirt gpu set {address} --type shared-direct --vgpu-mode mig");
                self.refuse(asked, RefusalCode::MigOff, because, vec![set])
            }
        })
    }

    /// Everything that is in the way of `count` more GPU instances of a profile; on success the profile.
    ///
    /// # Errors
    /// All refusals.
    pub fn creatable<'s>(
        &self,
        state: &'s MigState,
        profile: &str,
        count: u32,
    ) -> Result<&'s GpuInstanceProfile, Vec<Refusal>> {
        let asked = format!("cannot get GPU instances: {count} of {profile:?}");
        let closed = self.closed(&asked);
        match self.cuttable(&asked, state, profile, count) {
            Ok(found) if closed.is_empty() => Ok(found),
            Ok(_) => Err(closed),
            Err(refusal) => Err([vec![refusal], closed].concat()),
        }
    }

    /// Nothing more is put on a GPU that is cordoned, nor on a host in maintenance: GPU instances are there for vGPUs.
    fn closed(&self, asked: &str) -> Vec<Refusal> {
        let address = self.gpu.address;
        let maintenance = self.desired.host.maintenance.then(|| {
            let because = "the host is in maintenance".to_owned();
            let off = vec!["gpuvirt host maintenance off".to_owned()];
            self.refuse(asked, RefusalCode::Maintenance, because, off)
        });
        let cordoned = self.desired.gpu(address).is_some_and(|entry| entry.cordoned).then(|| {
            let because = format!("{address} is cordoned");
            let uncordon = vec![format!("gpuvirt gpu uncordon {address}")];
            self.refuse(asked, RefusalCode::Cordoned, because, uncordon)
        });
        maintenance.into_iter().chain(cordoned).collect()
    }

    fn cuttable<'s>(
        &self,
        asked: &str,
        state: &'s MigState,
        profile: &str,
        count: u32,
    ) -> Result<&'s GpuInstanceProfile, Refusal> {
        if let Some(refusal) = self.card_is_cut(asked, state) {
            return Err(refusal);
        }
        let see = format!("gpuvirt mig list {}", self.gpu.address);
        let Some(found) = state.profile(profile) else {
            let because = match nearest(profile, state).as_slice() {
                [] => format!("{} offers no GPU instance profile now", self.gpu.address),
                names => format!("{} offers {}", self.gpu.address, list(names)),
            };
            return Err(self.refuse(asked, RefusalCode::ProfileNotOffered, because, vec![see]));
        };
        if found.free >= count {
            return Ok(found);
        }
        let there: Vec<String> =
            state.instances.iter().map(|one| format!("{} ({})", one.id, one.profile)).collect();
        let there = if there.is_empty() { "none".to_owned() } else { list(&there) };
        let because = format!("{} more of {profile} fit beside its GPU instances: {there}", found.free);
        let remove = format!("remove one that is not needed: gpuvirt mig remove {} ID", self.gpu.address);
        Err(self.refuse(asked, RefusalCode::NoCapacity, because, vec![remove]))
    }

    /// Everything that is in the way of a GPU instance's removal; on success the instance.
    ///
    /// # Errors
    /// All refusals.
    pub fn removable<'s>(
        &self,
        state: &'s MigState,
        id: u32,
        records: &Records,
    ) -> Result<&'s GpuInstance, Vec<Refusal>> {
        let asked = format!("cannot lose GPU instance {id}");
        if let Some(refusal) = self.card_is_cut(&asked, state) {
            return Err(vec![refusal]);
        }
        let Some(instance) = state.instance(id) else {
            let because = match list(state.instances.iter().map(|one| one.id)).as_str() {
                "" => format!("{} has no GPU instance", self.gpu.address),
                ids => format!("the GPU instances of {} are {ids}", self.gpu.address),
            };
            let see = vec![format!("gpuvirt mig list {}", self.gpu.address)];
            return Err(vec![self.refuse(&asked, RefusalCode::GpuInstanceNotFound, because, see)]);
        };
        let mut found = Vec::new();
        if !records.made_instance(self.gpu.address, instance) {
            let because = "gpuvirt did not make it".to_owned();
            let other = vec!["remove it with the tool that made it, e.g. nvidia-smi mig -dgi".to_owned()];
            found.push(self.refuse(&asked, RefusalCode::NotOurs, because, other));
        }
        found.extend(self.in_use(&asked, id));
        if found.is_empty() { Ok(instance) } else { Err(found) }
    }

    fn in_use(&self, asked: &str, id: u32) -> Option<Refusal> {
        let on_it: Vec<&Vgpu> = vgpus_on(self.gpu.address, id, self.observed).collect();
        let names: Vec<String> = on_it
            .iter()
            .map(|vgpu| match vgpu.gpu_instance {
                Some(_) => format!("vGPU {} ({}) lives on it", vgpu.id, vgpu.profile),
                None => {
                    format!("vGPU {} ({}) may live on it: its driver does not say", vgpu.id, vgpu.profile)
                }
            })
            .collect();
        let remove = on_it.iter().map(|vgpu| format!("gpuvirt vgpu remove {}", vgpu.id)).collect();
        let refuse = || self.refuse(asked, RefusalCode::GpuInstanceInUse, list(&names), remove);
        (!names.is_empty()).then(refuse)
    }
}

/// Everything that is in the way of what a switch does about GPU instances.
pub fn refusals(switch: &Switch, wanted: &Wanted, records: &Records) -> Vec<Refusal> {
    let address = switch.gpu.address;
    let asked = mig::wants_mig(wanted) && switch.gpu.host_driver;
    let Some(state) = switch.observed.mig.get(&address) else {
        let none = asked && command_for(switch.gpu, switch.observed).is_none();
        return none.then(|| no_command(switch)).into_iter().collect();
    };
    let mut found = Vec::new();
    if asked && !state.supported {
        let because = format!("{address} has no MIG mode, by its vendor's command");
        found.push(switch.refuse(RefusalCode::NoMig, because, vec!["choose another --vgpu-mode".to_owned()]));
    }
    let turns = mig::turn(switch.gpu, switch.observed, wanted, records);
    found.extend(turns.and_then(|_| others_vfs(switch, records)));
    if turns.is_some() || mig::wipes(switch.plan) {
        found.extend(others_instances(switch, state, records));
    }
    let unknown = wanted.gpu_instances.iter().find(|name| state.profile(name).is_none());
    if let Some(name) = unknown.filter(|_| asked && !state.profiles.is_empty()) {
        let because =
            format!("it is to have a GPU instance {name}, and offers {}", list(nearest(name, state)));
        let remedy = vec![format!("gpuvirt mig remove {address} --all, and make others")];
        found.push(switch.refuse(RefusalCode::ProfileNotOffered, because, remedy));
    }
    found
}

fn no_command(switch: &Switch) -> Refusal {
    let driver = switch.observed.primary_of(switch.gpu).and_then(|f| f.binding.driver.clone());
    let driver = driver.map_or_else(|| "no driver".to_owned(), |driver| format!("its driver {driver}"));
    let because = format!("no command of a vendor is known that cuts it for {driver}");
    let name = "name it in gpuvirtd.toml: [[driver]] with name and command".to_owned();
    switch.refuse(RefusalCode::NoMig, because, vec![name])
}

/// The driver turns the mode only while there are no virtual functions.
fn others_vfs(switch: &Switch, records: &Records) -> Option<Refusal> {
    let now = switch.observed.primary_of(switch.gpu).and_then(sriov::setting)?;
    (now.count != 0 && !sriov::are_ours(switch.gpu, now, records)).then(|| {
        let because = format!(
            "its MIG mode is turned only while it has no virtual functions, and somebody else enabled the {} that \
             it has",
            now.count
        );
        let stop = "stop what uses them, and disable them with what enabled them".to_owned();
        switch.refuse(RefusalCode::VfsAlive, because, vec![stop])
    })
}

/// Whoever makes or takes virtual functions, or turns the mode, wipes them.
fn others_instances(switch: &Switch, state: &MigState, records: &Records) -> Option<Refusal> {
    let address = switch.gpu.address;
    let theirs = state.instances.iter().filter(|one| !records.made_instance(address, one));
    let theirs: Vec<String> = theirs.map(|one| format!("{} ({})", one.id, one.profile)).collect();
    (!theirs.is_empty()).then(|| {
        let because = format!("it would lose GPU instances that gpuvirt did not make: {}", list(&theirs));
        let remove =
            "remove them with the tool that made them, e.g. nvidia-smi mig -dci, then -dgi".to_owned();
        switch.refuse(RefusalCode::NotOurs, because, vec![remove])
    })
}

/// The vGPUs that live on a GPU instance, or may: not every driver says on which.
pub fn vgpus_on(gpu: PciAddress, id: u32, observed: &Observed) -> impl Iterator<Item = &Vgpu> {
    let here = move |vgpu: &&Vgpu| vgpu.gpu == gpu && vgpu.gpu_instance.is_none_or(|on| on == id);
    observed.vgpus.values().filter(here)
}

/// The names of a card's profiles, those first that look most like `asked`.
fn nearest<'s>(asked: &str, state: &'s MigState) -> Vec<&'s str> {
    let mut names: Vec<&str> = state.profiles.iter().map(|profile| profile.name.as_str()).collect();
    names.sort_by_key(|name| distance(asked, name));
    names
}

/// Levenshtein's distance.
fn distance(one: &str, other: &str) -> usize {
    // A name of megabytes is as far as any.
    let one: Vec<char> = one.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=one.len()).collect();
    for (line, theirs) in other.chars().enumerate() {
        let mut next = vec![line + 1];
        for ((at, ours), pair) in one.iter().enumerate().zip(row.windows(2)) {
            let [diagonal, above] = pair else { continue };
            let left = next.get(at).copied().unwrap_or_default();
            next.push((diagonal + usize::from(*ours != theirs)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_alike_is_near() {
        for (one, other, want) in
            [("", "", 0), ("1g.5gb", "1g.5gb", 0), ("1g.5g", "1g.5gb", 1), ("", "abc", 3), ("ab", "ba", 2)]
        {
            assert_eq!(distance(one, other), want, "{one} {other}");
        }
    }
}
