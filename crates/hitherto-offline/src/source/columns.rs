//! The columns of a source that a view asks for, and whether they are what it declares.

use ::arrow::datatypes::{DataType as ArrowType, Schema};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, lit};
use datafusion::prelude::DataFrame;
use hitherto_api::arrow::micros::is_zoneless;
use hitherto_api::arrow::{from_arrow, to_arrow, type_name};
use hitherto_core::catalog::AppliedView;
use hitherto_core::definition::{Aggregate, FactValue, FeatureView, Field};
use hitherto_core::name::suggestion;
use hitherto_core::rule::ALWAYS;
use hitherto_core::types::{DataType, TimeUnit};
use hitherto_core::zone::Zone;
use hitherto_core::{Error, Result};

use super::sql::condition;
use super::{SourceProblem, column};
use crate::footer::{Footers, called};

/// One column of a fact batch, in the order of [`crate::facts::FactLayout`].
pub(super) struct FactColumn<'v> {
    /// The definition's field, for messages.
    pub path: String,
    /// The source's column; of a condition, the condition.
    pub name: &'v str,
    pub role: Role<'v>,
}

/// What a column of a fact batch is.
#[derive(Clone, Copy)]
pub(super) enum Role<'v> {
    Time,
    /// No column of the source: every fact has this event time.
    Timeless,
    Deleted,
    /// Declared with this type.
    Key(&'v DataType),
    /// Declared with this type.
    Feature(&'v DataType),
    /// Part of an event's id.
    Id,
    /// No column of the source, but whether SQL over its columns is true.
    Condition,
}

impl FactColumn<'_> {
    /// Its value of each row of the source.
    ///
    /// # Errors
    /// As [`condition`].
    pub fn value(&self, source: &DataFrame) -> Result<Expr> {
        Ok(match self.role {
            Role::Timeless => {
                lit(ScalarValue::TimestampMicrosecond(Some(ALWAYS), Some("UTC".into())))
            }
            Role::Condition => condition(source, self.name)?,
            _ => column(self.name),
        })
    }
}

pub(super) fn fact_columns<'v>(view: &'v FeatureView, keys: &'v [Field]) -> Vec<FactColumn<'v>> {
    let source = &view.source;
    let path_of_field = |path: String, field: &str| match source.columns.contains_key(field) {
        true => format!("source.columns.{field}"),
        false => path,
    };
    let column = |path: &str, name: &'v str, role| FactColumn { path: path.to_owned(), name, role };
    let known = source.known_time.as_deref();
    let deleted = source.deleted.as_deref();
    let keys = keys.iter().map(|key| FactColumn {
        path: path_of_field(String::from("entity"), &key.name),
        name: source.column(&key.name),
        role: Role::Key(&key.data_type),
    });
    let values = view.fact_values().into_iter().flat_map(|fact_value| match fact_value {
        FactValue::Column { name, data_type } => {
            let path = match &view.aggregates {
                Some(_) => path_of(view, |aggregate| reads(aggregate, name)),
                None => path_of_field(format!("features.{name}"), name),
            };
            vec![FactColumn { path, name: view.column(name), role: Role::Feature(data_type) }]
        }
        FactValue::Id(columns) => {
            columns.iter().map(|name| column("source.id", name, Role::Id)).collect()
        }
        FactValue::Condition(sql) => {
            let path = path_of(view, |aggregate| aggregate.filter.as_deref() == Some(sql));
            vec![FactColumn { path, name: sql, role: Role::Condition }]
        }
    });
    let event = match source.event_time.as_deref() {
        Some(event) => column("source.eventTime", event, Role::Time),
        None => column("source.timeless", "", Role::Timeless),
    };
    keys.chain([event])
        .chain(known.map(|known| column("source.knownTime", known, Role::Time)))
        .chain(deleted.map(|deleted| column("source.deleted", deleted, Role::Deleted)))
        .chain(values)
        .collect()
}

/// The first of a view's aggregates that is such, for messages.
fn path_of(view: &FeatureView, is_such: impl Fn(&Aggregate) -> bool) -> String {
    let aggregates = view.aggregates.iter().flat_map(|aggregates| &aggregates.features);
    let first = view.features.iter().zip(aggregates).find(|(_, aggregate)| is_such(aggregate));
    first.map_or_else(String::new, |(feature, _)| format!("aggregates.{}", feature.name))
}

fn reads(aggregate: &Aggregate, column: &str) -> bool {
    aggregate.column.iter().chain(&aggregate.by).any(|read| read.name == column)
}

/// What to say of a view's event and known times that have no zone, where its definition
/// does not say whose they are either. Their types are given, as far as there are such
/// columns.
pub(crate) fn read_as_utc(
    view: &str,
    timezone: Option<&Zone>,
    event: Option<&ArrowType>,
    known: Option<&ArrowType>,
) -> Option<String> {
    let is_local = |found: Option<&ArrowType>| timezone.is_none() && found.is_some_and(is_zoneless);
    let which = match (is_local(event), is_local(known)) {
        (false, false) => return None,
        (true, false) => "event times",
        (false, true) => "known times",
        (true, true) => "event and known times",
    };
    Some(format!(
        "{which} of feature view {view:?} have no zone and are read as UTC; declare \
         source.timezone, such as Europe/Berlin, or UTC if that is what they are"
    ))
}

/// Whether files of a view's source have the columns of facts as they are. Of others a query
/// makes them: SQL, the event time of what has none, whether a condition holds.
pub(crate) fn is_read_as_stored(view: &FeatureView) -> bool {
    let mut values = view.fact_values().into_iter();
    let has_conditions = values.any(|value| matches!(value, FactValue::Condition(_)));
    view.source.sql.is_none() && !view.source.is_timeless() && !has_conditions
}

/// The source's column for each column of a view's facts.
pub(crate) fn source_columns(view: &AppliedView) -> Vec<String> {
    let columns = fact_columns(&view.definition, &view.keys);
    columns.into_iter().map(|column| column.name.to_owned()).collect()
}

/// Refuses a source that no longer fits its view.
pub(crate) fn check_view_columns(
    schema: &Schema,
    view: &AppliedView,
    footers: &Footers,
) -> Result<()> {
    let problems = check_columns(schema, &view.definition, &view.keys, footers);
    problems.first().map_or(Ok(()), |problem| {
        Err(Error::invalid(format!(
            "feature view {:?}, {}: {}",
            view.name(),
            problem.field,
            problem.message
        )))
    })
}

pub(super) fn check_columns(
    schema: &Schema,
    view: &FeatureView,
    keys: &[Field],
    footers: &Footers,
) -> Vec<SourceProblem> {
    let mut problems = Vec::new();
    for FactColumn { path, name, role } in fact_columns(view, keys) {
        let message = match (field_type(schema, name), role) {
            (_, Role::Timeless | Role::Condition) => None,
            (None, role) => Some(missing(schema, name, role, footers)),
            (Some(found), Role::Time) => {
                let is_timestamp = matches!(found, ArrowType::Timestamp(..) | ArrowType::Date32);
                (!is_timestamp).then(|| {
                    let found = type_name(found);
                    format!(
                        "column {name:?} has type {found}, where a timestamp or date is needed; \
                         name another, or cast it in source.sql"
                    )
                })
            }
            (Some(found), Role::Deleted) => (*found != ArrowType::Boolean).then(|| {
                let found = type_name(found);
                format!(
                    "column {name:?} has type {found}, where a bool is needed; name another, or \
                     cast it in source.sql"
                )
            }),
            (Some(found), Role::Key(declared) | Role::Feature(declared)) => {
                check_type(found, name, declared)
            }
            (Some(found), Role::Id) => check_id(found, name),
        };
        problems.extend(message.map(|message| SourceProblem { field: path, message }));
    }
    problems
}

fn missing(schema: &Schema, name: &str, role: Role<'_>, footers: &Footers) -> String {
    let in_path = footers.files().iter().find_map(|file| called(&file.file.name, name));
    let hint = match (role, in_path) {
        (Role::Key(declared) | Role::Feature(declared), Some(there)) => {
            let renamed = match there == name {
                true => String::new(),
                false => format!(" and source.columns: {{ {name}: {there} }}"),
            };
            format!(
                "; the paths of its files name it: declare source.partitions: [{{ name: {there}, \
                 type: {declared} }}]{renamed}"
            )
        }
        _ => {
            let names = schema.fields().iter().map(|field| field.name().as_str());
            suggestion(name, names).to_string()
        }
    };
    format!("the source has no column {name:?}{hint}")
}

fn check_id(found: &ArrowType, column: &str) -> Option<String> {
    let is_key = from_arrow(found).is_some_and(|data_type| data_type.is_key());
    (!is_key).then(|| {
        format!(
            "column {column:?} has type {}, which can be no id: ids are compared for exact \
             equality; name integers, strings, bools or dates, or take {} AS {} in source.sql",
            type_name(found),
            cast(column, &DataType::String),
            quoted(column)
        )
    })
}

fn check_type(found: &ArrowType, column: &str, declared: &DataType) -> Option<String> {
    match from_arrow(found) {
        Some(found) if found == *declared => None,
        Some(found) => Some(format!(
            "column {column:?} has type {found} where {declared} is declared; declare {found}, or \
             take {} AS {} in source.sql",
            cast(column, declared),
            quoted(column)
        )),
        None => Some(format!(
            "column {column:?} has type {found}, which cannot be kept exactly; take {} AS {} in \
             source.sql",
            cast(column, declared),
            quoted(column)
        )),
    }
}

pub(super) fn field_type<'s>(schema: &'s Schema, name: &str) -> Option<&'s ArrowType> {
    schema.fields().iter().find(|field| field.name() == name).map(|field| field.data_type())
}

/// SQL that makes a column one of a type.
fn cast(column: &str, data_type: &DataType) -> String {
    let name = match data_type {
        DataType::Bool => String::from("BOOLEAN"),
        DataType::Int8 => String::from("TINYINT"),
        DataType::Int16 => String::from("SMALLINT"),
        DataType::Int32 => String::from("INT"),
        DataType::Int64 => String::from("BIGINT"),
        DataType::UInt8 => String::from("TINYINT UNSIGNED"),
        DataType::UInt16 => String::from("SMALLINT UNSIGNED"),
        DataType::UInt32 => String::from("INT UNSIGNED"),
        DataType::UInt64 => String::from("BIGINT UNSIGNED"),
        DataType::Float32 => String::from("REAL"),
        DataType::Float64 => String::from("DOUBLE"),
        DataType::Decimal128 { precision, scale } => format!("DECIMAL({precision}, {scale})"),
        DataType::String => String::from("VARCHAR"),
        DataType::Binary => String::from("BYTEA"),
        DataType::Date32 => String::from("DATE"),
        DataType::Timestamp { .. } | DataType::List { .. } => {
            return format!("arrow_cast({}, '{}')", quoted(column), arrow_name(data_type));
        }
    };
    format!("CAST({} AS {name})", quoted(column))
}

/// A column's name as SQL takes it; it would be read in lower case otherwise.
fn quoted(column: &str) -> String {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    match column.chars().all(is_plain) && column.starts_with(|c: char| c.is_ascii_lowercase()) {
        true => column.to_owned(),
        false => format!("\"{}\"", column.replace('"', "\"\"")),
    }
}

/// A type as `arrow_cast` reads it.
fn arrow_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Timestamp { unit, zone } => {
            let unit = match unit {
                TimeUnit::Second => "Second",
                TimeUnit::Milli => "Millisecond",
                TimeUnit::Micro => "Microsecond",
                TimeUnit::Nano => "Nanosecond",
            };
            match zone {
                None => format!("Timestamp({unit}, None)"),
                Some(zone) => format!("Timestamp({unit}, Some(\"{zone}\"))"),
            }
        }
        DataType::List { item, length: None } => format!("List({})", arrow_name(item)),
        DataType::List { item, length: Some(length) } => {
            format!("FixedSizeList({length}, {})", arrow_name(item))
        }
        other => to_arrow(other).to_string(),
    }
}
