//! The processor, and KVM's device.

use gpuvirt_model::Fact;
use gpuvirt_model::health::CpuHealth;

use super::reader::Reader;
use crate::parse::cpu;
use crate::paths;

/// One processor's lines, and some: the flags alone are longer than a kilobyte.
const FIRST: usize = 16 << 10;

pub(super) fn read(reader: Reader<'_>) -> CpuHealth {
    let text = reader.text_to(paths::CPUINFO, FIRST);
    let features = text.map(|text| text.and_then(|text| cpu::features(&text)));
    CpuHealth { features: Reader::understood(features), kvm: kvm(reader) }
}

/// The node says little: it is there before the module is. Recordings made before this was looked for have nothing else.
fn kvm(reader: Reader<'_>) -> Fact<bool> {
    let registered = reader.presence(paths::KVM_CLASS);
    if registered.unknown().is_none() { registered } else { reader.presence(paths::KVM_NODE) }
}
