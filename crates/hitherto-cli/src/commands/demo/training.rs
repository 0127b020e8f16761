//! The training set over the same server, in Python or here.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hitherto_api::{FeatureNames, Selection, TrainingSetReport, TrainingSetRequest};
use hitherto_client::Client;
use hitherto_core::{Error, Result};
use serde::Deserialize;

use super::fixture::SCRIPT;
use super::narrator::Narrator;
use super::questions::TIMESTAMP;
use crate::spine::Spine;

/// A training set that was built.
pub struct Training {
    /// Rows that came back.
    pub rows: u64,
    /// Their columns, the spine's included.
    pub columns: usize,
    /// From the request to the last row; with Python, its start included.
    pub took: Duration,
    /// What it found, view by view.
    pub report: TrainingSetReport,
}

/// What the repository's script imports, by the names that pip knows.
const PACKAGES: [&str; 3] = ["hitherto", "pyarrow", "pandas"];
/// Prints which of its arguments this Python does not have. Imports none of them.
const FIND: &str = "import importlib.util as u, sys; \
    print(*(name for name in sys.argv[1:] if not u.find_spec(name)))";

/// Who builds the training set.
pub enum Builder {
    /// This Python, which has what it takes.
    Python(PathBuf),
    /// The client in this process.
    Here {
        /// What to install for the other way, if there is one.
        tip: String,
    },
}

impl Builder {
    /// The Python that was asked for, or else the one that this runs in, if it has the
    /// packages. Starts it to look.
    ///
    /// # Errors
    /// Where one was asked for: `NotFound` if there is none, `Invalid` if it lacks a package.
    pub fn choose(asked: Option<PathBuf>, own: Option<&Path>) -> Result<Self> {
        let Some(python) = asked.as_deref().or(own).map(Path::to_owned) else {
            return Ok(Builder::Here { tip: String::new() });
        };
        let missing = missing_in(&python)?;
        let install = format!("{} -m pip install {missing}", python.display());
        match (missing.is_empty(), asked) {
            (true, _) => Ok(Builder::Python(python)),
            (false, None) => {
                Ok(Builder::Here { tip: format!("To see it as a frame of pandas: {install}\n\n") })
            }
            (false, Some(_)) => Err(Error::invalid(format!(
                "{} has no {missing}, which the training set in Python needs; run {install}",
                python.display()
            ))),
        }
    }
}

/// Which packages an interpreter lacks, with spaces between.
fn missing_in(python: &Path) -> Result<String> {
    let found = Command::new(python)
        .args(["-c", FIND])
        .args(PACKAGES)
        .stdin(Stdio::null())
        .output()
        .map_err(|cause| cannot_run(python).with_source(cause))?;
    match found.status.success() {
        true => Ok(String::from_utf8_lossy(&found.stdout).trim().to_owned()),
        false => Err(cannot_run(python)),
    }
}

fn cannot_run(python: &Path) -> Error {
    let python = python.display();
    Error::not_found(format!("{python} cannot be run; name a Python with --python"))
}

/// The last line of the script's output.
#[derive(Deserialize)]
struct ScriptResult {
    rows: u64,
    columns: usize,
    report: TrainingSetReport,
}

/// Runs the repository's script with this interpreter, and passes on what it
/// prints.
///
/// # Errors
/// `NotFound` without the interpreter, `Invalid` when the script fails.
pub async fn in_python(
    python: PathBuf,
    repository: &Path,
    url: &str,
    narrator: &Narrator,
) -> Result<Training> {
    let begun = Instant::now();
    let mut script = Command::new(&python);
    script.arg(repository.join(SCRIPT)).arg(url).stdin(Stdio::null()).stderr(Stdio::inherit());
    let run = tokio::task::spawn_blocking(move || script.output()).await;
    let run = run.map_err(|cause| Error::internal("the script was lost").with_source(cause))?;
    let run = run.map_err(|cause| cannot_run(&python).with_source(cause))?;
    let took = begun.elapsed();
    let printed = String::from_utf8_lossy(&run.stdout);
    let (talk, last) = printed.trim_end().rsplit_once('\n').unwrap_or(("", printed.trim_end()));
    narrator.say(format!("{}\n\n", talk.trim_end()));
    if !run.status.success() {
        return Err(Error::invalid(format!(
            "{SCRIPT} failed ({}) with {}; look at what it wrote above",
            run.status,
            python.display()
        )));
    }
    let result: ScriptResult = serde_json::from_str(last).map_err(|cause| {
        Error::internal(format!("the last line of {SCRIPT} is not its result")).with_source(cause)
    })?;
    let ScriptResult { rows, columns, report } = result;
    Ok(Training { rows, columns, took, report })
}

/// Builds it with the client in this process.
///
/// # Errors
/// Those of the client.
pub async fn in_rust(client: &Client, spine: &Spine, selection: Selection) -> Result<Training> {
    let begun = Instant::now();
    let request = TrainingSetRequest {
        selection,
        timestamp: TIMESTAMP.to_owned(),
        timezone: None,
        known_by: None,
        known: None,
        names: FeatureNames::Short,
    };
    let (batches, schema) = (spine.batches.clone(), spine.schema.clone());
    let mut stream = client.training_set(&request, (batches, schema)).await?;
    let (mut rows, mut columns) = (0, 0);
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        rows += batch.num_rows() as u64;
        columns = batch.num_columns();
    }
    Ok(Training { rows, columns, took: begun.elapsed(), report: stream.finish()?.report })
}
