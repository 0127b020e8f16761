//! An open store: the engine in this process, or a client of a server.
//!
//! A store remembers what it was connected to. In a child of `fork` it opens
//! that again: a server by a new connection, a repository for reading only,
//! since the parent goes on writing.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::compute::concat_batches;
use hitherto_api::{
    Ack, FeatureNames, LookupRequest, MaterializeMode, MaterializeRequest, PushRequest, Selection,
    TimeRange, TrainingSetRequest, VerifyRequest, WhyRequest, content_key,
};
use hitherto_client::{Changes, Client, Credentials, MaterializeWork};
use hitherto_core::definition::Known;
use hitherto_core::limits::BATCH_ROWS;
use hitherto_core::zone::Zone;
use hitherto_core::{Error, Result};
use hitherto_engine::repository::DefinitionFile;
use hitherto_engine::{Access, Config, Engine};
use hitherto_store::{Here, Store as Answering};
use parking_lot::{Mutex, MutexGuard};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};
use serde_json::json;

use crate::brought;
use crate::errors::raise;
use crate::keys;
use crate::lookup::Lookup;
use crate::materialize::{self, Told};
use crate::plan::Plan;
use crate::process::{self, Owned, grant, wait, wait_blocking, wait_telling};
use crate::spine::{self, Spine};
use crate::training_set::TrainingSet;
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

    /// Opens it; an engine goes by `now`, if the time is stopped.
    fn open(&self, py: Python<'_>, now: Option<i64>) -> PyResult<Answering> {
        match self.clone() {
            Target::Server { url, credentials } => {
                let connect = async move { Client::connect_with(&url, &credentials).await };
                Ok(Answering::There(wait(py, connect)?))
            }
            Target::Repository { root, access } => {
                let process = process::current(py).map_err(raise)?;
                let engine = wait_blocking(py, move || open_engine(process, root, access))?;
                let clock = Arc::new(move || now.unwrap_or_else(process::now));
                Ok(Answering::Here(Here { engine, grant: Arc::clone(grant()), clock }))
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
    answering: Mutex<Option<Owned<Answering>>>,
    /// What lookups bring, as a server said before.
    fields: Arc<brought::Fields>,
}

impl Store {
    fn slot(&self) -> MutexGuard<'_, Option<Owned<Answering>>> {
        self.answering.lock()
    }

    fn answering(&self, py: Python<'_>) -> PyResult<Answering> {
        match &*self.slot() {
            None => return Err(raise(Error::invalid("the store is closed; connect again"))),
            Some(answering) => {
                if let Some(answering) = answering.get() {
                    return Ok(answering.clone());
                }
            }
        }
        let target = match &self.target {
            Target::Repository { root, .. } => {
                Target::Repository { root: root.clone(), access: Access::ReadOnly }
            }
            server @ Target::Server { .. } => server.clone(),
        };
        let answering = target.open(py, self.now)?;
        *self.slot() = Some(Owned::new(answering.clone()));
        Ok(answering)
    }

    /// The engine that takes definitions from its caller.
    fn here(&self, py: Python<'_>) -> PyResult<Here> {
        match self.answering(py)? {
            Answering::Here(here) => Ok(here),
            Answering::There(_) => Err(raise(Error::invalid(
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
        let answering = target.open(py, now)?;
        let answering = Mutex::new(Some(Owned::new(answering)));
        Ok(Self { target, now, answering, fields: Arc::default() })
    }

    /// Lets go of the engine or the connection.
    fn close(&self, py: Python<'_>) {
        let answering = self.slot().take();
        // The last owner closes the database, which takes a while.
        py.detach(move || drop(answering));
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
        let answering = self.answering(py)?;
        let spine = spine::asked(spine)?;
        let pass = wait(py, async move { answering.training_set(&request, spine).await })?;
        Ok(TrainingSet::new(pass))
    }

    fn lookup(
        &self,
        keys: &Bound<'_, PyDict>,
        features: Option<Vec<String>>,
        service: Option<String>,
        as_of: Option<i64>,
        with_times: bool,
        brought: Option<String>,
    ) -> PyResult<Lookup> {
        let py = keys.py();
        let keys = keys::read(keys)?;
        let shown = keys.iter().map(|key| (key.column.name.clone(), Arc::clone(&key.array)));
        let shown = shown.collect();
        let request = LookupRequest {
            selection: selection(features, service).map_err(raise)?,
            keys: keys.into_iter().map(|key| key.column).collect(),
            request: Vec::new(),
            as_of,
            with_times,
        };
        let brought = brought.as_deref().map(brought::read).transpose().map_err(raise)?;
        let answer = match (self.answering(py)?, brought) {
            // Microseconds, mostly: not worth a trip through the runtime.
            (Answering::Here(here), brought) => {
                let look_up = || here.lookup(&brought::here(&here, request, brought)?);
                py.detach(look_up).map_err(raise)?
            }
            (there, None) => wait(py, async move { there.lookup(&request).await })?,
            (there, Some(brought)) => {
                let fields = Arc::clone(&self.fields);
                wait(py, async move { fields.look_up(&there, request, brought).await })?
            }
        };
        Ok(Lookup::new(answer, shown))
    }

    fn why(
        &self,
        of: String,
        keys: &Bound<'_, PyDict>,
        at: Option<i64>,
        known_by: Option<i64>,
        known: Option<String>,
        facts: Option<usize>,
    ) -> PyResult<Why> {
        let py = keys.py();
        let keys = keys::read(keys)?.into_iter().map(|key| key.column).collect();
        let known = known.as_deref().map(known_time).transpose().map_err(raise)?;
        let request = WhyRequest { at, known_by, known, facts, ..WhyRequest::new(&of, keys) };
        let answering = self.answering(py)?;
        let explanation = wait(py, async move { answering.why(&request).await })?;
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
        let answering = self.answering(py)?;
        let found = wait(py, async move { answering.verify(&request).await })?;
        let (values, differences) = (found.values(), found.differences());
        Ok(json!({ "views": found.views, "values": values, "differences": differences })
            .to_string())
    }

    /// With a file as it were: its name and text.
    fn plan(&self, py: Python<'_>, file: Option<(String, String)>) -> PyResult<Plan> {
        let answering = match file {
            None => self.answering(py)?,
            Some(_) => Answering::Here(self.here(py)?),
        };
        wait(py, async move {
            Ok(match (answering, file) {
                (Answering::There(client), _) => {
                    let Changes { changes, catalog_version, warnings } = client.plan().await?;
                    Plan { changes, catalog_version, warnings, made: None }
                }
                (Answering::Here(Here { engine, grant, .. }), None) => {
                    Plan::new(engine.plan(&grant).await?)
                }
                (Answering::Here(Here { engine, grant, .. }), Some((name, text))) => {
                    Plan::new(engine.plan_with(&grant, &DefinitionFile { name, text }).await?)
                }
            })
        })
    }

    fn apply(&self, py: Python<'_>, plan: &Plan) -> PyResult<()> {
        match (self.answering(py)?, plan.made.clone()) {
            (Answering::Here(Here { engine, grant, clock }), Some(plan)) => {
                wait(py, async move { engine.apply(&grant, &plan, clock()).await.map(drop) })
            }
            (Answering::There(client), None) => {
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
        let Here { engine, grant, clock } = self.here(py)?;
        let file = DefinitionFile { name, text };
        Ok(Plan::new(wait(py, async move { engine.apply_with(&grant, &file, clock()).await })?))
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
        let Here { engine, grant, clock } = match self.answering(py)? {
            Answering::Here(here) => here,
            Answering::There(client) => {
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
        let work = async move { engine.materialize(&grant, &request, clock(), &*telling).await };
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
        let answering = self.answering(py)?;
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
        let pushed = wait(py, async move { answering.push(&requests).await })?;
        Ok(json!(pushed).to_string())
    }

    /// From which generation to which a view was taken back, as JSON.
    fn rollback(&self, py: Python<'_>, view: String) -> PyResult<String> {
        let answering = self.answering(py)?;
        let rolled_back = wait(py, async move { answering.rollback(&view).await })?;
        Ok(json!(rolled_back).to_string())
    }

    /// Who asks, as whoever answers knows it, as JSON.
    fn whoami(&self, py: Python<'_>) -> PyResult<String> {
        let answering = self.answering(py)?;
        let told = wait(py, async move { answering.who_am_i().await })?;
        Ok(json!(told).to_string())
    }

    /// What is applied and online, as JSON.
    fn catalog(&self, py: Python<'_>) -> PyResult<String> {
        let answering = self.answering(py)?;
        let catalog = wait(py, async move { answering.catalog().await })?;
        Ok(json!(*catalog).to_string())
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
