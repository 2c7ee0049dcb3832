//! `gpuvirt driver ...`

use gpuvirt_api::{API_VERSION, ApiError, Client};
use gpuvirt_plan::driver_matrix::Package;
use gpuvirt_plan::driver_matrix::branch::BRANCHES;
use gpuvirt_plan::driver_matrix::release::RELEASES;

use super::vm;
use crate::asker::Asker;
use crate::cli::{CheckArgs, DriverCommand};
use crate::driver_check::{DriverCheck, DriverTable, recognised};
use crate::failure::Failure;
use crate::output::{Answer, document};
use crate::render;

/// Runs the verb.
///
/// # Errors
/// [`Failure`].
pub fn run(asker: &Asker, command: &DriverCommand) -> Result<Answer, Failure> {
    match command {
        DriverCommand::Check(args) => check(asker, args),
        DriverCommand::List => {
            let table = DriverTable {
                api_version: API_VERSION,
                kind: "DriverTable",
                branches: BRANCHES,
                releases: RELEASES,
            };
            document(asker.format(), &table, render::driver::table)
        }
    }
}

fn check(asker: &Asker, args: &CheckArgs) -> Result<Answer, Failure> {
    let package = recognised(&args.package)?;
    let check = match (&args.vm, &args.gpu) {
        (Some(vm), _) => for_vm(asker, package, vm)?,
        (None, Some(gpu)) => {
            let list = asker.ask(|client| client.gpu(gpu), |host| host.gpu(gpu))?;
            match list.items.first() {
                Some(gpu) => DriverCheck::for_gpu(package, gpu),
                None => DriverCheck::alone(package),
            }
        }
        (None, None) => DriverCheck::alone(package),
    };
    let mut answer = document(asker.format(), &check, render::driver::check)?;
    if !check.refusals.is_empty() {
        let failure = Failure::from(ApiError::refused(check.refusals.clone()));
        answer.exit = failure.error.kind.exit_code();
        answer.err = render::refusal::failure(&failure);
    }
    Ok(answer)
}

fn for_vm(asker: &Asker, package: Package, name: &str) -> Result<DriverCheck, Failure> {
    let vms = asker.ask_libvirt(|client| client.vm(name), |host| vm::find(&host.vms(), name))?;
    let gpus = asker.ask(Client::gpus, |host| Ok(host.gpus()))?;
    let found = vms.items.first().ok_or_else(|| crate::picture::no_vm(name))?;
    Ok(DriverCheck::for_vm(package, found, &gpus.items))
}
