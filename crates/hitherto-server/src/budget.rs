//! One budget of bytes for what callers send and are sent.
//!
//! ```text
//! budget     server.requestMemory
//!   share    one a connection: at most a part of the budget
//!     held   bytes of one request or answer, given back when it is dropped
//! ```
//!
//! A request counts from its first byte, and an answer until its last one has left, however
//! slowly its caller reads. Who would take more than there is, or more than one caller may,
//! is refused and told to come back; what counts was not allocated yet. Bytes of an answer
//! that is there already are counted without asking: they are refused at the next request.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hitherto_core::limits::{MESSAGE_BYTES_MAX, REQUEST_MEMORY_BYTES_MIN};
use hitherto_core::{Error, Result};
use hitherto_proto::convert::status::refused;
use tokio::sync::Notify;
use tonic::Status;

/// Parts of the budget of which one connection may have one.
const SHARES: u64 = 4;

/// All bytes that there are.
#[derive(Debug)]
pub struct Budget {
    total: u64,
    used: AtomicU64,
    freed: Notify,
}

/// The bytes of one connection.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    max: u64,
    used: AtomicU64,
}

/// Bytes that are in use until this is dropped.
#[derive(Debug)]
pub struct Held {
    share: Arc<Share>,
    bytes: u64,
}

impl Budget {
    /// So many bytes.
    ///
    /// # Errors
    /// `Invalid` when they would not do for one message.
    pub fn new(total: u64) -> Result<Arc<Self>> {
        if total < REQUEST_MEMORY_BYTES_MIN {
            return Err(Error::invalid(format!(
                "server.requestMemory is {total} bytes; expected at least {}MiB",
                REQUEST_MEMORY_BYTES_MIN >> 20
            )));
        }
        Ok(Arc::new(Self { total, used: AtomicU64::new(0), freed: Notify::new() }))
    }

    /// The bytes of one more connection.
    pub fn share(self: &Arc<Self>) -> Arc<Share> {
        // One message and what it becomes.
        let max = (self.total / SHARES).max(2 * MESSAGE_BYTES_MAX as u64);
        Arc::new(Share { budget: Arc::clone(self), max, used: AtomicU64::new(0) })
    }

    /// Bytes in use.
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }
}

impl Share {
    /// Nothing yet.
    pub fn hold(self: &Arc<Self>) -> Held {
        Held { share: Arc::clone(self), bytes: 0 }
    }

    /// Takes bytes as soon as they are there; at most as many as one caller may have.
    pub async fn take(self: &Arc<Self>, bytes: u64) -> Held {
        let (mut held, bytes) = (self.hold(), bytes.min(self.max));
        loop {
            let freed = self.budget.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if held.try_grow(bytes).is_ok() {
                return held;
            }
            freed.await;
        }
    }

    fn refusal(&self, bytes: u64) -> Status {
        let mebibytes = |bytes: u64| bytes.div_ceil(1 << 20);
        let (all, own) = (mebibytes(self.budget.total), mebibytes(self.max));
        refused(format!(
            "the server has no {} MiB left for this request: requests and answers of all callers \
             may take {all} MiB (server.requestMemory), those of one connection {own} MiB; back \
             off and retry, or send and ask less at a time",
            mebibytes(bytes)
        ))
    }
}

impl Held {
    /// Takes more.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` when there are not so many, or not for this connection.
    pub fn try_grow(&mut self, bytes: u64) -> Result<(), Status> {
        let Share { budget, max, used } = &*self.share;
        let fits = |used: &AtomicU64, max: u64| {
            let before = used.fetch_add(bytes, Ordering::Relaxed);
            let fits = before.saturating_add(bytes) <= max;
            if !fits {
                used.fetch_sub(bytes, Ordering::Relaxed);
            }
            fits
        };
        if !fits(used, *max) {
            return Err(self.share.refusal(bytes));
        }
        if !fits(&budget.used, budget.total) {
            used.fetch_sub(bytes, Ordering::Relaxed);
            return Err(self.share.refusal(bytes));
        }
        self.bytes += bytes;
        Ok(())
    }

    /// Counts bytes that are there already.
    pub fn grow(&mut self, bytes: u64) {
        self.share.used.fetch_add(bytes, Ordering::Relaxed);
        self.share.budget.used.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
    }

    /// Gives bytes back; no more than are held.
    pub fn shrink(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        if bytes == 0 {
            return;
        }
        self.bytes -= bytes;
        self.share.used.fetch_sub(bytes, Ordering::Relaxed);
        self.share.budget.used.fetch_sub(bytes, Ordering::Relaxed);
        self.share.budget.freed.notify_waiters();
    }

    /// Gives everything back.
    pub fn clear(&mut self) {
        self.shrink(self.bytes);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests;
