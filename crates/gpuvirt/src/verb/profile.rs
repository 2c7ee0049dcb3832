//! `gpuvirt profile ...`

use super::show_list;
use crate::asker::Asker;
use crate::cli::ProfileCommand;
use crate::failure::Failure;
use crate::output::Answer;
use crate::render;

/// Runs the verb.
///
/// # Errors
/// [`Failure`].
pub fn run(asker: &Asker, command: &ProfileCommand) -> Result<Answer, Failure> {
    let ProfileCommand::List { gpu } = command;
    let list =
        asker.ask_of_offers(|client| client.profiles(gpu.as_ref()), |host| host.profiles(gpu.as_ref()))?;
    show_list(asker, &list, render::profile::list)
}
