//! `gpuvirt doctor`: what keeps GPUs from working in VMs.

use gpuvirt_api::{DoctorDocument, GpuSelector};
use gpuvirt_model::health::{DaemonHealth, LibvirtHealth};
use gpuvirt_model::{Reading, Severity, chain};
use gpuvirt_plan::diagnose::{self, Case};

use crate::asker::Asker;
use crate::cli::DoctorArgs;
use crate::failure::Failure;
use crate::local::{self, Host};
use crate::output::{Answer, EXIT_PENDING, EXIT_REFUSED, document};
use crate::render;

/// Runs the verb. The daemon answers, where there is one: it sees what only root may see, and the VMs. Else the host, or
/// the recording, is read here.
///
/// # Errors
/// [`Failure`].
pub fn run(asker: &Asker, args: &DoctorArgs) -> Result<Answer, Failure> {
    let gpu = args.gpu.as_ref();
    let found = match asker.recorded_host() {
        Some(host) => {
            let host = host?;
            let known = host.known();
            examine(&host, gpu, &known)?
        }
        None => match asker.question(|client| client.doctor(gpu)) {
            Err(error) if error.is_unanswered() => {
                let unanswered = Some(chain(&error));
                asker.note(format_args!("{}; this host was read directly", chain(&error)));
                let daemon = DaemonHealth { unanswered, ..DaemonHealth::default() };
                let (host, libvirt) = asker.reading(local::live_with_domains)?;
                if host.picture.observed.domains.known().is_some() {
                    asker.note(
                        "VMs are those of libvirt's own files in /etc/libvirt/qemu and /run/libvirt/qemu",
                    );
                }
                asker.reading(|| examine(&host, gpu, &(libvirt, daemon)))?
            }
            answer => answer?,
        },
    };
    let mut answer = document(asker.format(), &found, render::doctor::findings)?;
    answer.err = render::doctor::unchecked(&found);
    answer.exit = match found.worst {
        Some(Severity::Error) => EXIT_REFUSED,
        Some(Severity::Warning) => EXIT_PENDING,
        Some(Severity::Note) | None => 0,
    };
    Ok(answer)
}

fn examine(
    host: &Host,
    gpu: Option<&GpuSelector>,
    (libvirt, daemon): &(LibvirtHealth, DaemonHealth),
) -> Result<DoctorDocument, Failure> {
    let (picture, health) = (&host.picture, host.health());
    let case = Case {
        health: &health,
        observed: &picture.observed,
        desired: &picture.desired,
        records: &picture.records,
        libvirt,
        daemon,
    };
    let diagnosis = match gpu {
        None => diagnose::diagnose(&case),
        Some(gpu) => diagnose::about(picture.find(gpu)?.address, &case),
    };
    let domains_unknown = match &picture.observed.domains {
        Reading::Known(_) => None,
        Reading::Unknown(why) => Some(why.clone()),
    };
    Ok(DoctorDocument::new(picture.source, domains_unknown, diagnosis))
}
