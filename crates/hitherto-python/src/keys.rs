//! Entity keys from Python: a list for each join key, as key parts and as an
//! Arrow column of the same name.
//!
//! | Python               | key part         | Arrow column |
//! | -------------------- | ---------------- | ------------ |
//! | str                  | bytes            | string       |
//! | bytes                | bytes            | binary       |
//! | bool, numpy.bool_    | bool             | bool         |
//! | int and what is like it | signed integer | int64        |
//! | the same, one of them 2**63 or more | unsigned integer | uint64 |
//! | datetime.date        | days since 1970  | date32       |
//! | None, NaN, pandas.NA | null             | null         |
//!
//! The values of one list are of one kind. Whether that is the declared type of
//! the join key is for the engine to say.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Int64Array, StringArray, UInt64Array,
};
use hitherto_api::KeyColumn;
use hitherto_core::Error;
use hitherto_core::key::OwnedPart;
use pyo3::conversion::FromPyObjectOwned;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDate, PyDateTime, PyDict, PyFloat, PyList, PyString};

use crate::errors::raise;

/// `datetime.date.toordinal()` of 1970-01-01.
const EPOCH_ORDINAL: i32 = 719_163;

/// A join key: what the engine takes, and what the answer shows beside it.
pub struct Key {
    /// Name and parts.
    pub column: KeyColumn,
    /// The same values.
    pub array: ArrayRef,
}

/// Reads a dict of join key names to lists.
///
/// # Errors
/// `InvalidError` naming the join key and the value that cannot be one.
pub fn read(keys: &Bound<'_, PyDict>) -> PyResult<Vec<Key>> {
    let read = |(name, values): (Bound<'_, PyAny>, Bound<'_, PyAny>)| {
        let list = List { name: name.extract()?, values: values.cast_into()? };
        let (parts, array) = list.read()?;
        Ok(Key { column: KeyColumn { name: list.name, parts }, array })
    };
    keys.iter().map(read).collect()
}

/// What one value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Null,
    Bool,
    Int,
    Text,
    Binary,
    Date,
    Other,
}

impl Kind {
    fn of(value: &Bound<'_, PyAny>) -> Kind {
        let is_class = |names: [&str; 2]| {
            value.get_type().name().is_ok_and(|class| names.iter().any(|name| class == *name))
        };
        if value.is_none() {
            Kind::Null
        } else if value.is_instance_of::<PyString>() {
            Kind::Text
        } else if value.is_instance_of::<PyBytes>() {
            Kind::Binary
        } else if value.is_instance_of::<PyBool>() || is_class(["bool", "bool_"]) {
            Kind::Bool
        } else if let Ok(number) = value.cast::<PyFloat>() {
            if number.value().is_nan() { Kind::Null } else { Kind::Other }
        } else if value.is_instance_of::<PyDate>() && !value.is_instance_of::<PyDateTime>() {
            Kind::Date
        } else if value.hasattr("__index__").unwrap_or(false) {
            Kind::Int
        } else if is_class(["NAType", "NaTType"]) {
            Kind::Null
        } else {
            Kind::Other
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Null => "None",
            Kind::Bool => "a bool",
            Kind::Int => "an integer from -2**63 to 2**64 - 1, one sign beyond 2**63",
            Kind::Text => "a str",
            Kind::Binary => "bytes",
            Kind::Date => "a date",
            Kind::Other => "str, int, bytes, bool, date or None",
        }
    }
}

/// One join key's values, as Python gave them.
struct List<'py> {
    name: String,
    values: Bound<'py, PyList>,
}

/// Key parts, and the same values as a column.
type Parts = (Vec<Option<OwnedPart>>, ArrayRef);

impl<'py> List<'py> {
    /// The first value that is not null decides what all must be.
    fn read(&self) -> PyResult<Parts> {
        let mut kinds = self.values.iter().map(|value| Kind::of(&value));
        Ok(match kinds.find(|kind| *kind != Kind::Null).unwrap_or(Kind::Null) {
            // A list of nothing but nulls gets the commonest type.
            Kind::Null | Kind::Text => {
                let values: Vec<Option<String>> = self.extract(Kind::Text)?;
                let array = Arc::new(StringArray::from_iter(&values));
                (parts(values, |value| OwnedPart::Bytes(value.into_bytes())), array)
            }
            Kind::Binary => {
                let values: Vec<Option<Vec<u8>>> = self.extract(Kind::Binary)?;
                let array = Arc::new(BinaryArray::from_iter(&values));
                (parts(values, OwnedPart::Bytes), array)
            }
            Kind::Bool => {
                let values: Vec<Option<bool>> = self.extract(Kind::Bool)?;
                let array = Arc::new(BooleanArray::from(values.clone()));
                (parts(values, OwnedPart::Bool), array)
            }
            Kind::Int => match self.extract::<i64>(Kind::Int) {
                Ok(values) => {
                    let array = Arc::new(Int64Array::from(values.clone()));
                    (parts(values, OwnedPart::Int), array)
                }
                Err(_) => {
                    let values: Vec<Option<u64>> = self.extract(Kind::Int)?;
                    let array = Arc::new(UInt64Array::from(values.clone()));
                    (parts(values, OwnedPart::UInt), array)
                }
            },
            Kind::Date => {
                let values = self.map(Kind::Date, |date| {
                    Ok(date.call_method0("toordinal")?.extract::<i32>()? - EPOCH_ORDINAL)
                })?;
                let array = Arc::new(Date32Array::from(values.clone()));
                (parts(values, |days| OwnedPart::Int(days.into())), array)
            }
            Kind::Other => {
                let is_other = |value: &Bound<'py, PyAny>| Kind::of(value) == Kind::Other;
                let found = self.values.iter().enumerate().find(|(_, value)| is_other(value));
                let (row, value) = found.expect("one value was neither null nor of a known kind");
                return Err(self.refusal(row, &value, Kind::Other));
            }
        })
    }

    fn extract<T: FromPyObjectOwned<'py>>(&self, kind: Kind) -> PyResult<Vec<Option<T>>> {
        self.map(kind, |value| value.extract().map_err(Into::into))
    }

    fn map<T>(
        &self,
        kind: Kind,
        convert: impl Fn(&Bound<'py, PyAny>) -> PyResult<T>,
    ) -> PyResult<Vec<Option<T>>> {
        let convert = |(row, value): (usize, Bound<'py, PyAny>)| match Kind::of(&value) {
            Kind::Null => Ok(None),
            found if found == kind => {
                convert(&value).map(Some).map_err(|_| self.refusal(row, &value, kind))
            }
            _ => Err(self.refusal(row, &value, kind)),
        };
        self.values.iter().enumerate().map(convert).collect()
    }

    fn refusal(&self, row: usize, value: &Bound<'py, PyAny>, expected: Kind) -> PyErr {
        let found = value.repr().map_or_else(|_| String::from("a value"), |repr| repr.to_string());
        raise(Error::invalid(format!(
            "join key {:?} has {found} at position {row}, where {} is expected; give one, or \
             None",
            self.name,
            expected.name()
        )))
    }
}

fn parts<T>(values: Vec<Option<T>>, part: impl Fn(T) -> OwnedPart) -> Vec<Option<OwnedPart>> {
    values.into_iter().map(|value| value.map(&part)).collect()
}
