//! What one run has of the outside world: the repository, the output and the
//! clock. This is the only place that reads the clock and who the user is.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use hitherto_api::Grant;
use hitherto_core::time::micros_since_epoch;
use hitherto_core::{Error, Result};
use hitherto_engine::{Access, Config, Engine, Plan};

use hitherto_store::{Here, Store};

use crate::cli::Globals;
use crate::credentials::ShownToServer;
use crate::output::Output;

/// One run of the binary.
#[derive(Clone, Debug)]
pub struct Session {
    root: PathBuf,
    output: Output,
    /// What the time is, if not the clock's.
    now: Option<i64>,
    /// The Python that this runs in, if it does.
    python: Option<PathBuf>,
    grant: Arc<Grant>,
}

impl Session {
    /// A run with these options, in a Python or not. Touches nothing.
    pub fn new(globals: &Globals, python: Option<PathBuf>) -> Self {
        let Globals { repo, output, now, .. } = globals;
        let grant = Arc::new(Grant::in_process(&user()));
        Self { root: repo.clone(), output: Output::new(*output), now: *now, python, grant }
    }

    /// The same run over the repository in another folder.
    pub fn over(&self, root: &Path) -> Self {
        Self { root: root.to_owned(), ..self.clone() }
    }

    /// The repository's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What the user may who runs this, where no server is asked.
    pub fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Where results and talk go.
    pub fn output(&self) -> Output {
        self.output
    }

    /// The time, in microseconds UTC: the one that was asked for, or the
    /// clock's.
    pub fn now(&self) -> i64 {
        self.now.unwrap_or_else(wall_clock)
    }

    /// The Python that this runs in: it has the package hitherto.
    pub fn python(&self) -> Option<&Path> {
        self.python.as_deref()
    }

    /// When the clock was stopped, if it was.
    pub fn stopped_at(&self) -> Option<i64> {
        self.now
    }

    /// Reads the repository's configuration.
    ///
    /// # Errors
    /// `NotFound` when there is no such folder; as [`Config::read`].
    pub fn config(&self) -> Result<Config> {
        if !self.root.is_dir() {
            let root = self.root.display();
            return Err(Error::not_found(format!(
                "there is no repository at {root}; create one with `hitherto init {root}`, or \
                 name another with --repo"
            )));
        }
        Config::read(&self.root)
    }

    /// Opens the repository. For writing, its store is created if it is not
    /// there; for reading, that is `NotFound`.
    ///
    /// # Errors
    /// As [`Session::config`] and [`Engine::open`].
    pub fn open(&self, access: Access) -> Result<Engine> {
        Engine::open(&self.root, &self.config()?, access)
    }

    /// Whether the repository has a store.
    ///
    /// # Errors
    /// As [`Session::config`].
    pub fn has_store(&self) -> Result<bool> {
        Ok(Engine::has_store(&self.root, &self.config()?))
    }

    /// Who answers: the server at a URL, or else the repository's engine. For writing, something
    /// was applied to the repository.
    ///
    /// # Errors
    /// As [`ShownToServer::connect`]; as [`Session::open`] for reading, and as
    /// [`Session::open_applied`].
    pub async fn store(
        &self,
        server: Option<&str>,
        shown: &ShownToServer,
        access: Access,
    ) -> Result<Store> {
        let engine = match (server, access) {
            (Some(url), _) => return shown.connect(url).await.map(Store::There),
            (None, Access::ReadOnly) => self.open(access)?,
            (None, Access::ReadWrite) => self.open_applied()?,
        };
        let (engine, session) = (Arc::new(engine), self.clone());
        let (grant, clock) = (Arc::clone(&self.grant), Arc::new(move || session.now()));
        Ok(Store::Here(Here { engine, grant, clock }))
    }

    /// Opens for writing a repository to which something was applied; elsewhere
    /// no store is created.
    ///
    /// # Errors
    /// As [`Session::open`] for writing; `NotFound` when there is no store.
    pub fn open_applied(&self) -> Result<Engine> {
        match self.has_store()? {
            true => self.open(Access::ReadWrite),
            // Says that there is none.
            false => self.open(Access::ReadOnly),
        }
    }

    /// Compares the repository's definitions with what is applied. Where
    /// nothing ever was, there is no store and none is created.
    ///
    /// # Errors
    /// As [`Session::open`] and [`Engine::plan`].
    pub async fn plan(&self) -> Result<Plan> {
        match self.has_store()? {
            true => self.open(Access::ReadOnly)?.plan(self.grant()).await,
            false => Engine::plan_first(self.grant(), &self.root, &self.config()?).await,
        }
    }
}

/// The clock's time, in microseconds UTC, whatever time was asked for: tokens and
/// certificates expire by it. A clock before 1970 reads as 1970.
pub fn wall_clock() -> i64 {
    micros_since_epoch(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// The name of the user who runs this, as the environment has it.
pub fn user() -> String {
    std::env::var("USER").unwrap_or_else(|_| String::from("unknown"))
}
