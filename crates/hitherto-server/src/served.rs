//! What all services share, and the one way to serve.
//!
//! ```text
//! guard      whose it is, or denied
//! serve      begin -> admit -> grant -> work -> end
//! ```
//!
//! Whatever a service does for a caller goes through [`Served::serve`], each message of a
//! stream by itself: it counts, has the errors written in one way, and makes the [`Grant`]
//! without which no engine is asked.

use std::sync::Arc;
use std::time::Duration;

use hitherto_api::{Caller, Clock, Grant};
use hitherto_core::{Error, Result};
use hitherto_engine::Engine;
use hitherto_proto::convert::status::to_status;
use http::Extensions;
use tonic::Status;

use crate::lifecycle::{Stopping, TakesPushes};
use crate::metrics::{Call, Method, Metrics};
use crate::secure::Wall;
use crate::workers::Workers;

/// What all services of a server share.
pub struct Served {
    /// Answers.
    pub engine: Arc<Engine>,
    /// Says what now is.
    pub clock: Clock,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Run what takes a while.
    pub workers: Workers,
    /// Ends streams.
    pub stopping: Stopping,
    /// What probes are told of the disk.
    pub takes_pushes: TakesPushes,
    /// By which what callers have shown expires.
    pub wall: Wall,
}

/// Why a call has no answer, as its caller is told: an error of the work, or a status that
/// says more than errors do.
#[derive(Debug)]
pub struct Failed(Status);

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self(to_status(&error))
    }
}

impl From<Status> for Failed {
    fn from(status: Status) -> Self {
        Self(status)
    }
}

impl Served {
    /// Does the work of one call for whom `asked` says, its request's extensions: once
    /// `admit` has a place for it, which the work keeps for as long as it runs.
    ///
    /// # Errors
    /// Those of `admit` and `work`; `UNAUTHENTICATED` once what the caller has shown counts no
    /// longer; `INTERNAL` for a request that came past the guard.
    pub async fn serve<P, T, F, E>(
        &self,
        method: Method,
        asked: &Extensions,
        admit: impl Future<Output = Result<P, Status>>,
        work: impl FnOnce(Grant, P) -> F,
    ) -> Result<T, Status>
    where
        F: Future<Output = Result<T, E>>,
        E: Into<Failed>,
    {
        let (answer, mut call) = self.begin(method, asked, admit, work).await?;
        call.answered();
        Ok(answer)
    }

    /// Whether a stream may go on for whom it was begun, whose token or certificate may have
    /// ended `grace` ago, if it was not taken back.
    ///
    /// # Errors
    /// `Denied` when it may not.
    pub fn goes_on(&self, caller: &Caller, grace: Duration) -> Result<()> {
        caller.check(self.wall.now().saturating_sub(grace.as_micros() as i64))
    }

    /// As [`Served::serve`], for an answer that goes on: who sends it ends the call.
    ///
    /// # Errors
    /// As [`Served::serve`].
    pub async fn begin<P, T, F, E>(
        &self,
        method: Method,
        asked: &Extensions,
        admit: impl Future<Output = Result<P, Status>>,
        work: impl FnOnce(Grant, P) -> F,
    ) -> Result<(T, Call), Status>
    where
        F: Future<Output = Result<T, E>>,
        E: Into<Failed>,
    {
        let mut call = self.metrics.begin(method);
        let worked = async {
            let caller = caller(asked)?;
            caller.check(self.wall.now())?;
            let place = admit.await?;
            work(Grant::of(caller), place).await.map_err(Into::into)
        };
        match worked.await {
            Ok(answer) => Ok((answer, call)),
            Err(Failed(status)) => {
                call.failed(&status);
                Err(status)
            }
        }
    }
}

/// Who asks, as the guard has found out.
///
/// # Errors
/// `Internal` for a request that came past it.
pub fn caller(asked: &Extensions) -> Result<Arc<Caller>> {
    let past = || Error::internal("a request came past the guard");
    asked.get().map(Arc::clone).ok_or_else(past)
}
