//! The client: the same calls as the engine's, answered by a server.
//!
//! | module         | what it owns                                            |
//! | -------------- | ------------------------------------------------------- |
//! | `client`       | the calls                                               |
//! | `connection`   | addresses, connecting, and what a broken call means     |
//! | `credentials`  | what a client shows, and whom it trusts                 |
//! | `jobs`         | work that a server does on its own                      |
//! | `training_set` | a training set that a server builds                     |
//!
//! Requests and answers are those of `hitherto_api`, and errors the core's: a call
//! fails with the kind it would have in the process, or `Unavailable` when the
//! server cannot be reached. There is no engine here, and nothing that serves.

mod client;
mod connection;
mod credentials;
mod jobs;
mod training_set;

pub use client::{Changes, Client};
pub use credentials::{Credentials, Token};
pub use hitherto_proto::convert::training_set::Record;
pub use hitherto_proto::v1::start_job_request::Work;
pub use hitherto_proto::v1::{
    BackupWork, Job, JobProgress, JobStage, JobState, MaterializeWork, OptimizeWork,
};
pub use jobs::outcome;
pub use training_set::RemoteTrainingSet;
