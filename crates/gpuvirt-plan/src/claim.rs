//! Which functions are kept from host drivers at boot, before those load: the cards that are configured as passthrough.

use gpuvirt_model::{Desired, DesiredGpu, DriverName, GraphicsType, PciAddress, PciIdentity, Records, When};

/// A function that only one driver may bind, from the first moment of a boot on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Where it sits.
    pub function: PciAddress,
    /// What it is: another device at the address is left alone.
    pub identity: PciIdentity,
    /// The driver.
    pub driver: DriverName,
}

/// The functions to claim, by address: each passthrough card's primary function, and the companions that were taken
/// with it. A card that a VM takes and gives back boots as the host's.
pub fn claims(desired: &Desired, records: &Records) -> Vec<Claim> {
    let mut claims: Vec<Claim> = cards(desired).flat_map(|e| of_card(e, records)).collect();
    claims.sort_by_key(|claim| claim.function);
    claims.dedup_by_key(|claim| claim.function);
    claims
}

/// The cards to claim.
pub(crate) fn cards(desired: &Desired) -> impl Iterator<Item = &DesiredGpu> {
    desired.gpus.iter().filter(|entry| {
        entry.graphics_type.resolve(&desired.host) == GraphicsType::Direct && entry.when != When::Vm
    })
}

fn of_card(entry: &DesiredGpu, records: &Records) -> Vec<Claim> {
    let claim = |function, identity| Claim { function, identity, driver: DriverName::vfio_pci() };
    let primary = claim(entry.address, entry.identity);
    let companions = records.host_bindings.iter().filter_map(|(function, binding)| {
        let companion = *function != entry.address && function.same_slot(&entry.address);
        companion.then_some(binding.identity).flatten().map(|identity| claim(*function, identity))
    });
    std::iter::once(primary).chain(companions).collect()
}

#[cfg(test)]
mod tests {
    use gpuvirt_model::{ClassCode, ConfiguredType, HostBinding};

    use super::*;

    fn at(text: &str) -> PciAddress {
        PciAddress::parse(text).unwrap()
    }

    fn identity(class: u32) -> PciIdentity {
        PciIdentity {
            vendor: 0x10de,
            device: 0x2204,
            subsystem_vendor: 0x10de,
            subsystem_device: 1,
            class: ClassCode(class),
        }
    }

    #[test]
    fn passthrough_cards_are_claimed_whole_and_no_others() {
        let gpu = |address: &str, kind| DesiredGpu::new(at(address), identity(0x03_00_00), kind);
        let for_a_vm = DesiredGpu { when: When::Vm, ..gpu("43:00.0", ConfiguredType::Direct) };
        let desired = Desired::default()
            .with_gpu(gpu("41:00.0", ConfiguredType::Direct))
            .with_gpu(gpu("42:00.0", ConfiguredType::Shared))
            .with_gpu(for_a_vm);
        let mut records = Records::default();
        for function in ["41:00.0", "41:00.1", "42:00.1", "43:00.1"] {
            let binding = HostBinding { identity: Some(identity(0x04_03_00)), ..HostBinding::default() };
            records.host_bindings.insert(at(function), binding);
        }
        // Before identities were recorded: nothing to compare it with, so it is not claimed.
        let old = HostBinding::default();
        records.host_bindings.insert(at("41:00.2"), old);
        let claims = claims(&desired, &records);
        let found: Vec<(PciAddress, ClassCode)> =
            claims.iter().map(|claim| (claim.function, claim.identity.class)).collect();
        assert_eq!(found, [(at("41:00.0"), ClassCode(0x03_00_00)), (at("41:00.1"), ClassCode(0x04_03_00))]);
    }
}
