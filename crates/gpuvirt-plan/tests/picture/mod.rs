//! A small host as a value, and steps carried out on it as the kernel would.
#![allow(dead_code)] // each test file uses its own part

use std::collections::BTreeMap;

use gpuvirt_model::{
    ClassCode, ConfiguredType, Desired, DesiredGpu, DriverBinding, DriverName, Function, Gpu, HostFacts,
    IommuGroup, ModulePresence, Observed, PciAddress, PciIdentity, PowerControl, Reading,
};
use gpuvirt_plan::Step;

pub const GPU: &str = "0000:41:00.0";
pub const AUDIO: &str = "0000:41:00.1";
pub const NIC: &str = "0000:42:00.0";

pub fn at(text: &str) -> PciAddress {
    PciAddress::parse(text).unwrap()
}

pub fn driver(name: &str) -> Option<DriverName> {
    (!name.is_empty()).then(|| DriverName::parse(name).unwrap())
}

pub fn binding(name: &str, over: &str) -> DriverBinding {
    DriverBinding { driver: driver(name), driver_override: driver(over) }
}

pub fn function(address: &str, class: u32, bound: DriverBinding) -> Function {
    let identity = PciIdentity {
        vendor: 0x10de,
        device: 0x1eb8,
        subsystem_vendor: 0x10de,
        subsystem_device: 0x12a2,
        class: ClassCode(class),
    };
    Function {
        binding: bound,
        iommu_group: Some(17),
        reset_methods: Reading::Known(vec!["flr".to_owned()]),
        ..Function::new(at(address), identity)
    }
}

/// A card of GPU and audio in one group on a host where everything is well.
pub fn host(gpu: DriverBinding, audio: DriverBinding) -> Observed {
    let functions: BTreeMap<PciAddress, Function> =
        [function(GPU, 0x03_00_00, gpu), function(AUDIO, 0x04_03_00, audio)].map(|f| (f.address, f)).into();
    let card = Gpu::new(at(GPU), vec![at(GPU), at(AUDIO)]);
    let members = vec![at(GPU), at(AUDIO)];
    let group = IommuGroup { id: 17, members, others: Vec::new(), domain_type: None, noiommu: false };
    let mut observed = Observed {
        host: HostFacts {
            iommu: true,
            interrupt_remapping: Reading::Known(true),
            unsafe_interrupts_allowed: false,
            vfio_pci: ModulePresence::Ready,
            pci_drivers: ["nvidia", "nouveau", "snd_hda_intel", "vfio-pci"]
                .iter()
                .filter_map(|d| driver(d))
                .collect(),
            function_count: 2,
            kernel_release: None,
            boot_id: None,
            vfio_migration: Reading::Unknown(gpuvirt_model::Unknown::NotRecorded),
            driver_rules: gpuvirt_model::DriverRules::default(),
            running_services: std::collections::BTreeMap::new(),
            oddities: Vec::new(),
        },
        gpus: [(at(GPU), card)].into(),
        functions,
        groups: [(17, group)].into(),
        vgpus: BTreeMap::new(),
        mig: BTreeMap::new(),
        domains: Reading::Known(Vec::new()),
    };
    settle(&mut observed);
    observed
}

/// Re-derives what the inventory derives from bindings.
pub fn settle(observed: &mut Observed) {
    let bound = |address: &PciAddress| observed.functions[address].binding.driver.clone();
    let primary = bound(&at(GPU));
    let gpu = observed.gpus.get_mut(&at(GPU)).unwrap();
    gpu.on_vfio = primary.as_ref().is_some_and(DriverName::is_vfio);
    gpu.host_driver = primary.is_some_and(|driver| !driver.is_vfio());
}

/// Sets `power/control`, where the kernel has it.
fn sleeps(observed: &mut Observed, function: PciAddress, to: PowerControl) {
    let function = observed.functions.get_mut(&function).unwrap();
    function.power_control = function.power_control.map(|_| to);
}

/// Carries a step out on the value: probes bind the overriding driver, else `host`.
pub fn perform(observed: &mut Observed, step: &Step, host: &str) {
    match step {
        Step::SetOverride { function, driver } => {
            observed.functions.get_mut(function).unwrap().binding.driver_override = driver.clone();
        }
        Step::Unbind { function, driver } => {
            let binding = &mut observed.functions.get_mut(function).unwrap().binding;
            assert_eq!(binding.driver.as_ref(), Some(driver), "unbound from a driver that does not have it");
            binding.driver = None;
            if driver.is_vfio() {
                sleeps(observed, *function, PowerControl::On);
            }
        }
        Step::Probe { function, expect } => {
            let binding = &mut observed.functions.get_mut(function).unwrap().binding;
            assert_eq!(binding.driver, None, "probed while bound");
            binding.driver =
                binding.driver_override.clone().or_else(|| expect.clone()).or_else(|| driver(host));
            if binding.driver.as_ref().is_some_and(DriverName::is_vfio) {
                sleeps(observed, *function, PowerControl::Auto);
            }
        }
        Step::SetPowerControl { function, to } => {
            sleeps(observed, *function, *to);
        }
        // Locks and services change no binding.
        Step::SetUnbindLock { .. } | Step::StopService { .. } | Step::StartService { .. } => {}
        Step::LoadModule { .. } => observed.host.vfio_pci = ModulePresence::Ready,
        Step::CreateMdev { .. }
        | Step::RemoveMdev { .. }
        | Step::SetVgpuType { .. }
        | Step::SetVgpuParams { .. }
        | Step::SetVfCount { .. }
        | Step::SetVfAutoprobe { .. }
        | Step::SetMigMode { .. }
        | Step::CreateGpuInstance { .. }
        | Step::RemoveGpuInstance { .. }
        | Step::CycleVfs { .. }
        | Step::SetMixedSize { .. } => panic!("no vGPUs in this picture"),
    }
    settle(observed);
}

pub fn managed(observed: &Observed, to: ConfiguredType) -> Desired {
    let identity = observed.functions[&at(GPU)].identity;
    let entry = DesiredGpu::new(at(GPU), identity, to);
    Desired::default().with_gpu(entry)
}
