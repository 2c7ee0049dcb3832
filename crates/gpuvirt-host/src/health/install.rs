//! What must be installed: libvirt's hook, our programs, libvirt and QEMU.

use gpuvirt_model::health::{Enablement, InstallHealth};
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
        claim: claim(reader),
        libvirt: any(reader, &paths::LIBVIRT_DAEMONS),
        qemu: any(reader, &paths::EMULATORS),
    }
}

/// A unit whose file is empty or a link to /dev/null is masked, with or without a link that would start it
/// (systemd.unit(5)).
fn claim(reader: Reader<'_>) -> Fact<Enablement> {
    let enabled = reader.presence(paths::CLAIM_ENABLED);
    let own = reader.text(paths::CLAIM_UNIT);
    match own.known() {
        Some(Some(text)) if text.is_empty() => own.map(|_| Enablement::Masked),
        _ => enabled.map(|there| if there { Enablement::Enabled } else { Enablement::Disabled }),
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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::LinuxSysfs;
    use crate::files::Files;

    // Not the kernel's: files of this test's own.
    #[allow(clippy::disallowed_methods)]
    #[test]
    fn a_masked_unit_is_told_from_a_disabled_one() {
        let root = tempfile::tempdir().unwrap();
        let system = root.path().join("etc/systemd/system");
        let (unit, wants) = (system.join("gpuvirt-claim.service"), system.join("sysinit.target.wants"));
        std::fs::create_dir_all(&wants).unwrap();
        let sysfs = LinuxSysfs::below(root.path().to_str().unwrap());
        let now = || claim(Reader::new(Files::new(&sysfs))).known().copied();
        assert_eq!(now(), Some(Enablement::Disabled));
        // As systemctl makes it: it leads to a file that need not be there.
        symlink("/usr/lib/systemd/system/gpuvirt-claim.service", wants.join("gpuvirt-claim.service"))
            .unwrap();
        assert_eq!(now(), Some(Enablement::Enabled));
        symlink("/dev/null", &unit).unwrap();
        assert_eq!(now(), Some(Enablement::Masked), "the other link stays when a unit is masked");
        std::fs::remove_file(&unit).unwrap();
        std::fs::write(&unit, "").unwrap();
        assert_eq!(now(), Some(Enablement::Masked));
        std::fs::write(&unit, "[Unit]\n").unwrap();
        assert_eq!(now(), Some(Enablement::Enabled), "the admin's own version of it");
    }
}
