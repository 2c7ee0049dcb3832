//! `gpuvirt capacity`

use super::show_list;
use crate::asker::Asker;
use crate::cli::CapacityArgs;
use crate::failure::Failure;
use crate::output::Answer;
use crate::render;

/// Runs the verb.
///
/// # Errors
/// [`Failure`].
pub fn run(asker: &Asker, args: &CapacityArgs) -> Result<Answer, Failure> {
    let profile = args.profile.as_deref();
    let list = asker.ask_without_holders(|client| client.capacity(profile), |host| host.capacity(profile))?;
    show_list(asker, &list, render::capacity::list)
}
