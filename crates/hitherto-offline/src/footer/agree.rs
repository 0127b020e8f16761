//! One table of several files: the columns that any of them has, each of one type.
//!
//! ```text
//! equal                                        that one
//! two of Arrow's for one of ours               ours: text is text, coded or not
//! timestamps of two units                      the finer: every moment is kept, or refused
//! UTC and +00:00                               UTC
//! nothing but nulls, and anything              anything
//! else                                         none: whoever reads that column is refused
//! ```
//!
//! What a view declares counts as one more file, so that new files read alone have the
//! types that all of them have together. A column is read as its file has it and
//! converted ([`convert`]), exactly or with an error.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use ::arrow::array::ArrayRef;
use ::arrow::compute::{CastOptions, cast_with_options};
use ::arrow::datatypes::{DataType as ArrowType, Field, Schema, SchemaRef, TimeUnit};
use hitherto_api::arrow::{from_arrow, to_arrow, type_name};
use hitherto_core::types::DataType;
use hitherto_core::{Error, Result};

use super::Footer;
use crate::files::SourceFile;

/// What files have together.
pub struct Agreed {
    /// All columns that any file has, each once.
    pub schema: SchemaRef,
    /// Columns on whose types the files do not agree, and why not.
    pub conflicts: BTreeMap<String, String>,
}

/// A column as far as files were looked at.
struct Found<'f> {
    field: Field,
    first: &'f Footer,
    files: usize,
}

/// Agrees on the columns of files, of which a view declares some.
pub fn agree(footers: &[Footer], declared: &[(&str, &DataType)]) -> Agreed {
    let mut columns: Vec<Found<'_>> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut conflicts = BTreeMap::new();
    for footer in footers {
        for field in footer.metadata.schema().fields() {
            let place = *places.entry(field.name().as_str()).or_insert(columns.len());
            if place == columns.len() {
                columns.push(Found { field: field.as_ref().clone(), first: footer, files: 0 });
            }
            let known = &mut columns[place];
            known.files += 1;
            if known.field == **field {
                continue;
            }
            match common(known.field.data_type(), field.data_type()) {
                Some(data_type) => {
                    let is_nullable = known.field.is_nullable() || field.is_nullable();
                    let field = known.field.clone().with_nullable(is_nullable);
                    known.field = field.with_data_type(data_type);
                }
                None => {
                    let told = || conflict(known, field, footer);
                    conflicts.entry(field.name().clone()).or_insert_with(told);
                }
            }
        }
    }
    let fields = columns.into_iter().map(|Found { field, files, .. }| {
        let is_nullable = field.is_nullable() || files < footers.len();
        let data_type = settle(&field, declared);
        field.with_nullable(is_nullable).with_data_type(data_type)
    });
    Agreed { schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())), conflicts }
}

fn conflict(known: &Found<'_>, found: &Field, footer: &Footer) -> String {
    format!(
        "column {:?} has type {} in source file {} and {} in {}; write both with one type",
        found.name(),
        type_name(known.field.data_type()),
        known.first.file.name,
        type_name(found.data_type()),
        footer.file.name
    )
}

/// The declared type of a column, if it can be had exactly; else the files'.
fn settle(field: &Field, declared: &[(&str, &DataType)]) -> ArrowType {
    let found = field.data_type();
    let Some((_, wanted)) = declared.iter().find(|(name, _)| name == field.name()) else {
        return found.clone();
    };
    let wanted = to_arrow(wanted);
    let is_exact = match (found, &wanted) {
        (ArrowType::Null, _) => true,
        (ArrowType::Timestamp(unit, here), ArrowType::Timestamp(finer, there)) => {
            unit <= finer && is_one_clock(here, there)
        }
        _ => false,
    };
    if is_exact { wanted } else { found.clone() }
}

/// The type in which values of both can be read, each exactly.
fn common(a: &ArrowType, b: &ArrowType) -> Option<ArrowType> {
    match (a, b) {
        // Whatever the names inside lists are.
        _ if a.equals_datatype(b) => Some(a.clone()),
        (ArrowType::Null, other) | (other, ArrowType::Null) => Some(other.clone()),
        (ArrowType::Timestamp(one, here), ArrowType::Timestamp(two, there)) => {
            let zone = if here == there { here.clone() } else { Some(Arc::from(UTC[0])) };
            is_one_clock(here, there).then(|| ArrowType::Timestamp((*one).max(*two), zone))
        }
        _ => {
            let (one, two) = (from_arrow(a)?, from_arrow(b)?);
            (one == two).then(|| to_arrow(&one))
        }
    }
}

/// Names of one clock.
const UTC: [&str; 6] = ["UTC", "+00:00", "Etc/UTC", "Z", "+00", "+0000"];

fn is_one_clock(a: &Option<Arc<str>>, b: &Option<Arc<str>>) -> bool {
    let is_utc = |zone: &Option<Arc<str>>| zone.as_deref().is_some_and(|zone| UTC.contains(&zone));
    a == b || is_utc(a) && is_utc(b)
}

/// Values of a file's column in the type that the files agreed on.
///
/// # Errors
/// `Invalid` naming file and column when one cannot be had in it.
pub fn convert(array: &ArrayRef, to: &Field, file: &SourceFile) -> Result<ArrayRef> {
    if array.data_type() == to.data_type() {
        return Ok(Arc::clone(array));
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(array, to.data_type(), &options).map_err(|cause| {
        let (whose, advice) = match to.data_type() {
            ArrowType::Timestamp(TimeUnit::Nanosecond, _) => {
                (", which another file of the source counts in", "write both in microseconds")
            }
            _ => ("", "write one that fits"),
        };
        Error::invalid(format!(
            "column {:?} of source file {} has a value that is beyond {}{whose}; {advice}",
            to.name(),
            file.name,
            to.data_type()
        ))
        .with_source(cause)
    })
}
