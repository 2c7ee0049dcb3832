//! GPU instances read, through the vendor's command, where a change or a placement needs them.
//!
//! Only for the cards that are asked about, and in the turn of a change: while the command runs it is a client of the card,
//! and the tool that makes virtual functions would not get it. It may take long, or hang: others have their turn meanwhile and
//! leave the card alone. So whoever reads decides on a picture from after it, and nothing that was seen before counts.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use gpuvirt_model::{MigState, Observed, PciAddress, ProgramPath, VgpuMode, chain};
use gpuvirt_plan::checks::mig::command_for;
use gpuvirt_plan::{Plan, Wanted, mig, sriov, switch};

use crate::ports::PortError;
use crate::progress::Working;
use crate::{Engine, EngineError, View};

/// How long the vendor's command may take to answer: it starts its library and wakes the card each time.
pub(crate) const READ_DEADLINE: Duration = Duration::from_secs(60);

/// A card of which something is wanted that its GPU instances may have a say in.
pub(crate) struct Asked<'a> {
    /// The GPU.
    pub(crate) gpu: PciAddress,
    /// What is wanted of it, by this picture.
    pub(crate) wanted: &'a dyn for<'v> Fn(&'v View) -> Wanted<'v>,
    /// Whether the vendor's tool may be about to make or take its virtual functions: GPU instances that somebody else made
    /// would go with them.
    pub(crate) wipes: bool,
    /// How long the command may take.
    pub(crate) within: Duration,
}

impl Engine {
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

    /// One read, within what its caller has left: a start has seconds. Where its caller has the host, others have their turn
    /// when it takes long: what was seen before is old then ([`Engine::lent`]).
    pub(crate) fn read_mig(
        &self,
        gpu: PciAddress,
        command: &ProgramPath,
        within: Duration,
    ) -> Result<MigState, PortError> {
        let read = || self.host.mig(gpu, command, within.min(READ_DEADLINE));
        if !self.has_host() {
            return read();
        }
        let _look = self.starts.begin_look(gpu);
        let under_way = self.progress.begin(Working {
            gpu,
            purpose: "its GPU instances are asked for".to_owned(),
            step: "read its GPU instances".to_owned(),
            number: 1,
            count: 1,
            since: Instant::now(),
        });
        self.lending(|| {
            let state = read();
            drop(under_way);
            state
        })
    }

    /// Whether even a dry run asks the vendor's command, which must not happen in the middle of a change.
    pub(crate) fn is_about_mig(&self, gpu: PciAddress, asked: Option<VgpuMode>) -> Result<bool, PortError> {
        let (desired, records) = self.store.load()?;
        let stored = desired.gpu(gpu).and_then(|entry| entry.vgpu_mode);
        let made = records.gpu_instances.iter().any(|record| record.gpu == gpu);
        let turned = records.vgpu_modes.get(&gpu).map(|record| record.mode);
        Ok(made || [asked, stored, turned].contains(&Some(VgpuMode::Mig)))
    }

    /// Adds a card's GPU instances to a picture, where what is wanted of it, what we did to it, or what the vendor's tool is
    /// about to do to it concerns them. Where others had the host meanwhile, the picture is the one that `again` takes.
    ///
    /// # Errors
    /// [`EngineError::Port`] when they can't be read; those that only the tool would wipe are not in the way then. And
    /// whatever `again` says.
    pub(crate) fn see_gpu_instances(
        &self,
        view: &mut View,
        asked: &Asked<'_>,
        again: impl Fn() -> Result<View, EngineError>,
    ) -> Result<(), EngineError> {
        let mut read = None;
        while let Some((command, needed)) = asked.command(view) {
            let Some(state) = read else {
                let lent = self.lent();
                match self.read_mig(asked.gpu, &command, asked.within) {
                    Err(error) if needed => return Err(error.into()),
                    Err(error) => {
                        tracing::warn!(gpu = %asked.gpu, error = chain(&error), "its GPU instances can't be read");
                        read = Some(None);
                    }
                    Ok(state) => read = Some(Some(state)),
                }
                if self.lent() != lent {
                    *view = again()?;
                }
                continue;
            };
            view.observed.mig.extend(state.map(|state| (asked.gpu, state)));
            break;
        }
        Ok(())
    }

    /// A fresh picture for judging a plan: with the GPU instances of the cards whose it can change. No promise is about
    /// holders, or about another GPU.
    pub(crate) fn observe_for(&self, plan: &Plan, within: Duration) -> Result<Observed, PortError> {
        self.observe_with_instances(plan, within, || self.host.observe_gpu(plan.gpu))
    }

    /// The same by a look of the caller's.
    pub(crate) fn observe_with_instances(
        &self,
        plan: &Plan,
        within: Duration,
        look: impl Fn() -> Result<Observed, PortError>,
    ) -> Result<Observed, PortError> {
        let now = look()?;
        let lent = self.lent();
        let read = self.instances_for(plan, &now, within)?;
        let now = if self.lent() == lent { now } else { look()? };
        Ok(Observed { mig: read, ..now })
    }

    /// The GPU instances that a plan can change, of the cards of a picture.
    pub(crate) fn instances_for(
        &self,
        plan: &Plan,
        now: &Observed,
        within: Duration,
    ) -> Result<BTreeMap<PciAddress, MigState>, PortError> {
        // Another driver has it now, or none: nothing of the vendor's can be asked.
        let asked = |gpu: &PciAddress| now.gpus.get(gpu).is_some_and(|gpu| command_for(gpu, now).is_some());
        let cards = plan.before.mig.iter().filter(|(gpu, _)| asked(gpu));
        cards.map(|(gpu, layout)| Ok((*gpu, self.read_mig(*gpu, &layout.command, within)?))).collect()
    }
}

impl Asked<'_> {
    /// The command to ask, where GPU instances matter, and whether they must be known.
    fn command(&self, view: &View) -> Option<(ProgramPath, bool)> {
        let View { observed, records, .. } = view;
        let gpu = observed.gpus.get(&self.gpu)?;
        let command = command_for(gpu, observed)?.clone();
        let wanted = (self.wanted)(view);
        let turned = records.vgpu_modes.get(&self.gpu).is_some_and(|record| record.mode == VgpuMode::Mig);
        let made = records.gpu_instances.iter().any(|record| record.gpu == self.gpu);
        if mig::wants_mig(&wanted) || turned || made {
            return Some((command, true));
        }
        let wiped = || sriov::cycles_vfs(&switch::plan_for(gpu, observed, &wanted, records));
        (self.wipes && wiped()).then_some((command, false))
    }
}
