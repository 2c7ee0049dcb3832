//! `gpuvirt recover`

use gpuvirt_api::Client;

use super::show_change;
use crate::asker::Asker;
use crate::failure::Failure;
use crate::output::Answer;

/// Runs the verb.
///
/// # Errors
/// [`Failure`].
pub fn run(asker: &Asker) -> Result<Answer, Failure> {
    show_change(asker, &asker.order(Client::recover)?)
}
