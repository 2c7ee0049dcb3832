//! polkit's word on a user who is neither root nor in the group: asked through pkcheck(1), fail closed.
//!
//! The process is named with its start time and the user whom the kernel saw connecting, so that neither a later process
//! of the same number nor a setuid program takes the place of who asked (pkcheck(1), `--process`).

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::Semaphore;

use super::peer::Peer;

/// The action that the policy file declares.
pub const ACTION: &str = "org.gpuvirt.manage";
/// Longest wait for the answer: somebody may be typing a password.
const DEADLINE: Duration = Duration::from_secs(90);
/// Questions at once: each is a process, and perhaps a dialogue.
const AT_ONCE: usize = 4;

/// polkit on this host.
#[derive(Debug, Clone)]
pub struct Polkit {
    /// The program to ask.
    program: PathBuf,
    turns: Arc<Semaphore>,
}

impl Polkit {
    /// polkit through this program, `/usr/bin/pkcheck`.
    pub fn new(program: PathBuf) -> Self {
        Self { program, turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Whether polkit lets this peer change things. Anything but a clear yes is no.
    pub(super) async fn authorizes(&self, peer: &Peer) -> bool {
        let Some((pid, started)) = peer.pid.zip(peer.started) else { return false };
        let Ok(_turn) = self.turns.acquire().await else { return false };
        let process = format!("{pid},{started},{}", peer.uid);
        let mut question = Command::new(&self.program);
        question
            .args(["--action-id", ACTION, "--process", &process, "--allow-user-interaction"])
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        match tokio::time::timeout(DEADLINE, question.status()).await {
            Ok(Ok(status)) => status.success(),
            Ok(Err(error)) => {
                tracing::debug!(%error, "polkit can't be asked");
                false
            }
            Err(_) => {
                tracing::warn!(uid = peer.uid, "polkit did not answer in time");
                false
            }
        }
    }
}
