//! Work that a server does on its own: what came of it.

use hitherto_core::{Error, Kind, Result};
use hitherto_proto::v1::{Job, JobState};
use serde::de::DeserializeOwned;

/// What came of a job that has ended.
///
/// # Errors
/// The work's own; `Conflict` when it was cancelled, `Internal` when a server of another
/// release did it.
pub fn outcome<T: DeserializeOwned>(job: Job) -> Result<T> {
    match job.state() {
        JobState::Done => serde_json::from_str(&job.result_json).map_err(|cause| {
            Error::internal("the job's result cannot be read; use a client of the server's release")
                .with_source(cause)
        }),
        JobState::Cancelled => Err(Error::conflict(format!(
            "job {} was cancelled; start it again if it is still wanted",
            job.id
        ))),
        _ => {
            let kind = Kind::ALL.into_iter().find(|kind| kind.name() == job.error_kind);
            Err(Error::new(kind.unwrap_or(Kind::Internal), job.error))
        }
    }
}
