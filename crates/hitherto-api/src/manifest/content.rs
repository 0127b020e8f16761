//! The content hash of rows: what two equal training sets have in common.
//!
//! ```text
//! column   its name and type, XXH3-128 of its values, XXH3-128 of its validity
//! values   fixed width: little-endian bytes, zero where null
//!          text, bytes: length u64, then the bytes; length 0 where null
//!          other:       length u64, then Arrow's row format of the value
//! content  XXH3-128 over the number of rows and all columns in order
//! ```
//!
//! Rows are hashed as one sequence, so that batches, threads, files and
//! compression leave no trace; layouts of one type (dictionaries, large and view
//! arrays) are hashed as the plain one. The hash finds accidents: it is not made
//! to withstand forgery. It is written into manifests, so its form is pinned by
//! a test.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema};
use arrow::row::{RowConverter, SortField};
use hitherto_core::{Error, Result};
use xxhash_rust::xxh3::Xxh3Default;

/// A content hash in the making.
pub struct ContentHash {
    rows: u64,
    columns: Vec<ColumnHash>,
}

struct ColumnHash {
    name: String,
    data_type: DataType,
    values: Xxh3Default,
    validity: Xxh3Default,
    form: Form,
}

/// How a column's values are written.
enum Form {
    Bool,
    Fixed { width: usize },
    Varlen,
    Row(RowConverter),
}

impl ContentHash {
    /// Of no rows yet.
    ///
    /// # Errors
    /// `Invalid` for a column of a type that cannot be hashed.
    pub fn new(schema: &Schema) -> Result<Self> {
        let columns = schema.fields().iter();
        let columns = columns.map(|field| ColumnHash::new(field.name(), field.data_type()));
        Ok(Self { rows: 0, columns: columns.collect::<Result<_>>()? })
    }

    /// Adds the next rows.
    ///
    /// # Errors
    /// `Invalid` when a batch of text is too large to be laid out plainly.
    pub fn update(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        self.columns
            .iter_mut()
            .zip(batch.columns())
            .try_for_each(|(column, array)| column.update(array))
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The hash of the rows so far, in hexadecimal.
    pub fn digest(&self) -> String {
        self.digest_of_first(self.columns.len())
    }

    /// The hash of the same rows without the columns after the first so many.
    pub fn digest_of_first(&self, columns: usize) -> String {
        let mut all = Xxh3Default::new();
        all.update(b"hitherto content 1\n");
        all.update(&self.rows.to_le_bytes());
        for column in self.columns.iter().take(columns) {
            for text in [&column.name, &column.data_type.to_string()] {
                all.update(&(text.len() as u64).to_le_bytes());
                all.update(text.as_bytes());
            }
            all.update(&column.values.digest128().to_le_bytes());
            all.update(&column.validity.digest128().to_le_bytes());
        }
        format!("{:032x}", all.digest128())
    }
}

impl ColumnHash {
    fn new(name: &str, data_type: &DataType) -> Result<Self> {
        let data_type = plain(data_type);
        let form = match &data_type {
            DataType::Boolean => Form::Bool,
            DataType::Utf8 | DataType::Binary => Form::Varlen,
            other => match other.primitive_width() {
                Some(width) => Form::Fixed { width },
                None => Form::Row(converter(name, other)?),
            },
        };
        Ok(Self {
            name: name.to_owned(),
            data_type,
            values: Xxh3Default::new(),
            validity: Xxh3Default::new(),
            form,
        })
    }

    fn update(&mut self, array: &ArrayRef) -> Result<()> {
        let unreadable = |cause| {
            Error::invalid("a column cannot be laid out plainly to be hashed; use smaller batches")
                .with_source(cause)
        };
        let array = cast(array, &self.data_type).map_err(unreadable)?;
        let valid: Vec<u8> = (0..array.len()).map(|row| u8::from(array.is_valid(row))).collect();
        self.validity.update(&valid);
        match &self.form {
            Form::Bool => {
                let bits = array.as_boolean();
                let byte = |row: usize| u8::from(valid[row] == 1 && bits.value(row));
                let bytes: Vec<u8> = (0..bits.len()).map(byte).collect();
                self.values.update(&bytes);
            }
            Form::Fixed { width } => self.update_fixed(&array, *width, &valid),
            Form::Varlen => {
                let bytes = cast(&array, &DataType::Binary).map_err(unreadable)?;
                let bytes = bytes.as_binary::<i32>();
                for value in bytes {
                    update_varlen(&mut self.values, value.unwrap_or_default());
                }
            }
            Form::Row(converter) => {
                let rows = converter.convert_columns(&[array]).map_err(unreadable)?;
                rows.iter().for_each(|row| update_varlen(&mut self.values, row.data()));
            }
        }
        Ok(())
    }

    fn update_fixed(&mut self, array: &ArrayRef, width: usize, valid: &[u8]) {
        let data = array.to_data();
        let from = data.offset() * width;
        let bytes = &data.buffers()[0][from..from + data.len() * width];
        if array.null_count() == 0 {
            self.values.update(bytes);
            return;
        }
        let mut zeroed = bytes.to_vec();
        for (value, valid) in zeroed.chunks_exact_mut(width).zip(valid) {
            if *valid == 0 {
                value.fill(0);
            }
        }
        self.values.update(&zeroed);
    }
}

/// The plain layout of a type.
fn plain(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, values) => plain(values),
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        other => other.clone(),
    }
}

fn converter(name: &str, data_type: &DataType) -> Result<RowConverter> {
    RowConverter::new(vec![SortField::new(data_type.clone())]).map_err(|cause| {
        Error::invalid(format!(
            "column {name:?} has type {data_type}, which cannot be hashed; cast it, or leave it \
             out of the spine"
        ))
        .with_source(cause)
    })
}

fn update_varlen(hash: &mut Xxh3Default, value: &[u8]) {
    hash.update(&(value.len() as u64).to_le_bytes());
    hash.update(value);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::types::{Float32Type, Int32Type};
    use arrow::array::{
        BooleanArray, DictionaryArray, Int64Array, Int64Builder, LargeStringArray, ListArray,
        MapBuilder, NullArray, StringArray, StringBuilder,
    };
    use arrow::buffer::{NullBuffer, ScalarBuffer};

    use super::*;

    fn batch(text: ArrayRef) -> RecordBatch {
        let rows = text.len();
        // A null is a null, whatever lies beneath.
        let numbers = ScalarBuffer::from((0..rows as i64).collect::<Vec<_>>());
        let nulls = NullBuffer::from_iter((0..rows).map(|row| row != 1));
        let lists = (0..rows).map(|row| Some(vec![Some(row as f32), None]));
        RecordBatch::try_from_iter_with_nullable([
            ("text", text, true),
            ("number", Arc::new(Int64Array::new(numbers, Some(nulls))) as ArrayRef, true),
            ("flag", Arc::new(BooleanArray::from(vec![true; rows])), true),
            ("list", Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(lists)), true),
        ])
        .unwrap()
    }

    fn words() -> Vec<Option<&'static str>> {
        vec![Some("a"), None, Some(""), Some("ä\0")]
    }

    fn hash(batches: &[RecordBatch]) -> String {
        let mut hash = ContentHash::new(&batches[0].schema()).unwrap();
        batches.iter().for_each(|batch| hash.update(batch).unwrap());
        hash.digest()
    }

    #[test]
    fn the_form_is_pinned() {
        let whole = batch(Arc::new(StringArray::from(words())));
        assert_eq!(hash(&[whole]), "f90bdcbb2c60d133546c0918a67f7925");
    }

    #[test]
    fn batches_and_layouts_leave_no_trace() {
        let whole = batch(Arc::new(StringArray::from(words())));
        let expected = hash(std::slice::from_ref(&whole));
        assert_eq!(hash(&[whole.slice(0, 1), whole.slice(1, 0), whole.slice(1, 3)]), expected);
        assert_eq!(hash(&[batch(Arc::new(LargeStringArray::from(words())))]), expected);
        let dictionary: DictionaryArray<Int32Type> = words().into_iter().collect();
        assert_eq!(hash(&[batch(Arc::new(dictionary))]), expected);
        let other = ScalarBuffer::from(vec![0, 99, 2, 3]);
        let nulls = NullBuffer::from(vec![true, false, true, true]);
        let mut columns = whole.columns().to_vec();
        columns[1] = Arc::new(Int64Array::new(other, Some(nulls)));
        assert_eq!(hash(&[RecordBatch::try_new(whole.schema(), columns).unwrap()]), expected);
    }

    #[test]
    fn a_column_of_any_type_has_a_hash() {
        let mut maps = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
        for entry in [Some("a"), None] {
            entry.iter().for_each(|key| {
                maps.keys().append_value(key);
                maps.values().append_value(1);
            });
            maps.append(true).unwrap();
        }
        let maps: ArrayRef = Arc::new(maps.finish());
        let nothing: ArrayRef = Arc::new(NullArray::new(2));
        for column in [maps, nothing] {
            let rows = RecordBatch::try_from_iter_with_nullable([("any", column, true)]).unwrap();
            let expected = hash(&[rows.slice(0, 1), rows.slice(1, 1)]);
            assert_eq!(hash(std::slice::from_ref(&rows)), expected);
            assert_ne!(hash(&[rows.slice(0, 1)]), expected);
        }
    }

    #[test]
    fn every_difference_counts() {
        let whole = batch(Arc::new(StringArray::from(words())));
        let expected = hash(std::slice::from_ref(&whole));
        let mut others = words();
        others.swap(0, 2);
        assert_ne!(hash(&[batch(Arc::new(StringArray::from(others)))]), expected, "order");
        let mut others = words();
        others[1] = Some("");
        assert_ne!(hash(&[batch(Arc::new(StringArray::from(others)))]), expected, "no null");
        assert_ne!(hash(&[whole.slice(0, 3)]), expected, "fewer rows");
        assert_ne!(hash(&[whole.project(&[1, 0, 2, 3]).unwrap()]), expected, "column order");
    }

    #[test]
    fn the_first_columns_have_the_hash_that_they_have_alone() {
        let whole = batch(Arc::new(StringArray::from(words())));
        let mut content = ContentHash::new(&whole.schema()).unwrap();
        content.update(&whole).unwrap();
        for columns in [1, 2, 4] {
            let first = whole.project(&(0..columns).collect::<Vec<_>>()).unwrap();
            assert_eq!(content.digest_of_first(columns), hash(&[first]));
        }
    }
}
