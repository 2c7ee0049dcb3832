//! What stays as it is until the host boots again.

use std::io;
use std::sync::OnceLock;

use gpuvirt_model::{Reading, Unknown};
use uuid::Uuid;

use crate::files::Files;
use crate::parse::interrupts;
use crate::paths;

/// The first lines of `/proc/interrupts` have the IO-APIC, which tells on machines that remap.
const INTERRUPTS_HEAD: usize = 16 << 10;
/// The whole of it, on machines of some hundred processors.
const INTERRUPTS_ALL: usize = 2 << 20;
/// What a host was booted with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Boot {
    /// The kernel's release, as a path component.
    pub(crate) kernel_release: Option<String>,
    /// Another one at each boot.
    pub(crate) id: Option<Uuid>,
    /// Whether an IOMMU remaps interrupts: the kernel decides it before it has any
    /// (drivers/iommu/irq_remapping.c, `irq_remapping_prepare`).
    pub(crate) interrupt_remapping: Reading<bool>,
}

/// The same, read once where all of it is told: a large host's list of interrupts has megabytes, and each change looks several
/// times.
#[derive(Debug, Default)]
pub(crate) struct BootFacts(OnceLock<Boot>);

impl BootFacts {
    /// What was read before, else what is there now.
    pub(crate) fn read(&self, files: Files<'_>) -> Boot {
        if let Some(known) = self.0.get() {
            return known.clone();
        }
        let boot = Boot {
            kernel_release: release(files),
            id: id(files),
            interrupt_remapping: interrupt_remapping(files),
        };
        if boot.kernel_release.is_some() && boot.id.is_some() && boot.interrupt_remapping.known().is_some() {
            let _ = self.0.set(boot.clone());
        }
        boot
    }
}

/// The boot's own id.
pub(super) fn id(files: Files<'_>) -> Option<Uuid> {
    files.text(paths::BOOT_ID).ok().and_then(|text| Uuid::try_parse(text.trim()).ok())
}

/// The kernel's release, as a path component.
pub(crate) fn release(files: Files<'_>) -> Option<String> {
    let text = files.text(paths::OS_RELEASE).ok()?;
    let release = text.trim();
    let sound = !release.is_empty() && !release.starts_with('.') && !release.contains('/');
    sound.then(|| release.to_owned())
}

fn interrupt_remapping(files: Files<'_>) -> Reading<bool> {
    let read = |limit| files.long_text(paths::INTERRUPTS, limit);
    let head = match read(INTERRUPTS_HEAD) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Reading::Unknown(Unknown::NotRecorded),
        Err(e) => return Reading::Unknown(Unknown::Unreadable { what: e.to_string() }),
    };
    let is_whole = head.len() < INTERRUPTS_HEAD;
    let remapped = match interrupts::remapped(&head) {
        Some(true) => Some(true),
        found if is_whole => found,
        _ => read(INTERRUPTS_ALL).ok().and_then(|text| interrupts::remapped(&text)),
    };
    remapped.map_or_else(
        || Reading::Unknown(Unknown::Unreadable { what: "no interrupt chip tells".to_owned() }),
        Reading::Known,
    )
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // a test writes what the kernel shows
mod tests {
    use std::fs;

    use super::*;
    use crate::linux::LinuxSysfs;

    #[test]
    fn what_is_told_is_read_once_and_what_is_not_again() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("proc/sys/kernel/random")).unwrap();
        let put = |path: &str, text: &str| fs::write(root.join(path), text).unwrap();
        put("proc/sys/kernel/osrelease", "6.12.1\n");
        put("proc/sys/kernel/random/boot_id", "6f0c7b7e-0000-4000-8000-000000000001\n");
        let sysfs = LinuxSysfs::below(root.to_str().unwrap());
        let (files, facts) = (Files::new(&sysfs), BootFacts::default());
        assert_eq!(facts.read(files).interrupt_remapping, Reading::Unknown(Unknown::NotRecorded));

        put("proc/interrupts", "  1:  0  IR-IO-APIC  1-edge  i8042\n");
        let told = facts.read(files);
        assert_eq!(told.interrupt_remapping, Reading::Known(true));
        assert_eq!(told.kernel_release.as_deref(), Some("6.12.1"));
        fs::remove_dir_all(root.join("proc")).unwrap();
        assert_eq!(facts.read(files), told);
    }
}
