//! `hitherto serve`: the repository over gRPC, Arrow Flight and HTTP.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use hitherto_api::Clock;
use hitherto_core::time::format_timestamp;
use hitherto_core::{Error, Result};
use hitherto_engine::Access;
use hitherto_engine::config::ServerConfig;
use hitherto_server::{Audit, Security, ServeOptions, bind, serve};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use crate::session::{Session, wall_clock};

/// Serve lookups and training sets
///
/// gRPC, Arrow Flight, health, reflection, HTTP and /metrics on one port, until
/// SIGTERM or Ctrl-C; then requests in flight are finished. The server holds the
/// store: apply, materialize, push and the like go through it, with --server. Other
/// commands read beside it. With --read-only it changes nothing, may run beside
/// another process that does, and serves what was there when it started.
///
/// What callers may take is set in hitherto.yaml, under server: lookupsInFlightMax and
/// trainingSetsInFlightMax at a time, and sqlRowsMax rows (100 million) in sqlSecondsMax
/// seconds (600) of a training set's spine that is SQL; connectionsMax connections, and
/// requestMemory (512MiB) for what callers send and are sent.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    hitherto serve\n  \
    hitherto serve --listen 0.0.0.0:7411 \\\n    \
    --tls-cert a.crt --tls-key a.key --token-file tokens\n  \
    hitherto serve --now 2180-07-23T17:36:00Z   # answer as if it were that time")]
pub struct Serve {
    /// Where to listen; port 0 takes a free one. Otherwise server.listen of hitherto.yaml,
    /// which is 127.0.0.1:7411 unless set
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Change nothing: serve beside the process that holds the store
    #[arg(long)]
    read_only: bool,
    /// A PEM file with the certificate to show, and those between it and its CA: the port
    /// then speaks TLS. Read again when it changes, as are the next three. Otherwise
    /// server.tlsCert of hitherto.yaml
    #[arg(long, value_name = "FILE", env = "HITHERTO_TLS_CERT", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// A PEM file with the certificate's key; otherwise server.tlsKey
    #[arg(long, value_name = "FILE", env = "HITHERTO_TLS_KEY", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// A PEM file with the CAs of callers, who then need a certificate of one of them;
    /// otherwise server.clientCa
    #[arg(long, value_name = "FILE", env = "HITHERTO_CLIENT_CA")]
    client_ca: Option<PathBuf>,
    /// A file that says whose tokens are, as `hitherto token` writes it; callers then need one
    /// of them. Otherwise server.tokenFile
    #[arg(long, value_name = "FILE", env = "HITHERTO_TOKEN_FILE")]
    token_file: Option<PathBuf>,
    /// Answer everybody who reaches the port, also from elsewhere than this machine, where it
    /// is refused otherwise: who they are is then known nowhere. Also server.allowAnonymous
    #[arg(long)]
    allow_anonymous: bool,
    /// The folder of the audit log, where audit.level of hitherto.yaml asks for one; no two
    /// servers have one together. Otherwise audit.folder
    #[arg(long, value_name = "DIR", env = "HITHERTO_AUDIT_FOLDER")]
    audit_folder: Option<PathBuf>,
}

impl Serve {
    /// Serves until told to stop.
    ///
    /// # Errors
    /// `NotFound` when nothing was ever applied, `Conflict` when the port is
    /// in use or another process holds the store, `Invalid` for certificates or tokens
    /// that are none, and for a port that others reach which asks nobody who they are.
    pub async fn run(self, session: &Session) -> Result<()> {
        let config = self.settings(session)?;
        let security = Security::read(&config, Arc::new(wall_clock))?;
        let engine = match self.read_only {
            true => session.open(Access::ReadOnly)?,
            false => session.open_applied()?,
        };
        let engine = Arc::new(engine);
        let audit = self.audit(session)?;
        let shutdown = stop_signal()?;
        let listener = bind(&config.listen).await?;
        let address = listener.local_addr().map_err(|cause| {
            Error::unavailable("the port that was opened cannot be read; start again")
                .with_source(cause)
        })?;

        let (says_who, ip) = (!security.is_open(), address.ip());
        if !(says_who || ip.is_loopback() || config.allow_anonymous) {
            return Err(refuse_strangers(address));
        }
        if let Some(warning) = warning(&security, ip) {
            session.output().say(warning);
        }
        if security.bare_tokens() > 0 {
            session.output().say(
                "warning: the file of tokens has some in plain text, for whoever reads it; \
                 replace them with what `hitherto token make NAME` makes",
            );
        }

        let scheme = if security.is_encrypted() { "https" } else { "http" };
        let ready = Ready {
            address: address.to_string(),
            url: format!("{scheme}://{address}"),
            catalog_version: engine.catalog().version,
            now: session.stopped_at().map(format_timestamp),
        };
        if let Some(audit) = &audit {
            session.output().say(format!("the audit log is signed by {}", audit.key()));
        }
        engine.announce(&format!("{scheme}://{}", reachable(address)))?;
        session.output().say(&ready);
        if session.output().is_json() {
            session.output().result(&ready)?;
        }
        let clock: Clock = {
            let session = session.clone();
            Arc::new(move || session.now())
        };
        serve(engine, ServeOptions { listener, security, config, clock, audit, shutdown }).await
    }
}

impl Serve {
    /// What records calls, by the world's clock whatever answers are for.
    fn audit(&self, session: &Session) -> Result<Option<Arc<Audit>>> {
        let mut config = session.config()?.audit.within(session.root());
        if let Some(folder) = &self.audit_folder {
            config.folder.clone_from(folder);
        }
        Audit::open(&config, Arc::new(wall_clock))
    }

    /// The settings of the repository, but what was asked for here. Their files are the
    /// repository's.
    fn settings(&self, session: &Session) -> Result<ServerConfig> {
        let config = session.config()?.server.within(session.root());
        let choose = |here: &Option<PathBuf>, setting: Option<PathBuf>| here.clone().or(setting);
        Ok(ServerConfig {
            listen: self.listen.clone().unwrap_or(config.listen),
            tls_cert: choose(&self.tls_cert, config.tls_cert),
            tls_key: choose(&self.tls_key, config.tls_key),
            client_ca: choose(&self.client_ca, config.client_ca),
            token_file: choose(&self.token_file, config.token_file),
            allow_anonymous: self.allow_anonymous || config.allow_anonymous,
            ..config
        })
    }
}

/// Refuses to answer whoever comes from elsewhere, without knowing who that is.
fn refuse_strangers(address: SocketAddr) -> Error {
    Error::invalid(format!(
        "{address} can be reached from elsewhere, and nothing is asked of those who come: whoever \
         they are could read and change everything; set server.tokenFile (--token-file, which \
         `hitherto token make NAME` writes) or server.clientCa (--client-ca), or say that this is \
         meant with server.allowAnonymous: true (--allow-anonymous)"
    ))
}

/// What is said before a port is opened to others.
fn warning(security: &Security, address: IpAddr) -> Option<&'static str> {
    match (address.is_loopback(), security.is_open(), security.is_encrypted()) {
        (true, ..) | (false, false, true) => None,
        (false, true, _) => Some(
            "whoever reaches this port can read and change everything: set server.tokenFile and \
             server.tlsCert, or listen on 127.0.0.1",
        ),
        (false, false, false) => Some(
            "tokens and values travel in plain text, for whoever is on their way: set \
             server.tlsCert and server.tlsKey",
        ),
    }
}

/// An address that this machine reaches: that of all interfaces is none to connect to.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Resolves when the process is told to stop.
fn stop_signal() -> Result<impl Future<Output = ()> + Send> {
    let listen = |kind| {
        signal(kind).map_err(|cause| {
            Error::unavailable("signals cannot be listened for; start again").with_source(cause)
        })
    };
    let (mut terminate, mut interrupt) =
        (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Said once the port is open.
#[derive(Serialize)]
struct Ready {
    address: String,
    url: String,
    catalog_version: u64,
    now: Option<String>,
}

impl fmt::Display for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "serving {}, catalog version {}", self.url, self.catalog_version)?;
        match &self.now {
            Some(now) => write!(f, ", as if it were {now}"),
            None => Ok(()),
        }
    }
}
