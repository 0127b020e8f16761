//! An open store: the engine in this process, or a client of a server.
//!
//! A store remembers what it was connected to. In a child of `fork` it opens
//! that again: a server by a new connection, a repository for reading only,
//! since the parent goes on writing.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::compute::concat_batches;
use hitherto_api::{
    Ack, FeatureNames, LookupRequest, MaterializeMode, MaterializeRequest, PushRequest, Pushed,
    Selection, TimeRange, TrainingSetRequest, VerifyRequest, WhyRequest, content_key,
};
use hitherto_client::{Changes, Client, Credentials, MaterializeWork};
use hitherto_core::definition::Known;
use hitherto_core::limits::BATCH_ROWS;
use hitherto_core::zone::Zone;
use hitherto_core::{Error, Result};
use hitherto_engine::repository::DefinitionFile;
use hitherto_engine::{Access, Config, Engine};
use parking_lot::{Mutex, MutexGuard};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use serde_json::json;

use crate::errors::raise;
use crate::keys;
use crate::lookup::Lookup;
use crate::materialize::{self, Told};
use crate::plan::Plan;
use crate::process::{self, Owned, grant, wait, wait_blocking, wait_telling};
use crate::spine::{self, Spine};
use crate::training_set::{Pass, TrainingSet};
use crate::why::Why;

/// What a store is connected to.
#[derive(Clone)]
enum Target {
    /// A folder.
    Repository { root: PathBuf, access: Access },
    /// A server's URL, and what to show there.
    Server { url: String, credentials: Credentials },
}

/// For a server: a token, the file of its CA, and those of the caller's certificate and key.
type Shown = (Option<String>, Option<PathBuf>, Option<(PathBuf, PathBuf)>);

/// Who answers.
#[derive(Clone)]
enum Backend {
    Engine(Arc<Engine>),
    Client(Client),
}

impl Target {
    fn new(target: String, read_only: bool, shown: Shown) -> Result<Self> {
        match target.split_once("://") {
            Some(("http" | "https", _)) => {
                let (token, ca, identity) = shown;
                let token = token.map(|token| token.parse()).transpose()?;
                let credentials = Credentials { token, ca, identity };
                Ok(Target::Server { url: target, credentials })
            }
            Some((scheme, _)) => Err(Error::invalid(format!(
                "{target:?} has the scheme {scheme:?}; connect to a repository's path, or to \
                 http://host:port or https://host:port"
            ))),
            None if shown != Shown::default() => Err(Error::invalid(
                "token, ca and cert are for a server; leave them out, or connect to its URL",
            )),
            None => {
                let access = if read_only { Access::ReadOnly } else { Access::ReadWrite };
                Ok(Target::Repository { root: PathBuf::from(target), access })
            }
        }
    }

    fn open(&self, py: Python<'_>) -> PyResult<Backend> {
        match self.clone() {
            Target::Server { url, credentials } => {
                let connect = async move { Client::connect_with(&url, &credentials).await };
                let client = wait(py, connect)?;
                Ok(Backend::Client(client))
            }
            Target::Repository { root, access } => {
                let process = process::current(py).map_err(raise)?;
                let open = move || open_engine(process, root, access);
                Ok(Backend::Engine(wait_blocking(py, open)?))
            }
        }
    }
}

/// Opens the engine of a repository, or shares the one that is open.
fn open_engine(process: &process::Process, root: PathBuf, access: Access) -> Result<Arc<Engine>> {
    let missing = |cause: std::io::Error| {
        Error::not_found(format!(
            "there is no repository at {}; create one with `hitherto init {0}`",
            root.display()
        ))
        .with_source(cause)
    };
    let place = (root.canonicalize().map_err(missing)?, access == Access::ReadOnly);
    // Held while opening: two threads that connect at once share one engine.
    let mut engines = process.engines.lock();
    if let Some(engine) = engines.get(&place).and_then(|engine| engine.upgrade()) {
        return Ok(engine);
    }
    let engine = Arc::new(Engine::open(&place.0, &Config::read(&root)?, access)?);
    engines.retain(|_, engine| engine.strong_count() > 0);
    engines.insert(place, Arc::downgrade(&engine));
    Ok(engine)
}

/// An open store.
#[pyclass(frozen, module = "hitherto._native")]
pub struct Store {
    target: Target,
    /// What the time is, if not the clock's; microseconds UTC.
    now: Option<i64>,
    /// `None` once closed. Never locked while anything waits.
    backend: Mutex<Option<Owned<Backend>>>,
}

impl Store {
    fn now(&self) -> i64 {
        self.now.unwrap_or_else(process::now)
    }

    fn slot(&self) -> MutexGuard<'_, Option<Owned<Backend>>> {
        self.backend.lock()
    }

    fn backend(&self, py: Python<'_>) -> PyResult<Backend> {
        match &*self.slot() {
            None => return Err(raise(Error::invalid("the store is closed; connect again"))),
            Some(backend) => {
                if let Some(backend) = backend.get() {
                    return Ok(backend.clone());
                }
            }
        }
        let target = match &self.target {
            Target::Repository { root, .. } => {
                Target::Repository { root: root.clone(), access: Access::ReadOnly }
            }
            server @ Target::Server { .. } => server.clone(),
        };
        let backend = target.open(py)?;
        *self.slot() = Some(Owned::new(backend.clone()));
        Ok(backend)
    }

    /// The engine that takes definitions from its caller.
    fn engine(&self, py: Python<'_>) -> PyResult<Arc<Engine>> {
        match self.backend(py)? {
            Backend::Engine(engine) => Ok(engine),
            Backend::Client(_) => Err(raise(Error::invalid(
                "a definition can name any file of the machine that reads it, so a server takes \
                 none from its callers; write them into its repository's folder, with \
                 hitherto.definitions.dump() or as YAML, and call plan() or apply() without \
                 definitions=, or connect to the repository's path where it is",
            ))),
        }
    }
}

#[pymethods]
impl Store {
    /// Opens `target`, a path or a URL.
    #[new]
    fn new(
        py: Python<'_>,
        target: String,
        read_only: bool,
        now: Option<i64>,
        shown: Shown,
    ) -> PyResult<Self> {
        let target = Target::new(target, read_only, shown).map_err(raise)?;
        if now.is_some() && matches!(target, Target::Server { .. }) {
            return Err(raise(Error::invalid(
                "a server has its own clock; start it with `hitherto serve --now`, or name as_of",
            )));
        }
        let backend = target.open(py)?;
        Ok(Self { target, now, backend: Mutex::new(Some(Owned::new(backend))) })
    }

    /// Lets go of the engine or the connection.
    fn close(&self, py: Python<'_>) {
        let backend = self.slot().take();
        // The last owner closes the database, which takes a while.
        py.detach(move || drop(backend));
    }

    #[getter]
    fn is_closed(&self) -> bool {
        self.slot().is_none()
    }

    #[getter]
    fn is_remote(&self) -> bool {
        matches!(self.target, Target::Server { .. })
    }

    #[expect(clippy::too_many_arguments, reason = "keyword arguments of one Python call")]
    fn training_set(
        &self,
        spine: &Bound<'_, PyTuple>,
        features: Option<Vec<String>>,
        service: Option<String>,
        timestamp: String,
        timezone: Option<String>,
        known_by: Option<i64>,
        known: Option<String>,
        full_names: bool,
    ) -> PyResult<TrainingSet> {
        let py = spine.py();
        let request = TrainingSetRequest {
            selection: selection(features, service).map_err(raise)?,
            timestamp,
            timezone: timezone.as_deref().map(Zone::named).transpose().map_err(raise)?,
            known_by,
            known: known.as_deref().map(known_time).transpose().map_err(raise)?,
            names: if full_names { FeatureNames::Full } else { FeatureNames::Short },
        };
        let (backend, now) = (self.backend(py)?, self.now());
        let spine = spine::asked(spine)?;
        let pass = wait(py, async move {
            Ok(match backend {
                Backend::Engine(engine) => {
                    let set = engine.training_set(grant(), &request, spine, now).await?;
                    Pass::Engine(Box::new(set))
                }
                Backend::Client(client) => {
                    Pass::Remote(Box::new(client.training_set(&request, spine).await?))
                }
            })
        })?;
        Ok(TrainingSet::new(pass))
    }

    fn lookup(
        &self,
        keys: &Bound<'_, PyDict>,
        features: Option<Vec<String>>,
        service: Option<String>,
        as_of: Option<i64>,
        with_times: bool,
    ) -> PyResult<Lookup> {
        let py = keys.py();
        let keys = keys::read(keys)?;
        let shown = keys.iter().map(|key| (key.column.name.clone(), Arc::clone(&key.array)));
        let shown = shown.collect();
        let request = LookupRequest {
            selection: selection(features, service).map_err(raise)?,
            keys: keys.into_iter().map(|key| key.column).collect(),
            as_of,
            with_times,
        };
        let answer = match self.backend(py)? {
            // Microseconds, mostly: not worth a trip through the runtime.
            Backend::Engine(engine) => {
                py.detach(|| engine.lookup(grant(), &request, self.now())).map_err(raise)?
            }
            Backend::Client(client) => wait(py, async move { client.lookup(&request).await })?,
        };
        Ok(Lookup::new(answer, shown))
    }

    fn why(
        &self,
        view: String,
        keys: &Bound<'_, PyDict>,
        at: Option<i64>,
        known_by: Option<i64>,
        known: Option<String>,
    ) -> PyResult<Why> {
        let py = keys.py();
        let keys = keys::read(keys)?.into_iter().map(|key| key.column).collect();
        let known = known.as_deref().map(known_time).transpose().map_err(raise)?;
        let request = WhyRequest { view, keys, at, known_by, known };
        let (backend, now) = (self.backend(py)?, self.now());
        let explanation = wait(py, async move {
            match backend {
                Backend::Engine(engine) => engine.why(grant(), &request, now).await,
                Backend::Client(client) => client.why(&request).await,
            }
        })?;
        Ok(Why::new(explanation))
    }

    /// What was found, as JSON.
    fn verify(
        &self,
        py: Python<'_>,
        views: Vec<String>,
        samples: usize,
        seed: u64,
    ) -> PyResult<String> {
        let request = VerifyRequest { views, samples, seed };
        let (backend, now) = (self.backend(py)?, self.now());
        let found = wait(py, async move {
            match backend {
                Backend::Engine(engine) => engine.verify(grant(), &request, now).await,
                Backend::Client(client) => client.verify(&request).await,
            }
        })?;
        let (values, differences) = (found.values(), found.differences());
        Ok(json!({ "views": found.views, "values": values, "differences": differences })
            .to_string())
    }

    /// With a file as it were: its name and text.
    fn plan(&self, py: Python<'_>, file: Option<(String, String)>) -> PyResult<Plan> {
        let backend = match file {
            None => self.backend(py)?,
            Some(_) => Backend::Engine(self.engine(py)?),
        };
        wait(py, async move {
            Ok(match (backend, file) {
                (Backend::Client(client), _) => {
                    let Changes { changes, catalog_version, warnings } = client.plan().await?;
                    Plan { changes, catalog_version, warnings, made: None }
                }
                (Backend::Engine(engine), None) => Plan::new(engine.plan(grant()).await?),
                (Backend::Engine(engine), Some((name, text))) => {
                    Plan::new(engine.plan_with(grant(), &DefinitionFile { name, text }).await?)
                }
            })
        })
    }

    fn apply(&self, py: Python<'_>, plan: &Plan) -> PyResult<()> {
        let now = self.now();
        match (self.backend(py)?, plan.made.clone()) {
            (Backend::Engine(engine), Some(plan)) => {
                wait(py, async move { engine.apply(grant(), &plan, now).await.map(drop) })
            }
            (Backend::Client(client), None) => {
                let version = plan.catalog_version;
                wait(py, async move { client.apply(Some(version)).await.map(drop) })
            }
            _ => {
                Err(raise(Error::invalid("the plan is another store's; plan again with this one")))
            }
        }
    }

    /// Writes a file, of this name and text, and applies the repository.
    fn apply_file(&self, py: Python<'_>, name: String, text: String) -> PyResult<Plan> {
        let (engine, now) = (self.engine(py)?, self.now());
        let file = DefinitionFile { name, text };
        Ok(Plan::new(wait(py, async move { engine.apply_with(grant(), &file, now).await })?))
    }

    /// What was done, as JSON.
    fn materialize(
        &self,
        py: Python<'_>,
        views: Vec<String>,
        full: bool,
        force: bool,
        window: (Option<i64>, Option<i64>),
        progress: Option<Py<PyAny>>,
    ) -> PyResult<String> {
        let told = Arc::new(Told::default());
        let tell = |py: Python<'_>| match &progress {
            Some(progress) => told.tell(py, progress),
            None => Ok(()),
        };
        let telling = Arc::clone(&told);
        let (backend, now) = (self.backend(py)?, self.now());
        let engine = match backend {
            Backend::Engine(engine) => engine,
            Backend::Client(client) => {
                let (from_micros, to_micros) = window;
                let work = MaterializeWork { views, full, force, from_micros, to_micros };
                let done = materialize::there(py, client, work, telling, tell)?;
                return Ok(json!(done).to_string());
            }
        };
        let mode = if full { MaterializeMode::Full } else { MaterializeMode::Incremental };
        let request = MaterializeRequest {
            views,
            mode,
            force,
            window: TimeRange::between(window.0, window.1),
        };
        let work = async move { engine.materialize(grant(), &request, now, &*telling).await };
        let done = wait_telling(py, work, tell)?;
        Ok(json!(done).to_string())
    }

    /// What was pushed, batch by batch, as JSON.
    fn push(
        &self,
        view: String,
        facts: &Bound<'_, PyAny>,
        idempotency_key: Option<&str>,
        is_durable: bool,
    ) -> PyResult<String> {
        let py = facts.py();
        let (backend, now) = (self.backend(py)?, self.now());
        let Spine { schema, batches } = Spine::read_as(facts, "facts are")?;
        let ack = if is_durable { Ack::Durable } else { Ack::Async };
        let facts = concat_batches(&schema, &batches).map_err(|cause| {
            raise(
                Error::invalid("the facts do not fit one batch; push them in parts")
                    .with_source(cause),
            )
        })?;
        let requests: Result<Vec<PushRequest>> = (0..facts.num_rows())
            .step_by(BATCH_ROWS)
            .map(|first| {
                let facts = facts.slice(first, BATCH_ROWS.min(facts.num_rows() - first));
                let idempotency_key = match idempotency_key {
                    Some("") => String::new(),
                    Some(key) => format!("{key}/{BATCH_ROWS}/{}", first / BATCH_ROWS),
                    None => content_key(&facts)?,
                };
                Ok(PushRequest { view: view.clone(), facts, idempotency_key, ack })
            })
            .collect();
        let requests = requests.map_err(raise)?;
        let pushed = match backend {
            Backend::Engine(engine) => wait_blocking(py, move || {
                requests.iter().map(|request| engine.push(grant(), request, now)).collect()
            })?,
            Backend::Client(client) => wait(py, async move { client.push(&requests).await })?,
        };
        let pushed: Vec<Pushed> = pushed;
        Ok(json!(pushed).to_string())
    }

    /// From which generation to which a view was taken back, as JSON.
    fn rollback(&self, py: Python<'_>, view: String) -> PyResult<String> {
        let backend = self.backend(py)?;
        let rolled_back = wait(py, async move {
            match backend {
                Backend::Engine(engine) => engine.rollback(grant(), &view).await,
                Backend::Client(client) => client.rollback(&view).await,
            }
        })?;
        Ok(json!(rolled_back).to_string())
    }

    /// What is applied and online, as JSON.
    fn catalog(&self, py: Python<'_>) -> PyResult<String> {
        match self.backend(py)? {
            Backend::Engine(engine) => Ok(json!(*engine.catalog()).to_string()),
            Backend::Client(client) => {
                let catalog = wait(py, async move { client.catalog().await })?;
                Ok(json!(catalog).to_string())
            }
        }
    }
}

/// Reads a timestamp as definitions and the command line do: microseconds UTC.
#[pyfunction]
pub fn parse_timestamp(text: &str) -> PyResult<i64> {
    hitherto_core::time::parse_timestamp(text).map_err(raise)
}

fn selection(features: Option<Vec<String>>, service: Option<String>) -> Result<Selection> {
    match (features, service) {
        (Some(features), None) => Selection::features(features),
        (None, Some(service)) => Ok(Selection::Service(service)),
        _ => Err(Error::invalid(
            "nothing is asked for, or two things; name either features=[\"view:feature\", ...] or \
             service=\"...\"",
        )),
    }
}

/// Reads whether known time counts.
fn known_time(text: &str) -> Result<Known> {
    match text {
        "honor" => Ok(Known::Honor),
        "ignore" => Ok(Known::Ignore),
        other => Err(Error::invalid(format!(
            "known is {other:?}; write \"honor\" or \"ignore\", or leave it out for what each view \
             declares"
        ))),
    }
}
