//! The spine as questions: which entity, at which moment.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType as ArrowType, TimeUnit, TimestampMicrosecondType};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use hitherto_api::{KeyColumn, LookupRequest, Selection};
use hitherto_core::definition::Field;
use hitherto_core::key::OwnedPart;
use hitherto_core::{Error, Result};
use hitherto_engine::selection::ResolvedView;

use crate::spine::Spine;

/// The spine's column of times.
pub const TIMESTAMP: &str = "event_timestamp";

/// One question for each spine row.
pub struct Questions {
    keys: Vec<KeyColumn>,
    times: Vec<i64>,
    /// Each view with its join keys.
    views: Vec<(String, Vec<Field>)>,
}

impl Questions {
    /// Reads the times and the join keys of `views` out of a spine.
    ///
    /// # Errors
    /// `Invalid` when the spine lacks a column, or has one of another type.
    pub fn new(spine: &Spine, views: &[ResolvedView]) -> Result<Self> {
        let rows = concat_batches(&spine.schema, &spine.batches).map_err(unusable)?;
        let mut keys: Vec<KeyColumn> = Vec::new();
        for field in views.iter().flat_map(|view| &view.keys) {
            if keys.iter().all(|key| key.name != field.name) {
                keys.push(key_column(&rows, field)?);
            }
        }
        let micros = ArrowType::Timestamp(TimeUnit::Microsecond, None);
        let times = cast(column(&rows, TIMESTAMP)?, &micros).map_err(unusable)?;
        let times = times.as_primitive::<TimestampMicrosecondType>().values().to_vec();
        let views = views.iter().map(|view| (view.view.name().to_owned(), view.keys.clone()));
        Ok(Self { keys, times, views: views.collect() })
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// The moment of a row, microseconds UTC.
    pub fn at(&self, row: usize) -> i64 {
        self.times[row]
    }

    /// Who a row is about, such as `patient_id 10000032`.
    pub fn entity(&self, row: usize) -> String {
        let keys = self.keys.iter().map(|key| match &key.parts[row] {
            Some(OwnedPart::Bytes(text)) => format!("{} {}", key.name, text.escape_ascii()),
            part => format!("{} {part:?}", key.name),
        });
        keys.collect::<Vec<_>>().join(", ")
    }

    /// Asks for `selection` of a row's entity, as of `at`.
    pub fn request(&self, row: usize, at: i64, selection: Selection) -> LookupRequest {
        let is_asked = |view: &str| match &selection {
            Selection::Service(_) => true,
            Selection::Features(features) => {
                features.iter().any(|feature| feature.view.view == view)
            }
        };
        let is_needed = |key: &&KeyColumn| {
            let mut asked = self.views.iter().filter(|(view, _)| is_asked(view));
            asked.any(|(_, keys)| keys.iter().any(|field| field.name == key.name))
        };
        let keys = self
            .keys
            .iter()
            .filter(is_needed)
            .map(|key| KeyColumn { name: key.name.clone(), parts: vec![key.parts[row].clone()] });
        let keys = keys.collect();
        let request = Vec::new();
        LookupRequest { selection, keys, request, as_of: Some(at), with_times: true }
    }
}

fn key_column(rows: &RecordBatch, field: &Field) -> Result<KeyColumn> {
    let texts = texts(rows, &field.name)?.into_iter();
    let parts = texts.map(|text| OwnedPart::parse(&text, &field.data_type).map(Some));
    Ok(KeyColumn { name: field.name.clone(), parts: parts.collect::<Result<_>>()? })
}

fn column<'b>(rows: &'b RecordBatch, name: &str) -> Result<&'b dyn Array> {
    let column = rows.column_by_name(name);
    column.map(AsRef::as_ref).ok_or_else(|| {
        Error::invalid(format!(
            "the spine has no column {name:?}; run `hitherto demo` again, in another folder"
        ))
    })
}

fn texts(rows: &RecordBatch, name: &str) -> Result<Vec<String>> {
    let options = FormatOptions::default();
    let column = column(rows, name)?;
    let formatter = ArrayFormatter::try_new(column, &options).map_err(unusable)?;
    (0..column.len()).map(|row| formatter.value(row).try_to_string().map_err(unusable)).collect()
}

fn unusable(cause: arrow::error::ArrowError) -> Error {
    Error::invalid("the spine cannot be read; run `hitherto demo` again, in another folder")
        .with_source(cause)
}
