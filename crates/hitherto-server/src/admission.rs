//! Who may begin: so many at a time, and the rest are told at once.
//!
//! A queue in front of a full server makes every caller late and then answers
//! callers who have gone. A unary request beyond the bound is therefore
//! refused, and its caller backs off. A stream waits for its turn instead: its
//! own flow control already holds its caller back, and one waiting request a
//! stream is a bound of its own.

use std::sync::Arc;

use hitherto_core::{Error, Result};
use hitherto_proto::convert::status::refused;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

/// The bound on one kind of request. Clones share it.
#[derive(Clone, Debug)]
pub struct Admission {
    permits: Arc<Semaphore>,
    refusal: Arc<str>,
}

impl Admission {
    /// Admits `at_once_max` requests at a time, as `setting` says; `what` they
    /// are is for the message.
    ///
    /// # Errors
    /// `Invalid` when the setting would admit nobody, or more than can be
    /// counted.
    pub fn new(what: &str, setting: &str, at_once_max: usize) -> Result<Self> {
        if !(1..=Semaphore::MAX_PERMITS).contains(&at_once_max) {
            return Err(Error::invalid(format!(
                "{setting} is {at_once_max}; expected 1 to {}",
                Semaphore::MAX_PERMITS
            )));
        }
        let refusal = format!(
            "the server is already answering {at_once_max} {what}, which is its limit \
             ({setting}); back off and retry"
        );
        Ok(Self { permits: Arc::new(Semaphore::new(at_once_max)), refusal: refusal.into() })
    }

    /// Admits one request until the permit is dropped.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` when the bound is reached.
    pub fn try_admit(&self) -> Result<OwnedSemaphorePermit, Status> {
        Arc::clone(&self.permits).try_acquire_owned().map_err(|_| refused(&*self.refusal))
    }

    /// Admits one request as soon as there is room, first come, first served.
    ///
    /// # Errors
    /// None in practice: the semaphore is never closed.
    pub async fn admit(&self) -> Result<OwnedSemaphorePermit, Status> {
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        permit.map_err(|_| refused(&*self.refusal))
    }
}

#[cfg(test)]
mod tests;
