//! `gpuvirt snapshot`: this host into a file that `--host` reads.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::SystemTime;

use gpuvirt_api::{API_VERSION, VmDocument};
use gpuvirt_host::LinuxSysfs;
use gpuvirt_model::{Domain, Hostdev};
use gpuvirt_recording::{Manifest, SnapshotOptions, write_snapshot};
use serde::Serialize;

use crate::asker::Asker;
use crate::cli::SnapshotArgs;
use crate::failure::Failure;
use crate::local;
use crate::output::{Answer, document};
use crate::render::page::Page;

/// What was written.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SnapshotDocument<'a> {
    api_version: &'static str,
    kind: &'static str,
    file: String,
    manifest: &'a Manifest,
}

/// Runs the verb.
///
/// # Errors
/// [`Failure`]; the file is gone then.
pub fn run(asker: &Asker, args: &SnapshotArgs) -> Result<Answer, Failure> {
    asker.refuse_recording("a snapshot is taken of this machine; --host names a recording")?;
    let domains = domains(asker);
    // Root reads what others may not, and VMs are named in it: whoever it is for is given it.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&args.file);
    let file = file.map_err(|error| {
        let failure = Failure::failed(&error);
        named(failure, &args.file).try_this("name a new file in a folder that you may write to")
    })?;
    let manifest = write(file, domains).inspect_err(|_| {
        // It was made just now and holds nothing of use.
        let _ = fs::remove_file(&args.file);
    });
    let manifest = manifest.map_err(|failure| named(failure, &args.file))?;
    let written = SnapshotDocument {
        api_version: API_VERSION,
        kind: "Snapshot",
        file: args.file.display().to_string(),
        manifest: &manifest,
    };
    document(asker.format(), &written, text)
}

fn named(mut failure: Failure, file: &Path) -> Failure {
    failure.error.message = format!("{}: {}", file.display(), failure.error.message);
    failure
}

fn write(file: File, domains: Option<Vec<Domain>>) -> Result<Manifest, Failure> {
    let options = SnapshotOptions {
        date: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        domains,
        extra_gpus: local::rules().extra,
    };
    let mut out = BufWriter::new(file);
    let manifest = write_snapshot(&LinuxSysfs::this_machine(), &options, &mut out)
        .map_err(|error| Failure::failed(&error))?;
    out.flush().map_err(|error| Failure::failed(&error))?;
    Ok(manifest)
}

/// The domains that have GPUs, when the daemon knows them; others are nobody's business.
fn domains(asker: &Asker) -> Option<Vec<Domain>> {
    let list = asker.client().vms().ok().filter(|list| list.domains_unknown.is_none());
    if list.is_none() {
        asker.note("libvirt's domains are not recorded: gpuvirtd does not tell them");
    }
    let vms = list?.items;
    Some(vms.iter().filter(|vm| !vm.devices.is_empty()).map(domain).collect())
}

fn domain(vm: &VmDocument) -> Domain {
    let of = |live: bool| -> Vec<Hostdev> {
        let wanted = vm.devices.iter().filter(|device| if live { device.live } else { device.configured });
        wanted.map(|device| device.hostdev.clone()).collect()
    };
    Domain {
        name: vm.name.clone(),
        uuid: vm.uuid,
        state: vm.state,
        autostart: vm.autostart,
        config: of(false),
        live: of(true),
        requests: Default::default(),
        guest: Default::default(),
    }
}

fn text(written: &SnapshotDocument<'_>) -> String {
    let mut page = Page::new();
    page.line(format_args!("written: {}", written.file));
    page.list("left out", &written.manifest.redacted);
    page.list("not readable", &written.manifest.unreadable);
    page.into_text()
}
