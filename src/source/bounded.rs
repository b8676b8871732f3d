//! A byte stream that ends where a reply grows beyond all measure.
//!
//! The client library keeps a reply whole, however long it says it is: whoever
//! listens at an address could fill the memory of this machine. Must not know what
//! the bytes mean.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Longest answer to one question, bytes. INFO has some 10 kB and MEMORY
/// MALLOC-STATS 100 kB.
const LONGEST_REPLY: usize = 4 << 20;

/// How many bytes may still come. Clones share it.
#[derive(Debug, Clone)]
pub struct Allowance(Arc<AtomicUsize>);

impl Allowance {
    /// Enough for a reply.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(AtomicUsize::new(LONGEST_REPLY)))
    }

    /// Another question is asked.
    pub fn renew(&self) {
        self.0.store(LONGEST_REPLY, Ordering::Relaxed);
    }
}

impl Default for Allowance {
    fn default() -> Self {
        Self::new()
    }
}

/// A stream that fails when its allowance is used up.
#[derive(Debug)]
pub struct Bounded<S> {
    stream: S,
    allowance: Allowance,
}

impl<S> Bounded<S> {
    /// Bounds a stream.
    pub fn new(stream: S, allowance: Allowance) -> Self {
        Self { stream, allowance }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let got = buf.filled().len() - before;
        let left = &self.allowance.0;
        match left.load(Ordering::Relaxed).checked_sub(got) {
            Some(rest) => left.store(rest, Ordering::Relaxed),
            None => return Poll::Ready(Err(io::Error::other("its reply has no end"))),
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Has as many bytes as anybody wants.
    struct Endless;

    impl AsyncRead for Endless {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            buf.put_slice(&vec![b'x'; buf.remaining()]);
            Poll::Ready(Ok(()))
        }
    }

    #[test]
    fn a_reply_without_end_is_an_error_and_the_next_question_has_its_own() {
        let allowance = Allowance::new();
        let mut bounded = Bounded::new(Endless, allowance.clone());
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut read = |size: usize| {
            let mut bytes = vec![0; size];
            Pin::new(&mut bounded).poll_read(&mut cx, &mut ReadBuf::new(&mut bytes))
        };
        for _ in 0..2 {
            assert!(matches!(read(LONGEST_REPLY), Poll::Ready(Ok(()))));
            assert!(matches!(read(1), Poll::Ready(Err(_))));
            allowance.renew();
        }
    }
}
