//! TRAINING SET: a spine in, the same rows with features out.
//!
//! ```text
//! selection -> views and features, resolved against the catalog
//! spine     -> checked: times, join keys of every view, no name twice
//! join      -> one plan over all views (hitherto_offline::join), streamed
//! ```

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use hitherto_core::definition::Known;
use hitherto_core::slots::Terms;
use hitherto_core::{Error, Result};
use hitherto_offline::join::{JoinOutput, JoinRequest, JoinStream};

use crate::Engine;
use crate::selection::{Resolved, Selection};

pub use hitherto_offline::join::{JoinReport as TrainingSetReport, ViewReport};

/// One training set.
#[derive(Clone, Debug)]
pub struct TrainingSetRequest {
    /// What is asked for.
    pub selection: Selection,
    /// The spine's column of times.
    pub timestamp: String,
    /// The knowledge cutoff `K`, microseconds UTC; `None` is none.
    pub known_by: Option<i64>,
    /// Overrides every view's own setting; only to reproduce an older system.
    pub known: Option<Known>,
    /// How feature columns are named.
    pub names: FeatureNames,
}

/// How feature columns are named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FeatureNames {
    /// `feature`; refused when two views have one of that name.
    #[default]
    Short,
    /// `view:feature`.
    Full,
}

/// A running training set. Dropping it stops it.
pub struct TrainingSet {
    stream: JoinStream,
}

impl TrainingSet {
    /// The spine's columns as they came, then the features in request order.
    pub fn schema(&self) -> SchemaRef {
        self.stream.schema()
    }

    /// The next rows, in the spine's order; `None` after the last.
    pub async fn next(&mut self) -> Option<Result<RecordBatch>> {
        self.stream.next().await
    }

    /// Counts by view: present, absent by reason, leaks of an event-time join.
    /// Complete after the last batch.
    pub fn report(&self) -> TrainingSetReport {
        self.stream.report()
    }

    /// The plan with its metrics so far.
    pub fn explain(&self) -> String {
        self.stream.explain()
    }
}

impl Engine {
    /// Starts a training set over a spine.
    ///
    /// # Errors
    /// `NotFound` for an unknown service, view or feature; `Invalid` for a
    /// spine that does not fit; what the sources return. Later errors come
    /// out of [`TrainingSet::next`].
    pub async fn training_set(
        &self,
        request: &TrainingSetRequest,
        spine: Vec<RecordBatch>,
        spine_schema: SchemaRef,
    ) -> Result<TrainingSet> {
        if let Some(odd) = spine.iter().find(|batch| batch.schema_ref() != &spine_schema) {
            return Err(Error::invalid(format!(
                "the spine's batches have two schemas: {spine_schema} and {}",
                odd.schema_ref()
            )));
        }
        let resolved = Resolved::new(&self.catalog(), &request.selection)?;
        let outputs = resolved.features.iter().map(|feature| {
            let field = &resolved.views[feature.view].definition.features[feature.feature];
            JoinOutput {
                name: match request.names {
                    FeatureNames::Short => field.name.clone(),
                    FeatureNames::Full => feature.reference.to_string(),
                },
                view: feature.view,
                feature: feature.feature,
                data_type: field.data_type.clone(),
            }
        });
        let outputs = outputs.collect();
        let views = resolved.views.into_iter().map(|view| {
            let terms = Terms {
                ttl_micros: view.definition.ttl_micros,
                known_by: request.known_by.unwrap_or(i64::MAX),
                known: request.known.unwrap_or(view.known()),
            };
            (view, terms)
        });
        let join = JoinRequest {
            spine,
            spine_schema: Arc::clone(&spine_schema),
            timestamp: request.timestamp.clone(),
            views: views.collect(),
            outputs,
        };
        Ok(TrainingSet { stream: self.offline.join(join).await? })
    }
}
