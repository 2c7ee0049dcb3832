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
        udev_rule: udev_rule(reader),
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

/// A file hides those of its name in later folders, and one that is empty or a link to /dev/null masks them (udev(7)).
fn udev_rule(reader: Reader<'_>) -> Fact<Enablement> {
    // All are asked for, whatever the first one says: a snapshot records what was asked for.
    let files = paths::UDEV_RULES.map(|path| reader.text(path));
    match files.into_iter().find(|file| !matches!(file.value, Reading::Known(None))) {
        Some(file) => file.map(|text| match text {
            Some(text) if text.trim().is_empty() => Enablement::Masked,
            _ => Enablement::Enabled,
        }),
        None => Fact { source: paths::UDEV_RULES.join(", "), value: Reading::Known(Enablement::Disabled) },
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

    // As above.
    #[allow(clippy::disallowed_methods)]
    #[test]
    fn a_masked_rule_is_told_from_a_missing_one() {
        let root = tempfile::tempdir().unwrap();
        let [etc, lib] = ["etc", "usr/lib"].map(|folder| root.path().join(folder).join("udev/rules.d"));
        std::fs::create_dir_all(&etc).unwrap();
        std::fs::create_dir_all(&lib).unwrap();
        let [mask, rule] = [etc, lib].map(|folder| folder.join("70-gpuvirt.rules"));
        let sysfs = LinuxSysfs::below(root.path().to_str().unwrap());
        let now = || udev_rule(Reader::new(Files::new(&sysfs))).known().copied();
        assert_eq!(now(), Some(Enablement::Disabled));
        std::fs::write(&rule, "LABEL=\"gpuvirt_end\"\n").unwrap();
        assert_eq!(now(), Some(Enablement::Enabled));
        symlink("/dev/null", &mask).unwrap();
        assert_eq!(now(), Some(Enablement::Masked));
        std::fs::remove_file(&mask).unwrap();
        std::fs::write(&mask, "").unwrap();
        assert_eq!(now(), Some(Enablement::Masked));
        std::fs::write(&mask, "LABEL=\"mine\"\n").unwrap();
        assert_eq!(now(), Some(Enablement::Enabled), "the admin's own version of it");
    }
}
