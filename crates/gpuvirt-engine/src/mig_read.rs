//! GPU instances read, through the vendor's command, where a change or a placement needs them.
//!
//! Only for the cards that are asked about, and in the turn of a change: while the command runs it is a client of the card,
//! and the tool that makes virtual functions would not get it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gpuvirt_model::{MigState, Observed, PciAddress, ProfileName, ProgramPath, Records, VgpuMode, chain};
use gpuvirt_plan::checks::mig::command_for;
use gpuvirt_plan::placement::mig::Instances;
use gpuvirt_plan::{Plan, Wanted, mig, mig_room, sriov, switch};

use crate::ports::PortError;
use crate::{Engine, SwitchRequest, View};

/// How long the vendor's command may take to answer: it starts its library and wakes the card each time.
pub(crate) const READ_DEADLINE: Duration = Duration::from_secs(60);

impl Engine {
    /// How many more vGPUs find a GPU instance on each GPU in vGPU mode `mig` that offers the profile: what placement counts
    /// there. In the turn of a change only. A card that can't be read now, or not soon enough for something to be left of
    /// the time until `end`, is left out: its driver has the last word anyway.
    pub(crate) fn instance_room(
        &self,
        view: &View,
        profile: &ProfileName,
        end: Instant,
    ) -> BTreeMap<PciAddress, Instances> {
        let in_mode = |gpu: &PciAddress| {
            view.desired.gpu(*gpu).is_some_and(|entry| entry.vgpu_mode == Some(VgpuMode::Mig))
        };
        let offers = |gpu: &PciAddress| {
            let gpu = view.observed.gpus.get(gpu);
            gpu.is_some_and(|gpu| gpu.profiles.iter().any(|offer| offer.name == *profile))
        };
        let room = |address| {
            let gpu = view.observed.gpus.get(&address)?;
            let left = end.saturating_duration_since(Instant::now());
            let state = self.mig_state(address, &view.observed, left / 2).ok()?;
            Some((address, Instances(mig_room::room(gpu, &view.observed, &state))))
        };
        self.cards(view).into_iter().filter(in_mode).filter(offers).filter_map(room).collect()
    }

    /// The managed GPUs that have a vendor's command and may be touched now.
    pub(crate) fn cards(&self, view: &View) -> Vec<PciAddress> {
        let managed = view.observed.gpus.values().filter(|gpu| view.desired.gpu(gpu.address).is_some());
        let asked = managed.filter(|gpu| command_for(gpu, &view.observed).is_some());
        asked.map(|gpu| gpu.address).filter(|gpu| self.changeable(view, *gpu).is_ok()).collect()
    }

    pub(crate) fn mig_state(
        &self,
        address: PciAddress,
        observed: &Observed,
        within: Duration,
    ) -> Result<MigState, String> {
        let gpu = observed.gpus.get(&address);
        let command = gpu.and_then(|gpu| command_for(gpu, observed));
        let command = command.ok_or_else(|| format!("no command of a vendor is known for {address}"))?;
        self.read_mig(address, command, within).map_err(|error| chain(&error))
    }

    /// One read, within what its caller has left: a start has seconds.
    fn read_mig(
        &self,
        gpu: PciAddress,
        command: &ProgramPath,
        within: Duration,
    ) -> Result<MigState, PortError> {
        self.host.mig(gpu, command, within.min(READ_DEADLINE))
    }

    /// A fresh picture for judging a plan: with the GPU instances of the cards whose it can change. No promise is about
    /// holders, or about another GPU.
    pub(crate) fn observe_for(&self, plan: &Plan, within: Duration) -> Result<Observed, PortError> {
        let now = self.host.observe_gpu(plan.gpu)?;
        self.with_gpu_instances(plan, now, within)
    }

    /// Whether even a dry run asks the vendor's command, which must not happen in the middle of a change.
    pub(crate) fn is_about_mig(&self, request: &SwitchRequest) -> Result<bool, PortError> {
        let (desired, _) = self.store.load()?;
        let stored = desired.gpu(request.gpu).and_then(|entry| entry.vgpu_mode);
        Ok([request.prepare.vgpu_mode, stored].contains(&Some(VgpuMode::Mig)))
    }

    /// Adds a card's GPU instances to a picture, where what is wanted of it, or what we did to it, concerns them.
    pub(crate) fn see_gpu_instances(
        &self,
        observed: &mut Observed,
        address: PciAddress,
        (wanted, records): (&Wanted, &Records),
        within: Duration,
    ) -> Result<(), PortError> {
        let turned = records.vgpu_modes.get(&address).is_some_and(|record| record.mode == VgpuMode::Mig);
        let made = records.gpu_instances.iter().any(|record| record.gpu == address);
        let command = observed.gpus.get(&address).and_then(|gpu| command_for(gpu, observed)).cloned();
        if let Some(command) = command.filter(|_| mig::wants_mig(wanted) || turned || made) {
            observed.mig.insert(address, self.read_mig(address, &command, within)?);
        }
        Ok(())
    }

    /// The same for a card whose virtual functions the vendor's tool is about to make or take: GPU instances that somebody
    /// else made would go with them. In the turn of a change only. What can't be read is not in the way.
    pub(crate) fn see_what_the_tool_wipes(
        &self,
        observed: &mut Observed,
        address: PciAddress,
        (wanted, records): (&Wanted, &Records),
        within: Duration,
    ) {
        let Some(gpu) = observed.gpus.get(&address).filter(|_| !observed.mig.contains_key(&address)) else {
            return;
        };
        if sriov::cycles_vfs(&switch::plan_for(gpu, observed, wanted, records)) {
            match self.mig_state(address, observed, within) {
                Ok(state) => drop(observed.mig.insert(address, state)),
                Err(error) => tracing::warn!(gpu = %address, error, "its GPU instances can't be read"),
            }
        }
    }

    /// A picture with the GPU instances that a plan can change.
    pub(crate) fn with_gpu_instances(
        &self,
        plan: &Plan,
        mut now: Observed,
        within: Duration,
    ) -> Result<Observed, PortError> {
        for (gpu, layout) in &plan.before.mig {
            // Another driver has it now, or none: nothing of the vendor's can be asked.
            if now.gpus.get(gpu).is_some_and(|gpu| command_for(gpu, &now).is_some()) {
                now.mig.insert(*gpu, self.read_mig(*gpu, &layout.command, within)?);
            }
        }
        Ok(now)
    }
}
