//! What `--server` takes beside an address.

use std::path::PathBuf;

use clap::Args;
use hitherto_client::{Client, Credentials, Token};
use hitherto_core::Result;

/// What a server asks for, and whom to trust.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options of --server")]
pub struct ShownToServer {
    /// The token that the server asks for
    #[arg(
        long,
        global = true,
        value_name = "TOKEN",
        env = "HITHERTO_TOKEN",
        hide_env_values = true
    )]
    token: Option<Token>,
    /// A PEM file with the CA that signed the server's certificate; the system's if left out
    #[arg(long, global = true, value_name = "FILE", env = "HITHERTO_CA")]
    ca: Option<PathBuf>,
    /// A PEM file with a certificate of this client, for servers that ask for one
    #[arg(long, global = true, value_name = "FILE", env = "HITHERTO_CERT")]
    cert: Option<PathBuf>,
    /// A PEM file with its key, if it is not in the same file
    #[arg(long, global = true, value_name = "FILE", env = "HITHERTO_KEY", requires = "cert")]
    key: Option<PathBuf>,
}

impl ShownToServer {
    /// Whether nothing is shown that says who calls.
    pub fn is_nothing(&self) -> bool {
        self.token.is_none() && self.cert.is_none()
    }

    /// The same with this token, if none was given.
    pub fn or_token(&self, token: Option<Token>) -> Self {
        Self { token: self.token.clone().or(token), ..self.clone() }
    }

    /// Connects to the server at `url`.
    ///
    /// # Errors
    /// Those of [`Client::connect_with`].
    pub async fn connect(&self, url: &str) -> Result<Client> {
        let key = self.key.as_ref().or(self.cert.as_ref());
        let credentials = Credentials {
            token: self.token.clone(),
            ca: self.ca.clone(),
            identity: self.cert.clone().zip(key.cloned()),
        };
        Client::connect_with(url, &credentials).await
    }
}
