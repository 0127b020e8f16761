//! A process that serves: the real thing, or the echo.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use hitherto_core::time::micros_since_epoch;
use hitherto_engine::Engine;
use hitherto_engine::config::{AuditConfig, AuditLevel, ServerConfig};
use hitherto_server::{Audit, Security, ServeOptions, bind};
use serde::{Deserialize, Serialize};

use super::echo;
use super::keys::request;
use super::repository::{self, NOW_MICROS, Service};
use crate::child::{self, Serving};
use crate::{Result, grant};

/// The hidden subcommand of a serving process.
pub const SERVER: &str = "online-server";

/// Entities that are read at once to fill the cache.
const WARMING_ROWS: u64 = 1_000;

/// Who serves.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Role {
    /// `hitherto_server` over an engine.
    Real(Real),
    /// No store at all.
    Echo,
}

/// What the real server is started with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Real {
    /// The repository.
    pub root: PathBuf,
    /// Its cache.
    pub cache_bytes: u64,
    /// The entities that are read before it serves; none for a cold cache.
    pub warm_entities: u64,
    /// How it records lookups.
    pub audit: AuditLevel,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    serving: Serving,
    url: String,
}

impl Server {
    /// Starts one and waits until it serves.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(role: &Role) -> Result<Self> {
        let (serving, url) = child::start(SERVER, role)?;
        Ok(Self { serving, url })
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.serving.pid()
    }
}

/// Serves, in the process that was started for it, until that is let go.
///
/// # Errors
/// When the store cannot be opened or the port fails.
pub fn serve() -> Result<()> {
    let role: Role = child::question()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let engine = match &role {
        Role::Echo => None,
        Role::Real(real) => {
            let engine = repository::open(&real.root, real.cache_bytes)?;
            for service in [Service::Wide, Service::History] {
                warm(&engine, service, real.warm_entities, None)?;
            }
            Some(Arc::new(engine))
        }
    };
    runtime.block_on(async {
        let listener = bind("127.0.0.1:0").await?;
        child::ready(&format!("http://{}", listener.local_addr()?))?;
        let shutdown = async {
            // Whether the thread ended or broke off, the parent is gone.
            let _ = tokio::task::spawn_blocking(child::until_end).await;
        };
        match engine {
            None => echo::serve(listener, shutdown).await,
            Some(engine) => {
                let config = ServerConfig::default();
                let clock: hitherto_api::Clock = Arc::new(|| NOW_MICROS);
                let security = Security::default();
                let folder = tempfile::tempdir()?;
                let audit = match &role {
                    Role::Real(real) => recorded(folder.path(), real.audit)?,
                    Role::Echo => None,
                };
                let options = ServeOptions { listener, security, config, clock, audit, shutdown };
                Ok(hitherto_server::serve(engine, options).await?)
            }
        }
    })
}

/// What records lookups, in this folder.
fn recorded(folder: &Path, level: AuditLevel) -> Result<Option<Arc<Audit>>> {
    let config = AuditConfig { level, ..AuditConfig::default() }.within(folder);
    let clock = || micros_since_epoch(SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default());
    Ok(Audit::open(&config, Arc::new(clock))?)
}

/// Reads every row of a service as of a moment once, so that the cache holds it.
///
/// # Errors
/// Those of a lookup.
pub fn warm(engine: &Engine, service: Service, entities: u64, moment: Option<i64>) -> Result<()> {
    let count = service.entities(entities) as i64;
    for first in (0..count).step_by(WARMING_ROWS as usize) {
        let rows = first..(first + WARMING_ROWS as i64).min(count);
        engine.lookup(grant(), &request(service, rows, moment), NOW_MICROS)?;
    }
    Ok(())
}
