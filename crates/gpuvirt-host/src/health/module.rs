//! What modules are told, and which display drivers are there.

use std::collections::BTreeMap;

use gpuvirt_model::health::{ModuleHealth, ModuleLine};
use gpuvirt_model::{Fact, Reading};

use super::reader::Reader;
use crate::parse::{modprobe, modules};
use crate::paths;

/// The display drivers whose absence, while installed, means something.
const DISPLAY: [&str; 7] = ["amdgpu", "gim", "i915", "nouveau", "nvidia", "radeon", "xe"];
/// More than any distribution's list of modules.
const MODULE_LIST: usize = 16 << 20;

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
    ModuleHealth {
        options,
        display_drivers: release.map(|release| drivers(reader, release)).unwrap_or_default(),
    }
}

fn lines(reader: Reader<'_>, files: Vec<String>) -> Vec<ModuleLine> {
    let lines = files.into_iter().flat_map(|file| {
        let text = reader.text(&file).known().cloned().flatten().unwrap_or_default();
        modprobe::lines(&text).into_iter().map(move |line| ModuleLine { file: file.clone(), line })
    });
    lines.collect()
}

fn drivers(reader: Reader<'_>, release: &str) -> Fact<BTreeMap<String, bool>> {
    let source = paths::modules_file(release, "modules.dep");
    match reader.files.sysfs.read(&source, MODULE_LIST) {
        Ok(list) => {
            let installed = DISPLAY.iter().filter(|name| modules::lists(&list, name));
            let loaded = |name: &str| reader.files.sysfs.exists(&paths::module_named(name));
            let value = Reading::Known(installed.map(|name| ((*name).to_owned(), loaded(name))).collect());
            Fact { source, value }
        }
        Err(_) => Fact { source, ..Fact::default() },
    }
}
