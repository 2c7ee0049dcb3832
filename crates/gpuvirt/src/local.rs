//! Reading a host without the daemon: this machine, or a recorded one, by the same code.
//!
//! Reads only. Of a live host's stored files it needs the public part, which everybody may read.

mod domains;
mod rules;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gpuvirt_api::Source;
use gpuvirt_api::client::DEFAULT_SOCKET;
use gpuvirt_host::{GpuRules, LinuxHost, LinuxSysfs, ObserveScope};
use gpuvirt_model::health::{DaemonHealth, LibvirtHealth};
use gpuvirt_model::{Desired, Health, Observed, Reading, Records, Testimony, Unknown};
use gpuvirt_recording::RecordedHost;

use crate::failure::Failure;
use crate::picture::Picture;
use gpuvirt_model::chain;

/// Where the daemon keeps what the admin asked for.
pub(crate) const STATE_DIR: &str = "/var/lib/gpuvirt";
/// How the daemon runs; what counts as a GPU is there too.
const CONFIG: &str = "/etc/gpuvirt/gpuvirtd.toml";

/// A host, and its picture.
pub struct Host {
    host: LinuxHost,
    /// What it shows.
    pub picture: Picture,
    /// What was known of it that no file shows; of this machine nothing, without its daemon.
    testimony: Option<Testimony>,
}

impl Host {
    /// What only the doctor asks of it.
    pub fn health(&self) -> Health {
        let mut health = self.host.health(&self.picture.observed);
        if let Some(testimony) = &self.testimony {
            // A recording holds no processes.
            health.memory.lockers.value = testimony.lockers.clone();
            health.security.virtqemud_confined.value = testimony.virtqemud_confined.clone();
        }
        health
    }

    /// What is known of this machine that no file shows, the daemon's part in hand.
    pub fn testimony(&self, libvirt: LibvirtHealth, daemon: DaemonHealth) -> Testimony {
        let Picture { observed, desired, records, .. } = &self.picture;
        let Health { memory, security, .. } = self.health();
        let (lockers, virtqemud_confined) = (memory.lockers.value, security.virtqemud_confined.value);
        let (desired, records) = (desired.clone(), records.clone());
        Testimony { desired, records, libvirt, daemon, lockers, virtqemud_confined, ..Testimony::default() }
            .of(observed)
    }

    /// libvirt, and the daemon's own part, as they were found when the host was recorded.
    pub fn known(&self) -> (LibvirtHealth, DaemonHealth) {
        let known = self.testimony.as_ref();
        known.map(|known| (known.libvirt.clone(), known.daemon.clone())).unwrap_or_default()
    }
}

/// This machine, with the stored configuration.
///
/// # Errors
/// [`Failure`] when not even the PCI bus can be read.
pub fn live() -> Result<Host, Failure> {
    live_in(ObserveScope::Full)
}

/// The same for what tells nothing of holders: no process is looked at.
///
/// # Errors
/// As [`live`].
pub fn live_without_holders() -> Result<Host, Failure> {
    live_in(ObserveScope::WithoutHolders)
}

/// The same for the listing of what GPUs offer, and for nothing else.
///
/// # Errors
/// As [`live`].
pub fn live_offers() -> Result<Host, Failure> {
    live_in(ObserveScope::Offers)
}

fn live_in(scope: ObserveScope) -> Result<Host, Failure> {
    let mut oddities = Vec::new();
    let (desired, records) = stored(&mut oddities);
    let rules = rules::read(Path::new(CONFIG)).unwrap_or_else(|error| {
        oddities.push(format!(
            "which devices count as GPUs besides displays is unknown: {CONFIG}: {}",
            chain(&error)
        ));
        GpuRules::default()
    });
    let host = LinuxHost::new(Arc::new(LinuxSysfs::this_machine()), rules);
    let mut observed = observe(&host, scope)?;
    let records = records.of_boot(observed.host.boot_id);
    gpuvirt_plan::profile::remember_names(&mut observed, &records);
    let picture = Picture { observed, desired, records, source: Source::Host, oddities };
    Ok(Host { host, picture, testimony: None })
}

/// The same with libvirt's domains from its own files, where we may read them, and libvirt as far as that tells of it.
///
/// # Errors
/// As [`live`].
pub fn live_with_domains() -> Result<(Host, LibvirtHealth), Failure> {
    let (mut host, mut libvirt) = (live()?, LibvirtHealth::default());
    if let Ok(Some(files)) = gpuvirt_host::domain::read(&LinuxSysfs::this_machine()) {
        (host.picture.observed.domains, libvirt.machines) = domains::of(&files);
    }
    Ok((host, libvirt))
}

/// What counts as a GPU here besides display controllers, as far as the configuration can be read.
pub fn rules() -> GpuRules {
    rules::read(Path::new(CONFIG)).unwrap_or_default()
}

/// The daemon's socket: the one that was named, else the one that the daemon's configuration names.
pub fn socket(named: &Path) -> PathBuf {
    let configured = (named == Path::new(DEFAULT_SOCKET)).then(|| rules::socket(Path::new(CONFIG))).flatten();
    configured.unwrap_or_else(|| named.to_owned())
}

/// The host that a recording holds. In a dump nothing was configured with gpuvirt; a snapshot tells what was.
///
/// # Errors
/// [`Failure`] that names the file: it is no recording, or holds no PCI bus.
pub fn recorded(path: &Path) -> Result<Host, Failure> {
    let recording = RecordedHost::open(path).map_err(|error| {
        let mut failure = Failure::failed(&error);
        failure.error.message = format!("{}: {}", path.display(), failure.error.message);
        failure
            .try_this("--host reads umockdev dumps (umockdev-record --all) and what `gpuvirt snapshot` wrote")
    })?;
    let mut oddities = recording.notes();
    let testimony = recording.testimony().cloned();
    let extra = recording.manifest().map(|manifest| manifest.extra_gpus.clone()).unwrap_or_default();
    let host = LinuxHost::new(Arc::new(recording), GpuRules { extra, ..GpuRules::default() });
    let mut observed = observe(&host, ObserveScope::Full)?;
    observed.domains = Reading::Unknown(Unknown::NotRecorded);
    let (mut desired, mut records) = (Desired::default(), Records::default());
    if let Some(testimony) = &testimony {
        testimony.tell(&mut observed);
        (desired, records) = (testimony.desired.clone(), testimony.records.clone());
        gpuvirt_plan::profile::remember_names(&mut observed, &records);
        oddities.extend(testimony.problems.iter().cloned());
    }
    let picture = Picture { observed, desired, records, source: Source::Recording, oddities };
    Ok(Host { host, picture, testimony })
}

fn observe(host: &LinuxHost, scope: ObserveScope) -> Result<Observed, Failure> {
    host.observe_scope(scope).map_err(|error| {
        let whose = "in a container: run it on its host, or with the host's /sys; a machine without a PCI bus has no GPUs";
        Failure::failed(&error).try_this(whose)
    })
}

/// What the admin asked for. A file that can't be understood is said to be so: it is not an empty one.
fn stored(oddities: &mut Vec<String>) -> (Desired, Records) {
    match gpuvirt_state::read_state(Path::new(STATE_DIR)) {
        Ok(state) => (state.desired, state.records),
        Err(error) => {
            oddities.push(format!("which GPUs are configured is unknown: {}", chain(&error)));
            (Desired::default(), Records::default())
        }
    }
}
