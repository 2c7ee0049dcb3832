//! What modules are told, and which display drivers are there.

use std::collections::BTreeMap;

use gpuvirt_model::health::{ModuleHealth, ModuleLine, TakingLine};
use gpuvirt_model::{Fact, Reading};

use super::reader::Reader;
use crate::inventory;
use crate::parse::taken_by_id::{self, Taking};
use crate::parse::{modprobe, modules};
use crate::paths;

pub(super) fn read(reader: Reader<'_>, release: Option<&str>) -> ModuleHealth {
    let [own, packages @ ..] = paths::MODPROBE;
    let of = |folder| (folder, reader.list(folder).known().cloned().flatten().unwrap_or_default());
    // All are asked for, whatever the first one says: a snapshot records what was asked for.
    let packages = packages.map(of);
    // Where the admin's folder is not known, nothing is: it counts more than the packages' ones.
    let options = reader.list(own).map(|names| {
        let own = std::iter::once((own, names.unwrap_or_default()));
        let folders: Vec<_> = own.chain(packages).collect();
        lines(reader, modprobe::in_effect(&folders))
    });
    let (display_drivers, built_here) = release.map(|release| drivers(reader, release)).unwrap_or_default();
    let vfio_built_in = release.is_some_and(|release| inventory::vfio_pci_built_in(reader.files, release));
    let lines = options.known().map(Vec::as_slice).unwrap_or_default();
    let taken_by_id = taken_by_id(reader, lines, vfio_built_in);
    ModuleHealth { options, display_drivers, built_here, taken_by_id, vfio_built_in }
}

/// Words of the command line, options of modprobe.d, what initramfs-tools loads with ids, and udev's rules of the admin's that
/// override a driver by ids.
fn taken_by_id(reader: Reader<'_>, options: &[ModuleLine], built_in: bool) -> Vec<TakingLine> {
    let text = |file: &str| reader.text(file).known().cloned().flatten().unwrap_or_default();
    let line =
        |file: &str, (line, ids): Taking, heard| TakingLine { file: file.to_owned(), line, ids, heard };
    let of = |file: &str, found: Vec<Taking>| -> Vec<TakingLine> {
        found.into_iter().map(|taking| line(file, taking, true)).collect()
    };
    let mut found = of(paths::CMDLINE, taken_by_id::of_command_line(&text(paths::CMDLINE), built_in));
    for option in options {
        found.extend(of(&option.file, taken_by_id::of_options(vec![option.line.clone()])));
    }
    // The file may outlive initramfs-tools, on a host that has changed to dracut.
    let modules = text(paths::INITRAMFS_MODULES);
    if !reader.presence(paths::UPDATE_INITRAMFS).is(&false) {
        let lines = taken_by_id::of_initramfs(&modules).into_iter();
        found.extend(lines.map(|(taking, heard)| line(paths::INITRAMFS_MODULES, taking, heard)));
    }
    let rules = reader.list(paths::UDEV_OWN).known().cloned().flatten().unwrap_or_default();
    for name in rules.iter().filter(|name| name.ends_with(".rules")) {
        let file = format!("{}/{name}", paths::UDEV_OWN);
        found.extend(of(&file, taken_by_id::of_udev(&text(&file))));
    }
    found
}

fn lines(reader: Reader<'_>, files: Vec<String>) -> Vec<ModuleLine> {
    let lines = files.into_iter().flat_map(|file| {
        let text = reader.text(&file).known().cloned().flatten().unwrap_or_default();
        modprobe::lines(&text).into_iter().map(move |line| ModuleLine { file: file.clone(), line })
    });
    lines.collect()
}

/// The display drivers that are installed, with whether they are loaded; and of those that did not come with the kernel, the
/// files.
fn drivers(reader: Reader<'_>, release: &str) -> (Fact<BTreeMap<String, bool>>, BTreeMap<String, String>) {
    let source = paths::modules_file(release, "modules.dep");
    let Ok(list) = reader.files.sysfs.read(&source, modules::LIST_LIMIT) else {
        return (Fact { source, ..Fact::default() }, BTreeMap::new());
    };
    let installed: BTreeMap<&str, String> = modules::DISPLAY_DRIVERS
        .iter()
        .filter_map(|name| {
            Some((*name, String::from_utf8_lossy(modules::file_of(&list, name)?).into_owned()))
        })
        .collect();
    let loaded = |name: &str| reader.files.sysfs.exists(&paths::module_named(name));
    let drivers = installed.keys().map(|name| ((*name).to_owned(), loaded(name))).collect();
    let from_elsewhere = installed.into_iter().filter(|(_, file)| !file.starts_with("kernel/"));
    let from_elsewhere = from_elsewhere.map(|(name, file)| (name.to_owned(), file)).collect();
    (Fact { source, value: Reading::Known(drivers) }, from_elsewhere)
}
