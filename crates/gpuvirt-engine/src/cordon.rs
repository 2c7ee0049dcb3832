//! `gpu cordon` and `gpu uncordon`: whether anything more is placed on a GPU. The host is not touched.

use gpuvirt_model::{DesiredGpu, PciAddress, Refusal, RefusalCode};
use gpuvirt_plan::{checks, running};

use crate::{Engine, EngineError, Report, View};

/// Whether more is placed on a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cordon {
    /// Nothing more; what is there stays.
    On,
    /// As anywhere.
    Off,
}

impl Engine {
    /// Stores whether anything more is placed on a GPU, and tells what still runs there. It need not be on the host now.
    ///
    /// # Errors
    /// [`EngineError::Refused`] when nobody configured the GPU: nothing is placed there anyway.
    pub fn set_cordon(&self, address: PciAddress, cordon: Cordon) -> Result<Report, EngineError> {
        let turn = self.begin();
        let view = turn.view()?;
        let Some(entry) = view.desired.gpu(address) else { return Err(refused(address, &view)) };
        let cordoned = cordon == Cordon::On;
        let state = if cordoned { "cordoned" } else { "not cordoned" };
        let still = cordoned.then(|| running::running_vms(&view.observed, Some(address)));
        let told = still.as_ref().map(|still| format!("; {}", running::sentence(still))).unwrap_or_default();
        let still_running = still.and_then(|still| still.known().cloned()).unwrap_or_default();
        if entry.cordoned == cordoned {
            let report = Report::unchanged(format!("{address} is {state}; nothing to do{told}"));
            return Ok(Report { still_running, ..report });
        }
        let desired = view.desired.with_gpu(DesiredGpu { cordoned, ..entry.clone() });
        self.store.commit(&desired, &view.records)?;
        let report = Report::changed(match cordon {
            Cordon::On => {
                format!("{address} is cordoned: what is on it stays, nothing more is placed there{told}")
            }
            Cordon::Off => format!("{address} is not cordoned any more"),
        });
        Ok(Report { still_running, ..report })
    }
}

fn refused(address: PciAddress, view: &View) -> EngineError {
    if !view.observed.gpus.contains_key(&address) {
        return EngineError::Refused(vec![checks::not_found(address, &view.observed)]);
    }
    let code = RefusalCode::Unmanaged;
    EngineError::Refused(vec![Refusal {
        code,
        summary: format!("{address} cannot be cordoned or uncordoned"),
        because: "nobody configured it with gpuvirt, so nothing is placed on it".to_owned(),
        remedy: vec![
            format!("gpuvirt gpu set {address} --type shared-direct, if it is to take vGPUs"),
            format!("gpuvirt explain {code}"),
        ],
    }])
}
