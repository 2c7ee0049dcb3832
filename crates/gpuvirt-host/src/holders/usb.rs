//! Devices on a card's own USB controller: unbinding it takes them away, a keyboard or a mounted disk included.
//!
//! What the bus holds is read from the kernel's memory of it; no device is asked, and none is woken.

use gpuvirt_model::{Gpu, Holder, Observed, PciAddress};

use crate::files::Files;
use crate::parse::pci;
use crate::paths;

/// The devices below the card's controllers, root hubs left out: the controller is a hub itself.
pub(super) fn devices(files: Files<'_>, observed: &Observed, gpu: &Gpu) -> Vec<Holder> {
    let controllers = observed.functions_of(gpu).filter(|function| function.identity.class.is_usb());
    controllers.flat_map(|controller| below(files, controller.address)).collect()
}

fn below(files: Files<'_>, controller: PciAddress) -> Vec<Holder> {
    let mut found = Vec::new();
    for bus in children(files, &paths::function(controller), is_bus) {
        let bus = paths::function_file(controller, &bus);
        for device in children(files, &bus, is_device) {
            let name = name(files, &format!("{bus}/{device}"));
            found.push(Holder::UsbDevice { device, name });
        }
    }
    found
}

/// What the device says of itself, in printable characters; else its ids.
fn name(files: Files<'_>, folder: &str) -> String {
    let text = |name: &str| {
        let text = files.text(&format!("{folder}/{name}")).unwrap_or_default();
        text.trim().chars().filter(|c| !c.is_control()).take(60).collect::<String>()
    };
    let product = text("product");
    if product.is_empty() { format!("{}:{}", text("idVendor"), text("idProduct")) } else { product }
}

/// `usb3`: a bus with its root hub.
fn is_bus(name: &str) -> bool {
    name.strip_prefix("usb").and_then(pci::count::<u32>).is_some()
}

/// `3-1` or `3-1.4`, but not an interface (`3-1:1.0`, `3-0:1.0`): Documentation/usb, "sysfs names".
fn is_device(name: &str) -> bool {
    let Some((bus, ports)) = name.split_once('-') else { return false };
    let number = |text: &str| pci::count::<u32>(text).is_some();
    number(bus) && ports.split('.').all(number)
}

fn children(files: Files<'_>, folder: &str, wanted: fn(&str) -> bool) -> Vec<String> {
    let mut names = files.sysfs.list(folder).unwrap_or_default();
    names.retain(|name| wanted(name));
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_a_bus_and_its_ports() {
        assert!(is_device("3-1") && is_device("3-1.4.2") && is_bus("usb12"));
        for name in ["3-0:1.0", "3-1:1.0", "usb3", "ep_00", "3-", "-1", "3-1.", "power"] {
            assert!(!is_device(name), "{name:?}");
        }
        assert!(!is_bus("usb") && !is_bus("usbmon0") && !is_bus("usb3-1"));
    }
}
