//! What stands where a feature has no value.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::column::Values;
use crate::types::DataType;

/// A feature's default as it is written: a bool, a number or text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DefaultValue(String);

impl DefaultValue {
    /// Takes a default of a feature of this type.
    ///
    /// # Errors
    /// Says why it is none, as the end of a sentence.
    pub fn parse(text: &str, data_type: &DataType) -> Result<Self, String> {
        let default = Self(text.to_owned());
        match (default.values(data_type), data_type) {
            (Some(_), _) => Ok(default),
            (
                None,
                DataType::Binary
                | DataType::Date32
                | DataType::Timestamp { .. }
                | DataType::List { .. },
            ) => Err(format!(
                "a feature of type {data_type} can have no default, as bools, numbers and strings \
                 can; remove it"
            )),
            (None, _) => Err(format!(
                "default {text:?} is no value of type {data_type}; write one, or remove it"
            )),
        }
    }

    /// The values of a column of this type with one row; `None` if it is none of that
    /// type.
    pub fn values(&self, data_type: &DataType) -> Option<Values> {
        let text = self.0.as_str();
        let signed = |min: i64, max: i64| {
            text.parse().ok().filter(|number: &i64| (min..=max).contains(number))
        };
        let i32s =
            |min: i32, max: i32| Some(Values::I32(vec![signed(min.into(), max.into())? as i32]));
        let u32s = |max: u32| {
            Some(Values::U32(vec![text.parse().ok().filter(|number: &u32| *number <= max)?]))
        };
        match data_type {
            DataType::Bool => Some(Values::Bool(vec![text.parse().ok()?])),
            DataType::Int8 => i32s(i8::MIN.into(), i8::MAX.into()),
            DataType::Int16 => i32s(i16::MIN.into(), i16::MAX.into()),
            DataType::Int32 => i32s(i32::MIN, i32::MAX),
            DataType::Int64 => Some(Values::I64(vec![text.parse().ok()?])),
            DataType::UInt8 => u32s(u8::MAX.into()),
            DataType::UInt16 => u32s(u16::MAX.into()),
            DataType::UInt32 => u32s(u32::MAX),
            DataType::UInt64 => Some(Values::U64(vec![text.parse().ok()?])),
            DataType::Float32 => Some(Values::F32(vec![float(text)?])),
            DataType::Float64 => Some(Values::F64(vec![float(text)?])),
            DataType::Decimal128 { precision, scale } => {
                Some(Values::I128(vec![decimal(text, *precision, *scale)?]))
            }
            DataType::String => {
                let ends = vec![u32::try_from(text.len()).ok()?];
                Some(Values::Varlen { ends, data: text.as_bytes().to_vec() })
            }
            DataType::Binary
            | DataType::Date32
            | DataType::Timestamp { .. }
            | DataType::List { .. } => None,
        }
    }
}

/// A number, also as YAML writes infinities and NaN; one that is too large is none.
fn float<F: std::str::FromStr + Into<f64> + Copy>(text: &str) -> Option<F> {
    let plain = match text {
        ".nan" | ".NaN" | ".inf" | "+.inf" | "-.inf" => text.replacen('.', "", 1),
        _ => text.to_owned(),
    };
    let number: F = plain.parse().ok()?;
    let is_written = plain.to_ascii_lowercase().contains("inf");
    (!number.into().is_infinite() || is_written).then_some(number)
}

/// A decimal, unscaled.
fn decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let scale = usize::try_from(scale).ok().filter(|scale| part.len() <= *scale)?;
    let number: i128 = format!("{whole}{part:0<scale$}").parse().ok()?;
    (number.unsigned_abs() < 10_u128.checked_pow(precision.into())?).then_some(number)
}

impl fmt::Display for DefaultValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for DefaultValue {
    /// One that was checked before.
    fn from(text: String) -> Self {
        Self(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_is_a_value_of_its_type() {
        let values = |text: &str, data_type: &str| {
            let data_type = data_type.parse().unwrap();
            DefaultValue::parse(text, &data_type).map(|default| default.values(&data_type).unwrap())
        };
        assert_eq!(values("true", "bool"), Ok(Values::Bool(vec![true])));
        assert_eq!(values("-128", "int8"), Ok(Values::I32(vec![-128])));
        assert_eq!(values("-9223372036854775808", "int64"), Ok(Values::I64(vec![i64::MIN])));
        assert_eq!(values("255", "uint8"), Ok(Values::U32(vec![255])));
        assert_eq!(values("-1.5e3", "float64"), Ok(Values::F64(vec![-1_500.0])));
        assert_eq!(values("-.inf", "float32"), Ok(Values::F32(vec![f32::NEG_INFINITY])));
        assert!(matches!(values(".nan", "float64"), Ok(Values::F64(nan)) if nan[0].is_nan()));
        assert_eq!(values("-0.5", "decimal128(4, 2)"), Ok(Values::I128(vec![-50])));
        assert_eq!(values("99.99", "decimal128(4, 2)"), Ok(Values::I128(vec![9_999])));
        let text = Values::Varlen { ends: vec![7], data: b"unknown".to_vec() };
        assert_eq!(values("unknown", "string"), Ok(text));
        let odd = [
            ("yes", "bool"),
            ("128", "int8"),
            ("1.5", "int64"),
            ("", "int64"),
            ("-1", "uint64"),
            ("1e999", "float64"),
            ("1e39", "float32"),
            ("1.234", "decimal128(4, 2)"),
            ("100.00", "decimal128(4, 2)"),
            ("1.-5", "decimal128(4, 2)"),
        ];
        for (text, data_type) in odd {
            let refused = values(text, data_type).unwrap_err();
            let expected = format!("default {text:?} is no value of type {data_type}; write one");
            assert!(refused.starts_with(&expected), "{refused}");
        }
        for data_type in ["binary", "date32", "timestamp(us, UTC)", "list(float32)"] {
            let refused = values("0", data_type).unwrap_err();
            assert!(refused.contains("can have no default"), "{refused}");
        }
    }
}
