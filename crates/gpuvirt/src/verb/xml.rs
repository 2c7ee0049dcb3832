//! `gpuvirt xml`: the elements that a domain needs.

use gpuvirt_api::XmlDocument;

use crate::asker::Asker;
use crate::cli::XmlArgs;
use crate::failure::Failure;
use crate::output::{Answer, document};
use crate::render::plain::plain_lines;

/// Runs the verb.
///
/// # Errors
/// [`Failure`].
pub fn run(asker: &Asker, args: &XmlArgs) -> Result<Answer, Failure> {
    let answer = match (&args.gpu, args.vgpu) {
        (Some(gpu), _) => asker.ask(|client| client.gpu_xml(gpu), |host| host.gpu_xml(gpu))?,
        (None, Some(id)) => asker.ask(|client| client.vgpu_xml(id), |host| host.vgpu_xml(id))?,
        (None, None) => return Err(Failure::usage("name a device with --gpu or --vgpu")),
    };
    show(asker, &answer)
}

/// XML as it is, or within its document.
///
/// # Errors
/// [`Failure`].
pub fn show(asker: &Asker, answer: &XmlDocument) -> Result<Answer, Failure> {
    document(asker.format(), answer, |answer| {
        let text = plain_lines(&answer.xml);
        if text.ends_with('\n') { text } else { text + "\n" }
    })
}
