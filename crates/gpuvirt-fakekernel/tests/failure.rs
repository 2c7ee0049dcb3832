//! Failures on demand, writes that wait, and the log.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use std::io;
use std::time::Duration;

use gpuvirt_fakekernel::{Errno, FakeKernel, Fault, On, Process, SizeRule};
use gpuvirt_host::{ReadError, Sysfs, WriteError};
use gpuvirt_model::PciAddress;
use gpuvirt_recording::made_hosts;

const PROBE: &str = "/sys/bus/pci/drivers_probe";
const DEADLINE: Duration = Duration::from_millis(1);

fn kernel() -> FakeKernel {
    FakeKernel::from_dump(&made_hosts::two_gpus().dump()).unwrap().with_proc().strict()
}

fn gpu() -> PciAddress {
    "02:00.0".parse().unwrap()
}

fn file(name: &str) -> String {
    format!("/sys/bus/pci/devices/0000:02:00.0/{name}")
}

fn driver(kernel: &FakeKernel) -> Option<String> {
    kernel.read_link(&file("driver")).ok().and_then(|target| target.rsplit('/').next().map(str::to_owned))
}

fn code(result: io::Result<()>) -> Result<(), Errno> {
    result.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(0)))
}

fn to_vfio(kernel: &FakeKernel) {
    kernel.load_module("vfio-pci").unwrap();
    kernel.write(&file("driver_override"), b"vfio-pci\n").unwrap();
    kernel.write(&file("driver/unbind"), b"0000:02:00.0").unwrap();
    kernel.write(PROBE, b"0000:02:00.0").unwrap();
    assert_eq!(driver(kernel).as_deref(), Some("vfio-pci"));
}

#[test]
fn a_probe_that_fails_is_told_by_bind_and_not_by_drivers_probe() {
    let kernel = kernel();
    kernel.fail(On::Bind { driver: "nouveau".to_owned(), function: gpu() }, Errno::EIO);
    kernel.write(&file("driver/unbind"), b"0000:02:00.0").unwrap();
    assert_eq!(code(kernel.write("/sys/bus/pci/drivers/nouveau/bind", b"0000:02:00.0")), Err(Errno::EIO));
    assert_eq!(code(kernel.write(PROBE, b"0000:02:00.0")), Ok(()));
    assert_eq!(driver(&kernel), None, "success of the write is not success");
    kernel.clear_faults();
    kernel.write(PROBE, b"0000:02:00.0").unwrap();
    assert_eq!(driver(&kernel).as_deref(), Some("nouveau"));
}

#[test]
fn the_nth_write_fails_whatever_it_is() {
    let writes: [(String, &[u8]); 3] = [
        (file("driver_override"), b"pci-stub"),
        (file("driver_override"), b"\n"),
        (file("driver/unbind"), b"0000:02:00.0"),
    ];
    for failing in 1..=writes.len() {
        let kernel = kernel();
        kernel.fail(On::NthWrite { nth: failing }, Errno::ENOMEM);
        for (number, (path, data)) in writes.iter().enumerate() {
            let want = if number + 1 == failing { Err(Errno::ENOMEM) } else { Ok(()) };
            assert_eq!(code(kernel.write(path, data)), want, "write {number} of a run where {failing} fails");
        }
        assert_eq!(driver(&kernel).is_some(), failing == 3);
        assert_eq!(kernel.writes().len(), 3);
    }
}

#[test]
fn silent_failures_and_failures_after_the_deed() {
    let kernel = kernel();
    kernel.inject_once(On::Unbind { function: gpu() }, Fault::Silent);
    kernel.write(&file("driver/unbind"), b"0000:02:00.0").unwrap();
    assert_eq!(driver(&kernel).as_deref(), Some("nouveau"));
    kernel.inject_once(On::Unbind { function: gpu() }, Fault::DoneThenErrno(Errno::EINTR));
    assert_eq!(code(kernel.write(&file("driver/unbind"), b"0000:02:00.0")), Err(Errno::EINTR));
    assert_eq!(driver(&kernel), None);
}

#[test]
fn a_blocked_write_waits_until_it_is_released_and_happens_then() {
    let kernel = kernel();
    kernel.inject(On::Unbind { function: gpu() }, Fault::Block);
    let waits = kernel.write_that_may_block(&file("driver/unbind"), b"0000:02:00.0", DEADLINE);
    assert!(matches!(waits, Err(WriteError::StillWaiting { .. })), "{waits:?}");
    assert_eq!(driver(&kernel).as_deref(), Some("nouveau"));
    assert_eq!(kernel.waiting(), [file("driver/unbind")]);
    // The kernel holds the function's lock: whoever comes next waits too.
    let next = kernel.write_that_may_block(&file("remove"), b"1", DEADLINE);
    assert!(matches!(next, Err(WriteError::StillWaiting { .. })));
    assert_eq!(kernel.release(), 0);
    assert!(!kernel.exists(&file("class")), "unbound, then removed");
}

#[test]
fn what_takes_the_lock_waits_for_the_write_that_holds_it() {
    let kernel = kernel();
    let path = file("driver_override");
    kernel.inject(On::Unbind { function: gpu() }, Fault::Block);
    let waits = kernel.write_that_may_block(&file("driver/unbind"), b"0000:02:00.0", DEADLINE);
    let Err(WriteError::StillWaiting { writer, .. }) = waits else { panic!("{waits:?}") };
    let read = kernel.read_that_may_block(&path, 99, DEADLINE);
    assert!(matches!(read, Err(ReadError::StillWaiting { waits }) if waits == writer), "{read:?}");
    let write = kernel.write_that_may_block(&path, b"vfio-pci", DEADLINE);
    assert!(matches!(write, Err(WriteError::StillWaiting { .. })), "{write:?}");
    let twin = "/sys/bus/pci/devices/0000:01:00.0/driver_override";
    assert_eq!(kernel.read_that_may_block(twin, 99, DEADLINE).unwrap(), b"(null)\n");
    assert_eq!(kernel.release(), 0);
    assert_eq!(kernel.read_that_may_block(&path, 99, DEADLINE).unwrap(), b"vfio-pci\n");
}

#[test]
fn a_guest_keeps_its_card_until_it_ends() {
    let kernel = kernel();
    to_vfio(&kernel);
    kernel.start(Process::new(700, "qemu-system-x86").opens("/dev/vfio/12"));
    let waits = kernel.write_that_may_block(&file("driver/unbind"), b"0000:02:00.0", DEADLINE);
    assert!(matches!(waits, Err(WriteError::StillWaiting { .. })));
    assert_eq!(kernel.release(), 1, "no test can take the card from a guest");
    // The group is owned by user space: the audio function's host driver can't come back to it.
    let audio = "/sys/bus/pci/drivers/snd_hda_intel";
    kernel.write(&format!("{audio}/unbind"), b"0000:02:00.1").unwrap();
    assert_eq!(code(kernel.write(&format!("{audio}/bind"), b"0000:02:00.1")), Err(Errno::EBUSY));
    assert_eq!(code(kernel.write(PROBE, b"0000:02:00.1")), Err(Errno::EINVAL));
    kernel.end(700);
    assert_eq!(driver(&kernel), None);
    assert!(!kernel.exists("/dev/vfio/12"));
    kernel.write(&format!("{audio}/bind"), b"0000:02:00.1").unwrap();
}

#[test]
fn a_removal_that_waits_hides_the_device_and_takes_nothing_from_its_user() {
    let kernel = kernel();
    kernel.offer_mdev(gpu(), 4096, SizeRule::Mixed, &[("nouveau-1", "LAB-1Q", 1024)]);
    let types = file("mdev_supported_types/nouveau-1");
    let (uuid, other) = ("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001", "83b8f4f2-509f-382f-3c1e-e6bfe0fa1002");
    kernel.write(&format!("{types}/create"), uuid.as_bytes()).unwrap();
    let target = kernel.read_link(&format!("/sys/bus/mdev/devices/{uuid}/iommu_group")).unwrap();
    let group = target.rsplit('/').next().unwrap();
    kernel.start(Process::new(700, "qemu-system-x86").opens(&format!("/dev/vfio/{group}")));
    let remove = format!("/sys/bus/mdev/devices/{uuid}/remove");
    let waits = kernel.write_that_may_block(&remove, b"1", DEADLINE);
    assert!(matches!(waits, Err(WriteError::StillWaiting { .. })), "{waits:?}");
    let left = || kernel.read(&format!("{types}/available_instances"), 9).unwrap();
    // As measured on Linux 6.12: found by nothing any more, and all that it takes is still taken.
    assert!(!kernel.exists(&format!("/sys/bus/mdev/devices/{uuid}")));
    assert!(!kernel.exists(&format!("{types}/devices/{uuid}")));
    assert!(
        kernel.exists(&file(&format!("{uuid}/iommu_group"))) && kernel.exists(&format!("/dev/vfio/{group}"))
    );
    assert_eq!(left(), b"3\n");
    assert_eq!(code(kernel.write(&format!("{types}/create"), uuid.as_bytes())), Err(Errno::EEXIST));
    assert_eq!(code(kernel.write(&remove, b"1")), Err(Errno::ENOENT));
    kernel.write(&format!("{types}/create"), other.as_bytes()).unwrap();
    kernel.end(700);
    assert!(!kernel.exists(&file(uuid)) && !kernel.exists(&format!("/dev/vfio/{group}")));
    assert_eq!(left(), b"3\n");
    assert!(kernel.exists(&format!("/sys/bus/mdev/devices/{other}")));
}

#[test]
fn a_module_that_is_not_installed_does_not_load() {
    let kernel = kernel();
    kernel.forget_module("vfio-pci");
    assert_eq!(code(kernel.load_module("vfio-pci")), Err(Errno::ENOENT));
    assert!(!kernel.exists("/sys/bus/pci/drivers/vfio-pci"));
}

#[test]
fn the_console_goes_with_its_card() {
    let kernel = kernel();
    let bound = |name: &str| kernel.read(&format!("/sys/class/vtconsole/{name}/bind"), 9).unwrap();
    assert_eq!(kernel.read("/proc/fb", 99).unwrap(), b"0 nouveaudrmfb\n");
    assert_eq!((bound("vtcon0"), bound("vtcon1")), (b"0\n".to_vec(), b"1\n".to_vec()));
    kernel.write("/sys/bus/pci/drivers/nouveau/unbind", b"0000:01:00.0").unwrap();
    assert_eq!(kernel.read("/proc/fb", 99).unwrap(), b"");
    assert_eq!((bound("vtcon0"), bound("vtcon1")), (b"1\n".to_vec(), b"0\n".to_vec()));
    assert!(!kernel.exists("/dev/fb0") && !kernel.exists("/dev/dri/card0"));
    kernel.write(PROBE, b"0000:01:00.0").unwrap();
    assert!(kernel.exists("/dev/fb0") && kernel.exists("/dev/dri/card0"));
}

#[test]
#[should_panic(expected = "does not model")]
fn a_strict_kernel_panics_on_what_it_does_not_model() {
    let _ = kernel().write("/sys/bus/pci/devices/0000:02:00.0/resource0_resize", b"15");
}

#[test]
#[should_panic(expected = "waits for ever")]
fn a_strict_kernel_panics_on_a_plain_write_that_would_hang() {
    let kernel = kernel();
    kernel.inject(On::Unbind { function: gpu() }, Fault::Block);
    let _ = kernel.write(&file("driver/unbind"), b"0000:02:00.0");
}

#[test]
fn over_a_recording_what_is_not_modelled_is_absent_and_reported() {
    let kernel = FakeKernel::from_dump(&made_hosts::two_gpus().dump()).unwrap();
    assert_eq!(code(kernel.write(&file("resource0_resize"), b"15")), Err(Errno::ENOENT));
    assert_eq!(kernel.unmodelled(), [file("resource0_resize")]);
    assert_eq!(code(kernel.write(&file("class"), b"1")), Err(Errno::EACCES));
    assert_eq!(kernel.read(&file("remove"), 9).unwrap_err().raw_os_error(), Some(Errno::EACCES as i32));
}
