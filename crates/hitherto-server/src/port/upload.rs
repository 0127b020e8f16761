//! What a caller sends, counted and in time.
//!
//! ```text
//! gRPC   prefix(5) message | prefix(5) message | ...      HTTP/1   one message
//!        ^-- counts until the next one begins                       until it is read
//! ```
//!
//! The bytes of a message count against the budget as they come, and one that is compressed
//! for what it may become. A message that has begun has its time, longer for more bytes; a
//! stream may be silent between two of them for as long as its kind of call may, and before
//! the first one if it may be so for ever.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::BoxError;
use bytes::{Buf, Bytes};
use hitherto_core::Error;
use hitherto_core::limits::{MESSAGE_BYTES_MAX, MESSAGE_SECONDS, SEND_BYTES_PER_SECOND_MIN};
use hitherto_proto::convert::status::to_status;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use super::connection::Listening;
use crate::budget::Held;

/// Bytes of what stands before a message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;

/// How many bytes gzip makes of one at most.
const GZIP_RATIO: u64 = 1_032;

/// How a body is read.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// One message to its end.
    Whole,
    /// Messages of gRPC, with so much time between two of them; any, and before the first
    /// one too, if left out.
    Messages(Option<Duration>),
}

/// A request's body.
pub struct Upload<B> {
    inner: B,
    form: Form,
    listening: Listening,
    held: Held,
    /// Bytes of the prefix that is being read.
    prefix: [u8; PREFIX_BYTES],
    prefix_read: usize,
    /// Bytes of the message that are yet to come.
    left: u64,
    /// Time that the caller has to send what is waited for.
    patience: Duration,
    waiting_since: Option<Instant>,
    alarm: Pin<Box<Sleep>>,
}

impl<B> Upload<B> {
    /// A body that is read from its beginning.
    pub fn new(inner: B, form: Form, listening: Listening) -> Self {
        let patience = match form {
            Form::Messages(None) => Duration::MAX,
            Form::Messages(Some(_)) | Form::Whole => Duration::from_secs(MESSAGE_SECONDS),
        };
        let held = listening.share().hold();
        Self {
            inner,
            form,
            listening,
            held,
            prefix: [0; PREFIX_BYTES],
            prefix_read: 0,
            left: 0,
            patience,
            waiting_since: None,
            alarm: Box::pin(tokio::time::sleep(patience)),
        }
    }

    /// Counts bytes that have come.
    fn count(&mut self, bytes: &Bytes) -> Result<(), BoxError> {
        if let Form::Whole = self.form {
            self.patience += sending(bytes.len() as u64);
            return Ok(self.held.try_grow(bytes.len() as u64)?);
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            if self.left == 0 && self.prefix_read < PREFIX_BYTES {
                if self.prefix_read == 0 {
                    self.held.clear();
                    self.patience = Duration::from_secs(MESSAGE_SECONDS);
                }
                let read = rest.len().min(PREFIX_BYTES - self.prefix_read);
                self.prefix[self.prefix_read..][..read].copy_from_slice(&rest[..read]);
                self.prefix_read += read;
                rest.advance(read);
                if self.prefix_read == PREFIX_BYTES {
                    self.begin_message()?;
                }
                continue;
            }
            let read = self.left.min(rest.len() as u64);
            self.held.try_grow(read)?;
            self.left -= read;
            rest.advance(read as usize);
            if self.left == 0 {
                self.end_message();
            }
        }
        Ok(())
    }

    fn begin_message(&mut self) -> Result<(), BoxError> {
        let [is_compressed, length @ ..] = self.prefix;
        self.left = u32::from_be_bytes(length).into();
        self.patience = Duration::from_secs(MESSAGE_SECONDS) + sending(self.left);
        if is_compressed == 1 {
            let becomes = self.left.saturating_mul(GZIP_RATIO).min(MESSAGE_BYTES_MAX as u64);
            self.held.try_grow(becomes)?;
        }
        if self.left == 0 {
            self.end_message();
        }
        Ok(())
    }

    fn end_message(&mut self) {
        self.prefix_read = 0;
        self.patience = match self.form {
            Form::Messages(Some(between)) => between,
            Form::Messages(None) => Duration::MAX,
            Form::Whole => self.patience,
        };
    }

    /// Notes that nothing has come; an error if that has been so for too long.
    fn wait(&mut self, context: &mut Context<'_>) -> Option<BoxError> {
        self.listening.is_silent(true);
        if self.waiting_since.is_none() {
            let now = Instant::now();
            self.waiting_since = Some(now);
            if let Some(due) = now.checked_add(self.patience) {
                self.alarm.as_mut().reset(due);
            }
        }
        if self.patience == Duration::MAX {
            return None;
        }
        let is_over = self.alarm.as_mut().poll(context).is_ready();
        is_over.then(|| {
            to_status(&Error::unavailable(
                "the request was not sent in time: the server has waited for more of it as long \
                 as it does; send it again, without a pause",
            ))
            .into()
        })
    }

    /// Notes that something has come.
    fn go_on(&mut self) {
        if let Some(since) = self.waiting_since.take() {
            self.listening.is_silent(false);
            if self.patience != Duration::MAX {
                self.patience = self.patience.saturating_sub(since.elapsed());
            }
        }
    }
}

/// How long so many bytes may be on their way.
fn sending(bytes: u64) -> Duration {
    Duration::from_millis(bytes.saturating_mul(1_000) / SEND_BYTES_PER_SECOND_MIN)
}

impl<B> Body for Upload<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let body = self.get_mut();
        let frame = match Pin::new(&mut body.inner).poll_frame(context) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                return body
                    .wait(context)
                    .map_or(Poll::Pending, |over| Poll::Ready(Some(Err(over))));
            }
        };
        body.go_on();
        let counted = match frame {
            None => return Poll::Ready(None),
            Some(Err(cause)) => Err(cause.into()),
            Some(Ok(frame)) => match frame.data_ref() {
                Some(bytes) => body.count(bytes).map(|()| frame),
                None => Ok(frame),
            },
        };
        Poll::Ready(Some(counted))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl<B> Drop for Upload<B> {
    fn drop(&mut self) {
        self.listening.is_silent(false);
    }
}

#[cfg(test)]
mod tests;
