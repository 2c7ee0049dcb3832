//! `gpuvirt import`: other tools' files, read here, and what they become, applied by the daemon.

use std::path::Path;

use gpuvirt_api::import::ImportDocument;
use gpuvirt_api::{ApiError, ApplyConfig, Client, ConfigUntil, VmDocument};
use gpuvirt_host::LinuxSysfs;
use gpuvirt_model::{Domain, Reading, Refusal, RefusalCode, Requests, Unknown, chain};
use gpuvirt_plan::import::{Import, Sources, import};

use super::config;
use crate::asker::Asker;
use crate::cli::ImportArgs;
use crate::failure::Failure;
use crate::output::{self, Answer};
use crate::picture::Picture;
use crate::render;

/// Runs the verb.
///
/// # Errors
/// [`Failure`].
pub fn run(asker: &Asker, args: &ImportArgs) -> Result<Answer, Failure> {
    if args.apply {
        asker.refuse_recording("--apply changes the host, and --host reads a recording")?;
    }
    let root = args.root.as_deref().unwrap_or(Path::new("/"));
    if !root.is_dir() {
        return Err(Failure::usage(format!("--root {}: no such folder", root.display())));
    }
    let picture = picture(asker, args)?;
    let foreign =
        asker.reading(|| gpuvirt_host::foreign::read(&LinuxSysfs::copied_to(&root.to_string_lossy())));
    let Picture { observed, desired, .. } = &picture;
    let mut document = ImportDocument::new(import(&Sources { foreign: &foreign, observed, desired }));
    if let Reading::Unknown(why) = &observed.domains {
        document.domains_unknown = Some(why.to_string());
    }
    if !args.apply {
        return output::document(asker.format(), &document, render::import::shown);
    }
    refuse_contradictions(&document.import)?;
    if document.import.config.gpus.is_empty() {
        return output::document(asker.format(), &document, render::import::nothing);
    }
    let request = ApplyConfig {
        config: document.import.config.clone(),
        until: ConfigUntil::Done,
        prune: false,
        adopt: true,
        yes: false,
        wait_seconds: args.wait,
    };
    let change = asker.order(|client| client.apply_config(&request))?;
    document.applied = Some(change.clone());
    let mut answer =
        output::document(asker.format(), &document, |document| render::import::applied(document, &change))?;
    answer.err = render::config::warnings(&change);
    answer.exit = config::exit(&change);
    Ok(answer)
}

/// The recording, or this host with the daemon's word on libvirt's domains.
fn picture(asker: &Asker, args: &ImportArgs) -> Result<Picture, Failure> {
    if let Some(recording) = asker.recording() {
        if args.root.is_none() {
            return Err(Failure::usage("a recorded host does not hold other tools' files")
                .try_this("name a folder that does: --root DIR"));
        }
        return recording;
    }
    let mut picture = asker.live()?;
    picture.observed.domains = match asker.question(Client::vms) {
        Ok(list) => match list.domains_unknown {
            None => Reading::Known(list.items.into_iter().map(domain).collect()),
            Some(why) => Reading::Unknown(why),
        },
        Err(error) if error.is_unanswered() => {
            asker.note(format_args!("{}; VMs are unknown", chain(&error)));
            Reading::Unknown(Unknown::NeedsDaemon)
        }
        Err(error) => return Err(error.into()),
    };
    Ok(picture)
}

fn domain(vm: VmDocument) -> Domain {
    let of = |wanted: &dyn Fn(&gpuvirt_api::vm::VmDevice) -> bool| {
        vm.devices.iter().filter(|device| wanted(device)).map(|device| device.hostdev.clone()).collect()
    };
    Domain {
        config: of(&|device| device.configured),
        live: of(&|device| device.live),
        requests: Requests { list: vm.requests.clone(), ..Requests::default() },
        guest: Default::default(),
        name: vm.name,
        uuid: vm.uuid,
        state: vm.state,
        autostart: vm.autostart,
    }
}

fn refuse_contradictions(found: &Import) -> Result<(), Failure> {
    let refusals = found.contradictions.iter().map(|contradiction| Refusal {
        code: RefusalCode::ImportContradiction,
        summary: format!("{} cannot be imported", contradiction.gpu),
        because: contradiction.text.clone(),
        remedy: vec![
            "take out what no longer holds, and import again".to_owned(),
            "or decide in the document: gpuvirt import > gpus.yaml, and gpuvirt config apply --adopt -f gpus.yaml".to_owned(),
        ],
    });
    let refusals: Vec<Refusal> = refusals.collect();
    if refusals.is_empty() { Ok(()) } else { Err(ApiError::refused(refusals).into()) }
}

#[cfg(test)]
mod tests {
    use gpuvirt_api::ErrorKind;
    use gpuvirt_model::PciAddress;
    use gpuvirt_plan::import::Contradiction;

    use super::*;

    #[test]
    fn a_contradiction_is_a_refusal_that_names_both() {
        let gpu = PciAddress::parse("0000:41:00.0").unwrap();
        let text = "0000:41:00.0 would be direct by a, and shared-direct by b".to_owned();
        let contradictions = vec![Contradiction { gpu, text: text.clone() }];
        let failure = refuse_contradictions(&Import { contradictions, ..Import::default() }).unwrap_err();
        assert_eq!(failure.error.kind, ErrorKind::Refused);
        assert_eq!(failure.error.refusals[0].because, text);
        assert!(refuse_contradictions(&Import::default()).is_ok());
    }
}
