//! `gpuvirt hook qemu NAME OPERATION SUBOPERATION ...`: libvirt's hook.
//!
//! ```text
//! stdin (the domain's XML) -> has it devices of ours? -> no: exit 0, nobody is asked
//!                                                     -> yes: gpuvirtd says whether it may start
//! ```
//!
//! What concerns us is found out here, from that document, the stored state and a few links in `/sys`, so that a VM
//! without our devices starts whether or not gpuvirtd lives. While this runs libvirt holds the domain: it must not ask
//! libvirt anything, and must end soon. Whatever it prints to stderr is shown by virsh.

mod document;

use std::io;
use std::panic::{UnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;

use gpuvirt_api::{Client, ClientError, HookCall, HookEvent};
use gpuvirt_host::{LinuxSysfs, Sysfs, owner};
use gpuvirt_model::{Domain, DomainState, Hostdev, PciAddress, VgpuId, chain};
use gpuvirt_state::State;

use crate::cli::HookArgs;
use crate::failure::EXIT_BUG;
use crate::local;
use crate::output::{self, Answer};
use crate::render;
use document::Given;

/// Longest wait for a start's answer, a little beyond the daemon's own longest (`CREATION_DEADLINE` of its engine). It answers
/// sooner where nothing is to be made, and knows alone whether that is so: a vGPU, a card that is lent, a change to wait for. So it
/// is as long for one that hangs.
const START: Duration = Duration::from_secs(12);
/// Longest wait to tell what needs no answer.
const TELLING: Duration = Duration::from_secs(2);

/// Runs the hook, and prints what it has to say: the exit code.
pub fn run(socket: &Path, args: &HookArgs) -> u8 {
    let vm = args.arguments.first().map_or("", String::as_str);
    event(args).map_or(0, |event| ended(event, || handle(socket, event, vm)))
}

/// Prints what came of it. A start that panicked is refused like any other; the panic's own message is on stderr.
fn ended(event: HookEvent, work: impl FnOnce() -> Answer + UnwindSafe) -> u8 {
    let answer = catch_unwind(work);
    let answer = answer.unwrap_or_else(|_| Answer { exit: EXIT_BUG, ..Answer::default() });
    if event != HookEvent::Prepare {
        // Only a start can be refused. After `reconnect` libvirt would kill the running VM.
        return 0;
    }
    // virsh shows its words: none but our own go there.
    let _ = output::print(&answer);
    answer.exit
}

/// What libvirt tells; of what is none of our business nothing. migrate and restore are filters: no output leaves the document
/// as it is.
fn event(args: &HookArgs) -> Option<HookEvent> {
    let words: Vec<&str> = args.arguments.iter().map(String::as_str).collect();
    match (args.driver.as_str(), words.as_slice()) {
        ("qemu", [_, "prepare", "begin", ..]) => Some(HookEvent::Prepare),
        ("qemu", [_, "release", "end", ..]) => Some(HookEvent::Release),
        ("qemu", [_, "reconnect", "begin", ..]) => Some(HookEvent::Running),
        _ => None,
    }
}

fn handle(socket: &Path, event: HookEvent, vm: &str) -> Answer {
    let given = Given::of(io::stdin().lock());
    // Most VMs end here, before anything is parsed.
    if !given.may_concern_us() {
        return Answer::default();
    }
    let stored = gpuvirt_state::read_state(Path::new(local::STATE_DIR));
    let domain = match given.read() {
        Ok(read) => read,
        Err(why) => {
            let unread = given.unread(vm, &why, stored.as_ref().ok());
            return unread.map_or_else(Answer::default, |why| refused(&why));
        }
    };
    let Some(uuid) = domain.uuid else { return Answer::default() };
    let domain = Domain {
        name: domain.name,
        uuid,
        state: DomainState::Active,
        autostart: false,
        config: domain.hostdevs,
        live: Vec::new(),
        requests: domain.requests,
        guest: domain.guest,
    };
    let sysfs = LinuxSysfs::this_machine();
    if !concerns_us(&domain, stored.as_ref().ok(), &sysfs) {
        return Answer::default();
    }
    let deadline = match event {
        HookEvent::Prepare => START,
        HookEvent::Release | HookEvent::Running => TELLING,
    };
    // The admin may have moved the socket.
    let client = Client::new(&local::socket(socket));
    match client.hook(&HookCall { event, domain: domain.clone() }, deadline) {
        Ok(_) => Answer::default(),
        Err(error) => refused(&sentences(&domain.name, &error)),
    }
}

/// Whether any of the domain's devices is gpuvirt's business. Without a readable state, whatever could be.
fn concerns_us(domain: &Domain, stored: Option<&State>, sysfs: &dyn Sysfs) -> bool {
    if !domain.requests.is_empty() {
        return true;
    }
    let managed = |function: PciAddress| match stored {
        Some(state) => state.desired.gpus.iter().any(|gpu| gpu.address.same_slot(&function)),
        None => owner::is_display(sysfs, function),
    };
    let known = |id: VgpuId| {
        stored.is_none_or(|state| {
            state.records.vgpus.contains_key(&id)
                || state.desired.gpus.iter().flat_map(|gpu| &gpu.vgpus).any(|vgpu| vgpu.id == id)
        })
    };
    domain.config.iter().any(|device| match device {
        Hostdev::Pci { address, .. } => managed(owner::physical_function(sysfs, *address)),
        Hostdev::Mdev { uuid } => {
            let parent = owner::mdev_parent(sysfs, *uuid);
            known(VgpuId::Mdev(*uuid))
                || parent.is_some_and(|parent| managed(owner::physical_function(sysfs, parent)))
        }
    })
}

/// What virsh shows: a line for each refusal.
fn sentences(vm: &str, error: &ClientError) -> String {
    let ClientError::Api(api) = error else {
        return format!(
            "VM {vm} has GPUs of gpuvirt's, and gpuvirtd does not answer ({}); try: systemctl start gpuvirtd",
            chain(error)
        );
    };
    if api.refusals.is_empty() {
        return format!("VM {vm} cannot start: {}", api.message);
    }
    let line = |refusal: &gpuvirt_model::Refusal| {
        let remedy = refusal.remedy.first().map(|first| format!("; try: {first}")).unwrap_or_default();
        format!("{}: {} [{}]{remedy}", refusal.summary, refusal.because, refusal.code)
    };
    api.refusals.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn refused(text: &str) -> Answer {
    let lines = text.lines().map(|line| format!("gpuvirt: {line}\n")).collect::<String>();
    Answer { err: render::plain::plain_lines(&lines), exit: 1, ..Answer::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bug_of_ours_keeps_a_vm_from_starting_and_ends_none() {
        for (event, exit) in
            [(HookEvent::Prepare, EXIT_BUG), (HookEvent::Release, 0), (HookEvent::Running, 0)]
        {
            assert_eq!(ended(event, || panic!("a bug")), exit, "{event:?}");
        }
    }
}
