//! Lookups.

use super::{column, key};
use crate::answer::Answer;
use crate::v1::{self, lookup_request::Selection as Wire};
use hitherto_api::arrow_columns::to_ipc_stream;
use hitherto_api::{KeyColumn, Lookup, LookupRequest, Selection, ViewTimes};
use hitherto_core::column::{Column, Status};
use hitherto_core::rule::Times;
use hitherto_core::{Error, Result};

/// Reads a request that a caller sent. What it names is the engine's to find.
///
/// # Errors
/// `Invalid` when nothing is asked for, a feature reference is malformed, or a column is.
pub fn decode_request(request: v1::LookupRequest) -> Result<LookupRequest> {
    let selection = match request.selection {
        Some(Wire::Service(name)) => Selection::Service(name),
        Some(Wire::Features(list)) => Selection::features(list.features)?,
        None => {
            return Err(Error::invalid("the lookup asks for nothing; set service or features"));
        }
    };
    let keys = request.keys.into_iter().map(|column| {
        let (name, parts) = key::decode(column)?;
        Ok(KeyColumn { name, parts })
    });
    let brought = request.request.into_iter().map(column::decode_brought);
    Ok(LookupRequest {
        selection,
        keys: keys.collect::<Result<_>>()?,
        request: brought.collect::<Result<_>>()?,
        as_of: request.as_of_micros,
        with_times: request.with_times,
    })
}

/// Writes a request.
///
/// # Errors
/// `Invalid` when a key column has values of different types.
pub fn encode_request(request: &LookupRequest) -> Result<v1::LookupRequest> {
    let selection = match &request.selection {
        Selection::Service(name) => Wire::Service(name.clone()),
        Selection::Features(references) => Wire::Features(v1::FeatureList {
            features: references.iter().map(ToString::to_string).collect(),
        }),
    };
    let keys = request.keys.iter().map(|column| key::encode(&column.name, &column.parts));
    Ok(v1::LookupRequest {
        selection: Some(selection),
        keys: keys.collect::<Result<_>>()?,
        request: request.request.iter().cloned().map(Into::into).collect(),
        as_of_micros: request.as_of,
        with_times: request.with_times,
        as_arrow: false,
    })
}

/// Writes an answer as an Arrow IPC stream.
///
/// # Errors
/// As [`to_ipc_stream`].
pub fn encode_arrow_answer(answer: &Lookup) -> Result<Answer> {
    Ok(Answer {
        at_micros: answer.at,
        rows: answer.rows as u32,
        catalog_version: answer.catalog_version,
        arrow: to_ipc_stream(answer)?,
        ..Answer::default()
    })
}

/// Writes an answer; values move.
pub fn encode_answer(answer: Lookup) -> Answer {
    Answer {
        at_micros: answer.at,
        rows: answer.rows as u32,
        columns: answer.columns,
        times: answer.times.into_iter().map(encode_times).collect(),
        catalog_version: answer.catalog_version,
        arrow: Vec::new(),
    }
}

/// Reads an answer that a server sent; values move.
///
/// # Errors
/// `Internal` when it is malformed or its parts differ in length.
pub fn decode_answer(answer: v1::LookupResponse) -> Result<Lookup> {
    let rows = answer.rows as usize;
    let columns: Vec<Column> =
        answer.columns.into_iter().map(TryInto::try_into).collect::<Result<_>>()?;
    if let Some(column) = columns.iter().find(|column| column.len() != rows) {
        return Err(malformed(format!(
            "column {:?} has {} rows where the answer has {rows}",
            column.name,
            column.len()
        )));
    }
    let times = answer.times.into_iter().map(|times| decode_times(times, &columns, rows));
    Ok(Lookup {
        at: answer.at_micros,
        rows,
        times: times.collect::<Result<_>>()?,
        columns,
        catalog_version: answer.catalog_version,
        entities: [].into(),
    })
}

fn encode_times(times: ViewTimes) -> v1::ViewTimes {
    let all = times.times.iter();
    v1::ViewTimes {
        view: times.view,
        event_micros: all.clone().map(|times| times.map_or(0, |times| times.event)).collect(),
        known_micros: all.map(|times| times.map_or(0, |times| times.known)).collect(),
    }
}

/// A fact answered, or has expired, where the view's features say so: all of them have the
/// same fact, so the first column of the view tells. A server that tells no times of what
/// has expired sends zeros.
fn decode_times(times: v1::ViewTimes, columns: &[Column], rows: usize) -> Result<ViewTimes> {
    let v1::ViewTimes { view, event_micros, known_micros } = times;
    if event_micros.len() != rows || known_micros.len() != rows {
        return Err(malformed(format!("view {view:?} has no times for some of {rows} rows")));
    }
    let is_of_view =
        |column: &&Column| column.name.split_once(':').is_some_and(|(prefix, _)| prefix == view);
    let column = columns
        .iter()
        .find(is_of_view)
        .ok_or_else(|| malformed(format!("view {view:?} has times and no column")))?;
    let times = event_micros.into_iter().zip(known_micros).enumerate().map(|(row, times)| {
        let (event, known) = times;
        let is_told = match column.status(row) {
            Status::Present | Status::Null => true,
            Status::Expired => times != (0, 0),
            Status::NotFound => false,
        };
        is_told.then_some(Times { event, known })
    });
    Ok(ViewTimes { times: times.collect(), view })
}

fn malformed(what: String) -> Error {
    Error::internal(format!(
        "the server's answer is malformed: {what}; use a client of the server's release"
    ))
}

#[cfg(test)]
mod tests;
