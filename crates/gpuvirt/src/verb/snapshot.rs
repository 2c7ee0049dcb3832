//! `gpuvirt snapshot`: this host into a file that `--host` reads.

use std::fs::{self, File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::SystemTime;

use gpuvirt_api::{API_VERSION, Client};
use gpuvirt_host::LinuxSysfs;
use gpuvirt_model::health::DaemonHealth;
use gpuvirt_model::{Testimony, chain};
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
    /// Names that people gave and that stand in it.
    named: Vec<String>,
}

/// Runs the verb.
///
/// # Errors
/// [`Failure`]; the file is gone then.
pub fn run(asker: &Asker, args: &SnapshotArgs) -> Result<Answer, Failure> {
    asker.refuse_recording("a snapshot is taken of this machine; --host names a recording")?;
    let testimony = testimony(asker)?;
    let testimony = if args.hide_names { testimony.without_names() } else { testimony };
    // Root reads what others may not, and VMs are named in it: whoever it is for is given it.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&args.file);
    let file = file.map_err(|error| {
        let failure = Failure::failed(&error);
        named(failure, &args.file).try_this("name a new file in a folder that you may write to")
    })?;
    let named_in_it = if args.hide_names { Vec::new() } else { testimony.names() };
    let manifest = asker.recording_host(|| write(file, testimony)).inspect_err(|_| {
        // It was made just now and holds nothing of use.
        let _ = fs::remove_file(&args.file);
    });
    let manifest = manifest.map_err(|failure| named(failure, &args.file))?;
    let written = SnapshotDocument {
        api_version: API_VERSION,
        kind: "Snapshot",
        file: args.file.display().to_string(),
        manifest: &manifest,
        named: named_in_it,
    };
    document(asker.format(), &written, text)
}

fn named(mut failure: Failure, file: &Path) -> Failure {
    failure.error.message = format!("{}: {}", file.display(), failure.error.message);
    failure
}

fn write(file: File, testimony: Testimony) -> Result<Manifest, Failure> {
    let options = SnapshotOptions {
        date: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        testimony: Some(testimony),
        extra_gpus: local::rules().extra,
    };
    let mut out = BufWriter::new(file);
    let manifest = write_snapshot(&LinuxSysfs::this_machine(), &options, &mut out)
        .map_err(|error| Failure::failed(&error))?;
    out.flush().map_err(|error| Failure::failed(&error))?;
    Ok(manifest)
}

/// What no file shows: from the daemon, where it answers, else as far as it shows without.
fn testimony(asker: &Asker) -> Result<Testimony, Failure> {
    let unanswered = match asker.question(Client::testimony) {
        Ok(document) => return Ok(document.testimony),
        Err(error) if error.is_unanswered() => error,
        // An older daemon does not know the question, and one that turns us away is no reason for no snapshot.
        Err(error) => {
            let (host, libvirt) = asker.reading(local::live_with_domains)?;
            asker.note(format_args!("{}: {}", chain(&error), vms(&host)));
            return Ok(host.testimony(libvirt, DaemonHealth::default()));
        }
    };
    let (host, libvirt) = asker.reading(local::live_with_domains)?;
    asker.note(format_args!("gpuvirtd does not tell libvirt's domains: {}", vms(&host)));
    let daemon = DaemonHealth { unanswered: Some(chain(&unanswered)), ..DaemonHealth::default() };
    Ok(host.testimony(libvirt, daemon))
}

/// What is recorded of VMs without gpuvirtd.
fn vms(host: &local::Host) -> &'static str {
    match host.picture.observed.domains.known() {
        Some(_) => "VMs are those of libvirt's own files",
        None => "VMs are not recorded",
    }
}

fn text(written: &SnapshotDocument<'_>) -> String {
    let mut page = Page::new();
    page.line(format_args!("written: {}", written.file));
    page.list("left out", &written.manifest.redacted);
    page.list("not readable", &written.manifest.unreadable);
    page.list("named in it", &written.named);
    page.into_text()
}
