//! Domains as libvirt gives them to its hook.

use gpuvirt_engine::{Engine, VmRequest};
use gpuvirt_model::{Domain, DomainState, Guest, Hostdev, ProfileName, Requests, VgpuParams};
use uuid::Uuid;

use super::World;

/// What libvirt gives the hook on its standard input, as the hook understands it.
pub fn as_hook_sees(xml: &str) -> Domain {
    let read = gpuvirt_domain::read(xml).unwrap();
    Domain {
        name: read.name,
        uuid: read.uuid.unwrap(),
        state: DomainState::Active,
        autostart: false,
        config: read.hostdevs,
        live: Vec::new(),
        requests: read.requests,
        guest: read.guest,
    }
}

/// A domain that somebody wrote by hand, with these devices, as it starts.
pub fn by_hand(name: &str, number: u128, config: Vec<Hostdev>) -> Domain {
    Domain {
        name: name.to_owned(),
        uuid: Uuid::from_u128(number),
        state: DomainState::Active,
        autostart: false,
        config,
        live: Vec::new(),
        requests: Requests::default(),
        guest: Guest::default(),
    }
}

/// A definition, for a name and a uuid.
pub const DEFINITION: &str = "<domain type='kvm'>\n  <name>NAME</name>\n  <uuid>UUID</uuid>\n  <os><type \
                          machine='q35'>hvm</type></os>\n  <!-- keep -->\n  <devices>\n    <emulator>q</emulator>\n  \
                          </devices>\n</domain>\n";

/// A domain that libvirt knows, off, without devices.
pub fn define(world: &World, name: &str, number: u128) {
    let xml = DEFINITION.replace("NAME", name).replace("UUID", &Uuid::from_u128(number).to_string());
    world.definitions.lock().unwrap().insert(name.to_owned(), xml);
    relist(world);
}

/// What libvirt lists: every definition, with the state that it had.
pub fn relist(world: &World) {
    let definitions = world.definitions.lock().unwrap();
    let mut domains = world.libvirt.lock().unwrap();
    let earlier = std::mem::take(&mut *domains);
    for xml in definitions.values() {
        let mut domain = as_hook_sees(xml);
        let known = earlier.iter().find(|known| known.uuid == domain.uuid);
        domain.state = known.map_or(DomainState::ShutOff, |known| known.state);
        domain.live = known.map(|known| known.live.clone()).unwrap_or_default();
        domain.autostart = known.is_some_and(|known| known.autostart);
        domains.push(domain);
    }
}

/// What the hook gets when it starts.
pub fn hooked(world: &World, name: &str) -> Domain {
    as_hook_sees(&world.definitions.lock().unwrap()[name])
}

/// Has it ask for one vGPU of a profile, with this uuid where that is a mediated device.
pub fn add_profile(world: &World, engine: &Engine, name: &str, profile: &str, number: u128) {
    let request = VmRequest::Profile {
        profile: ProfileName(profile.to_owned()),
        params: VgpuParams::default(),
        uuids: vec![Uuid::from_u128(number)],
    };
    assert!(engine.vm_add(name, request, false).unwrap().outcome.is_changed());
    relist(world);
}
