//! What a caller gets: batches, and the record of what they are.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use arrow::error::ArrowError;
use hitherto_api::Caller;
use hitherto_core::limits::TRAINING_SET_GRACE_SECONDS;
use hitherto_core::{Error, Result};
use hitherto_engine::{Finished, TrainingSet};
use hitherto_proto::convert::status::{from_status, to_status};
use hitherto_proto::flight::FlightData;
use tonic::Status;

use crate::admission::FairPermit;
use crate::served::{Call, Served};
use hitherto_proto::convert::training_set::Record;
use hitherto_proto::ipc::Encoder;

/// For how long one goes on whose caller's token or certificate has expired.
const GRACE: Duration = Duration::from_secs(TRAINING_SET_GRACE_SECONDS);

/// A training set on its way to a caller. Dropping it stops the work.
pub struct Answer {
    /// `None` after its last row.
    set: Option<TrainingSet>,
    encoder: Encoder,
    /// Written and not yet taken: the messages of one batch at most.
    messages: VecDeque<FlightData>,
    served: Arc<Served>,
    caller: Arc<Caller>,
    /// Given back with the last row, before the record is sent: who has the
    /// record may ask for the next training set.
    place: Option<Place>,
}

/// A place among the training sets in flight.
pub struct Place {
    call: Call,
    _permit: FairPermit,
}

impl Place {
    /// The place of a request that was admitted and is counted.
    pub fn new(call: Call, permit: FairPermit) -> Self {
        Self { call, _permit: permit }
    }
}

impl Answer {
    /// Begins with the schema, beside which the plan stands.
    pub fn new(set: TrainingSet, served: &Arc<Served>, caller: Arc<Caller>, place: Place) -> Self {
        let (encoder, schema) = Encoder::new(set.schema());
        let schema = FlightData { app_metadata: set.plan().into(), ..schema };
        Self {
            set: Some(set),
            encoder,
            messages: VecDeque::from([schema]),
            served: Arc::clone(served),
            caller,
            place: Some(place),
        }
    }

    /// The next message; `None` after the record.
    ///
    /// # Errors
    /// What went wrong in the training set, which ends it.
    pub async fn next(&mut self) -> Result<Option<FlightData>, Status> {
        while self.messages.is_empty() && self.place.is_some() {
            self.fill().await.map_err(|error| {
                let status = to_status(&error);
                match self.place.take() {
                    Some(mut place) => place.call.failed(status),
                    None => status,
                }
            })?;
        }
        Ok(self.messages.pop_front())
    }

    async fn fill(&mut self) -> Result<()> {
        self.served.goes_on(&self.caller, GRACE)?;
        let Some(mut set) = self.set.take() else { return Ok(()) };
        match set.next().await.transpose()? {
            Some(batch) => {
                self.set = Some(set);
                self.served.metrics.trained(batch.num_rows());
                self.messages.extend(self.encoder.encode(&batch).map_err(unwritten)?);
            }
            None => {
                let finished = set.finish();
                let manifest = finished.manifest()?;
                let Finished { report, plan, .. } = finished;
                let (rows, content) = (report.rows, manifest.content.hash.clone());
                self.messages.push_back(last(&Record { report, manifest, plan })?);
                if let Some(mut place) = self.place.take() {
                    place.call.note().set(|_, record| {
                        (record.count, record.detail) = (rows, content);
                        if record.entities == 0 {
                            // Of a spine that was made here nobody has seen whom it is about.
                            record.entities = rows;
                        }
                    });
                    place.call.answered().map_err(|status| from_status(&status))?;
                }
            }
        }
        Ok(())
    }
}

/// Why rows were not written: an error of ours, or Arrow's.
fn unwritten(cause: ArrowError) -> Error {
    let failed = |cause: Box<dyn std::error::Error + Send + Sync>| {
        Error::internal("the training set cannot be written as Arrow data").with_source(cause)
    };
    match cause {
        ArrowError::ExternalError(inner) => {
            inner.downcast().map_or_else(failed, |ours: Box<Error>| *ours)
        }
        cause => failed(cause.into()),
    }
}

/// The last message: the record as metadata, and no data.
fn last(record: &Record) -> Result<FlightData> {
    let json = serde_json::to_vec(record).map_err(|cause| {
        Error::internal("the training set's record cannot be written").with_source(cause)
    })?;
    Ok(FlightData { app_metadata: json.into(), ..FlightData::default() })
}
