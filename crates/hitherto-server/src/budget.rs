//! One budget of bytes for what callers send and are sent.
//!
//! ```text
//! budget     server.requestMemory
//!   bytes    three quarters of it
//!     share  one a connection: at most a part of the budget
//!       held bytes of one request or answer, given back when it is dropped
//!   work     the last quarter: what pushes become while they are worked on
//! ```
//!
//! A request counts from its first byte, and an answer until its last one has left, however
//! slowly its caller reads. Who would take more than there is, or more than one caller may,
//! is refused and told to come back; what counts was not allocated yet. Bytes of an answer
//! that is there already are counted without asking: they are refused at the next request.
//!
//! A push waits for memory to be worked on while its own bytes count, and those of others
//! that wait. So it waits for memory of another kind, which nobody has who waits for
//! anything: what it waits for is always given back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use hitherto_core::limits::{MESSAGE_BYTES_MAX, REQUEST_MEMORY_BYTES_MIN};
use hitherto_core::{Error, Result};
use hitherto_proto::convert::status::refused;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

/// Parts of the budget of which one connection may have one, and work has one.
const SHARES: u64 = 4;

/// Bytes that work counts in: a semaphore gives out 32 bits of permits at a time.
const WORK_UNIT_BYTES: u64 = 1 << 10;

/// All bytes that there are.
#[derive(Debug)]
pub struct Budget {
    total: u64,
    /// Bytes of all shares, at most.
    bytes_max: u64,
    used: AtomicU64,
    work: Arc<Semaphore>,
    work_units: u32,
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

/// Memory that work has until this is dropped.
#[derive(Debug)]
pub struct Work {
    _permit: OwnedSemaphorePermit,
}

impl Budget {
    /// So many bytes.
    ///
    /// # Errors
    /// `Invalid` when they would not do for one message.
    pub fn new(total: u64) -> Result<Arc<Self>> {
        if total < REQUEST_MEMORY_BYTES_MIN {
            return Err(Error::invalid(format!(
                "server.requestMemory is {total} bytes; set at least {}MiB",
                REQUEST_MEMORY_BYTES_MIN >> 20
            )));
        }
        let work_units = u32::try_from(total / SHARES / WORK_UNIT_BYTES).unwrap_or(u32::MAX);
        let bytes_max = total - u64::from(work_units) * WORK_UNIT_BYTES;
        let work = Arc::new(Semaphore::new(work_units as usize));
        Ok(Arc::new(Self { total, bytes_max, used: AtomicU64::new(0), work, work_units }))
    }

    /// The bytes of one more connection.
    pub fn share(self: &Arc<Self>) -> Arc<Share> {
        // Two messages, however small the budget is.
        let max = (self.total / SHARES).max(2 * MESSAGE_BYTES_MAX as u64);
        Arc::new(Share { budget: Arc::clone(self), max, used: AtomicU64::new(0) })
    }

    /// Bytes in use, those of work among them.
    pub fn used(&self) -> u64 {
        let free = self.work.available_permits() as u64;
        let work = u64::from(self.work_units).saturating_sub(free) * WORK_UNIT_BYTES;
        self.used.load(Ordering::Relaxed) + work
    }
}

impl Share {
    /// Nothing yet.
    pub fn hold(self: &Arc<Self>) -> Held {
        Held { share: Arc::clone(self), bytes: 0 }
    }

    /// Takes memory for work as soon as it is there. What would need more than all of it
    /// takes all of it: it is worked on alone. Whoever has it must not wait for a caller.
    pub async fn work(&self, bytes: u64) -> Work {
        let Budget { work, work_units, .. } = &*self.budget;
        let units = u32::try_from(bytes.div_ceil(WORK_UNIT_BYTES)).unwrap_or(u32::MAX);
        let permit = Arc::clone(work).acquire_many_owned(units.min(*work_units)).await;
        Work { _permit: permit.expect("nobody closes the semaphore") }
    }

    fn refusal(&self, bytes: u64) -> Status {
        let mebibytes = |bytes: u64| bytes.div_ceil(1 << 20);
        let (all, own) = (mebibytes(self.budget.bytes_max), mebibytes(self.max));
        refused(format!(
            "the server has no {} MiB left for this request: requests and answers of all callers \
             may take {all} MiB (of server.requestMemory), those of one connection {own} MiB; \
             back off and retry, or send and ask less at a time",
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
        if !fits(&budget.used, budget.bytes_max) {
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
