//! Creating and removing mediated devices.

use std::io;
use std::time::Duration;

use gpuvirt_model::PciAddress;
use gpuvirt_plan::MdevPlace;
use uuid::Uuid;

use super::settle::{State, answered, not_as_planned, nothing_under_way, settle, settle_blocking, within};
use crate::error::HostError;
use crate::files::{Files, shown};
use crate::inventory::parent_in;
use crate::parse::mdev::is_type_id;
use crate::parse::pci;
use crate::paths;

/// NVIDIA's driver takes the device down after it has answered the write, in about a second.
const GONE_WITHIN: Duration = Duration::from_secs(3);

/// Creates a mediated device, within the deadline. The kernel takes 36 characters and at most a newline (drivers/vfio/mdev/mdev_sysfs.c).
pub(super) fn create(
    files: Files<'_>,
    place: &MdevPlace,
    uuid: Uuid,
    deadline: Duration,
) -> Result<(), HostError> {
    let (parent, type_id) = (place.parent, place.type_id.as_str());
    let what = format!("creating {type_id} {uuid} on {parent}");
    if !is_type_id(type_id) {
        return Err(not_as_planned(&what, format!("{type_id:?} is no type's name")));
    }
    let look = || match place_of(files, uuid) {
        None => State::NotYet("it is not there".to_owned()),
        Some((at, kind)) if at == Some(parent) && kind == type_id => State::Reached,
        Some((at, kind)) => State::NotYet(elsewhere(at, &kind)),
    };
    match place_of(files, uuid) {
        None => {}
        Some(_) if matches!(look(), State::Reached) => return Ok(()),
        Some((at, kind)) => return Err(not_as_planned(&what, elsewhere(at, &kind))),
    }
    if left(files, parent, type_id) == Some(0) {
        // Somebody else took the last of it since the plan was made. Some drivers log each create that they refuse.
        return Err(not_as_planned(&what, "available_instances is 0 by now".to_owned()));
    }
    let path = paths::mdev_type_file(parent, type_id, "create");
    // A vendor's driver may keep it waiting: NVIDIA's starts a process for each vGPU.
    let written = files.sysfs.write_that_may_block(&path, uuid.to_string().as_bytes(), deadline);
    let written = answered(&what, written)?;
    let what = if written.is_err() { what + &capacity(files, parent, type_id) } else { what };
    settle(&what, written, look())
}

/// How many more the parent says fit now; none where it can't be told.
fn left(files: Files<'_>, parent: PciAddress, type_id: &str) -> Option<u32> {
    let text = files.text(&paths::mdev_type_file(parent, type_id, "available_instances")).ok()?;
    pci::count(&text)
}

/// Drivers answer a full card with errnos of their own choice: the capacity tells what the errno does not.
fn capacity(files: Files<'_>, parent: PciAddress, type_id: &str) -> String {
    let path = paths::mdev_type_file(parent, type_id, "available_instances");
    files
        .text(&path)
        .map(|left| format!(", where available_instances is {}", shown(&left)))
        .unwrap_or_default()
}

/// Removes a mediated device and waits until it has gone.
pub(super) fn remove(
    files: Files<'_>,
    parent: PciAddress,
    uuid: Uuid,
    deadline: Duration,
) -> Result<(), HostError> {
    let what = format!("removing mediated device {uuid} from {parent}");
    match place_of(files, uuid) {
        None => {
            nothing_under_way(files, &what, |write| write.mdev() == Some(uuid))?;
            if lives_below(files, parent, uuid) {
                let found = "its removal was begun by others and waits for whoever has it open";
                return Err(not_as_planned(&what, found.to_owned()));
            }
            return Ok(());
        }
        Some((Some(at), _)) if at == parent => {}
        Some((at, kind)) => return Err(not_as_planned(&what, elsewhere(at, &kind))),
    }
    let written = files.sysfs.write_that_may_block(&paths::mdev_file(uuid, "remove"), b"1", deadline);
    let refused = written.is_err();
    let look = || match place_of(files, uuid) {
        None if !lives_below(files, parent, uuid) => State::Reached,
        None => State::NotYet("it has left the bus, and its removal waits".to_owned()),
        Some(_) => State::NotYet("it is still there".to_owned()),
    };
    // After a refusal there is nothing to wait for.
    settle_blocking(&what, written, || if refused { look() } else { within(GONE_WITHIN.min(deadline), look) })
}

/// Where a mediated device is: its parent, if that is a PCI function, and its type. `None`: it does not exist.
fn place_of(files: Files<'_>, uuid: Uuid) -> Option<(Option<PciAddress>, String)> {
    // The link on the bus tells both: whether there is one, and where it leads.
    let parent = match files.sysfs.read_link(&paths::mdev(uuid)) {
        Ok(target) => parent_in(&target),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return None,
        Err(_) => None,
    };
    let kind = files.link(&paths::mdev_file(uuid, "mdev_type")).unwrap_or_default();
    Some((parent, kind))
}

/// Whether the device's own folder is there: it stays while a removal waits, when the bus does not show it any more.
fn lives_below(files: Files<'_>, parent: PciAddress, uuid: Uuid) -> bool {
    files.sysfs.exists(&paths::mdev_below(parent, uuid))
}

fn elsewhere(parent: Option<PciAddress>, kind: &str) -> String {
    let parent = parent.map_or_else(|| "another device".to_owned(), |at| at.to_string());
    format!("a {kind} of this uuid is on {parent}")
}
