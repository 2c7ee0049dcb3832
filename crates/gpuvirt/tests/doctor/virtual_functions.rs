//! Virtual functions and whose driver has them, read from a host's links.

use gpuvirt_model::{ConfiguredType, FindingCode as F, PciAddress, Severity as S};
use gpuvirt_recording::made::{MadeFunction, MadeHost, MadeIdentity};
use gpuvirt_recording::made_hosts;

use super::bed::{Bed, Case};

const BRIDGE: &str = "/devices/pci0000:00/0000:00:03.0";
const FLEX: &str = "0000:4d:00.0";
const L40S: &str = "0000:26:00.0";

fn function(number: u8) -> MadeFunction {
    let identity = MadeIdentity { vendor: 0x8086, device: 0x56c0, subsystem: (0x8086, 1), class: 0x03_8000 };
    let address = PciAddress { domain: 0, bus: 0x4d, slot: 0, function: number };
    MadeFunction::new(BRIDGE, address, identity).group(66 + u32::from(number)).bar(0, 16 << 20)
}

/// A Flex card with two virtual functions, each with a driver or none.
fn flex(drivers: [Option<&str>; 2]) -> MadeHost {
    let card = function(0).driver("xe");
    let card_path = format!("/sys{}", card.path());
    let vfs: Vec<MadeFunction> = (1..)
        .zip(drivers)
        .map(|(number, driver)| {
            let vf = function(number).link("physfn", &card_path);
            driver.into_iter().fold(vf, MadeFunction::driver)
        })
        .collect();
    let paths: Vec<String> = vfs.iter().map(|vf| format!("/sys{}", vf.path())).collect();
    let host = MadeHost::new().function(&card.sriov(7, &paths).attribute("sriov_vf_device", "56c0\n"));
    vfs.iter().fold(host, MadeHost::function)
}

/// The host has it so, and gpuvirt shares it.
fn shared(bed: Bed, host: &MadeHost, gpu: &str) -> Bed {
    bed.with_devices(host).configured(gpu, ConfiguredType::SharedDirect)
}

/// NVIDIA's card with one virtual function on vfio-pci, as `managed='yes'` leaves it: NVIDIA's files go with its driver.
fn with_one_on_vfio(bed: Bed) -> Bed {
    let bed = shared(bed, &made_hosts::vgpu_types_host(), L40S);
    let vf = "0000:26:00.5";
    let bed = bed.device(vf, "bus/pci/drivers/nvidia", "bus/pci/drivers/vfio-pci");
    ["nvidia/creatable_vgpu_types", "nvidia/current_vgpu_type", "nvidia/vgpu_params"]
        .iter()
        .fold(bed, |bed, file| bed.device(vf, &format!("A: {file}="), "A: other="))
}

pub fn cases() -> Vec<Case> {
    let case = Case::new;
    vec![
        case("virtual functions on the host's driver", F::VfTakenByHost, S::Warning, |bed: Bed| {
            shared(bed, &flex([Some("xe"), Some("xe")]), FLEX)
        })
        .says("0000:4d:00.1 0000:4d:00.2"),
        case("one of them on the host's driver", F::VfTakenByHost, S::Warning, |bed| {
            shared(bed, &flex([Some("vfio-pci"), Some("xe")]), FLEX)
        })
        .says("has taken 1 of its virtual functions"),
        case("NVIDIA's virtual functions on vfio-pci", F::VgpuVfOnVfio, S::Error, with_one_on_vfio)
            .says("0000:26:00.5"),
    ]
}

/// Virtual functions as they are to be.
pub fn of_vms() -> Vec<(&'static str, Bed)> {
    let bed = Bed::healthy;
    vec![
        ("virtual functions without a driver", shared(bed(), &flex([None, None]), FLEX)),
        ("virtual functions of VMs", shared(bed(), &flex([Some("vfio-pci"), None]), FLEX)),
        ("NVIDIA's on NVIDIA's driver", shared(bed(), &made_hosts::vgpu_types_host(), L40S)),
    ]
}
