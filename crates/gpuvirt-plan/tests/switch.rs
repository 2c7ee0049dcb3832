//! Switches, exhaustively over every binding that a card of two functions can have.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a wrong index fails the test, as it should

mod picture;

use gpuvirt_model::{DriverBinding, GraphicsType, ModulePresence, Observed};
use gpuvirt_plan::{Plan, Step, audit, explain, switch, undo, verify};
use picture::{AUDIO, GPU, at, binding, host};

/// Everything that a function can be bound to. An override that names another driver than the one bound is a
/// state that admins do leave behind.
fn bindings() -> Vec<DriverBinding> {
    ["", "nvidia", "vfio-pci", "nvgrace_gpu_vfio_pci"]
        .iter()
        .flat_map(|driver| ["", "vfio-pci", "nouveau"].map(|over| binding(driver, over)))
        .collect()
}

fn every_host() -> impl Iterator<Item = Observed> {
    bindings().into_iter().flat_map(|gpu| bindings().into_iter().map(move |audio| host(gpu.clone(), audio)))
}

const TYPES: [GraphicsType; 3] = [GraphicsType::Direct, GraphicsType::Shared, GraphicsType::SharedDirect];

fn plan(observed: &Observed, to: GraphicsType) -> Plan {
    switch::plan(&observed.gpus[&at(GPU)], observed, to)
}

fn run(observed: &Observed, steps: &[Step]) -> Observed {
    let mut now = observed.clone();
    steps.iter().for_each(|step| picture::perform(&mut now, step, "nvidia"));
    now
}

#[test]
fn a_plan_reaches_its_promises_and_then_has_nothing_to_do() {
    for before in every_host() {
        for to in TYPES {
            let plan = plan(&before, to);
            let after = run(&before, &plan.steps);
            let broken = verify::broken_promises(&plan, &after);
            assert_eq!(broken, Vec::<String>::new(), "{to} from {:?}", before.functions);
            assert_eq!(self::plan(&after, to).steps, [], "{to} from {:?}", before.functions);
        }
    }
}

#[test]
fn undo_leads_back_from_every_step() {
    for before in every_host() {
        for to in TYPES {
            let plan = plan(&before, to);
            for done in 0..=plan.steps.len() {
                let halfway = run(&before, &plan.steps[..done]);
                let back = undo::plan(&plan, &halfway);
                let mut undone = run(&halfway, &back.steps);
                undone.host.vfio_pci = before.host.vfio_pci;
                assert_eq!(undone, before, "{to}, undone after {done} of {:?}", plan.steps);
                assert!(verify::broken_promises(&back, &undone).is_empty());
            }
        }
    }
}

#[test]
fn undo_leaves_another_device_at_the_address_alone() {
    let before = host(binding("nvidia", ""), binding("snd_hda_intel", ""));
    let plan = plan(&before, GraphicsType::Direct);
    // A crash, a reboot with another card in the machine: what sits there now was never changed by the plan.
    let mut now = host(binding("amdgpu", ""), binding("nvme", ""));
    for function in now.functions.values_mut() {
        function.identity.device = 0x744c;
    }
    let back = undo::plan(&plan, &now);
    assert_eq!(back.steps, [], "{:?}", explain::sentences(&back));
    assert!(verify::broken_promises(&back, &now).is_empty());
}

#[test]
fn every_plan_passes_the_audit() {
    for before in every_host() {
        let gpu = &before.gpus[&at(GPU)];
        for to in TYPES {
            let plan = plan(&before, to);
            assert_eq!(audit::violations(&plan, gpu, &[]), Vec::<String>::new(), "{:?}", plan.steps);
            for done in 0..=plan.steps.len() {
                let back = undo::plan(&plan, &run(&before, &plan.steps[..done]));
                assert_eq!(audit::violations(&back, gpu, &[]), Vec::<String>::new(), "{:?}", back.steps);
            }
        }
    }
}

#[test]
fn the_audit_finds_what_it_is_there_for() {
    let observed = host(binding("nvidia", ""), binding("snd_hda_intel", ""));
    let gpu = &observed.gpus[&at(GPU)];
    let good = plan(&observed, GraphicsType::Direct);

    let mut foreign = good.clone();
    foreign.steps.push(Step::Probe { function: at(picture::NIC), expect: None });
    assert!(!audit::violations(&foreign, gpu, &[]).is_empty(), "a foreign function went unseen");

    let mut no_undo = good.clone();
    no_undo.before.bindings.remove(&at(AUDIO));
    assert!(!audit::violations(&no_undo, gpu, &[]).is_empty(), "a missing snapshot went unseen");

    let mut reversed = good;
    reversed.steps.reverse();
    assert!(!audit::violations(&reversed, gpu, &[]).is_empty(), "a probe before an unbind went unseen");
}

#[test]
fn the_way_to_direct_takes_the_audio_first_and_probes_the_gpu_first() {
    let mut observed = host(binding("nvidia", ""), binding("snd_hda_intel", ""));
    observed.host.vfio_pci = ModulePresence::Loadable;
    assert_eq!(
        explain::sentences(&plan(&observed, GraphicsType::Direct)),
        [
            "load the kernel module vfio-pci",
            "allow only vfio-pci to bind 0000:41:00.0",
            "allow only vfio-pci to bind 0000:41:00.1",
            "unbind 0000:41:00.1 from snd_hda_intel",
            "unbind 0000:41:00.0 from nvidia",
            "let the kernel probe 0000:41:00.0, which must bind it to vfio-pci",
            "let the kernel probe 0000:41:00.1, which must bind it to vfio-pci",
        ]
    );
}
