//! `JobService`: work that takes a while and goes on without its caller.
//!
//! Jobs run on the workers. One that is cancelled ends at its next pause: its
//! future is dropped, and with it what it staged.
//!
//! | module  | what it owns                                     |
//! | ------- | ------------------------------------------------ |
//! | `board` | which jobs there are, and how far each of them is |

mod board;

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use hitherto_api::{Caller, Grant, MaterializeMode, MaterializeRequest, OptimizeMode, TimeRange};
use hitherto_core::time::format_timestamp;
use hitherto_core::{Error, Result};
use hitherto_engine::BackupFiles;
use hitherto_proto::convert::status::to_status;
use hitherto_proto::v1::job_service_server::{JobService, JobServiceServer};
use hitherto_proto::v1::start_job_request::Work;
use hitherto_proto::v1::{
    BackupWork, CancelJobRequest, Job, JobState, ListJobsRequest, ListJobsResponse,
    MaterializeWork, OptimizeWork, StartJobRequest, WatchJobRequest,
};
use tokio::sync::watch::Receiver;
use tokio::time::timeout;
use tonic::{Request, Response, Status};

use self::board::{Board, Entry};
use crate::admission::everybody;
use crate::audit::Note;
use crate::metrics::Method;
use crate::served::{Served, caller};

/// How often a watcher is told at most.
const WATCH_INTERVAL: Duration = Duration::from_millis(100);

/// How often it is looked at whether a watcher may still watch.
const CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// What the job service answers with. Clones share everything.
#[derive(Clone)]
pub struct Jobs {
    /// What all services share.
    pub served: Arc<Served>,
    /// The folder for backups.
    pub backups: Option<PathBuf>,
    /// What there is.
    pub board: Arc<Board>,
}

impl Jobs {
    /// No job yet.
    pub fn new(served: Arc<Served>, backups: Option<PathBuf>) -> Self {
        Self { served, backups, board: Arc::default() }
    }

    /// The service.
    pub fn service(self) -> JobServiceServer<Self> {
        JobServiceServer::new(self)
    }

    fn start(&self, grant: Grant, work: Work, note: &Note) -> Result<Job> {
        let what = describe(&work);
        note.set(|_, record| {
            record.detail.clone_from(&what);
            record.views = views_of(&work).to_vec();
        });
        let entry = self.board.begin(&what, self.now())?;
        let (jobs, running, mut ended) = (self.clone(), Arc::clone(&entry), note.goes_on());
        let work = async move {
            let outcome = jobs.work(grant, work, &running).await;
            let how = outcome.as_ref().map_or_else(|error| error.kind().name(), |_| "ok");
            if let Err(error) = ended.end(how) {
                tracing::error!(%error, "the end of a job is not recorded");
            }
            running.end(outcome, jobs.now());
        };
        entry.runs(self.served.workers.spawn(work).abort_handle());
        Ok(entry.job())
    }

    fn now(&self) -> i64 {
        (self.served.clock)()
    }

    /// Does a job's work; what came of it, as JSON.
    async fn work(&self, grant: Grant, work: Work, entry: &Entry) -> Result<String> {
        let (engine, now) = (&self.served.engine, self.now());
        let json = match work {
            Work::Materialize(MaterializeWork { views, full, force, from_micros, to_micros }) => {
                let mode = match full {
                    true => MaterializeMode::Full,
                    false => MaterializeMode::Incremental,
                };
                let window = TimeRange::between(from_micros, to_micros);
                let request = MaterializeRequest { views, mode, force, window };
                serde_json::to_string(&engine.materialize(&grant, &request, now, entry).await?)
            }
            Work::Optimize(OptimizeWork { views, full }) => {
                let mode = if full { OptimizeMode::Full } else { OptimizeMode::IfChanged };
                serde_json::to_string(&engine.optimize_all(&grant, &views, mode, entry).await?)
            }
            Work::Backup(BackupWork { folder, copy }) => {
                let how = if copy { BackupFiles::Copied } else { BackupFiles::Linked };
                let engine = Arc::clone(engine);
                let folder = backup_folder(self.backups.as_deref(), &folder)?;
                let backup = move || engine.backup(&grant, &folder, how, now);
                let backup = tokio::task::spawn_blocking(backup).await;
                let broken = |cause| Error::internal("a backup broke off").with_source(cause);
                serde_json::to_string(&backup.map_err(broken)??)
            }
        };
        json.map_err(|cause| Error::internal("a result cannot be written").with_source(cause))
    }
}

/// Where a caller's backup of this name goes: into the folder that the server's own settings
/// name. A path of the caller's could be anything on this machine.
fn backup_folder(backups: Option<&Path>, name: &str) -> Result<PathBuf> {
    let backups = backups.ok_or_else(|| {
        Error::invalid(
            "this server takes no backups for callers; set server.backups in its hitherto.yaml to \
             the folder for them",
        )
    })?;
    let mut parts = Path::new(name).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(_)), None) if !name.starts_with('.') => Ok(backups.join(name)),
        _ => Err(Error::invalid(format!(
            "{name:?} is no name for a backup, which a server writes to a folder of its own; give \
             one without slashes, such as monday"
        ))),
    }
}

/// The views that a job names.
fn views_of(work: &Work) -> &[String] {
    match work {
        Work::Materialize(work) => &work.views,
        Work::Optimize(work) => &work.views,
        Work::Backup(_) => &[],
    }
}

/// What a job does, as people write the command.
fn describe(work: &Work) -> String {
    match work {
        Work::Materialize(MaterializeWork { views, full, force, from_micros, to_micros }) => {
            let bound = |name: &str, micros: &Option<i64>| {
                micros.map(|micros| format!("{name} {}", format_timestamp(micros)))
            };
            let bounds = [bound("--from", from_micros), bound("--to", to_micros)];
            let words = std::iter::once("materialize").chain(views.iter().map(String::as_str));
            let words = words.chain(full.then_some("--full")).chain(force.then_some("--force"));
            words.chain(bounds.iter().flatten().map(String::as_str)).collect::<Vec<_>>().join(" ")
        }
        Work::Optimize(OptimizeWork { views, full }) => {
            let words = std::iter::once("optimize").chain(views.iter().map(String::as_str));
            words.chain(full.then_some("--full")).collect::<Vec<_>>().join(" ")
        }
        Work::Backup(BackupWork { folder, copy }) => {
            format!("backup {folder}{}", if *copy { " --copy" } else { "" })
        }
    }
}

#[tonic::async_trait]
impl JobService for Jobs {
    type WatchJobStream = BoxStream<'static, Result<Job, Status>>;

    async fn start_job(&self, request: Request<StartJobRequest>) -> Result<Response<Job>, Status> {
        let (_, asked, request) = request.into_parts();
        let start = |grant, (), note: Note| async move {
            let unnamed =
                || Error::invalid("the job has no work; name materialize, optimize or backup");
            self.start(grant, request.work.ok_or_else(unnamed)?, &note)
        };
        self.served.serve(Method::Job, &asked, everybody(), start).await.map(Response::new)
    }

    async fn list_jobs(
        &self,
        request: Request<ListJobsRequest>,
    ) -> Result<Response<ListJobsResponse>, Status> {
        let list =
            |_, (), _| async { Ok::<_, Error>(ListJobsResponse { jobs: self.board.jobs() }) };
        let asked = request.extensions();
        self.served.serve(Method::Job, asked, everybody(), list).await.map(Response::new)
    }

    async fn watch_job(
        &self,
        request: Request<WatchJobRequest>,
    ) -> Result<Response<Self::WatchJobStream>, Status> {
        let (_, asked, request) = request.into_parts();
        let find = |_, (), note: Note| async move {
            note.set(|_, record| record.detail = format!("watch job {}", request.id));
            self.board.find(request.id)
        };
        let entry = self.served.serve(Method::Job, &asked, everybody(), find).await?;
        let caller = caller(&asked).map_err(|error| to_status(&error))?;
        let watching = Watching { served: Arc::clone(&self.served), caller, job: entry.watch() };
        let jobs = stream::unfold(Some((watching, true)), |state| async move {
            let (watching, is_first) = state?;
            Some(watching.next(is_first).await)
        });
        Ok(Response::new(jobs.boxed()))
    }

    async fn cancel_job(
        &self,
        request: Request<CancelJobRequest>,
    ) -> Result<Response<Job>, Status> {
        let (_, asked, request) = request.into_parts();
        let cancel = |_, (), note: Note| async move {
            note.set(|_, record| record.detail = format!("cancel job {}", request.id));
            let entry = self.board.find(request.id)?;
            entry.cancel(self.now());
            Ok::<_, Error>(entry.job())
        };
        self.served.serve(Method::Job, &asked, everybody(), cancel).await.map(Response::new)
    }
}

/// A job that is watched.
struct Watching {
    served: Arc<Served>,
    caller: Arc<Caller>,
    job: Receiver<Job>,
}

impl Watching {
    /// The job's next state, and what to go on with: nothing after its last.
    async fn next(mut self, is_first: bool) -> (Result<Job, Status>, Option<(Self, bool)>) {
        match self.state(is_first).await {
            Err(error) => (Err(to_status(&error)), None),
            Ok(job) => {
                let is_last = job.state() != JobState::Running;
                (Ok(job), (!is_last).then_some((self, false)))
            }
        }
    }

    /// Its state once it has changed; refused once what the caller has shown counts no longer.
    async fn state(&mut self, is_first: bool) -> Result<Job> {
        let goes_on = || self.served.goes_on(&self.caller, Duration::ZERO);
        if !is_first {
            tokio::time::sleep(WATCH_INTERVAL).await;
            // A job is forgotten after its last state, which was seen then.
            while timeout(CHECK_INTERVAL, self.job.changed()).await.is_err() {
                goes_on()?;
            }
        }
        goes_on()?;
        Ok(self.job.borrow_and_update().clone())
    }
}
