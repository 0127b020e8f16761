//! Arrow types and arrays to Hitherto's and back.
//!
//! Text and bytes come in several Arrow layouts; inside there is one. Every
//! other type has exactly one Arrow counterpart, and a column of another type
//! is refused, never cast.

mod lists;

use std::collections::HashMap;
use std::sync::Arc;

use ::arrow::array::{Array, ArrayRef, BinaryArray, BooleanArray, StringArray};
use ::arrow::buffer::{Buffer, NullBuffer};
use ::arrow::compute::cast;
use ::arrow::datatypes::{DataType as ArrowType, Schema};
use hitherto_core::row::{RowBlock, RowSchema, RowWriter};
use hitherto_core::types::DataType;
use hitherto_core::{Error, Result};

use self::lists::Lists;

/// Two columns of one name, in words that name both.
pub fn doubled(schema: &Schema) -> Option<String> {
    let fields = schema.fields();
    let mut places = HashMap::new();
    fields.iter().enumerate().find_map(|(second, field)| {
        let first = places.insert(field.name(), second)?;
        let name = field.name();
        Some(format!("two columns named {name:?}, number {} and {}", first + 1, second + 1))
    })
}

/// An array in the one layout that Hitherto reads for its type.
pub fn normalize(array: &ArrayRef) -> Result<ArrayRef> {
    let target = match array.data_type() {
        ArrowType::Dictionary(_, values) => values.as_ref().clone(),
        ArrowType::LargeUtf8 | ArrowType::Utf8View => ArrowType::Utf8,
        ArrowType::LargeBinary | ArrowType::BinaryView => ArrowType::Binary,
        _ => return Ok(Arc::clone(array)),
    };
    let cast = cast(array, &target).map_err(|cause| {
        Error::invalid("a text column holds more than 2 GiB in one batch; use smaller batches")
            .with_source(cause)
    })?;
    normalize(&cast)
}

/// A feature's values in one batch, ready to be copied into rows.
pub enum FeatureArray {
    /// Bits.
    Bool(BooleanArray),
    /// Little-endian values side by side, as in a row's slot.
    Fixed {
        /// `width` bytes a value.
        values: Buffer,
        /// Bytes of one value.
        width: usize,
        /// Which values are null.
        nulls: Option<NullBuffer>,
    },
    /// Text or bytes.
    Varlen(BinaryArray),
    /// Lists of numbers.
    List(Lists),
}

impl FeatureArray {
    /// Prepares an array whose type was checked against `data_type`.
    ///
    /// # Errors
    /// `Invalid` when a text batch is too large.
    pub fn new(array: &ArrayRef, data_type: &DataType) -> Result<Self> {
        let array = normalize(array)?;
        let data = array.to_data();
        Ok(match data_type {
            DataType::Bool => FeatureArray::Bool(BooleanArray::from(data)),
            DataType::String => {
                let text = StringArray::from(data);
                FeatureArray::Varlen(BinaryArray::from(text))
            }
            DataType::Binary => FeatureArray::Varlen(BinaryArray::from(data)),
            DataType::List { item, .. } => FeatureArray::List(Lists::new(&array, item)?),
            fixed => {
                let width = fixed.slot_bytes();
                let values =
                    data.buffers()[0].slice_with_length(data.offset() * width, data.len() * width);
                FeatureArray::Fixed { values, width, nulls: data.nulls().cloned() }
            }
        })
    }

    /// Copies the value of batch row `index` into a row being written.
    ///
    /// # Errors
    /// `Invalid` when the row grows beyond its limit.
    pub fn write(&self, index: usize, feature: usize, row: &mut RowWriter<'_>) -> Result<()> {
        match self {
            FeatureArray::Bool(array) if array.is_valid(index) => {
                row.set_fixed(feature, &[u8::from(array.value(index))]);
            }
            FeatureArray::Fixed { values, width, nulls }
                if nulls.as_ref().is_none_or(|nulls| nulls.is_valid(index)) =>
            {
                row.set_fixed(feature, &values[index * width..(index + 1) * width]);
            }
            FeatureArray::Varlen(array) if array.is_valid(index) => {
                row.set_varlen(feature, array.value(index))?;
            }
            FeatureArray::List(lists) => lists.write(index, feature, row)?,
            _ => {}
        }
        Ok(())
    }
}

impl FeatureArray {
    /// Copies values into all rows of a block, where every feature is fixed:
    /// block row `i` takes the value of batch row `place(i)`.
    pub fn write_column(
        &self,
        schema: &RowSchema,
        feature: usize,
        place: impl Fn(usize) -> usize,
        block: &mut RowBlock,
    ) {
        match self {
            FeatureArray::Bool(array) => block.set_column(schema, feature, |index| {
                let at = place(index);
                array.is_valid(at).then(|| [u8::from(array.value(at))])
            }),
            FeatureArray::Fixed { values, width, nulls } => {
                let column = FixedColumn { values, nulls: nulls.as_ref(), schema, feature };
                match width {
                    1 => column.write::<1>(place, block),
                    2 => column.write::<2>(place, block),
                    4 => column.write::<4>(place, block),
                    8 => column.write::<8>(place, block),
                    _ => column.write::<16>(place, block),
                }
            }
            FeatureArray::Varlen(_) | FeatureArray::List(_) => {}
        }
    }
}

/// Values of one width, on their way into a block.
struct FixedColumn<'a> {
    values: &'a [u8],
    nulls: Option<&'a NullBuffer>,
    schema: &'a RowSchema,
    feature: usize,
}

impl FixedColumn<'_> {
    fn write<const N: usize>(&self, place: impl Fn(usize) -> usize, block: &mut RowBlock) {
        let (values, _) = self.values.as_chunks::<N>();
        block.set_column(self.schema, self.feature, |index| {
            let at = place(index);
            self.nulls.is_none_or(|nulls| nulls.is_valid(at)).then(|| values[at])
        });
    }
}
