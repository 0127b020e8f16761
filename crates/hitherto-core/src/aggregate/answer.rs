//! Answers on their way into columns.

use super::finish::Outcome;
use super::value::Value;
use crate::column::{Column, Status, Values, varlen_end};
use crate::list::Items;
use crate::types::DataType;
use crate::{Error, Result};

/// Appends an answer to a column of its function's type.
///
/// # Errors
/// `Internal` when the column is of another, `Invalid` when its text passes 4 GiB.
pub fn push(outcome: &Outcome, column: &mut Column) -> Result<()> {
    match outcome {
        Outcome::Value(value) => push_value(value, column),
        Outcome::List(values) => push_list(values, column),
        Outcome::Absent(_) => {
            column.push_absent(outcome.status());
            Ok(())
        }
    }
}

fn push_value(value: &Value<'_>, column: &mut Column) -> Result<()> {
    match (&mut column.values, value) {
        (_, Value::Null) => {
            column.push_absent(Status::Null);
            return Ok(());
        }
        (Values::Bool(values), Value::Bool(value)) => values.push(*value),
        (Values::I32(values), Value::Int(value)) => values.push(*value as i32),
        (Values::I64(values), Value::Int(value)) => values.push(*value),
        (Values::U32(values), Value::UInt(value)) => values.push(*value as u32),
        (Values::U64(values), Value::UInt(value)) => values.push(*value),
        (Values::F32(values), Value::Float(value)) => values.push(*value as f32),
        (Values::F64(values), Value::Float(value)) => values.push(*value),
        (Values::I128(values), Value::Decimal(value)) => values.push(*value),
        (_, Value::Bytes(value)) => return column.push_varlen(value),
        _ => return Err(Error::internal("an answer was computed of another type")),
    }
    column.statuses.push(Status::Present as u8);
    Ok(())
}

fn push_list(values: &[Value<'_>], column: &mut Column) -> Result<()> {
    let (DataType::List { item, .. }, Values::Varlen { ends, data }) =
        (&column.data_type, &mut column.values)
    else {
        return Err(Error::internal("a list was computed where there is none"));
    };
    let mut bytes = Vec::with_capacity(values.len() * item.slot_bytes());
    for value in values {
        push_item(value, item, &mut bytes)?;
    }
    let nulls: Vec<bool> = values.iter().map(Value::is_null).collect();
    let nulls = nulls.contains(&true).then_some(&*nulls);
    Items { bytes: &bytes, width: item.slot_bytes(), nulls }.encode(data);
    ends.push(varlen_end(data)?);
    column.statuses.push(Status::Present as u8);
    Ok(())
}

/// Appends a number as it is in the slot of a row: of a narrow integer the first bytes of the
/// wide one, which are the least.
fn push_item(value: &Value<'_>, item: &DataType, bytes: &mut Vec<u8>) -> Result<()> {
    let width = item.slot_bytes();
    match (value, item) {
        (Value::Null, _) => bytes.resize(bytes.len() + width, 0),
        (Value::Int(number), _) => bytes.extend_from_slice(&number.to_le_bytes()[..width]),
        (Value::UInt(number), _) => bytes.extend_from_slice(&number.to_le_bytes()[..width]),
        (Value::Float(number), DataType::Float32) => {
            bytes.extend_from_slice(&(*number as f32).to_le_bytes());
        }
        (Value::Float(number), _) => bytes.extend_from_slice(&number.to_le_bytes()),
        _ => return Err(Error::internal("a list was computed of what it cannot hold")),
    }
    Ok(())
}
