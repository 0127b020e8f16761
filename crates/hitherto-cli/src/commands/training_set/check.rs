//! `hitherto training-set --check`: a manifest's rows, built again and compared.

use std::fmt;
use std::path::Path;

use hitherto_api::{Manifest, Spine};
use hitherto_core::{Error, Result};
use hitherto_engine::Access;
use serde::Serialize;

use crate::numbers::counted;
use crate::session::Session;

/// Builds the rows of the manifest at `path` again, over a spine or over the one that
/// the manifest says how to make.
///
/// # Errors
/// `NotFound` when there is no manifest or a source is gone, `Invalid` when it
/// is not a manifest or the rows are others; every difference is named.
pub async fn check(path: &Path, spine: Option<Spine>, session: &Session) -> Result<()> {
    let json = std::fs::read_to_string(path).map_err(|cause| {
        Error::not_found(format!(
            "the manifest {} cannot be read; name the file that was written with --manifest",
            path.display()
        ))
        .with_source(cause)
    })?;
    let manifest = Manifest::from_json(&json)?;
    let engine = session.open(Access::ReadOnly)?;
    let mut rows = engine.rebuild(session.grant(), &manifest, spine, session.now()).await?;
    while let Some(batch) = rows.next().await {
        batch?;
    }
    let rebuilt = rows.finish().manifest()?;
    let differences = manifest.differences(&rebuilt);
    if !rebuilt.has_rows_of(&manifest) {
        return Err(Error::invalid(format!(
            "the rows are not those of the manifest; bring back what differs, or make \
             another:\n{}",
            differences.join("\n")
        )));
    }
    session.output().result(&Checked {
        rows: rebuilt.content.rows,
        content_hash: rebuilt.content.hash,
        differences,
    })
}

/// Rows that are the same.
#[derive(Serialize)]
struct Checked {
    rows: u64,
    content_hash: String,
    /// What differs without changing a row.
    differences: Vec<String>,
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = counted(self.rows, "row");
        write!(f, "the same {rows}: content {}", self.content_hash)?;
        if !self.differences.is_empty() {
            write!(f, "\nalthough these differ:")?;
        }
        self.differences.iter().try_for_each(|line| write!(f, "\n  {line}"))
    }
}
