//! `hitherto schema`: the JSON Schema of definitions.

use std::fmt;

use clap::Args;
use hitherto_core::Result;
use hitherto_core::definition::schema::json_schema;
use serde::Serialize;
use serde_json::Value;

use crate::session::Session;

/// Print the JSON Schema of definitions
///
/// An editor that knows it completes and checks entities, feature views and
/// feature services while they are written.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hitherto schema > hitherto.schema.json\n\n\
    and as the first line of each definition file:\n  \
    # yaml-language-server: $schema=hitherto.schema.json")]
pub struct Schema {}

impl Schema {
    /// Prints the schema.
    ///
    /// # Errors
    /// `Unavailable` when stdout cannot be written.
    pub fn run(self, session: &Session) -> Result<()> {
        session.output().result(&Shown(json_schema()))
    }
}

/// JSON either way, indented for people.
#[derive(Serialize)]
struct Shown(Value);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.0)
    }
}
