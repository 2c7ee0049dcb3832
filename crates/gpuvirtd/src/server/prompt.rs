//! A connection whose client has to take what is sent: one that takes nothing for too long is let go.
//!
//! There is a timer only while something waits to be taken.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// A stream, and how long its other end may take nothing.
pub(super) struct Prompt<S> {
    stream: S,
    patience: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Prompt<S> {
    pub(super) fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, stalled: None }
    }

    /// What a write came to, as far as patience goes.
    fn paced(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(stalled.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Prompt<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prompt<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.paced(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.paced(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::net::UnixStream;

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(200);

    /// Writes until so many bytes are taken.
    async fn write(stream: &mut Prompt<UnixStream>, mut left: usize) -> io::Result<()> {
        let bytes = [1; 64 * 1024];
        while left > 0 {
            left -= poll_fn(|task| Pin::new(&mut *stream).poll_write(task, &bytes)).await?.min(left);
        }
        Ok(())
    }

    #[test]
    fn who_takes_nothing_is_let_go_and_who_is_merely_slow_is_not() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        // Time goes on when nobody has anything to do, so no loaded machine is too slow for it.
        let runtime = runtime.enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let (near, far) = UnixStream::pair().unwrap();
            let mut near = Prompt::new(near, PATIENCE);
            let slow = async {
                for _ in 0..8 {
                    sleep(PATIENCE / 2).await;
                    while far.try_read(&mut [0; 4096]).is_ok() {}
                }
            };
            let (written, ()) = tokio::join!(write(&mut near, 1 << 20), slow);
            written.unwrap();
            let stuck = write(&mut near, 1 << 20).await.unwrap_err();
            assert_eq!(stuck.kind(), io::ErrorKind::TimedOut);
        });
    }
}
