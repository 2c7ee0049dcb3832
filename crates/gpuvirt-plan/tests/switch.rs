//! Switches, exhaustively over every binding that a card of two functions can have.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a wrong index fails the test, as it should

mod picture;

use gpuvirt_model::{
    DriverBinding, GraphicsType, HostBinding, ModulePresence, Observed, PowerControl, Records,
};
use gpuvirt_plan::{Plan, Step, audit, explain, power_control, switch, undo, verify};
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
    let bound =
        bindings().into_iter().flat_map(|gpu| bindings().into_iter().map(move |audio| (gpu.clone(), audio)));
    bound.flat_map(|(gpu, audio)| {
        let power = [[Some(PowerControl::Auto), Some(PowerControl::On)], [Some(PowerControl::On), None]];
        power.map(|power| with_power(host(gpu.clone(), audio.clone()), power))
    })
}

fn with_power(mut observed: Observed, power: [Option<PowerControl>; 2]) -> Observed {
    for (address, power) in [GPU, AUDIO].into_iter().zip(power) {
        observed.functions.get_mut(&at(address)).unwrap().power_control = power;
    }
    observed
}

const TYPES: [GraphicsType; 3] = [GraphicsType::Direct, GraphicsType::Shared, GraphicsType::SharedDirect];

/// A record that the host had both functions so.
fn record_of(observed: &Observed, (driver, over): (&str, &str)) -> Records {
    let was = binding(driver, over);
    let recorded = |address: &str| {
        let identity = Some(observed.functions[&at(address)].identity);
        let (driver, driver_override) = (was.driver.clone(), was.driver_override.clone());
        let power_control = Some(PowerControl::Auto);
        (at(address), HostBinding { driver, driver_override, identity, power_control })
    };
    Records { host_bindings: [GPU, AUDIO].map(recorded).into(), ..Records::default() }
}

/// What we may remember of how the host had the card: nothing, a driver, a driver beside another override, no driver
/// at all, and a driver that is not there any more.
fn every_record(observed: &Observed) -> Vec<Records> {
    let known = [("nvidia", ""), ("nvidia", "nouveau"), ("", ""), ("unloaded", ""), ("nouveau", "vfio-pci")];
    let records = known.into_iter().map(|was| record_of(observed, was));
    std::iter::once(Records::default()).chain(records).collect()
}

fn plan(observed: &Observed, to: GraphicsType) -> Plan {
    plan_with(observed, to, &Records::default())
}

fn plan_with(observed: &Observed, to: GraphicsType, records: &Records) -> Plan {
    switch::plan(&observed.gpus[&at(GPU)], observed, to, records)
}

fn run(observed: &Observed, steps: &[Step]) -> Observed {
    let mut now = observed.clone();
    steps.iter().for_each(|step| picture::perform(&mut now, step, "nvidia"));
    now
}

#[test]
fn a_plan_reaches_its_promises_and_then_has_nothing_to_do() {
    for before in every_host() {
        for (to, records) in
            TYPES.iter().flat_map(|to| every_record(&before).into_iter().map(move |r| (*to, r)))
        {
            let plan = plan_with(&before, to, &records);
            let after = run(&before, &plan.steps);
            let broken = verify::broken_promises(&plan, &after);
            assert_eq!(broken, Vec::<String>::new(), "{to} from {:?} {records:?}", before.functions);
            assert_eq!(
                plan_with(&after, to, &records).steps,
                [],
                "{to} from {:?} {records:?}",
                before.functions
            );
        }
    }
}

#[test]
fn undo_leads_back_from_every_step() {
    for before in every_host() {
        for (to, records) in
            TYPES.iter().flat_map(|to| every_record(&before).into_iter().map(move |r| (*to, r)))
        {
            let plan = plan_with(&before, to, &records);
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
fn the_host_gets_its_power_control_back_with_its_card() {
    let direct = with_power(
        host(binding("vfio-pci", "vfio-pci"), binding("vfio-pci", "vfio-pci")),
        [Some(PowerControl::Auto); 2],
    );
    let mut records = record_of(&direct, ("nvidia", ""));
    records.host_bindings.get_mut(&at(AUDIO)).unwrap().power_control = None;
    for to in [GraphicsType::Shared, GraphicsType::SharedDirect] {
        let plan = plan_with(&direct, to, &records);
        let last = plan.steps.last().unwrap();
        assert_eq!(*last, Step::SetPowerControl { function: at(GPU), to: PowerControl::Auto });
        let after = run(&direct, &plan.steps);
        assert_eq!(after.functions[&at(GPU)].power_control, Some(PowerControl::Auto));
        assert_eq!(
            after.functions[&at(AUDIO)].power_control,
            Some(PowerControl::On),
            "nobody knows what it was"
        );
        assert_eq!(power_control::not_kept(&plan, &after), Vec::<String>::new());
        let told = power_control::not_kept(&plan, &with_power(after, [Some(PowerControl::On); 2]));
        assert_eq!(told, [format!("power/control of {GPU} is on now; it was auto before")]);
    }
    // It is the host's to set while it has the card.
    let shared = run(&direct, &plan_with(&direct, GraphicsType::Shared, &records).steps);
    let set_since = with_power(shared, [Some(PowerControl::On); 2]);
    assert_eq!(plan_with(&set_since, GraphicsType::Shared, &records).steps, []);
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
            "take the lock of nvidia on 0000:41:00.0, which nobody gets who has it open",
            "unbind 0000:41:00.0 from nvidia",
            "let the kernel probe 0000:41:00.0, which must bind it to vfio-pci",
            "let the kernel probe 0000:41:00.1, which must bind it to vfio-pci",
        ]
    );
}

#[test]
fn the_way_back_leads_to_how_the_host_had_the_card() {
    let away = host(binding("vfio-pci", "vfio-pci"), binding("vfio-pci", "vfio-pci"));
    let cases = [
        // recorded, then how the GPU and the audio function come back
        (("nouveau", ""), ("nouveau", ""), ("nouveau", "")),
        (("nouveau", "nouveau"), ("nouveau", "nouveau"), ("nouveau", "nouveau")),
        // A companion that had no driver gets none; the card itself is looked after by whichever driver there is.
        (("", ""), ("nvidia", ""), ("", "")),
        (("unloaded", ""), ("nvidia", ""), ("nvidia", "")),
        // An override that had waited for VFIO is no way back to the host.
        (("nouveau", "vfio-pci"), ("nouveau", ""), ("nouveau", "")),
    ];
    for (recorded, gpu, audio) in cases {
        let records = record_of(&away, recorded);
        let after = run(&away, &plan_with(&away, GraphicsType::Shared, &records).steps);
        assert_eq!(after.functions[&at(GPU)].binding, binding(gpu.0, gpu.1), "{recorded:?}");
        assert_eq!(after.functions[&at(AUDIO)].binding, binding(audio.0, audio.1), "{recorded:?}");
    }
}

#[test]
fn a_record_of_another_card_is_no_way_back() {
    let away = host(binding("vfio-pci", "vfio-pci"), binding("vfio-pci", "vfio-pci"));
    let mut records = record_of(&away, ("nouveau", "nouveau"));
    records.host_bindings.values_mut().for_each(|recorded| recorded.identity = None);
    let after = run(&away, &plan_with(&away, GraphicsType::Shared, &records).steps);
    assert_eq!(after.functions[&at(GPU)].binding, binding("nvidia", ""));
}
