//! What a caller is sent, for as long as it takes to send.
//!
//! An answer keeps the place of its request, and its bytes count, until the last of them
//! was taken by the connection: a caller who does not read gives nothing back. It is handed
//! over in pieces, because HTTP/2 holds a connection back between two pieces and not within
//! one. Answers have their time, by the bytes that they have; when it is up the connection
//! ends.

use std::any::Any;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::BoxError;
use axum::body::Body as AnyBody;
use bytes::Bytes;
use hitherto_core::limits::ANSWER_PIECE_BYTES;
use http_body::{Body, Frame, SizeHint};

use super::connection::Call;
use crate::budget::Held;

/// What an answer's request has taken, in the extensions of a response: it is dropped when
/// the answer was sent.
#[derive(Clone)]
pub struct Kept {
    _kept: Arc<dyn Any + Send + Sync>,
}

impl Kept {
    /// Keeps this.
    pub fn new(kept: impl Any + Send + Sync) -> Self {
        Self { _kept: Arc::new(kept) }
    }
}

/// An answer's body.
pub struct Sent {
    inner: AnyBody,
    /// What was not handed over yet of the last frame.
    rest: Bytes,
    sending: Option<Sending>,
}

/// What is taken until an answer was sent.
struct Sending {
    held: Held,
    /// How long its caller may leave what is there.
    pause: Duration,
    _kept: Option<Kept>,
    call: Call,
}

impl Sent {
    /// An answer to a call.
    pub fn new(inner: AnyBody, pause: Duration, kept: Option<Kept>, call: Call) -> Self {
        call.sends(pause);
        let held = call.connection().share.hold();
        let sending = Some(Sending { held, pause, _kept: kept, call });
        Self { inner, rest: Bytes::new(), sending }
    }

    /// A refusal, which takes nothing.
    pub fn bare(inner: AnyBody) -> Self {
        Self { inner, rest: Bytes::new(), sending: None }
    }

    /// The next piece of what is there.
    fn piece(&mut self) -> Frame<Bytes> {
        let piece = self.rest.split_to(self.rest.len().min(ANSWER_PIECE_BYTES));
        if let Some(sending) = &mut self.sending {
            sending.call.sent(piece.len(), sending.pause);
        }
        Frame::data(piece)
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let body = self.get_mut();
        if !body.rest.is_empty() {
            if let Some(sending) = &mut body.sending {
                // What was handed over before has left, or this would not be asked for.
                sending.held.shrink(ANSWER_PIECE_BYTES as u64);
            }
            return Poll::Ready(Some(Ok(body.piece())));
        }
        match Pin::new(&mut body.inner).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(bytes) => {
                    if let Some(sending) = &mut body.sending {
                        sending.held.clear();
                        sending.held.grow(bytes.len() as u64);
                    }
                    body.rest = bytes;
                    Poll::Ready(Some(Ok(body.piece())))
                }
                Err(frame) => Poll::Ready(Some(Ok(frame))),
            },
            Poll::Ready(Some(Err(cause))) => Poll::Ready(Some(Err(cause.into()))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                if let Some(sending) = &body.sending {
                    sending.call.waits();
                }
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.rest.is_empty() {
            true => self.inner.size_hint(),
            false => SizeHint::new(),
        }
    }
}
