//! `gpuvirt vm migratable`

use std::path::Path;

use gpuvirt_api::{ApiError, List, MigrationDocument};
use gpuvirt_model::{Hypervisor, Reading, Refusal, RefusalCode};
use gpuvirt_plan::migration::{Answer as Told, Check, Migration, Target, compare};

use super::show_each;
use crate::asker::Asker;
use crate::document;
use crate::failure::Failure;
use crate::local;
use crate::output::Answer;
use crate::picture::{Picture, no_vm};
use crate::render;
use gpuvirt_api::ErrorKind;

/// Runs the verb.
///
/// # Errors
/// [`Failure`].
pub fn run(asker: &Asker, vm: &str, to_host: Option<&Path>) -> Result<Answer, Failure> {
    let mut list = asker.ask_libvirt(|client| client.vm_migration(vm), |host| recorded(host, vm))?;
    for document in &mut list.items {
        let needs = document.migration.needs.clone();
        let more = to_host.map(|file| there(file, &needs)).transpose()?;
        document.migration = document.migration.clone().with(more.unwrap_or_default());
        hint(&mut document.migration, to_host.is_some());
    }
    let mut answer = show_each(asker, &list, render::migration::show)?;
    let refusals: Vec<Refusal> = list.items.iter().filter_map(refusal).collect();
    if !refusals.is_empty() {
        let failure = Failure::from(ApiError::refused(refusals));
        answer.exit = failure.error.kind.exit_code();
        answer.err = render::refusal::failure(&failure);
    }
    Ok(answer)
}

/// Without the other host half of the question is open.
fn hint(migration: &mut Migration, compared: bool) {
    if migration.answer == Told::No {
        migration.advice.clear();
    } else if !migration.needs.is_empty() && compared {
        let text = "libvirt and QEMU of the other host are in no recording: 8.6.0 and 8.1.0 or newer";
        migration.advice.push(text.to_owned());
    } else if !migration.needs.is_empty() {
        let text =
            "whether the other host offers the same: gpuvirt snapshot --file F there, then --to-host F here";
        migration.advice.push(text.to_owned());
    }
}

fn recorded(host: &Picture, name: &str) -> Result<List<MigrationDocument>, Failure> {
    let domains = match &host.observed.domains {
        Reading::Known(domains) => domains,
        Reading::Unknown(why) => return Err(Failure::new(ErrorKind::Failed, format!("VM {name}: {why}"))),
    };
    let domain = domains.iter().find(|domain| domain.name == name).ok_or_else(|| no_vm(name))?;
    let document = MigrationDocument::new(domain, &host.observed, &Hypervisor::default());
    Ok(List::new("Migration", host.source, vec![document]))
}

/// What the other host is known to offer.
fn there(file: &Path, needs: &[gpuvirt_plan::migration::Need]) -> Result<Vec<Check>, Failure> {
    let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    if matches!(ending, "yaml" | "yml" | "json") {
        return Ok(compare(needs, &Target::Configured(&document::read(file)?)));
    }
    Ok(compare(needs, &Target::Recorded(&local::recorded(file)?.picture.observed)))
}

fn refusal(document: &MigrationDocument) -> Option<Refusal> {
    let code = RefusalCode::NotMigratable;
    let in_the_way = document.migration.checks.iter().filter(|check| check.answer == Told::No);
    let because: Vec<String> = in_the_way.map(|check| format!("{}: {}", check.what, check.because)).collect();
    (document.migration.answer == Told::No).then(|| Refusal {
        code,
        summary: format!("VM {} can't move while it runs", document.vm),
        because: because.join("; "),
        remedy: vec![
            "power it off, move its definition and its disks, and start it there".to_owned(),
            format!("gpuvirt explain {code}"),
        ],
    })
}
