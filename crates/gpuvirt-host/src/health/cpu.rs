//! The processor, and KVM's device.

use gpuvirt_model::health::CpuHealth;

use super::reader::Reader;
use crate::parse::cpu;
use crate::paths;

/// One processor's lines, and some: the flags alone are longer than a kilobyte.
const FIRST: usize = 16 << 10;

pub(super) fn read(reader: Reader<'_>) -> CpuHealth {
    let text = reader.text_to(paths::CPUINFO, FIRST);
    let features = text.map(|text| text.and_then(|text| cpu::features(&text)));
    CpuHealth { features: Reader::understood(features), kvm: reader.presence(paths::KVM_NODE) }
}
