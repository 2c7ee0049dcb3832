//! The daemon's life: state folder, engine, recovery, socket, readiness, service, end.
//!
//! Readiness never waits for libvirt, which starts after us.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::Cli;
use crate::config::Config;
use crate::error::chain;
use crate::notify::{Notice, notify};
use crate::server::listen::Server;
use crate::server::{Context, router};
use crate::socket::{Socket, SocketFile};
use crate::wiring::{self, Assembled};

/// Threads for calls into the engine: four that read, one that changes, and one to spare.
const ENGINE_THREADS: usize = 6;

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// What keeps the daemon from starting, with its causes.
pub fn run(cli: &Cli) -> anyhow::Result<()> {
    let config = Config::load(cli.config.as_deref())?;
    let assembled = wiring::assemble(cli, &config)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(ENGINE_THREADS)
        .build()
        .context("starting the runtime")?;
    let socket = cli.socket.as_deref().unwrap_or(&config.socket);
    let result = runtime.block_on(serve(assembled, socket));
    // A call that still waits for a writer is left behind: the writer is a process of its own, the journal is open.
    runtime.shutdown_background();
    result
}

async fn serve(assembled: Assembled, path: &Path) -> anyhow::Result<()> {
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
    tokio::select! {
        () = recover(&context) => {}
        () = stop() => return Ok(()),
    }
    let server = Server::new(router(Arc::clone(&context)));
    tell(Notice::Ready);
    assembled.libvirt.open();
    tracing::info!(socket = %path.display(), version = env!("CARGO_PKG_VERSION"), "ready");
    let stopped = async {
        stop().await;
        tell(Notice::Stopping);
        tracing::info!("stopping");
    };
    server.serve(listener, stopped).await;
    Ok(())
}

fn bind(path: &Path) -> anyhow::Result<(UnixListener, SocketFile)> {
    let (listener, file) = Socket::bind(path)?.into_parts();
    Ok((UnixListener::from_std(listener).context("listening")?, file))
}

/// Takes back what an earlier daemon left unfinished. What can't be taken back stays hands-off and is shown; it is no
/// reason not to serve, and never one to hold up libvirt.
async fn recover(context: &Arc<Context>) {
    let context = Arc::clone(context);
    match tokio::task::spawn_blocking(move || context.recover()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(error = chain(&error), "an earlier change could not be taken back"),
        Err(error) => tracing::error!(%error, "taking back an earlier change panicked"),
    }
}

fn tell(notice: Notice) {
    if let Err(error) = notify(notice) {
        tracing::warn!(%error, ?notice, "systemd could not be told");
    }
}
