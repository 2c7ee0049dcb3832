//! The files of the PCI bus and of its drivers: `bind`, `unbind`, `new_id`, `drivers_probe`, `rescan`.

use gpuvirt_model::PciAddress;
use nix::errno::Errno;

use crate::driver::ProbeError;
use crate::inject::On;
use crate::state::Kernel;
use crate::writes::{Answer, Stop};

impl Kernel {
    /// The function that the text names, as `bus_find_device_by_name` finds it: the exact name, one newline ignored.
    fn named(&self, data: &[u8]) -> Option<PciAddress> {
        let text = std::str::from_utf8(data).ok()?;
        let name = text.strip_suffix('\n').unwrap_or(text);
        let address = PciAddress::parse(name).ok()?;
        (address.to_string() == name && self.folder(address).is_some()).then_some(address)
    }

    /// `drivers/D/bind`: `bind_store`.
    pub(crate) fn bind(&mut self, driver: &str, data: &[u8]) -> Answer {
        let function =
            self.named(data).filter(|function| self.matches(driver, *function)).ok_or(Errno::ENODEV)?;
        if self.is_locked(function) {
            return Err(Stop::Blocks);
        }
        if self.driver_of(function).is_some() {
            return Err(Errno::EBUSY.into());
        }
        match self.probe(driver, function) {
            Ok(()) => Ok(()),
            // A probe that has to wait for another driver answers EAGAIN here.
            Err(ProbeError::Early(errno) | ProbeError::Driver(errno)) => Err(Stop::Errno(errno)),
            Err(ProbeError::Blocks) => Err(Stop::Blocks),
        }
    }

    /// `drivers/D/unbind`: `unbind_store`.
    pub(crate) fn unbind(&mut self, driver: &str, data: &[u8]) -> Answer {
        let function = self.named(data).ok_or(Errno::ENODEV)?;
        if self.driver_of(function).as_deref() != Some(driver) {
            return Err(Errno::ENODEV.into());
        }
        self.detach(function)
    }

    /// `drivers_probe`: `drivers_probe_store`. Success says nothing of what is bound afterwards.
    pub(crate) fn drivers_probe(&mut self, data: &[u8]) -> Answer {
        let function = self.named(data).ok_or(Errno::ENODEV)?;
        if self.is_locked(function) {
            return Err(Stop::Blocks);
        }
        let after = self.struck(&On::Probe { function })?;
        if self.driver_of(function).is_none() {
            match self.search_driver(function) {
                Ok(()) => {}
                Err(ProbeError::Blocks) => return Err(Stop::Blocks),
                Err(ProbeError::Early(_) | ProbeError::Driver(_)) => return Err(Errno::EINVAL.into()),
            }
        }
        after
    }

    /// `drivers/D/new_id`: `new_id_store`. It probes every driverless function that matches at once, which is why
    /// nobody should use it.
    pub(crate) fn new_id(&mut self, driver: &str, data: &[u8]) -> Answer {
        let ids = id_fields(data).ok_or(Errno::EINVAL)?;
        let table = self.drivers.get_mut(driver).ok_or(Errno::ENOENT)?;
        if table.ids.contains(&ids) {
            return Err(Errno::EEXIST.into());
        }
        table.ids.push(ids);
        for function in self.functions() {
            if self.driver_of(function).is_none() && self.matches(driver, function) {
                let _ = self.probe(driver, function);
            }
        }
        Ok(())
    }

    /// `drivers/D/remove_id`: `remove_id_store`. It unbinds nothing.
    pub(crate) fn remove_id(&mut self, driver: &str, data: &[u8]) -> Answer {
        let ids = id_fields(data).ok_or(Errno::EINVAL)?;
        let table = self.drivers.get_mut(driver).ok_or(Errno::ENOENT)?;
        let at = table.ids.iter().position(|have| *have == ids).ok_or(Errno::ENODEV)?;
        table.ids.remove(at);
        Ok(())
    }

    /// `drivers_autoprobe`: `0` is off, any other first character on.
    pub(crate) fn drivers_autoprobe(&mut self, data: &[u8]) -> Answer {
        let on = data.first() != Some(&b'0');
        self.files.put_text("/sys/bus/pci/drivers_autoprobe", if on { "1\n" } else { "0\n" });
        Ok(())
    }
}

/// The first two fields, which `sscanf("%x %x ...")` must find.
fn id_fields(data: &[u8]) -> Option<(u16, u16)> {
    let text = std::str::from_utf8(data).ok()?;
    let mut fields =
        text.split_whitespace().map(|field| u16::from_str_radix(field.trim_start_matches("0x"), 16).ok());
    Some((fields.next()??, fields.next()??))
}
