//! The daemon's life: state folder, engine, socket, recovery beside service, readiness, end.
//!
//! ```text
//! socket -> serve ----------------------------------------------------------> SIGTERM
//!        \-> recover, restore (on the lane of changes, GPUs beside each other) -> READY, libvirt may be asked
//!                       \-> RESTORE_BEFORE_READY passed -^ (it goes on beside)
//! ```
//!
//! Requests are answered from the start: what recovery has not taken back yet is hands-off, as its journal says.
//! Readiness waits for recovery and restore, so that the first VM finds its GPU, but never longer than a fixed time,
//! however many journals are open and however long their writes may wait; and never for libvirt, which starts after us.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use gpuvirt_api::event::EventKind;
use gpuvirt_host::uevent::{Uevent, UeventSocket};
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::Cli;
use crate::config::Config;
use crate::notify::{Notice, notify};
use crate::server::listen::Server;
use crate::server::{
    CHANGES_AT_ONCE, Context, HOOKS_AT_ONCE, READS_AT_ONCE, RELEASES_AT_ONCE, STARTS_AT_ONCE, router,
};
use crate::socket::{Socket, SocketFile};
use crate::wiring::domains::Gate;
use crate::wiring::{self, Assembled};

/// Threads for calls into the engine: those that read, those that change, one for dry runs.
const ENGINE_THREADS: usize = READS_AT_ONCE + CHANGES_AT_ONCE + 1;
/// Threads for hooks, for starts that we were asked for, and those that remove what was made for them: none of them waits for
/// those above.
const HOOK_THREADS: usize = HOOKS_AT_ONCE + STARTS_AT_ONCE + RELEASES_AT_ONCE;

/// Longest that readiness waits for recovery and restore: a driver that lets go of one busy card fits in.
/// TimeoutStartSec= of the unit is longer.
const RESTORE_BEFORE_READY: Duration = Duration::from_secs(30);

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// What keeps the daemon from starting, with its causes.
pub fn run(cli: &Cli) -> anyhow::Result<()> {
    let config = Config::load(cli.config.as_deref())?;
    let assembled = wiring::assemble(cli, &config)?;
    let socket = cli.socket.as_deref().unwrap_or(&config.socket);
    // Another host's files send no events.
    run_assembled(assembled, socket, cli.host.is_none())
}

/// The same once it is put together: on this socket, and hearing the kernel's events or not.
///
/// # Errors
/// As [`run`].
pub fn run_assembled(assembled: Assembled, socket: &Path, hears: bool) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(ENGINE_THREADS + HOOK_THREADS)
        // A thread ends when it has had no work for ten seconds: the daemon sleeps, and needs no timer to know.
        .on_thread_stop(|| {
            gpuvirt_libvirt::pages::give_back();
        })
        .build()
        .context("starting the runtime")?;
    let result = runtime.block_on(serve(assembled, socket, hears));
    // A call that still waits for a writer is left behind: the writer is a process of its own, the journal is open.
    runtime.shutdown_background();
    result
}

async fn serve(assembled: Assembled, path: &Path, hears: bool) -> anyhow::Result<()> {
    let context = Arc::new(assembled.context);
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    let mut stop = async || {
        tokio::select! {
            _ = terminate.recv() => {},
            _ = interrupt.recv() => {},
        }
    };
    let (listener, _file) = bind(path)?;
    if hears {
        hear(Arc::clone(&context));
    } else {
        context.hearing.only_our_changes();
    }
    drop(tokio::spawn(Arc::clone(&context).remove_when_due()));
    context.events.tell(EventKind::Started, None, concat!("gpuvirtd ", env!("CARGO_PKG_VERSION")));
    let ready = tokio::spawn(become_ready(Arc::clone(&context), assembled.libvirt, path.to_owned()));
    let events = Arc::clone(&context.events);
    let stopped = async {
        stop().await;
        ready.abort();
        // It ends the waits of all who listen.
        events.tell(EventKind::Stopping, None, "gpuvirtd was told to stop");
        tell(Notice::Stopping);
        tracing::info!("stopping");
    };
    let stir = Arc::clone(&context.stir);
    let server = Server::new(router(context)).stirring(stir);
    server.serve(listener, stopped).await;
    Ok(())
}

/// Listens to the kernel, on a thread that waits in the kernel and nowhere else. Without its events every question looks at
/// the host, as changes always do.
fn hear(context: Arc<Context>) {
    let thread = std::thread::Builder::new().name("uevents".to_owned());
    let listen = move || {
        let events = &context.events;
        let told = |event: Option<Uevent>| {
            context.stir.heard(event.as_ref());
            match event {
                Some(event) => events.tell(EventKind::Host, event.function, sentence(&event)),
                None => events.tell(EventKind::Host, None, "events came too fast: anything may have changed"),
            }
        };
        match UeventSocket::open() {
            Ok(socket) => context.hearing.listen(|| socket.wait(), told),
            Err(error) => tracing::warn!(%error, "the kernel's events can't be heard"),
        }
    };
    if let Err(error) = thread.spawn(listen) {
        tracing::warn!(%error, "the kernel's events can't be heard");
    }
}

fn sentence(event: &Uevent) -> String {
    let object = match (event.function, event.mdev) {
        (Some(function), _) => function.to_string(),
        (None, Some(uuid)) => uuid.to_string(),
        (None, None) => event.subsystem.clone(),
    };
    let driver = event.driver.as_ref().map(|driver| format!(" (driver {driver})")).unwrap_or_default();
    format!("{} {object}{driver}", event.action)
}

fn bind(path: &Path) -> anyhow::Result<(UnixListener, Option<SocketFile>)> {
    let socket = match Socket::handed_over()? {
        Some(socket) => socket,
        None => Socket::bind(path)?,
    };
    let (listener, file) = socket.into_parts();
    Ok((UnixListener::from_std(listener).context("listening")?, file))
}

/// Recovers and restores, and says that we are ready: afterwards, or when the longest wait for it has passed.
async fn become_ready(context: Arc<Context>, libvirt: Gate, socket: PathBuf) {
    let forgotten = Arc::clone(&context);
    let later = Arc::clone(&context);
    let restore = tokio::spawn(async move {
        restore(&context).await;
        // What came meanwhile is noted, and has its turn now.
        drop(tokio::spawn(Context::reconcile(later)));
    });
    if tokio::time::timeout(RESTORE_BEFORE_READY, restore).await.is_err() {
        let waited = RESTORE_BEFORE_READY.as_secs();
        tracing::warn!(
            waited,
            "GPUs are still being led to what was asked for; `gpuvirt status` shows which"
        );
    }
    drop(tokio::spawn(Arc::clone(&forgotten).watch_violations()));
    drop(tokio::spawn(Arc::clone(&forgotten).watch_awaited()));
    tell(Notice::Ready);
    libvirt.open();
    // libvirt is asked beside: it may not be there yet.
    drop(tokio::spawn(async move { forgotten.remove_forgotten().await }));
    tracing::info!(socket = %socket.display(), version = env!("CARGO_PKG_VERSION"), "ready");
}

/// Takes back what an earlier daemon left unfinished, and makes the host what was asked for, as far as nothing is in the way.
/// What can't be done is shown; it is no reason not to serve, and never one to hold up libvirt.
async fn restore(context: &Arc<Context>) {
    if let Err(error) = context.restore().await {
        tracing::error!(%error, "what was asked for is not restored");
    }
}

fn tell(notice: Notice) {
    if let Err(error) = notify(notice) {
        tracing::warn!(%error, ?notice, "systemd could not be told");
    }
}
