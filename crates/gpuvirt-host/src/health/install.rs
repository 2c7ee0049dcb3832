//! What must be installed: libvirt's hook, our programs, libvirt and QEMU.

use gpuvirt_model::health::InstallHealth;
use gpuvirt_model::{Fact, Reading};

use super::reader::Reader;
use crate::paths;

/// Whom a file's mode lets execute it: libvirt asks for any (`virFileIsExecutable` as root).
const EXECUTABLE: u32 = 0o111;

pub(super) fn read(reader: Reader<'_>) -> InstallHealth {
    let hook = reader.text(paths::HOOK);
    InstallHealth {
        hook: hook.map(|text| text.map(|text| text.contains("gpuvirt"))),
        hook_executable: Reader::understood(
            reader.mode(paths::HOOK).map(|mode| Some(mode? & EXECUTABLE != 0)),
        ),
        command: reader.presence(paths::COMMAND),
        daemon: reader.presence(paths::DAEMON),
        daemon_enabled: reader.presence(paths::DAEMON_ENABLED),
        libvirt: any(reader, &paths::LIBVIRT_DAEMONS),
        qemu: any(reader, &paths::EMULATORS),
    }
}

/// Whether one of these files is there; unknown where one may be.
fn any(reader: Reader<'_>, candidates: &[&str]) -> Fact<bool> {
    let facts = || candidates.iter().map(|path| reader.presence(path));
    if let Some(there) = facts().find(|fact| fact.is(&true)) {
        return there;
    }
    let unknown = facts().find(|fact| fact.unknown().is_some());
    unknown.unwrap_or_else(|| Fact { source: candidates.join(", "), value: Reading::Known(false) })
}
