//! The calls.

use futures::stream;
use hitherto_api::{
    Explanation, Lookup, LookupRequest, PushRequest, Pushed, RolledBack, Spine, TrainingSetRequest,
    Verification, VerifyRequest, WhoAmI, WhyRequest,
};
use hitherto_core::catalog::Catalog;
use hitherto_core::definition::diff::Change;
use hitherto_core::limits::MESSAGE_BYTES_MAX;
use hitherto_core::{Error, Result};
use hitherto_proto::flight::flight_service_client::FlightServiceClient;
use hitherto_proto::v1::access_service_client::AccessServiceClient;
use hitherto_proto::v1::diagnostics_service_client::DiagnosticsServiceClient;
use hitherto_proto::v1::job_service_client::JobServiceClient;
use hitherto_proto::v1::lookup_service_client::LookupServiceClient;
use hitherto_proto::v1::push_service_client::PushServiceClient;
use hitherto_proto::v1::push_service_server;
use hitherto_proto::v1::registry_service_client::RegistryServiceClient;
use hitherto_proto::v1::start_job_request::Work;
use hitherto_proto::v1::{
    ApplyRequest, ApplyResponse, CancelJobRequest, GetCatalogRequest, Job, ListJobsRequest,
    RollbackRequest, RollbackResponse, StartJobRequest, WatchJobRequest, WhoAmIRequest,
};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus as HealthStatus;
use tonic_health::pb::health_client::HealthClient;

use hitherto_proto::convert;

use crate::connection::{Calls, Connection};
use crate::credentials::Credentials;
use crate::training_set::{self, RemoteTrainingSet};

/// What applying a server's definitions changes.
#[derive(Clone, Debug)]
pub struct Changes {
    /// Every change, in the order of names.
    pub changes: Vec<Change>,
    /// The version of the catalog that says so.
    pub catalog_version: u64,
    /// What may not be meant, such as times without a zone, a sentence each.
    pub warnings: Vec<String>,
}

/// A connection to a server. Clones share it; calls may overlap. It connects
/// again by itself after it was lost.
#[derive(Clone, Debug)]
pub struct Client {
    connection: Connection,
}

impl Client {
    /// Connects to the server at `url`, such as `http://127.0.0.1:7411`.
    ///
    /// # Errors
    /// As [`Client::connect_with`].
    pub async fn connect(url: &str) -> Result<Self> {
        Self::connect_with(url, &Credentials::default()).await
    }

    /// Connects to the server at `url`, such as `https://features:7411`, with what it
    /// asks for.
    ///
    /// # Errors
    /// `Invalid` for an address of another form, a file that is not what it should be, or
    /// a token that others could read on its way; `Denied` when the server's certificate
    /// is not trusted; `Unavailable` when no server answers there within five seconds.
    /// Whether the server takes the credentials is known at the first call: `Denied`.
    pub async fn connect_with(url: &str, credentials: &Credentials) -> Result<Self> {
        Ok(Self { connection: Connection::open(url, credentials).await? })
    }

    /// The server's address.
    pub fn url(&self) -> &str {
        self.connection.url()
    }

    /// Who the server says that this client is.
    ///
    /// # Errors
    /// `Denied` when it is nobody whom the server answers; `Unavailable` when the server is
    /// gone; `Internal` for an answer that is malformed.
    pub async fn who_am_i(&self) -> Result<WhoAmI> {
        let answer = self.access().who_am_i(WhoAmIRequest {}).await;
        convert::access::decode_answer(self.connection.checked(answer)?.into_inner())
    }

    /// Looks up features of many entities, at `request.as_of` or else the
    /// server's now.
    ///
    /// # Errors
    /// Those of an engine's `lookup`; `Invalid`
    /// for keys of different types in one column; `Unavailable` when the
    /// server is full or gone; `Internal` for an answer that is malformed.
    pub async fn lookup(&self, request: &LookupRequest) -> Result<Lookup> {
        let request = convert::lookup::encode_request(request)?;
        let answer = self.lookups().lookup(request).await;
        convert::lookup::decode_answer(self.connection.checked(answer)?.into_inner())
    }

    /// What is applied and online.
    ///
    /// # Errors
    /// `Unavailable` when the server is gone; `Internal` for an answer that is
    /// malformed.
    pub async fn catalog(&self) -> Result<Catalog> {
        Ok(self.release_and_catalog().await?.1)
    }

    /// The server's release, empty of one that does not say it, and what is applied and
    /// online.
    ///
    /// # Errors
    /// As [`Client::catalog`].
    pub async fn release_and_catalog(&self) -> Result<(String, Catalog)> {
        let answer = self.registry().get_catalog(GetCatalogRequest {}).await;
        let mut answer = self.connection.checked(answer)?.into_inner();
        Ok((std::mem::take(&mut answer.release), answer.try_into()?))
    }

    /// Whether the server says that it is serving. It asks for no credentials.
    ///
    /// # Errors
    /// `Unavailable` when the server is gone.
    pub async fn is_serving(&self) -> Result<bool> {
        self.health("").await
    }

    /// Whether it takes pushes, whose disk may be full.
    ///
    /// # Errors
    /// `Unavailable` when the server is gone.
    pub async fn takes_pushes(&self) -> Result<bool> {
        self.health(push_service_server::SERVICE_NAME).await
    }

    async fn health(&self, service: &str) -> Result<bool> {
        let request = HealthCheckRequest { service: service.to_owned() };
        let answer = HealthClient::new(self.connection.calls()).check(request).await;
        let status = self.connection.checked(answer)?.into_inner().status();
        Ok(status == HealthStatus::Serving)
    }

    /// Pushes batches, which the server makes durable together; the answers are in
    /// their order.
    ///
    /// # Errors
    /// Those of an engine's `push`, of the first batch that
    /// is refused; those before it are pushed. `Unavailable` when the server is gone.
    pub async fn push(&self, batches: &[PushRequest]) -> Result<Vec<Pushed>> {
        let requests = batches.iter().map(convert::push::encode_request);
        let requests = requests.collect::<Result<Vec<_>>>()?;
        let answers = self.pushes().push(stream::iter(requests)).await;
        let mut answers = self.connection.checked(answers)?.into_inner();
        let mut pushed = Vec::with_capacity(batches.len());
        while let Some(answer) = self.connection.checked(answers.message().await)? {
            pushed.push(convert::push::decode_answer(answer));
        }
        Ok(pushed)
    }

    /// Explains one view's answer for one entity, at `request.at` or else the
    /// server's now.
    ///
    /// # Errors
    /// Those of an engine's `why`; `Invalid` for
    /// keys of different types in one column; `Unavailable` when the server is
    /// gone; `Internal` for an answer that is malformed.
    pub async fn why(&self, request: &WhyRequest) -> Result<Explanation> {
        let request = convert::why::encode_request(request)?;
        let answer = self.diagnostics().why(request).await;
        convert::why::decode_answer(self.connection.checked(answer)?.into_inner())
    }

    /// Lets the server compare both sides of its views.
    ///
    /// # Errors
    /// Those of an engine's `verify`;
    /// `Unavailable` when the server verifies already or is gone; `Internal` for
    /// an answer that is malformed.
    pub async fn verify(&self, request: &VerifyRequest) -> Result<Verification> {
        let answer = self.diagnostics().verify(convert::verify::encode_request(request)).await;
        convert::verify::decode_answer(self.connection.checked(answer)?.into_inner())
    }

    /// Builds a training set over a spine that is sent, or that the server makes by SQL
    /// or a scan. Returns when the server has begun; rows are sent while the training set
    /// is read, and a reader is read as the server has room for its rows.
    ///
    /// # Errors
    /// Those of an engine's `training_set`; `Invalid`
    /// for a file, which is the caller's to read; `Unavailable` when the server is full or
    /// gone. Later errors come out of [`RemoteTrainingSet::next`].
    pub async fn training_set(
        &self,
        request: &TrainingSetRequest,
        spine: impl Into<Spine>,
    ) -> Result<RemoteTrainingSet> {
        let spine = spine.into();
        let command = convert::training_set::encode_request(request, &spine)?;
        let (upload, sending) = training_set::upload(command, training_set::rows(spine)?);
        let answer = self.flights().do_exchange(upload).await;
        let messages = self.connection.checked(answer)?.into_inner();
        RemoteTrainingSet::begin(messages, sending, self.connection.clone()).await
    }

    /// What applying the definitions in the server's repository would change.
    ///
    /// # Errors
    /// Those of an engine's `plan`; `Unavailable` when the
    /// server is gone; `Internal` for an answer that is malformed.
    pub async fn plan(&self) -> Result<Changes> {
        self.applied(ApplyRequest { dry_run: true, planned_version: None }).await
    }

    /// Applies the definitions in the server's repository, as they are now, if the catalog
    /// has the version that it was planned against; whatever it has if none is named.
    /// Returns the changes, with the catalog's version afterwards.
    ///
    /// # Errors
    /// As [`Client::plan`], and those of an engine's `apply`.
    pub async fn apply(&self, planned_version: Option<u64>) -> Result<Changes> {
        self.applied(ApplyRequest { dry_run: false, planned_version }).await
    }

    async fn applied(&self, request: ApplyRequest) -> Result<Changes> {
        let answer = self.registry().apply(request).await;
        let ApplyResponse { changes_json, catalog_version, warnings } =
            self.connection.checked(answer)?.into_inner();
        let changes = changes_json.iter().map(|json| serde_json::from_str(json));
        let changes = changes.collect::<Result<_, _>>().map_err(|cause| {
            Error::internal("the server's changes are malformed; use a client of its release")
                .with_source(cause)
        })?;
        Ok(Changes { changes, catalog_version, warnings })
    }

    /// Goes back to a view's previous generation.
    ///
    /// # Errors
    /// Those of an engine's `rollback`; `Unavailable`
    /// when the server is gone.
    pub async fn rollback(&self, view: &str) -> Result<RolledBack> {
        let view = view.to_owned();
        let answer = self.registry().rollback(RollbackRequest { view: view.clone() }).await;
        let RollbackResponse { from, to } = self.connection.checked(answer)?.into_inner();
        Ok(RolledBack { view, from, to })
    }

    /// Starts a job, which goes on without this client.
    ///
    /// # Errors
    /// `Conflict` when one that does the same runs; `Unavailable` when the server is
    /// gone.
    pub async fn start_job(&self, work: Work) -> Result<Job> {
        let answer = self.jobs().start_job(StartJobRequest { work: Some(work) }).await;
        Ok(self.connection.checked(answer)?.into_inner())
    }

    /// Jobs that run and the last that have ended, newest first.
    ///
    /// # Errors
    /// `Unavailable` when the server is gone.
    pub async fn list_jobs(&self) -> Result<Vec<Job>> {
        let answer = self.jobs().list_jobs(ListJobsRequest {}).await;
        Ok(self.connection.checked(answer)?.into_inner().jobs)
    }

    /// Shows a job's state to `show`, now and whenever it has changed, until it has
    /// ended; returns the last.
    ///
    /// # Errors
    /// `NotFound` when there is no such job; `Unavailable` when the server is gone.
    pub async fn watch_job(&self, id: u64, mut show: impl FnMut(&Job)) -> Result<Job> {
        let answer = self.jobs().watch_job(WatchJobRequest { id }).await;
        let mut states = self.connection.checked(answer)?.into_inner();
        let mut last = None;
        while let Some(job) = self.connection.checked(states.message().await)? {
            show(&job);
            last = Some(job);
        }
        last.ok_or_else(|| {
            Error::unavailable(format!(
                "the server forgot job {id}; look with `hitherto jobs` whether it goes on"
            ))
        })
    }

    /// Ends a job, if it runs, and leaves nothing half done.
    ///
    /// # Errors
    /// `NotFound` when there is no such job; `Unavailable` when the server is gone.
    pub async fn cancel_job(&self, id: u64) -> Result<Job> {
        let answer = self.jobs().cancel_job(CancelJobRequest { id }).await;
        Ok(self.connection.checked(answer)?.into_inner())
    }

    fn access(&self) -> AccessServiceClient<Calls> {
        AccessServiceClient::new(self.connection.calls())
    }

    fn jobs(&self) -> JobServiceClient<Calls> {
        JobServiceClient::new(self.connection.calls())
    }

    fn lookups(&self) -> LookupServiceClient<Calls> {
        LookupServiceClient::new(self.connection.calls())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    fn pushes(&self) -> PushServiceClient<Calls> {
        PushServiceClient::new(self.connection.calls()).max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    fn registry(&self) -> RegistryServiceClient<Calls> {
        RegistryServiceClient::new(self.connection.calls())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
    }

    fn diagnostics(&self) -> DiagnosticsServiceClient<Calls> {
        DiagnosticsServiceClient::new(self.connection.calls())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }

    fn flights(&self) -> FlightServiceClient<Calls> {
        FlightServiceClient::new(self.connection.calls())
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
    }
}
