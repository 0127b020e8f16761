//! `hitherto whoami`: who asks, as whoever answers knows it.

use std::fmt;

use clap::Args;
use hitherto_api::WhoAmI;
use hitherto_core::Result;
use hitherto_core::time::format_timestamp;
use serde::Serialize;

use crate::credentials::ShownToServer;
use crate::session::Session;

/// Say who asks, as a server knows it
///
/// By which name a server knows who shows this token or certificate, how well that is proven,
/// which roles and purposes come with it, and until when. Without a server, it is the user.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    hitherto whoami\n  \
    hitherto whoami --server https://features:7411 --ca ca.crt --token \"$TOKEN\"")]
pub struct Whoami {
    /// Ask this server
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    #[command(flatten)]
    shown: ShownToServer,
}

impl Whoami {
    /// Asks and shows it.
    ///
    /// # Errors
    /// `Denied` when it is nobody whom the server answers; `Unavailable` without a server.
    pub async fn run(self, session: &Session) -> Result<()> {
        let told = match &self.server {
            Some(url) => self.shown.connect(url).await?.who_am_i().await?,
            None => session.grant().caller().into(),
        };
        session.output().result(&Shown(told))
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Shown(WhoAmI);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WhoAmI { subject, kind, assurance, roles, purposes, expires } = &self.0;
        let listed = |names: &[String], none: &str| match names {
            [] => none.to_owned(),
            names => names.join(", "),
        };
        writeln!(f, "{subject}")?;
        writeln!(f, "is        {}", kind.name())?;
        writeln!(f, "proven by {}", assurance.name().replace('_', " "))?;
        writeln!(f, "roles     {}", listed(roles, "none"))?;
        writeln!(f, "purposes  {}", listed(purposes.as_deref().unwrap_or_default(), "any"))?;
        write!(f, "expires   {}", expires.map_or_else(|| "never".into(), format_timestamp))
    }
}
