//! Writes a snapshot: a tar of a manifest, a umockdev dump and the files that a dump can't hold.
//!
//! It loads again with [`RecordedHost`](crate::RecordedHost). What no file shows (libvirt's domains, what is configured, who
//! holds a card) comes from whoever makes the snapshot, as values: see [`Testimony`].

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use gpuvirt_host::parse::{modules, nvidia};
use gpuvirt_host::{GpuMatch, Sysfs};
use gpuvirt_model::Testimony;
use tar::{Builder, EntryType, Header};

use crate::archive::{DUMP, FILES, MANIFEST, TESTIMONY};
use crate::command_line;
use crate::error::RecordingError;
use crate::file_names::{self, Renamed};
use crate::host_names::HostNames;
use crate::looked::{self, Heard, Looked};
use crate::manifest::{Manifest, SNAPSHOT_VERSION};
use crate::module_lines;
use crate::parameter;
use crate::record;
use crate::redact;
use crate::sentence;

/// Plain files that are recorded as they are.
const PLAIN_FILES: [&str; 4] =
    ["/proc/fb", "/proc/interrupts", "/proc/sys/kernel/osrelease", "/sys/bus/pci/drivers_autoprobe"];
/// Files whose words are all the kernel's or its packager's, by their beginnings or ends: a host's name has no place there.
const FIXED_WORDS: [&str; 8] = [
    "/lib/modules/",
    "/proc/cmdline",
    "/proc/modules",
    "/proc/sys/kernel/osrelease",
    "/sys/bus/pci/drivers_autoprobe",
    "/sys/kernel/debug/vfio/",
    "/sys/kernel/iommu_groups/",
    "/initstate",
];
/// Modules whose presence and parameters matter.
const MODULES: [&str; 16] = [
    "amdgpu",
    "gim",
    "i915",
    "iommufd",
    "kvm",
    "kvmgt",
    "mdev",
    "nouveau",
    "nvidia",
    "nvidia_vgpu_vfio",
    "radeon",
    "vfio",
    "vfio_iommu_type1",
    "vfio_pci",
    "vfio_pci_core",
    "xe",
];
/// What is blanked in NVIDIA's version, in a manifest's words.
const BUILDERS: &str = "who built NVIDIA's module, where and when";
/// What is blanked in the list of modules, in a manifest's words.
const KERNEL_ADDRESSES: &str = "where the kernel lies in memory (addresses of modules)";
/// Longest of these files; /proc/interrupts grows with the processors.
const MAX_FILE: usize = 16 << 20;

/// What the caller adds to a snapshot.
#[derive(Debug, Clone, Default)]
pub struct SnapshotOptions {
    /// When it is made, as text; this code knows no clock.
    pub date: String,
    /// What no file shows, where it is known.
    pub testimony: Option<Testimony>,
    /// What counts as a GPU on this host besides display controllers.
    pub extra_gpus: Vec<GpuMatch>,
}

/// Writes a snapshot of `host`.
///
/// # Errors
/// [`RecordingError::Host`] when the PCI bus can't be read, [`RecordingError::Write`].
pub fn write_snapshot(
    host: &dyn Sysfs,
    options: &SnapshotOptions,
    to: impl Write,
) -> Result<Manifest, RecordingError> {
    let mut dump = record::dump(host)?;
    let names = host_names(host);
    let testimony = options.testimony.clone().map(|testimony| {
        let what = "of VMs' definitions all but names, host devices, memory and machine (passwords, disks, networks)";
        dump.redacted.insert(what.to_owned());
        let (testimony, left_out) = sentence::blanked(testimony, &names);
        dump.redacted.extend(left_out.into_iter().map(str::to_owned));
        testimony
    });
    let mut files = Files { host, names, entries: Vec::new(), left_out: BTreeSet::new() };
    files.collect();
    let release = text(host, "/proc/sys/kernel/osrelease");
    let (absent, modes) = files.looked_at(release.as_deref(), &options.extra_gpus);
    if files.entries.iter().any(|(_, _, redacted)| *redacted) {
        dump.redacted.insert(sentence::NAMES.to_owned());
    }
    dump.redacted.extend(files.left_out.iter().map(|what| (*what).to_owned()));
    let manifest = Manifest {
        version: SNAPSHOT_VERSION,
        date: options.date.clone(),
        kernel_release: release,
        extra_gpus: options.extra_gpus.clone(),
        redacted: dump.redacted.into_iter().collect(),
        unreadable: dump.unreadable.into_iter().collect(),
        absent,
        modes,
    };
    let write = || -> io::Result<()> {
        let mut tar = Builder::new(to);
        append(&mut tar, MANIFEST, Some(&serde_json::to_vec_pretty(&manifest)?))?;
        append(&mut tar, DUMP, Some(dump.text.as_bytes()))?;
        if let Some(testimony) = &testimony {
            append(&mut tar, TESTIMONY, Some(&serde_json::to_vec_pretty(testimony)?))?;
        }
        for (path, content, _) in &files.entries {
            append(&mut tar, &format!("{FILES}{path}"), content.as_deref().map(str::as_bytes))?;
        }
        tar.into_inner()?.flush()
    };
    write().map_err(RecordingError::Write)?;
    Ok(manifest)
}

/// Appends a file, or a folder where there is no content. Headers hold nothing of the machine that made them.
pub(crate) fn append(tar: &mut Builder<impl Write>, name: &str, content: Option<&[u8]>) -> io::Result<()> {
    let mut header = Header::new_gnu();
    let bytes = content.unwrap_or_default();
    header.set_entry_type(if content.is_some() { EntryType::Regular } else { EntryType::Directory });
    header.set_mode(if content.is_some() { 0o644 } else { 0o755 });
    header.set_size(bytes.len() as u64);
    header.set_mtime(0);
    tar.append_data(&mut header, name, bytes)
}

struct Files<'a> {
    host: &'a dyn Sysfs,
    names: HostNames,
    /// Path, text (none: a folder), whether something was blanked out.
    entries: Vec<(String, Option<String>, bool)>,
    /// What of files was left out that a reader may miss.
    left_out: BTreeSet<&'static str>,
}

impl Files<'_> {
    fn collect(&mut self) {
        for path in PLAIN_FILES {
            self.file(path);
        }
        self.blanked("/proc/driver/nvidia/version", &str::to_owned, BUILDERS, &nvidia::version_told);
        self.blanked("/proc/modules", &str::to_owned, KERNEL_ADDRESSES, &without_kernel_addresses);
        self.blanked("/proc/cmdline", &command_line::kept, parameter::VALUES, &command_line::told);
        if let Some(release) =
            text(self.host, "/proc/sys/kernel/osrelease").filter(|name| !name.contains('/'))
        {
            for list in ["modules.dep", "modules.builtin"] {
                self.filtered(&format!("/lib/modules/{release}/{list}"), &modules::judged);
            }
        }
        let groups = "/sys/kernel/iommu_groups";
        for group in self.host.list(groups).unwrap_or_default() {
            for name in ["type", "name", "reserved_regions"] {
                self.file(&format!("{groups}/{group}/{name}"));
            }
        }
        // Which VFIO devices can be migrated; their state is not read, which takes the driver's lock.
        let devices = "/sys/kernel/debug/vfio";
        for device in self.host.list(devices).unwrap_or_default() {
            let folder = format!("{devices}/{device}");
            self.entries.push((folder.clone(), None, false));
            let migration = format!("{folder}/migration");
            if self.host.exists(&migration) {
                self.entries.push((migration.clone(), None, false));
                self.file(&format!("{migration}/features"));
            }
        }
        // Drivers without a device are in no device's links, and a VFIO driver matters by being there.
        let drivers = "/sys/bus/pci/drivers";
        for driver in self.host.list(drivers).unwrap_or_default() {
            self.entries.push((format!("{drivers}/{driver}"), None, false));
        }
        for module in MODULES {
            let folder = format!("/sys/module/{module}");
            let Ok(names) = self.host.list(&folder) else { continue };
            self.entries.push((folder.clone(), None, false));
            for name in ["initstate", "version"].iter().filter(|name| names.iter().any(|n| n == *name)) {
                self.file(&format!("{folder}/{name}"));
            }
            for parameter in self.host.list(&format!("{folder}/parameters")).unwrap_or_default() {
                let path = format!("{folder}/parameters/{parameter}");
                let told = |text: &str| parameter::told_by_kernel(module, &parameter, text);
                self.blanked(&path, &str::to_owned, parameter::VALUES, &told);
            }
        }
    }

    /// Adds what listings and the doctor look at, and tells what of it is not there, in order, and whose permissions were asked.
    fn looked_at(
        &mut self,
        release: Option<&str>,
        extra: &[GpuMatch],
    ) -> (Vec<String>, BTreeMap<String, u32>) {
        let mut absent = Vec::new();
        let Heard { found, modes } = looked::at(self.host, release, extra);
        // Those that are not recorded take no part: a snapshot of a snapshot is the same again.
        let recorded = found.iter().filter(|(path, found)| is_recorded(path, found));
        let renamed = Renamed::of(recorded.map(|(path, _)| path), &self.names);
        for (path, found) in found {
            if self.entries.iter().any(|(have, ..)| *have == path) {
                continue;
            }
            let (shown, path_changed) = renamed.path(&path);
            self.left_out.extend(path_changed.then_some(file_names::LEFT_OUT));
            match found {
                Looked::Absent => absent.push(shown),
                Looked::Folder(names) => self.folder(&path, &names),
                Looked::File(text) => self.looked_file(&path, shown, &text),
                Looked::Present => self.entries.push((shown, Some(String::new()), false)),
            }
        }
        (absent, modes)
    }

    /// What of a file is recorded, by the name that the snapshot has for it.
    fn looked_file(&mut self, path: &str, shown: String, text: &str) {
        let part = looked::part(path, text).unwrap_or_default();
        if module_lines::is_file(path) && module_lines::lost(text, &part) {
            self.left_out.insert(module_lines::LEFT_OUT);
        }
        if !(part.is_empty() && is_gone_when_empty(path)) {
            let (text, changed) = redact::blank(&part, &self.names);
            self.entries.push((shown, Some(text), changed));
        }
    }

    /// A folder, with the names in it that are not recorded by themselves as empty files.
    fn folder(&mut self, path: &str, names: &[String]) {
        self.entries.push((path.to_owned(), None, false));
        if path.starts_with("/sys/firmware/acpi") {
            let files = names.iter().map(|name| (format!("{path}/{name}"), Some(String::new()), false));
            self.entries.extend(files);
        }
    }

    fn file(&mut self, path: &str) {
        self.filtered(path, &str::to_owned);
    }

    /// A file of which a part is recorded.
    fn filtered(&mut self, path: &str, part: &dyn Fn(&str) -> String) {
        self.blanked(path, part, "", &str::to_owned);
    }

    /// The same, blanked first; `what` went with that, where something of the part did.
    fn blanked(
        &mut self,
        path: &str,
        part: &dyn Fn(&str) -> String,
        what: &'static str,
        blank: &dyn Fn(&str) -> String,
    ) {
        let Ok(bytes) = self.host.read(path, MAX_FILE) else { return };
        let whole = String::from_utf8_lossy(&bytes);
        let (told, part) = (part(&whole), part(&blank(&whole)));
        self.left_out.extend((told != part).then_some(what));
        // Where every word is the kernel's own, one that is the host's name too must stay.
        let fixed = FIXED_WORDS.iter().any(|file| path.starts_with(file) || path.ends_with(file));
        let names = if fixed { &HostNames::default() } else { &self.names };
        let (text, changed) = redact::blank(&part, names);
        self.entries.push((path.to_owned(), Some(text), changed));
    }
}

/// Whether a file is not there that says nothing of GPUs, in modprobe.d and among udev's rules: who reads the folder misses nothing.
fn is_gone_when_empty(path: &str) -> bool {
    module_lines::is_file(path) || looked::is_own_rule(path)
}

fn is_recorded(path: &str, found: &Looked) -> bool {
    match found {
        Looked::File(text) if is_gone_when_empty(path) => {
            looked::part(path, text).is_some_and(|part| !part.is_empty())
        }
        _ => true,
    }
}

/// Where the kernel lies in memory is a secret of its own: root sees it in the list of modules, as the only numbers with a
/// prefix. Others see zeroes there.
fn without_kernel_addresses(text: &str) -> String {
    let word = |word: &str| {
        let end = word.trim_start_matches("0x").trim_start_matches(|c: char| c.is_ascii_hexdigit());
        if word.starts_with("0x") { format!("0x{:016x}{end}", 0) } else { word.to_owned() }
    };
    text.split_inclusive(' ').map(word).collect()
}

/// What the host is called, and not the names of its drivers and modules, should it be called like one.
fn host_names(host: &dyn Sysfs) -> HostNames {
    let mut known = host.list("/sys/bus/pci/drivers").unwrap_or_default();
    known.extend(host.list("/sys/module").unwrap_or_default());
    HostNames::new(&text(host, "/proc/sys/kernel/hostname").unwrap_or_default(), &known)
}

fn text(host: &dyn Sysfs, path: &str) -> Option<String> {
    let bytes = host.read(path, 4096).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim().to_owned()).filter(|text| !text.is_empty())
}
