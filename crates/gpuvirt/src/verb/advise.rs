//! `gpuvirt advise`

use gpuvirt_api::Client;
use gpuvirt_plan::advise::Question;

use crate::advice::AdviceDocument;
use crate::asker::Asker;
use crate::cli::AdviseArgs;
use crate::failure::Failure;
use crate::output::{Answer, document};
use crate::render;

/// Runs the verb.
///
/// # Errors
/// [`Failure`].
pub fn run(asker: &Asker, args: &AdviseArgs) -> Result<Answer, Failure> {
    let mut needs = Vec::new();
    for need in args.need.iter().map(|need| (*need).into()) {
        if !needs.contains(&need) {
            needs.push(need);
        }
    }
    let question = Question { workload: args.workload.map(Into::into), vms: args.vms, needs };
    let list = match &args.gpu {
        Some(gpu) => asker.ask(|client| client.gpu(gpu), |host| host.gpu(gpu))?,
        None => asker.ask(Client::gpus, |host| Ok(host.gpus()))?,
    };
    render::list::notes(&list).iter().for_each(|note| asker.note(note));
    let advice = AdviceDocument::new(list.source, question, &list.items);
    document(asker.format(), &advice, render::advise::advice)
}
