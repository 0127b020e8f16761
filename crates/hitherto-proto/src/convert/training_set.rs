//! Training sets: the command of a Flight descriptor, and the record that comes
//! last.

use crate::v1::{
    self, training_set_request::Selection as Wire, training_set_request::Spine as WireSpine,
};
use hitherto_api::{
    FeatureNames, LabelFiles, Manifest, QueryBounds, Scan, Selection, Spine, TrainingSetReport,
    TrainingSetRequest,
};
use hitherto_core::zone::Zone;
use hitherto_core::{Error, Result};
use prost::Message;
use serde::{Deserialize, Serialize};

use super::known;

/// What a server says of a training set after its last row, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// What the run found.
    pub report: TrainingSetReport,
    /// What the rows are made of.
    pub manifest: Manifest,
    /// The physical plan with what every operator measured.
    pub plan: String,
}

/// Reads a command that a caller sent. What it names is the engine's to find.
///
/// # Errors
/// `Invalid` when it is not one, or asks for nothing.
pub fn decode_request(command: &[u8]) -> Result<TrainingSetRequest> {
    let request = decode(command)?;
    let known = known::decode(request.known_time)?;
    let selection = match request.selection {
        Some(Wire::Service(name)) => Selection::Service(name),
        Some(Wire::Features(list)) => Selection::features(list.features)?,
        None => {
            return Err(Error::invalid(
                "the training set asks for nothing; set service or features",
            ));
        }
    };
    let names = if request.full_names { FeatureNames::Full } else { FeatureNames::Short };
    let (timestamp, known_by) = (request.timestamp, request.known_by_micros);
    let timezone = request.timezone.as_deref().map(Zone::named).transpose()?;
    Ok(TrainingSetRequest { selection, timestamp, timezone, known_by, known, names })
}

/// What a command says of the spine; `None` if the call brings one. SQL that came over
/// the wire reads no files but those of views, within `bounds`.
///
/// # Errors
/// `Invalid` when it is no command.
pub fn decode_spine(command: &[u8], bounds: QueryBounds) -> Result<Option<Spine>> {
    Ok(decode(command)?.spine.map(|spine| match spine {
        WireSpine::Sql(query) => {
            Spine::Sql { query, files: LabelFiles::Closed, bounds: Some(bounds) }
        }
        WireSpine::AtMicros(at) => Spine::Scan(Scan::At(at)),
        WireSpine::Between(v1::Window { after_micros: after, until_micros: until }) => {
            Spine::Scan(Scan::Between { after, until })
        }
    }))
}

/// What a command says of the times of the spine that its call brings.
///
/// # Errors
/// `Invalid` when it is no command.
pub fn decode_times(command: &[u8]) -> Result<Option<(i64, i64)>> {
    Ok(decode(command)?
        .times
        .map(|v1::Span { first_micros, last_micros }| (first_micros, last_micros)))
}

fn decode(command: &[u8]) -> Result<v1::TrainingSetRequest> {
    v1::TrainingSetRequest::decode(command).map_err(|cause| {
        Error::invalid("the descriptor's command is not a hitherto.v1.TrainingSetRequest; send one")
            .with_source(cause)
    })
}

/// Writes a command whose call brings the spine, or none if the command says what makes it.
///
/// # Errors
/// Those of [`Spine::times`].
pub fn encode_request(request: &TrainingSetRequest, spine: &Spine) -> Result<Vec<u8>> {
    let times = spine.times(&request.timestamp, request.timezone.as_ref())?;
    let times = times.map(|(first_micros, last_micros)| v1::Span { first_micros, last_micros });
    let spine = match spine {
        Spine::Rows { .. } | Spine::Reader { .. } | Spine::File(_) => None,
        Spine::Sql { query, .. } => Some(WireSpine::Sql(query.clone())),
        Spine::Scan(Scan::At(at)) => Some(WireSpine::AtMicros(*at)),
        Spine::Scan(Scan::Between { after, until }) => {
            Some(WireSpine::Between(v1::Window { after_micros: *after, until_micros: *until }))
        }
    };
    let selection = match &request.selection {
        Selection::Service(name) => Wire::Service(name.clone()),
        Selection::Features(references) => Wire::Features(v1::FeatureList {
            features: references.iter().map(ToString::to_string).collect(),
        }),
    };
    let command = v1::TrainingSetRequest {
        selection: Some(selection),
        timestamp: request.timestamp.clone(),
        timezone: request.timezone.as_ref().map(|zone| zone.name().to_owned()),
        known_by_micros: request.known_by,
        known_time: known::encode(request.known).into(),
        full_names: request.names == FeatureNames::Full,
        spine,
        times,
    };
    Ok(command.encode_to_vec())
}

#[cfg(test)]
mod tests;
