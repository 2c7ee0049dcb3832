//! `gpuvirt status`

use gpuvirt_api::{Client, ErrorKind};

use crate::asker::Asker;
use crate::failure::Failure;
use crate::output::{Answer, document};
use crate::render;
use gpuvirt_model::chain;

/// Runs the verb. Without the daemon: what the host shows, and the exit code of an unreachable daemon.
///
/// # Errors
/// [`Failure`].
pub fn run(asker: &Asker) -> Result<Answer, Failure> {
    if let Some(picture) = asker.recording() {
        return document(asker.format(), &picture?.status(), render::status::status);
    }
    match asker.question(Client::status) {
        Ok(status) => document(asker.format(), &status, render::status::status),
        Err(error) if error.is_unanswered() => {
            let mut status = asker.live()?.status();
            status.daemon_problem = Some(chain(&error));
            let mut answer = document(asker.format(), &status, render::status::status)?;
            answer.exit = ErrorKind::Unreachable.exit_code();
            let remedy = Failure::of_question(error).remedy;
            answer.err = remedy.iter().map(|line| format!("  try      {line}\n")).collect();
            Ok(answer)
        }
        Err(error) => Err(error.into()),
    }
}
