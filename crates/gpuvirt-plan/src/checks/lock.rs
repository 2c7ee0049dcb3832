//! Checks before any change of a card: whether it can be written to at all, and whether it is known how it stands.

use gpuvirt_model::{Function, Gpu, Observed, PciAddress, Refusal, RefusalCode};

use super::{list, with_explain};

/// A write of ours that waits in the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// The process that waits.
    pub process: u32,
    /// The function that it holds locked.
    pub function: PciAddress,
}

/// Why nothing of the card may be changed: the kernel holds a function of it, or what one is bound to is not known.
///
/// No plan made from such a picture is right, so this comes before planning.
pub fn untouchable(gpu: &Gpu, observed: &Observed, waiting: &[Waiting]) -> Vec<Refusal> {
    locked(gpu, observed, waiting).into_iter().chain(unknown(gpu, observed)).collect()
}

/// The card's functions with their virtual ones.
fn all<'a>(gpu: &'a Gpu, observed: &'a Observed) -> impl Iterator<Item = &'a Function> {
    observed.functions.values().filter(|function| {
        gpu.functions.contains(&function.address)
            || function.physfn.is_some_and(|physical| gpu.functions.contains(&physical))
    })
}

fn locked(gpu: &Gpu, observed: &Observed, waiting: &[Waiting]) -> Option<Refusal> {
    let waits = |function: &Function| waiting.iter().find(|write| write.function == function.address);
    let locked: Vec<String> = all(gpu, observed)
        .filter(|function| function.locked || waits(function).is_some())
        .map(|function| match waits(function) {
            Some(write) => format!("{} (process {} waits for it)", function.address, write.process),
            None => function.address.to_string(),
        })
        .collect();
    let holders = list(&gpu.holders.seen);
    let held = if holders.is_empty() { String::new() } else { format!("; the card is held by {holders}") };
    (!locked.is_empty()).then(|| {
        refuse(
            gpu,
            RefusalCode::DeviceLocked,
            format!("a write that waits in the kernel holds {}{held}", list(&locked)),
            vec![
                "shut down the VM or end the process that uses the card: the write then ends by itself"
                    .to_owned(),
                "do not kill the process that waits: that makes the wait endless".to_owned(),
            ],
        )
    })
}

fn unknown(gpu: &Gpu, observed: &Observed) -> Option<Refusal> {
    let why: Vec<&String> = all(gpu, observed).filter_map(|f| f.binding_unknown.as_ref()).collect();
    (!why.is_empty()).then(|| {
        refuse(
            gpu,
            RefusalCode::BindingUnknown,
            format!("it cannot be told what it is bound to, nor so led back to it: {}", list(&why)),
            vec!["read the file that is named as root, and mend what is odd about it".to_owned()],
        )
    })
}

/// What to do about [`no_writer`].
pub const NO_WRITER_REMEDY: [&str; 2] = [
    "systemctl start gpuvirt-writer.socket",
    "systemctl status gpuvirt-writer.socket gpuvirt-writer.service # when that does not help",
];

/// Nobody is to be had who writes to the host: what is asked of it could not even be begun.
pub fn no_writer(gpu: PciAddress, why: &str) -> Refusal {
    Refusal {
        code: RefusalCode::NoWriter,
        summary: format!("{gpu} cannot be changed"),
        because: format!("gpuvirtd has its writes made by another service: {why}"),
        remedy: with_explain(RefusalCode::NoWriter, NO_WRITER_REMEDY.map(str::to_owned).to_vec()),
    }
}

fn refuse(gpu: &Gpu, code: RefusalCode, because: String, remedy: Vec<String>) -> Refusal {
    let summary = format!("{} cannot be changed", gpu.address);
    Refusal { code, summary, because, remedy: with_explain(code, remedy) }
}
