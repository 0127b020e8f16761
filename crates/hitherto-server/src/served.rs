//! What all services share, and the one way to serve.
//!
//! ```text
//! guard      whose it is, or denied
//! serve      begin -> admit -> grant -> work -> end -> recorded
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

use crate::audit::{Audit, Entry, Note};
use crate::lifecycle::{Stopping, TakesPushes};
use crate::metrics::{self, Method, Metrics};
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
    /// Records, if anything is.
    pub audit: Option<Arc<Audit>>,
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
    /// `admit` has a place for it, which the work keeps for as long as it runs. Its answer is
    /// returned when its record is written.
    ///
    /// # Errors
    /// Those of `admit` and `work`; `UNAUTHENTICATED` once what the caller has shown counts no
    /// longer; `INTERNAL` for a request that came past the guard; `UNAVAILABLE` where nothing is
    /// answered without its record and there can be none.
    pub async fn serve<P, T, F, E>(
        &self,
        method: Method,
        asked: &Extensions,
        admit: impl Future<Output = Result<P, Status>>,
        work: impl FnOnce(Grant, P, Note) -> F,
    ) -> Result<T, Status>
    where
        F: Future<Output = Result<T, E>>,
        E: Into<Failed>,
    {
        let (answer, mut call) = self.begin(method, asked, admit, work).await?;
        call.answered()?;
        Entry::settle(self.audit.as_ref(), method).await?;
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

    /// As [`Served::serve`], for an answer that goes on: who sends it ends the call. That it
    /// has begun is recorded.
    ///
    /// # Errors
    /// As [`Served::serve`].
    pub async fn begin<P, T, F, E>(
        &self,
        method: Method,
        asked: &Extensions,
        admit: impl Future<Output = Result<P, Status>>,
        work: impl FnOnce(Grant, P, Note) -> F,
    ) -> Result<(T, Call), Status>
    where
        F: Future<Output = Result<T, E>>,
        E: Into<Failed>,
    {
        let entry = Entry::begin(self.audit.as_ref(), method, asked);
        let mut call = Call { counted: self.metrics.begin(method), entry };
        let entry = &mut call.entry;
        let worked = async {
            let caller = caller(asked)?;
            caller.check(self.wall.now())?;
            entry.check()?;
            let place = admit.await?;
            if method.changes() {
                entry.begun()?;
            }
            let note = entry.note();
            let worked = work(Grant::of(caller), place, note).await;
            let answer = worked.map_err(Into::into)?;
            if method.goes_on() {
                entry.begun()?;
            }
            Ok(answer)
        };
        match worked.await {
            Ok(answer) => Ok((answer, call)),
            Err(Failed(status)) => Err(call.failed(status)),
        }
    }
}

/// One call, counted and recorded when it ends; dropped before, it was given up.
pub struct Call {
    counted: metrics::Call,
    entry: Entry,
}

impl Call {
    /// Where it is noted what it asked for.
    pub fn note(&self) -> Note {
        self.entry.note()
    }

    /// Sees the call answered.
    ///
    /// # Errors
    /// `UNAVAILABLE` where nothing is answered without its record and there can be none.
    pub fn answered(&mut self) -> Result<(), Status> {
        self.counted.answered();
        self.record().inspect_err(|status| self.counted.failed(status))
    }

    /// Sees it fail; what its caller is told of that.
    pub fn failed(&mut self, status: Status) -> Status {
        self.counted.failed(&status);
        self.record().err().unwrap_or(status)
    }

    fn record(&mut self) -> Result<(), Status> {
        self.entry.end(self.counted.outcome()).map_err(|error| to_status(&error))
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
