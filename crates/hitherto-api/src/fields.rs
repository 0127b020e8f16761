//! Fields of a request, from JSON or text to columns of their types.
//!
//! A value is taken for what it is or refused: a number is no text, and one with a fraction no
//! integer.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, FixedSizeListArray, ListArray, StringArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::DataType as ArrowType;
use hitherto_core::column::Column;
use hitherto_core::definition::Field;
use hitherto_core::name::suggestion;
use hitherto_core::types::DataType;
use hitherto_core::{Error, Result};
use serde_json::Value;

use crate::arrow::{to_arrow, to_column};

/// The values of a field, one for each entity: null, bool, number, string or array. Dates,
/// timestamps and decimals are strings, and so may numbers beyond JSON be (`"NaN"`), which
/// `{"float": "NaN"}` tells from text.
///
/// # Errors
/// `Invalid` naming the position of a value that is none of the field's type.
pub fn from_json(field: &Field, values: Vec<Value>) -> Result<Column> {
    let Field { name, data_type, .. } = field;
    let array = match data_type {
        DataType::List { item, length } => lists(field, item, *length, values)?,
        _ => {
            let texts = values.into_iter().enumerate();
            let texts = texts.map(|(row, value)| {
                text(value, data_type).map_err(|found| refuse(field, row, &found))
            });
            texts_as(field, data_type, texts.collect::<Result<_>>()?, |row| row)?
        }
    };
    to_column(name.clone(), data_type, &array)
}

/// Columns of what a request brings by name.
///
/// # Errors
/// As [`from_json`]; `Invalid` for a name that is no field.
pub fn from_map(fields: &[Field], values: BTreeMap<String, Vec<Value>>) -> Result<Vec<Column>> {
    let column = |(name, values): (String, Vec<Value>)| {
        let field = fields.iter().find(|field| field.name == name);
        let field = field.ok_or_else(|| unknown(&name, fields))?;
        from_json(field, values)
    };
    values.into_iter().map(column).collect()
}

/// The same from text as it is typed; an empty one is null, but for strings.
///
/// # Errors
/// As [`from_json`]; `Invalid` for a list.
pub fn from_text(field: &Field, texts: Vec<String>) -> Result<Column> {
    let Field { name, data_type, .. } = field;
    let is_null = |text: &str| text.is_empty() && *data_type != DataType::String;
    let texts = texts.into_iter().map(|text| Some(text).filter(|text| !is_null(text)));
    let array = texts_as(field, data_type, texts.collect(), |row| row)?;
    to_column(name.clone(), data_type, &array)
}

/// A value as text that its type is read from; what it is if it is another.
fn text(value: Value, data_type: &DataType) -> std::result::Result<Option<String>, String> {
    let is_exact = matches!(data_type, DataType::Decimal128 { .. });
    let is_number = data_type.is_number() || is_exact;
    let is_float = matches!(data_type, DataType::Float32 | DataType::Float64);
    let is_beyond = |text: &str| ["NaN", "inf", "-inf"].contains(&text);
    match value {
        Value::Null => Ok(None),
        Value::Bool(value) if *data_type == DataType::Bool => Ok(Some(value.to_string())),
        Value::Number(number) if is_number => Ok(Some(number.to_string())),
        Value::String(text) if is_exact || is_float && is_beyond(&text) => Ok(Some(text)),
        Value::Object(fields) if is_float => {
            let told = fields.get("float").and_then(Value::as_str).filter(|text| is_beyond(text));
            told.map(|text| Some(text.to_owned())).ok_or_else(|| String::from("an object"))
        }
        Value::String(text) if !is_number && *data_type != DataType::Bool => Ok(Some(text)),
        // What it is and not which: errors are logged.
        Value::Bool(_) => Err(String::from("a bool")),
        Value::Number(_) => Err(String::from("a number")),
        Value::String(_) => Err(String::from("a string")),
        Value::Array(_) => Err(String::from("an array")),
        Value::Object(_) => Err(String::from("an object")),
    }
}

/// Texts as an array of a type; `row_of` is where an item was given.
fn texts_as(
    field: &Field,
    data_type: &DataType,
    texts: Vec<Option<String>>,
    row_of: impl Fn(usize) -> usize,
) -> Result<ArrayRef> {
    let texts = StringArray::from_iter(texts);
    let array = cast(&texts, &to_arrow(data_type)).map_err(|cause| {
        let Field { name, data_type, .. } = field;
        Error::invalid(format!(
            "field {name:?} of the request has type {data_type}, which text cannot say; bring it \
             over gRPC"
        ))
        .with_source(cause)
    })?;
    let lost = (0..texts.len()).find(|row| texts.is_valid(*row) && array.is_null(*row));
    match lost {
        None => Ok(array),
        Some(row) => Err(refuse(field, row_of(row), "another value")),
    }
}

fn lists(
    field: &Field,
    item: &DataType,
    length: Option<u32>,
    values: Vec<Value>,
) -> Result<ArrayRef> {
    let (mut texts, mut rows, mut lengths, mut valid) = (vec![], vec![], vec![], vec![]);
    for (row, value) in values.into_iter().enumerate() {
        let before = texts.len();
        match value {
            Value::Array(items) if length.is_none_or(|length| items.len() == length as usize) => {
                for value in items {
                    texts.push(text(value, item).map_err(|found| refuse(field, row, &found))?);
                    rows.push(row);
                }
                valid.push(true);
            }
            Value::Null => {
                // A null of a fixed length takes its place all the same.
                texts.resize(before + length.unwrap_or(0) as usize, None);
                rows.resize(texts.len(), row);
                valid.push(false);
            }
            Value::Array(_) => return Err(refuse(field, row, "an array of another length")),
            _ => return Err(refuse(field, row, "no array")),
        }
        lengths.push(texts.len() - before);
    }
    let items = texts_as(field, item, texts, |index| rows[index])?;
    let broken = |cause| Error::internal("lists cannot be made an array").with_source(cause);
    let nulls = Some(NullBuffer::from(valid));
    Ok(match to_arrow(&field.data_type) {
        ArrowType::FixedSizeList(of, length) => {
            Arc::new(FixedSizeListArray::try_new(of, length, items, nulls).map_err(broken)?)
        }
        ArrowType::List(of) => {
            let offsets = OffsetBuffer::<i32>::from_lengths(lengths);
            Arc::new(ListArray::try_new(of, offsets, items, nulls).map_err(broken)?)
        }
        _ => return Err(Error::internal("a list is no list")),
    })
}

/// Refuses a name that is none of these fields.
pub fn unknown(name: &str, fields: &[Field]) -> Error {
    let names = fields.iter().map(|field| field.name.as_str());
    Error::invalid(format!(
        "{name:?} is not a field of the request that the features asked for read{}",
        suggestion(name, names)
    ))
}

fn refuse(Field { name, data_type, .. }: &Field, row: usize, found: &str) -> Error {
    Error::invalid(format!(
        "field {name:?} of the request has {found} at position {row}, where {data_type} is \
         expected; give one, or null"
    ))
}

#[cfg(test)]
mod tests {
    use hitherto_core::column::Values;
    use serde_json::json;

    use super::*;

    fn read(data_type: &str, values: Value) -> Result<Column> {
        let field = Field {
            name: String::from("x"),
            data_type: data_type.parse().unwrap(),
            description: String::new(),
        };
        let Value::Array(values) = values else { panic!("values are an array") };
        from_json(&field, values)
    }

    #[test]
    fn json_is_read_as_the_type_says() {
        let odd = json!([1, 2.5, null, {"float": "NaN"}, "-inf"]);
        let floats = read("float64", odd).unwrap();
        assert_eq!(floats.statuses, [0, 0, 1, 0, 0]);
        let Values::F64(values) = floats.values else { panic!("float64") };
        assert!(
            values[..3] == [1.0, 2.5, 0.0] && values[3].is_nan() && values[4] == f64::NEG_INFINITY
        );
        let values = |data_type, values| read(data_type, values).unwrap().values;
        assert_eq!(values("int8", json!([-128, 127])), Values::I32(vec![-128, 127]));
        assert_eq!(values("uint64", json!([u64::MAX])), Values::U64(vec![u64::MAX]));
        assert_eq!(values("bool", json!([true, false])), Values::Bool(vec![true, false]));
        assert_eq!(values("decimal128(4, 2)", json!(["1.5", 2])), Values::I128(vec![150, 200]));
        let at = json!(["1970-01-01T00:00:01Z", "1970-01-01T02:00:00+02:00"]);
        assert_eq!(values("timestamp(us, UTC)", at), Values::I64(vec![1_000_000, 0]));
        assert_eq!(values("date32", json!(["1970-01-02"])), Values::I32(vec![1]));
        let lists = read("list(float32, 2)", json!([[1, 2], null, [3, null]])).unwrap();
        assert_eq!(lists.statuses, [0, 1, 0]);
    }

    #[test]
    fn anything_else_is_refused_with_its_place() {
        let odd = [
            ("float64", json!([1, "1"]), "a string at position 1"),
            ("float64", json!([true]), "a bool at position 0"),
            ("int64", json!([1, 1.5]), "another value at position 1"),
            ("int8", json!([128]), "another value at position 0"),
            ("string", json!([1]), "a number at position 0"),
            ("bool", json!(["true"]), "a string at position 0"),
            ("timestamp(us, UTC)", json!(["yesterday"]), "another value at position 0"),
            ("list(float32)", json!([[1], [2, "x"]]), "a string at position 1"),
            ("list(float32, 2)", json!([[1]]), "an array of another length at position 0"),
            ("string", json!([{"float": "NaN"}]), "an object at position 0"),
            ("float32", json!([{"float": "1"}]), "an object at position 0"),
        ];
        for (data_type, values, expected) in odd {
            let refused = read(data_type, values).unwrap_err().to_string();
            let expected = format!("{expected}, where {data_type} is expected; give one, or null");
            assert!(refused.contains(&expected), "{refused}");
        }
    }
}
