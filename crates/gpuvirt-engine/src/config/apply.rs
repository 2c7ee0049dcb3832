//! A whole document: its differences, its plans, and each GPU of it in turn.

use gpuvirt_model::{Configuration, ConfiguredType, Desired, DesiredGpu, DesiredHost, PciAddress, Refusal};
use gpuvirt_plan::config::{Difference, Wanted, export, gpu_differences, host_differences, wanted};

use super::lead::{Goal, goal_of};
use super::request::{ConfigReport, ConfigRequest, GpuReport, Until};
use crate::host::{affects_others, followers};
use crate::turn::Turn;
use crate::{Engine, EngineError, Report, View};

impl Engine {
    /// What is configured, as a document.
    ///
    /// # Errors
    /// [`EngineError::Port`].
    pub fn export_config(&self) -> Result<Configuration, EngineError> {
        Ok(export(&self.store.load()?.0))
    }

    /// Makes the host what a document says. GPUs that it doesn't name are left alone, or forgotten if that was asked.
    ///
    /// # Errors
    /// [`EngineError::Refused`] with every reason of every GPU, nothing written. What fails later is in the report.
    pub fn apply_config(&self, request: &ConfigRequest) -> Result<ConfigReport, EngineError> {
        let view = self.view()?;
        let wanted = wanted(&request.config, &view.observed, &view.desired, request.unnamed)
            .map_err(EngineError::Refused)?;
        let host = host_differences(&wanted.host, &view.desired.host);
        let plans = match request.until {
            Until::Differences => return Ok(ConfigReport { host, gpus: compared(&wanted, &view.desired) }),
            Until::Plans | Until::Done => self.plans(&wanted, &view, request)?,
        };
        if request.until == Until::Plans {
            return Ok(ConfigReport { host, gpus: plans });
        }
        if !host.is_empty() {
            self.store_host(&wanted.host)?;
        }
        let differences = plans.into_iter().map(|plan| (plan.address, plan.differences));
        let done = differences.map(|(address, differences)| {
            let result = match wanted.gpus.get(&address) {
                Some(entry) => self.lead(entry, Goal { dry_run: false, ..goal_of(request) }),
                None => self.unset(address),
            };
            GpuReport { address, differences, result }
        });
        Ok(ConfigReport { host, gpus: done.collect() })
    }

    /// A dry run of each GPU; all refusals of all of them, if there is any.
    fn plans(
        &self,
        wanted: &Wanted,
        view: &View,
        request: &ConfigRequest,
    ) -> Result<Vec<GpuReport>, EngineError> {
        let goal = Goal { dry_run: true, ..goal_of(request) };
        let named = wanted.gpus.iter().map(|(address, entry)| {
            let result = self.planned(entry, &wanted.host, view, goal);
            GpuReport {
                address: *address,
                differences: gpu_differences(entry, view.desired.gpu(*address)),
                result,
            }
        });
        let forgotten = wanted.forgotten.iter().map(|address| GpuReport {
            address: *address,
            differences: unmanaged(),
            result: self.forgettable(*address, view),
        });
        let (mut gpus, mut refusals) = (Vec::new(), Vec::new());
        refusals.extend((!request.yes).then(|| follows(wanted, view)).flatten());
        for gpu in named.chain(forgotten) {
            match gpu.result {
                Err(EngineError::Refused(more)) => refusals.extend(more),
                Err(error) => return Err(error),
                Ok(_) => gpus.push(gpu),
            }
        }
        gpus.sort_by_key(|gpu| gpu.address);
        if refusals.is_empty() { Ok(gpus) } else { Err(EngineError::Refused(refusals)) }
    }

    /// A dry run of one GPU, with the host's defaults as they are wanted. Where the vendor's command is asked for it, in a turn
    /// of its own and on a picture from then: the command is a client of the card, and must not come between a change of it.
    fn planned(
        &self,
        entry: &DesiredGpu,
        host: &DesiredHost,
        view: &View,
        goal: Goal,
    ) -> Result<Report, EngineError> {
        let address = entry.address;
        let asks = self.is_about_mig(address, entry.vgpu_mode)?;
        let turn = asks.then(|| self.turn_at(address, false));
        self.hands_on(address)?;
        let mut view = turn.as_ref().map_or_else(|| Ok(view.clone()), Turn::view)?;
        view.desired.host = host.clone();
        self.lead_from(view, entry, goal)
    }

    /// Stores the host's defaults as they are wanted, whatever else has changed meanwhile.
    fn store_host(&self, wanted: &DesiredHost) -> Result<(), EngineError> {
        let _turn = self.begin();
        let (stored, records) = self.store.load()?;
        let host = DesiredHost { maintenance: stored.host.maintenance, ..wanted.clone() };
        let next = Desired { host, generation: stored.generation.saturating_add(1), ..stored };
        Ok(self.store.commit(&next, &records)?)
    }

    /// Whether a GPU can become unmanaged, as [`Engine::unset`] would find.
    fn forgettable(&self, address: PciAddress, view: &View) -> Result<Report, EngineError> {
        self.hands_on(address)?;
        match crate::unset::vgpus_of_ours(view, address) {
            Some(refusal) => Err(EngineError::Refused(vec![refusal])),
            None => Ok(Report::changed(format!("{address} would become unmanaged"))),
        }
    }
}

/// The refusal that lists those who follow the default type to another one: stored as followers, and not meant to be
/// anything else by the document.
fn follows(wanted: &Wanted, view: &View) -> Option<Refusal> {
    let stays = |gpu: &&DesiredGpu| {
        let said = wanted.gpus.get(&gpu.address);
        !wanted.forgotten.contains(&gpu.address)
            && said.is_none_or(|said| said.graphics_type == ConfiguredType::Default)
    };
    let after = view.desired.with_host(wanted.host.clone());
    let followers: Vec<DesiredGpu> = followers(&view.desired, &after).filter(stays).cloned().collect();
    affects_others(&wanted.host, &followers)
}

/// What a document would store, the host not looked at.
fn compared(wanted: &Wanted, stored: &Desired) -> Vec<GpuReport> {
    let named = wanted.gpus.iter().map(|(address, entry)| {
        let differences = gpu_differences(entry, stored.gpu(*address));
        let report = match differences.is_empty() {
            true => Report::unchanged(format!("{address} is configured so")),
            false => Report::changed(format!("{address} would be configured so")),
        };
        GpuReport { address: *address, differences, result: Ok(report) }
    });
    let forgotten = wanted.forgotten.iter().map(|address| GpuReport {
        address: *address,
        differences: unmanaged(),
        result: Ok(Report::changed(format!("{address} would become unmanaged"))),
    });
    let mut all: Vec<GpuReport> = named.chain(forgotten).collect();
    all.sort_by_key(|gpu| gpu.address);
    all
}

fn unmanaged() -> Vec<Difference> {
    vec![Difference { field: "managed".to_owned(), from: "true".to_owned(), to: "false".to_owned() }]
}
