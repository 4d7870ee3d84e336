//! A connection that does not wait for ever for a client that reads slowly.
//!
//! The time runs from the moment at which the client's side took no more, until everything that was offered is taken. hyper offers 128 KiB at most
//! (`server.rs`), so that a client that takes one byte now and then is cut off as well.

use std::{
    io::{Error, ErrorKind, IoSlice, Result},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// The stream with its limit.
#[derive(Debug)]
pub(crate) struct Patient<S> {
    stream: S,
    limit: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    pub(crate) fn new(stream: S, limit: Duration) -> Self {
        Self { stream, limit, waiting: None }
    }

    /// What became of writing `offered` bytes.
    fn judge(
        &mut self,
        context: &mut Context<'_>,
        offered: usize,
        written: Poll<Result<usize>>,
    ) -> Poll<Result<usize>> {
        match written {
            Poll::Ready(Ok(taken)) if taken < offered => {
                // The rest is offered next; the time that runs, runs on.
                self.waiting.get_or_insert_with(|| Box::pin(sleep(self.limit)));
                Poll::Ready(Ok(taken))
            }
            Poll::Ready(result) => {
                self.waiting = None;
                Poll::Ready(result)
            }
            Poll::Pending => {
                let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(self.limit)));
                match waiting.as_mut().poll(context) {
                    Poll::Ready(()) => Poll::Ready(Err(Error::new(ErrorKind::TimedOut, TooSlow))),
                    Poll::Pending => Poll::Pending,
                }
            }
        }
    }
}

/// The client did not take in time what was offered to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the client did not take in time what was offered to it")]
pub(crate) struct TooSlow;

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.judge(context, bytes.len(), written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let offered = slices.iter().map(|slice| slice.len()).sum();
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.judge(context, offered, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const LIMIT: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn who_takes_nothing_is_cut_off() {
        let (ours, _theirs) = duplex(16);
        let mut patient = Patient::new(ours, LIMIT);
        let error = patient.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.get_ref().unwrap().is::<TooSlow>());
    }

    #[tokio::test]
    async fn who_takes_one_byte_now_and_then_is_cut_off_as_well() {
        let (ours, mut theirs) = duplex(16);
        let mut patient = Patient::new(ours, LIMIT);
        let dripping = async {
            let mut timer = tokio::time::interval(LIMIT / 10);
            loop {
                timer.tick().await;
                theirs.read_u8().await.unwrap();
            }
        };
        let writing = patient.write_all(&[0; 640]);
        tokio::select! {
            written = writing => assert_eq!(written.unwrap_err().kind(), ErrorKind::TimedOut),
            () = dripping => {}
        }
    }

    #[tokio::test]
    async fn who_takes_all_of_it_has_the_time_anew() {
        let (ours, mut theirs) = duplex(16);
        let mut patient = Patient::new(ours, LIMIT);
        let writing = async {
            for _ in 0..6 {
                patient.write_all(&[0; 24]).await.unwrap();
            }
        };
        let reading = async {
            let mut timer = tokio::time::interval(LIMIT / 2);
            let mut bytes = [0; 24];
            for _ in 0..6 {
                timer.tick().await;
                theirs.read_exact(&mut bytes).await.unwrap();
            }
        };
        tokio::join!(writing, reading);
    }
}
