//! Virtual functions that take vGPU types: what the driver answers, and what steps make of it.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use std::io;
use std::sync::Arc;
use std::time::Duration;

use gpuvirt_fakekernel::{Errno, FakeKernel, Process};
use gpuvirt_host::{GpuRules, HostError, LinuxHost, Sysfs};
use gpuvirt_model::{PciAddress, ProfileName};
use gpuvirt_plan::{Step, VfAutoprobe};
use gpuvirt_recording::made_hosts;

const PF: &str = "0000:26:00.0";
const VF: &str = "0000:26:00.4";
const SECOND: &str = "0000:26:00.5";
const DEADLINE: Duration = Duration::from_secs(1);

fn kernel() -> Arc<FakeKernel> {
    let host = made_hosts::vgpu_types_host().dump();
    Arc::new(FakeKernel::from_dump(&host).unwrap().with_proc().strict())
}

fn file(vf: &str, name: &str) -> String {
    format!("/sys/bus/pci/devices/{vf}/nvidia/{name}")
}

fn read(kernel: &FakeKernel, path: &str) -> io::Result<String> {
    kernel.read(path, 4096).map(|bytes| String::from_utf8(bytes).unwrap())
}

fn set(kernel: &FakeKernel, vf: &str, data: &str) -> Result<(), Errno> {
    let written = kernel.write(&file(vf, "current_vgpu_type"), data.as_bytes());
    written.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap()))
}

#[test]
fn the_driver_answers_as_it_was_seen_to() {
    let kernel = kernel();
    let placed = |vf| read(&kernel, &file(vf, "placement_id")).map_err(|error| error.raw_os_error());
    assert_eq!(placed(VF), Err(Some(Errno::ENXIO as i32)));
    for (data, want) in [
        ("x", Err(Errno::EINVAL)),
        ("0x479", Err(Errno::EINVAL)),
        ("", Ok(())),
        ("7", Err(Errno::EIO)),
        ("0", Ok(())),
        ("1153\n", Ok(())),
        ("1149", Err(Errno::EIO)),
        ("1153", Err(Errno::EIO)),
    ] {
        assert_eq!(set(&kernel, VF, data), want, "{data:?}");
    }
    assert_eq!(read(&kernel, &file(VF, "current_vgpu_type")).unwrap(), "1153\n");
    assert_eq!(read(&kernel, &file(VF, "creatable_vgpu_types")).unwrap(), "ID    : vGPU Name\n");
    assert_eq!(placed(VF), Ok("0\n".to_owned()));
    let left = read(&kernel, &file(SECOND, "creatable_vgpu_types")).unwrap();
    assert_eq!(left, "ID    : vGPU Name\n1153  : NVIDIA L40S-12Q\n", "one size at a time");

    kernel.start(Process::new(99, "qemu-system-x86").opens("/dev/vfio/70"));
    assert_eq!(set(&kernel, VF, "0"), Err(Errno::EPERM));
    kernel.end(99);
    assert_eq!(set(&kernel, VF, "0"), Ok(()));
    assert_eq!(read(&kernel, &file(SECOND, "creatable_vgpu_types")).unwrap().lines().count(), 6);
}

#[test]
fn types_go_with_their_virtual_functions() {
    let kernel = kernel();
    set(&kernel, VF, "1153").unwrap();
    let numvfs = format!("/sys/bus/pci/devices/{PF}/sriov_numvfs");
    kernel.write(&numvfs, b"0").unwrap();
    assert!(!kernel.exists(&file(VF, "current_vgpu_type")) && !kernel.exists("/dev/vfio/70"));
    kernel.write(&numvfs, b"2").unwrap();
    assert_eq!(read(&kernel, &file(VF, "current_vgpu_type")).unwrap(), "0\n");
    assert_eq!(read(&kernel, &file(VF, "creatable_vgpu_types")).unwrap().lines().count(), 6);
}

#[test]
fn a_step_is_done_once_and_only_as_planned() {
    let kernel = kernel();
    let host = LinuxHost::new(kernel.clone(), GpuRules::default());
    let vf = PciAddress::parse(VF).unwrap();
    let step = |from, to| Step::SetVgpuType { vf, from, to, profile: ProfileName("x".to_owned()) };
    for (from, to, writes, fits) in [
        (0, 0, 0, true),
        (1153, 0, 0, true),
        (7, 1153, 0, false),
        (0, 1153, 1, true),
        (0, 1153, 0, true),
        (1153, 1149, 0, false),
        (1149, 0, 0, false),
        (1153, 0, 1, true),
    ] {
        kernel.forget_writes();
        let done = host.perform(&step(from, to), DEADLINE);
        assert_eq!((done.is_ok(), kernel.writes().len()), (fits, writes), "{from} to {to}: {done:?}");
    }
}

#[test]
fn from_one_number_of_virtual_functions_to_another_is_no_step() {
    let kernel = kernel();
    let host = LinuxHost::new(kernel.clone(), GpuRules::default());
    let function = PciAddress::parse(PF).unwrap();
    let step = |from, to| Step::SetVfCount { function, from, to };
    for (from, to, writes, fits) in [
        (4, 4, 0, true),
        (4, 2, 0, false),
        (0, 2, 0, false),
        (4, 0, 1, true),
        (4, 0, 0, true),
        (0, 2, 1, true),
    ] {
        kernel.forget_writes();
        let done = host.perform(&step(from, to), DEADLINE);
        assert_eq!((done.is_ok(), kernel.writes().len()), (fits, writes), "{from} to {to}: {done:?}");
    }
    for on in [VfAutoprobe::Off, VfAutoprobe::Off, VfAutoprobe::On] {
        host.perform(&Step::SetVfAutoprobe { function, on }, DEADLINE).unwrap();
    }
    assert_eq!(kernel.writes().len(), 3);
}

#[test]
fn while_somebody_has_one_the_number_waits_and_we_wait_no_longer_than_asked() {
    // A strict kernel takes a write that waits for a mistake of the test.
    let host = made_hosts::vgpu_types_host().dump();
    let kernel = Arc::new(FakeKernel::from_dump(&host).unwrap().with_proc());
    let host = LinuxHost::new(kernel.clone(), GpuRules::default());
    kernel.start(Process::new(99, "qemu-system-x86").opens("/dev/vfio/70"));
    let none = Step::SetVfCount { function: PciAddress::parse(PF).unwrap(), from: 4, to: 0 };
    let answer = host.perform(&none, DEADLINE);
    assert!(matches!(answer, Err(HostError::StillWaiting { .. })), "{answer:?}");
    kernel.end(99);
    host.perform(&none, DEADLINE).unwrap();
    assert!(host.observe().unwrap().vgpus.is_empty());
}
