//! Who may talk to a server, and that nobody else listens.
//!
//! ```text
//! connection -> handshake -> request -> guard -> service
//!               TLS, or       health ------------^
//!               told to       token? certificate? then whose it is
//! ```
//!
//! | module    | what it owns                                                |
//! | --------- | ----------------------------------------------------------- |
//! | `watched` | files that are read again while the server runs              |
//! | `tls`     | certificate, key and CA, as files, to one side of TLS        |
//! | `accept`  | the handshake                                                |
//! | `plain`   | what a caller without TLS is told                            |
//! | `guard`   | which requests are answered, and whose they are              |
//! | `callers` | who asks on a connection                                     |
//! | `wall`    | what time it is for what expires                             |
//!
//! A caller's certificate is checked when one comes, and asked for by the guard: so
//! health can be probed by those who have none, and everybody else is told what is
//! missing in the protocol that they speak.

mod accept;
mod callers;
mod guard;
mod plain;
mod tls;
mod wall;
mod watched;

use std::path::PathBuf;
use std::sync::Arc;

use hitherto_api::Clock;
use hitherto_core::{Error, Result};
use hitherto_engine::config::ServerConfig;
use hitherto_engine::disk::check_secret;
use hitherto_trust::identity::Tokens;
use tokio_rustls::rustls;

use crate::lifecycle::Stopping;
use watched::Watched;

pub use accept::{Tls, shake};
pub use callers::{Shown, of_connection};
pub use guard::{Denials, Guard, is_about_health};
pub use wall::Wall;

/// What a server asks of its callers. The default asks for nothing, in plain text.
#[derive(Default)]
pub struct Security {
    tls: Option<Watched<Arc<rustls::ServerConfig>>>,
    tokens: Option<Watched<Arc<Tokens>>>,
    guard: Guard,
}

impl Security {
    /// Reads the files that the settings name, from where the process runs. What is shown
    /// expires by `clock`, whatever time it is for answers.
    ///
    /// # Errors
    /// `Invalid` when a setting lacks another one that it needs, or a file does not hold
    /// what it should; `Unavailable` when one cannot be read.
    pub fn read(config: &ServerConfig, clock: Clock) -> Result<Self> {
        [&config.tls_key, &config.token_file]
            .into_iter()
            .flatten()
            .try_for_each(|file| check_secret(file))?;
        let renewed = |files: &[_], _: &_| tls::parse(files);
        let files = tls_files(config)?;
        let tls = files.map(|files| Watched::read(files, tls::parse, renewed)).transpose()?;
        let first = |files: &[_]| Tokens::parse(files).map(Arc::new);
        let again =
            |files: &[_], before: &Arc<Tokens>| Ok(Arc::new(Tokens::parse(files)?.after(before)));
        let tokens = config.token_file.clone();
        let tokens = tokens.map(|file| Watched::read(vec![file], first, again)).transpose()?;
        let guard = Guard {
            tokens: tokens.as_ref().map(Watched::current),
            asks_for_certificate: config.client_ca.is_some(),
            wall: Wall::new(clock),
            ..Guard::default()
        };
        Ok(Self { tls, tokens, guard })
    }

    /// Whether the port speaks TLS.
    pub fn is_encrypted(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether every caller is answered.
    pub fn is_open(&self) -> bool {
        self.guard.is_open()
    }

    /// Tokens that stand in their file themselves.
    pub fn bare_tokens(&self) -> usize {
        self.guard.tokens.as_ref().map_or(0, |tokens| tokens.borrow().bare())
    }

    /// Starts to follow the files, until the server stops; what they say now and later.
    pub fn follow(self, stopping: &Stopping) -> (Option<Tls>, Guard) {
        let tls = self.tls.map(|files| {
            let current = files.current();
            tokio::spawn(files.follow(stopping.clone()));
            current
        });
        if let Some(files) = self.tokens {
            tokio::spawn(files.follow(stopping.clone()));
        }
        (tls, self.guard)
    }
}

/// The files of TLS: certificate, key and, if callers need one too, their CA.
fn tls_files(config: &ServerConfig) -> Result<Option<Vec<PathBuf>>> {
    let refuse = |one: &str, other: &str| {
        Err(Error::invalid(format!("server.{one} is set without server.{other}; set both")))
    };
    match (&config.tls_cert, &config.tls_key, &config.client_ca) {
        (Some(cert), Some(key), client_ca) => {
            Ok(Some([cert, key].into_iter().chain(client_ca).cloned().collect()))
        }
        (Some(_), None, _) => refuse("tlsCert", "tlsKey"),
        (None, Some(_), _) => refuse("tlsKey", "tlsCert"),
        (None, None, Some(_)) => refuse("clientCa", "tlsCert and server.tlsKey"),
        (None, None, None) => Ok(None),
    }
}
