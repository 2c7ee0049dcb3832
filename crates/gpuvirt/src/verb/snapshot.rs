//! `gpuvirt snapshot`: this host into a file that `--host` reads.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use gpuvirt_api::{API_VERSION, VmDocument};
use gpuvirt_host::LinuxSysfs;
use gpuvirt_model::{Domain, Hostdev};
use gpuvirt_recording::{Manifest, SnapshotOptions, write_snapshot};
use serde::Serialize;

use crate::asker::Asker;
use crate::cli::SnapshotArgs;
use crate::failure::Failure;
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
    let file = File::create_new(&args.file).map_err(|error| {
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
    let options = SnapshotOptions { date: utc(SystemTime::now()), domains };
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
    Domain { name: vm.name.clone(), uuid: vm.uuid, state: vm.state, config: of(false), live: of(true) }
}

fn text(written: &SnapshotDocument<'_>) -> String {
    let mut page = Page::new();
    page.line(format_args!("written: {}", written.file));
    page.list("left out", &written.manifest.redacted);
    page.list("not readable", &written.manifest.unreadable);
    page.into_text()
}

/// A moment as `2026-11-20T23:40:00Z`.
fn utc(moment: SystemTime) -> String {
    // A clock before 1970 is not set at all.
    let seconds = moment.duration_since(UNIX_EPOCH).map(|since| since.as_secs()).unwrap_or(0);
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest % 3600 / 60, rest % 60)
}

/// Year, month and day of a number of days since 1970-01-01 in the Gregorian calendar.
fn civil(mut days: u64) -> (u64, u64, u64) {
    let leap = |year: u64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    // 400 years have 146,097 days: what is left is a short way to count.
    let mut year = 1970 + days / 146_097 * 400;
    days %= 146_097;
    loop {
        let length = if leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn moments_are_told_in_utc() {
        for (seconds, want) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_763_681_999, "2025-11-20T23:39:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (13_569_465_600, "2400-01-01T00:00:00Z"),
        ] {
            assert_eq!(utc(UNIX_EPOCH + Duration::from_secs(seconds)), want);
        }
    }
}
