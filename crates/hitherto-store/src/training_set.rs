//! A training set, built here or by a server.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use hitherto_api::{Manifest, TrainingSetReport};
use hitherto_client::{Record, RemoteTrainingSet};
use hitherto_core::Result;
use hitherto_engine::{Finished as FinishedHere, TrainingSet as TrainingSetHere};

/// A training set while it is built. Dropping it stops the work.
pub enum TrainingSet {
    /// By this process.
    Here(Box<TrainingSetHere>),
    /// By a server.
    There(Box<RemoteTrainingSet>),
}

/// A training set after its last row.
pub enum Finished {
    /// Built by this process.
    Here(Box<FinishedHere>),
    /// Built by a server.
    There(Box<Record>),
}

impl TrainingSet {
    /// The spine's columns as they came, then the features in request order.
    pub fn schema(&self) -> SchemaRef {
        match self {
            TrainingSet::Here(set) => set.schema(),
            TrainingSet::There(set) => set.schema(),
        }
    }

    /// The physical plan, indented.
    pub fn plan(&self) -> String {
        match self {
            TrainingSet::Here(set) => set.plan(),
            TrainingSet::There(set) => set.plan().to_owned(),
        }
    }

    /// The next rows, in the spine's order; `None` after the last.
    pub async fn next(&mut self) -> Option<Result<RecordBatch>> {
        match self {
            TrainingSet::Here(set) => set.next().await,
            TrainingSet::There(set) => set.next().await,
        }
    }

    /// What there is to say after the last row.
    ///
    /// # Errors
    /// Those of [`RemoteTrainingSet::finish`].
    pub fn finish(self) -> Result<Finished> {
        Ok(match self {
            TrainingSet::Here(set) => Finished::Here(Box::new(set.finish())),
            TrainingSet::There(set) => Finished::There(Box::new(set.finish()?)),
        })
    }
}

impl Finished {
    /// What the run found.
    pub fn report(&self) -> &TrainingSetReport {
        match self {
            Finished::Here(finished) => &finished.report,
            Finished::There(record) => &record.report,
        }
    }

    /// The physical plan with what every operator measured.
    pub fn plan(&self) -> &str {
        match self {
            Finished::Here(finished) => &finished.plan,
            Finished::There(record) => &record.plan,
        }
    }

    /// What the rows are made of. One that was built here reads its files once more for it.
    ///
    /// # Errors
    /// Those of [`FinishedHere::manifest`].
    pub fn manifest(&self) -> Result<Manifest> {
        match self {
            Finished::Here(finished) => finished.manifest(),
            Finished::There(record) => Ok(record.manifest.clone()),
        }
    }
}
