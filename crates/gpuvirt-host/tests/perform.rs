//! Steps over a tree that reacts as the kernel does, and as it should not.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

mod tree;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use gpuvirt_host::HostError;
use gpuvirt_model::{DriverName, PciAddress, ProfileName};
use gpuvirt_plan::{MdevPlace, Performed, Step};
use tree::{Reacting, Reaction, Tree};

const GPU: &str = "0000:41:00.0";
const UUID: &str = "c73f1fa6-489e-4834-9476-d70dabd98c40";
const DEADLINE: Duration = Duration::from_millis(300);

fn at(text: &str) -> PciAddress {
    text.parse().unwrap()
}

fn driver(name: &str) -> DriverName {
    DriverName::parse(name).unwrap()
}

fn sysfs(reaction: impl Fn(&Tree, &str, &str) -> io::Result<()> + Send + Sync + 'static) -> Reacting {
    let tree = Tree::new();
    tree.function(GPU, "0x10de", "0x030000").driver(GPU, "nouveau");
    tree.folder(&format!("/sys/bus/pci/devices/{GPU}/mdev_supported_types/nvidia-557"));
    let reaction: Reaction = Box::new(reaction);
    Reacting { reaction, ..Reacting::new(tree) }
}

/// Carries out one step and returns how it ended with the writes that it made.
fn perform(kernel: Reacting, step: &Step) -> (Result<Performed, HostError>, Vec<String>) {
    perform_within(DEADLINE, kernel, step)
}

fn perform_within(
    deadline: Duration,
    kernel: Reacting,
    step: &Step,
) -> (Result<Performed, HostError>, Vec<String>) {
    let kernel = Arc::new(kernel);
    let result = kernel.host().perform(step, deadline);
    let written = kernel.written.lock().unwrap().clone();
    (result, written)
}

fn succeed(_: &Tree, _: &str, _: &str) -> io::Result<()> {
    Ok(())
}

fn errno(errno: i32) -> impl Fn(&Tree, &str, &str) -> io::Result<()> {
    move |_, _, _| Err(io::Error::from_raw_os_error(errno))
}

fn unlink(tree: &Tree, path: &str) {
    std::fs::remove_file(tree.path(path)).unwrap();
}

#[test]
fn an_override_is_set_cleared_and_read_back() {
    let set = |to: Option<&str>| Step::SetOverride { function: at(GPU), driver: to.map(driver) };
    let file = format!("/sys/bus/pci/devices/{GPU}/driver_override");
    let store = |tree: &Tree, path: &str, data: &str| {
        tree.file(path, if data == "\n" { "(null)\n".to_owned() } else { format!("{data}\n") });
        Ok(())
    };
    let (result, written) = perform(sysfs(store), &set(Some("vfio-pci")));
    assert!(result.is_ok());
    assert_eq!(written, [format!("{file}=vfio-pci")]);

    let kernel = sysfs(store);
    kernel.tree.file(&file, "vfio-pci\n");
    let (result, written) = perform(kernel, &set(None));
    assert!(result.is_ok());
    assert_eq!(written, [format!("{file}=\n")]);

    let (result, written) = perform(sysfs(store), &set(None));
    assert!(result.is_ok() && written.is_empty(), "nothing to do");

    let (result, _) = perform(sysfs(succeed), &set(Some("vfio-pci")));
    assert!(matches!(result, Err(HostError::NotSo { .. })), "the write was swallowed: {result:?}");
}

#[test]
fn unbinding_names_the_driver_that_must_have_it() {
    let unbind = |from: &str| Step::Unbind { function: at(GPU), driver: driver(from) };
    let link = format!("/sys/bus/pci/devices/{GPU}/driver");
    let release = {
        let link = link.clone();
        move |tree: &Tree, _: &str, _: &str| {
            unlink(tree, &link);
            Ok(())
        }
    };
    let (result, written) = perform(sysfs(release.clone()), &unbind("nouveau"));
    assert!(result.is_ok());
    assert_eq!(written, [format!("/sys/bus/pci/drivers/nouveau/unbind={GPU}")]);

    let (result, written) = perform(sysfs(release), &unbind("nvidia"));
    assert!(
        matches!(result, Err(HostError::NotAsPlanned { .. })) && written.is_empty(),
        "another driver has it"
    );

    let (result, _) = perform(sysfs(succeed), &unbind("nouveau"));
    assert!(matches!(result, Err(HostError::NotSo { .. })));

    let (result, _) = perform(sysfs(errno(16)), &unbind("nouveau"));
    let Err(HostError::Refused { source, .. }) = result else { panic!("{result:?}") };
    assert_eq!(source.raw_os_error(), Some(16));

    let kernel = sysfs(succeed);
    unlink(&kernel.tree, &link);
    let (result, written) = perform(kernel, &unbind("nouveau"));
    assert!(result.is_ok() && written.is_empty(), "driverless already");
}

#[test]
fn a_write_that_does_not_end_is_reported_with_its_writer() {
    let stuck = |_: &Tree, _: &str, _: &str| Err(io::Error::from(io::ErrorKind::TimedOut));
    let (result, _) = perform(sysfs(stuck), &Step::Unbind { function: at(GPU), driver: driver("nouveau") });
    let Err(HostError::StillWaiting { writer, waited, what }) = result else { panic!("{result:?}") };
    assert_eq!((writer, waited), (4711, DEADLINE));
    assert_eq!(what, format!("unbinding {GPU} from nouveau"));
}

#[test]
fn a_probe_that_binds_nothing_is_no_success() {
    let probe = |expect: Option<&str>| Step::Probe { function: at(GPU), expect: expect.map(driver) };
    let unbound = |reaction: Reaction| {
        let kernel = sysfs(succeed);
        unlink(&kernel.tree, &format!("/sys/bus/pci/devices/{GPU}/driver"));
        Reacting { reaction, ..kernel }
    };
    let bind = |name: &'static str| -> Reaction {
        Box::new(move |tree: &Tree, path: &str, data: &str| {
            assert_eq!((path, data), ("/sys/bus/pci/drivers_probe", GPU));
            tree.driver(GPU, name);
            Ok(())
        })
    };
    assert!(perform(unbound(bind("vfio-pci")), &probe(Some("vfio-pci"))).0.is_ok());
    assert!(perform(unbound(bind("nouveau")), &probe(None)).0.is_ok());
    assert!(
        perform(unbound(Box::new(succeed)), &probe(None)).0.is_ok(),
        "no driver is fine when none is asked for"
    );

    let (result, _) = perform(unbound(Box::new(succeed)), &probe(Some("vfio-pci")));
    let Err(HostError::NotSo { found, .. }) = result else { panic!("{result:?}") };
    assert_eq!(found, "no driver took it");
    let (result, _) = perform(unbound(bind("nouveau")), &probe(Some("vfio-pci")));
    assert!(matches!(result, Err(HostError::NotSo { .. })), "another driver took it");
    let (result, _) = perform(unbound(Box::new(errno(22))), &probe(Some("vfio-pci")));
    assert!(matches!(result, Err(HostError::Refused { .. })));

    let (result, written) = perform(sysfs(succeed), &probe(Some("vfio-pci")));
    assert!(matches!(result, Err(HostError::NotAsPlanned { .. })) && written.is_empty(), "bound to nouveau");
    let (result, written) = perform(sysfs(succeed), &probe(Some("nouveau")));
    assert!(result.is_ok() && written.is_empty());
}

/// Makes the device that a write to `create` makes.
fn make_mdev(tree: &Tree, type_id: &str) {
    tree.folder(&format!("/sys/bus/pci/devices/{GPU}/{UUID}"));
    tree.link(&format!("/sys/bus/mdev/devices/{UUID}"), &format!("../../../bus/pci/devices/{GPU}/{UUID}"));
    tree.link(
        &format!("/sys/bus/pci/devices/{GPU}/{UUID}/mdev_type"),
        &format!("../mdev_supported_types/{type_id}"),
    );
}

fn create() -> Step {
    Step::CreateMdev {
        place: MdevPlace {
            parent: at(GPU),
            type_id: "nvidia-557".to_owned(),
            profile: ProfileName("nvidia_a40-1q".to_owned()),
        },
        uuid: UUID.parse().unwrap(),
    }
}

#[test]
fn a_mediated_device_is_created_once() {
    let born = |tree: &Tree, _: &str, data: &str| {
        assert_eq!(data, UUID);
        make_mdev(tree, "nvidia-557");
        Ok(())
    };
    let (result, written) = perform(sysfs(born), &create());
    assert!(result.is_ok(), "{result:?}");
    let file = format!("/sys/bus/pci/devices/{GPU}/mdev_supported_types/nvidia-557/create");
    assert_eq!(written, [format!("{file}={UUID}")]);

    let kernel = sysfs(succeed);
    make_mdev(&kernel.tree, "nvidia-557");
    let (result, written) = perform(kernel, &create());
    assert!(result.is_ok() && written.is_empty());

    let kernel = sysfs(succeed);
    make_mdev(&kernel.tree, "nvidia-558");
    let (result, written) = perform(kernel, &create());
    assert!(matches!(result, Err(HostError::NotAsPlanned { .. })) && written.is_empty(), "another type");

    let kernel = sysfs(errno(28));
    let left = format!("/sys/bus/pci/devices/{GPU}/mdev_supported_types/nvidia-557/available_instances");
    kernel.tree.file(&left, "1\n");
    let (result, _) = perform(kernel, &create());
    let Err(HostError::Refused { what, source }) = result else { panic!("{result:?}") };
    assert!(what.contains("available_instances is \"1\""), "{what}");
    assert_eq!(source.raw_os_error(), Some(28));

    let kernel = sysfs(succeed);
    kernel.tree.file(&left, "0\n");
    let (result, written) = perform(kernel, &create());
    let Err(HostError::NotAsPlanned { source, .. }) = result else { panic!("{result:?}") };
    assert!(source.to_string().contains("available_instances is 0") && written.is_empty(), "{source}");

    let (result, _) = perform(sysfs(succeed), &create());
    assert!(matches!(result, Err(HostError::NotSo { .. })));
}

#[test]
fn a_type_that_would_leave_its_folder_is_refused() {
    let Step::CreateMdev { uuid, place } = create() else { unreachable!() };
    let step = Step::CreateMdev { uuid, place: MdevPlace { type_id: "../../x".to_owned(), ..place } };
    let (result, written) = perform(sysfs(succeed), &step);
    assert!(matches!(result, Err(HostError::NotAsPlanned { .. })) && written.is_empty());
}

#[test]
fn a_removal_counts_when_the_device_has_gone() {
    let step = Step::RemoveMdev { parent: at(GPU), uuid: UUID.parse().unwrap() };
    let with_mdev = |reaction: Reaction| {
        let kernel = sysfs(succeed);
        make_mdev(&kernel.tree, "nvidia-557");
        Reacting { reaction, ..kernel }
    };
    let gone = |tree: &Tree, _: &str, _: &str| {
        let link = tree.path(&format!("/sys/bus/mdev/devices/{UUID}"));
        std::fs::remove_dir_all(std::fs::canonicalize(&link).unwrap()).unwrap();
        std::fs::remove_file(link).unwrap();
        Ok(())
    };
    let (result, written) = perform(with_mdev(Box::new(gone)), &step);
    assert!(result.is_ok());
    assert_eq!(written, [format!("/sys/bus/mdev/devices/{UUID}/remove=1")]);

    // Another remover was first and waits: the bus has let go of the device, its parent has not.
    let left_the_bus = |tree: &Tree, _: &str, _: &str| {
        unlink(tree, &format!("/sys/bus/mdev/devices/{UUID}"));
        errno(19)(tree, "", "")
    };
    let kernel = with_mdev(Box::new(left_the_bus));
    let (result, _) = perform(kernel, &step);
    assert!(matches!(result, Err(HostError::Refused { .. })), "it lives: {result:?}");
    let kernel = with_mdev(Box::new(succeed));
    unlink(&kernel.tree, &format!("/sys/bus/mdev/devices/{UUID}"));
    let (result, written) = perform(kernel, &step);
    assert!(matches!(result, Err(HostError::NotAsPlanned { .. })) && written.is_empty(), "{result:?}");

    let late = move |tree: &Tree, _: &str, _: &str| {
        let link = tree.path(&format!("/sys/bus/mdev/devices/{UUID}"));
        let (_keep, end) = std::sync::mpsc::channel::<()>();
        std::thread::spawn(move || {
            // Nothing is ever sent: this is a pause of a tenth of a second, in the part of the driver.
            let _ = end.recv_timeout(Duration::from_millis(100));
            std::fs::remove_dir_all(std::fs::canonicalize(&link).unwrap()).unwrap();
            std::fs::remove_file(link).unwrap();
        });
        std::mem::forget(_keep);
        Ok(())
    };
    let (result, _) = perform_within(Duration::from_secs(30), with_mdev(Box::new(late)), &step);
    assert!(result.is_ok(), "the driver lags behind its answer");

    let (result, _) = perform(with_mdev(Box::new(succeed)), &step);
    assert!(matches!(result, Err(HostError::NotSo { .. })), "accepted, and nothing happened");
    let (result, _) = perform(with_mdev(Box::new(errno(16))), &step);
    assert!(matches!(result, Err(HostError::Refused { .. })));
    let (result, written) = perform(sysfs(succeed), &step);
    assert!(result.is_ok() && written.is_empty(), "gone already");

    let elsewhere = Step::RemoveMdev { parent: at("0000:42:00.0"), uuid: UUID.parse().unwrap() };
    let (result, written) = perform(with_mdev(Box::new(gone)), &elsewhere);
    assert!(
        matches!(result, Err(HostError::NotAsPlanned { .. })) && written.is_empty(),
        "not where it was planned"
    );
}

#[test]
fn a_module_is_loaded_once_and_must_be_there_then() {
    let step = Step::LoadModule { module: driver("vfio-pci") };
    let load = |tree: &Tree, path: &str, _: &str| {
        assert_eq!(path, "modprobe");
        tree.folder("/sys/module/vfio_pci");
        Ok(())
    };
    let (result, written) = perform(sysfs(load), &step);
    assert!(result.is_ok());
    assert_eq!(written, ["modprobe=vfio-pci"]);
    let kernel = sysfs(load);
    kernel.tree.folder("/sys/bus/pci/drivers/vfio-pci");
    let (result, written) = perform(kernel, &step);
    assert!(result.is_ok() && written.is_empty());
    assert!(matches!(perform(sysfs(succeed), &step).0, Err(HostError::NotSo { .. })));
}

#[test]
fn a_function_that_has_gone_is_an_error_of_its_own() {
    let gone = at("0000:99:00.0");
    for step in [
        Step::Unbind { function: gone, driver: driver("nouveau") },
        Step::Probe { function: gone, expect: None },
        Step::SetOverride { function: gone, driver: None },
    ] {
        let (result, written) = perform(sysfs(succeed), &step);
        let Err(HostError::Refused { source, .. }) = result else { panic!("{result:?}") };
        assert_eq!(source.kind(), io::ErrorKind::NotFound);
        assert!(written.is_empty());
    }
}

/// A writer of an earlier daemon whose write is still in the kernel: it shows its request in a memory file.
fn earlier_writer(tree: &Tree) {
    use std::os::unix::fs::MetadataExt;
    let uid = std::fs::metadata(tree.path("/proc")).unwrap().uid();
    tree.file("/proc/77/status", format!("Name:\tx\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n"));
    tree.file("/proc/77/maps", "").file("/proc/77/comm", "gpuvirt-writer\n");
    tree.link("/proc/77/fd/3", "/memfd:gpuvirt-writer (deleted)");
}

#[test]
fn what_looks_done_while_an_earlier_write_is_under_way_is_not_done() {
    let unbind = Step::Unbind { function: at(GPU), driver: driver("nouveau") };
    let probe = Step::Probe { function: at(GPU), expect: None };
    for step in [unbind, probe] {
        let kernel = sysfs(succeed);
        // The kernel has taken the link away and waits in the driver.
        unlink(&kernel.tree, &format!("/sys/bus/pci/devices/{GPU}/driver"));
        let request = format!(r#"{{"path":"/sys/bus/pci/drivers/nouveau/unbind","data":"{GPU}"}}"#);
        let kernel = Reacting { memory_file: Some(request), ..kernel };
        earlier_writer(&kernel.tree);
        let (result, _) = perform(kernel, &step);
        assert!(matches!(result, Err(HostError::StillWaiting { writer: 77, .. })), "{step:?}: {result:?}");
    }
}
