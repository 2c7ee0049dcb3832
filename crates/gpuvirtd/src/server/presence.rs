//! Whether the client of a request is still there: what it waits for need not be begun when it has gone.
//!
//! Known to everything that runs within the request's own task, so that no handler has to carry it along.

use tokio::sync::watch;

tokio::task_local! {
    static CLIENT: watch::Receiver<()>;
}

/// The client's side: it has left when this is dropped.
pub(super) struct Presence {
    client: watch::Sender<()>,
}

impl Presence {
    /// A client that is there.
    pub(super) fn new() -> Self {
        Self { client: watch::Sender::new(()) }
    }

    /// The work for this client.
    pub(super) fn of<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        CLIENT.scope(self.client.subscribe(), work)
    }
}

/// Ends when the client of this task has left; never for work that no client waits for.
pub(super) async fn left() {
    match CLIENT.try_with(Clone::clone) {
        Ok(mut client) => while client.changed().await.is_ok() {},
        Err(_) => std::future::pending().await,
    }
}

/// The client of this task, for work on another thread; none where no client waits.
pub(super) fn client() -> Option<Client> {
    CLIENT.try_with(Clone::clone).ok().map(Client)
}

/// A client as a thread knows it.
#[derive(Debug)]
pub(super) struct Client(watch::Receiver<()>);

impl Client {
    /// Whether it has left.
    pub(super) fn has_left(&self) -> bool {
        self.0.has_changed().is_err()
    }
}
