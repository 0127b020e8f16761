//! The rows of a training set, built here or by a server.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use hitherto_api::{Grant, Manifest, Spine, TrainingSetReport, TrainingSetRequest};
use hitherto_client::{Client, Record, RemoteTrainingSet};
use hitherto_core::Result;
use hitherto_engine::{Engine, Finished as FinishedHere, TrainingSet};

use crate::spine;

/// A training set while it is built.
pub enum Rows {
    /// By this process.
    Here(Box<TrainingSet>),
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

impl Rows {
    /// Starts a training set.
    ///
    /// # Errors
    /// Those of [`Engine::training_set`].
    pub async fn here(
        engine: &Engine,
        grant: &Grant,
        request: &TrainingSetRequest,
        spine: Spine,
        now: i64,
    ) -> Result<Self> {
        let rows = engine.training_set(grant, request, spine, now).await?;
        Ok(Rows::Here(Box::new(rows)))
    }

    /// Lets a server start one. The rows of a file are sent.
    ///
    /// # Errors
    /// Those of [`Client::training_set`]; what keeps a file from being read.
    pub async fn there(
        client: &Client,
        request: &TrainingSetRequest,
        spine: Spine,
    ) -> Result<Self> {
        let spine = match spine {
            Spine::File(path) => spine::sent(&path, request)?,
            spine => spine,
        };
        Ok(Rows::There(Box::new(client.training_set(request, spine).await?)))
    }

    /// The columns.
    pub fn schema(&self) -> SchemaRef {
        match self {
            Rows::Here(rows) => rows.schema(),
            Rows::There(rows) => rows.schema(),
        }
    }

    /// The next rows; `None` after the last.
    pub async fn next(&mut self) -> Option<Result<RecordBatch>> {
        match self {
            Rows::Here(rows) => rows.next().await,
            Rows::There(rows) => rows.next().await,
        }
    }

    /// What there is to say after the last row.
    ///
    /// # Errors
    /// Those of [`RemoteTrainingSet::finish`].
    pub fn finish(self) -> Result<Finished> {
        Ok(match self {
            Rows::Here(rows) => Finished::Here(Box::new(rows.finish())),
            Rows::There(rows) => Finished::There(Box::new(rows.finish()?)),
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

    /// What the rows are made of.
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
