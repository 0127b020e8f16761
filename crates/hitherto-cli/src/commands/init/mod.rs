//! `hitherto init`: a small repository that works at once.
//!
//! The definitions are the files of `template/`, as they are; the data are
//! made by [`starter`] around the present, so that a lookup finds something.

mod starter;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use hitherto_core::{Error, Result};
use hitherto_engine::disk::unwritable;
use serde::Serialize;

use crate::session::Session;
use crate::sink::Sink;

/// Create a small repository to change
///
/// Writes a configuration file with every setting explained, one entity, two
/// feature views and a feature service over a small generated Parquet file of
/// card payments, and label rows to build a training set from. Everything works
/// at once; replace it piece by piece with your own. The folder must be new or
/// empty.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  hitherto init my-features")]
pub struct Init {
    /// The folder to create
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// The written files, by path in the repository.
const TEMPLATE: [(&str, &str); 4] = [
    ("hitherto.yaml", include_str!("template/hitherto.yaml")),
    ("entities.yaml", include_str!("template/entities.yaml")),
    ("views/payments.yaml", include_str!("template/views/payments.yaml")),
    ("services.yaml", include_str!("template/services.yaml")),
];
/// The generated files.
const PAYMENTS: &str = "data/payments.parquet";
const LABELS: &str = "labels.parquet";

impl Init {
    /// Writes the repository and says what to do next.
    ///
    /// # Errors
    /// `Invalid` when the folder holds something, `Unavailable` when it cannot
    /// be written.
    pub fn run(self, session: &Session) -> Result<()> {
        refuse_used(&self.dir)?;
        let files = write(&self.dir, session.now())?;
        session.output().result(&Created { folder: self.dir, files })
    }
}

/// Refuses a folder that holds something; one that is not there is fine.
///
/// # Errors
/// `Invalid` when it holds something, `Unavailable` when it cannot be read.
pub fn refuse_used(folder: &Path) -> Result<()> {
    match fs::read_dir(folder).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::invalid(format!(
            "{} is not empty; name a new folder or an empty one",
            folder.display()
        ))),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(unwritable(folder, cause)),
    }
}

/// Writes all files; data around `now`.
fn write(folder: &Path, now: i64) -> Result<Vec<&'static str>> {
    let mut files = Vec::new();
    for (name, text) in TEMPLATE {
        let path = prepared(folder, name)?;
        fs::write(&path, text).map_err(|cause| unwritable(&path, cause))?;
        files.push(name);
    }
    for (name, batch) in [(PAYMENTS, starter::payments(now)?), (LABELS, starter::labels(now)?)] {
        let mut sink = Sink::create(&prepared(folder, name)?, batch.schema())?;
        sink.write(&batch)?;
        sink.finish()?;
        files.push(name);
    }
    Ok(files)
}

/// The path of a file whose folder exists.
fn prepared(folder: &Path, name: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    let parent = path.parent().unwrap_or(folder);
    fs::create_dir_all(parent).map_err(|cause| unwritable(parent, cause))?;
    Ok(path)
}

/// What was created.
#[derive(Serialize)]
struct Created {
    folder: PathBuf,
    files: Vec<&'static str>,
}

impl fmt::Display for Created {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let folder = self.folder.display();
        writeln!(f, "created a repository in {folder}")?;
        for file in &self.files {
            writeln!(f, "  {file}")?;
        }
        write!(
            f,
            "\nnext:\n  \
             cd {folder}\n  \
             hitherto apply\n  \
             hitherto materialize\n  \
             hitherto get --service fraud_v1 customer_id=1,2,3 --times\n  \
             hitherto training-set --spine {LABELS} --service fraud_v1 --out training.parquet\n  \
             hitherto serve"
        )
    }
}

#[cfg(test)]
mod tests;
