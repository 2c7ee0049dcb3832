//! Domains as libvirt gives them to its hook.

use gpuvirt_model::{Domain, DomainState};

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
