//! A lookup's answer, written straight from its columns.
//!
//! Byte for byte it is the [`v1::LookupResponse`](crate::v1::LookupResponse) of the
//! contract, and whoever reads it reads that. The generated message would have to be
//! filled first, and is written value by value; here a packed array is copied as it
//! lies in memory, into a buffer of exactly the right size.
//!
//! ```text
//! LookupResponse   1 at_micros | 2 rows | 3 column ... | 4 times ... | 5 catalog_version
//!                  | 6 arrow
//! FeatureColumn    1 name | 2 type | 3 statuses | 4 to 12: the values by machine type
//!                  | 13 is_filled
//! values           1 packed array, or for strings 1 packed ends | 2 data
//! ```
//!
//! As everywhere in protobuf, zeros and what is empty are left out.

use hitherto_core::column::{Column, Values};
use prost::Message;
use prost::bytes::BufMut;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use tonic::Status;
use tonic::codec::{Codec, EncodeBuf, Encoder};
use tonic_prost::ProstCodec;
use zerocopy::IntoBytes;

use crate::v1;

const _: () = assert!(cfg!(target_endian = "little"), "packed arrays are copied as they lie");

/// The answer to one lookup.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The moment that was answered for, microseconds UTC.
    pub at_micros: i64,
    /// Entities; the length of every column.
    pub rows: u32,
    /// In the order of the request.
    pub columns: Vec<Column>,
    /// One for each view, if asked for.
    pub times: Vec<v1::ViewTimes>,
    /// The catalog that answered.
    pub catalog_version: u64,
    /// An Arrow IPC stream instead of columns and times, if asked for.
    pub arrow: Vec<u8>,
}

/// Fields of `LookupResponse`.
const AT: u32 = 1;
const ROWS: u32 = 2;
const COLUMNS: u32 = 3;
const TIMES: u32 = 4;
const CATALOG_VERSION: u32 = 5;
const ARROW: u32 = 6;

/// Fields of `FeatureColumn`.
const NAME: u32 = 1;
const TYPE: u32 = 2;
const STATUSES: u32 = 3;
const IS_FILLED: u32 = 13;

/// Fields of the values.
const ARRAY: u32 = 1;
const DATA: u32 = 2;

impl Answer {
    /// Bytes of the message.
    pub fn encoded_len(&self) -> usize {
        let columns: usize =
            self.columns.iter().map(|column| nested_len(COLUMNS, column_len(column))).sum();
        let times: usize =
            self.times.iter().map(|times| nested_len(TIMES, times.encoded_len())).sum();
        let at = if self.at_micros == 0 { 0 } else { key_len(AT) + size_of::<i64>() };
        let rows = varint_len(ROWS, self.rows.into());
        let version = varint_len(CATALOG_VERSION, self.catalog_version);
        at + rows + columns + times + version + bytes_len(ARROW, self.arrow.len())
    }

    /// Writes the message.
    pub fn encode(&self, out: &mut impl BufMut) {
        if self.at_micros != 0 {
            encode_key(AT, WireType::SixtyFourBit, out);
            out.put_i64_le(self.at_micros);
        }
        put_varint(ROWS, self.rows.into(), out);
        for column in &self.columns {
            put_head(COLUMNS, column_len(column), out);
            put_column(column, out);
        }
        for times in &self.times {
            put_head(TIMES, times.encoded_len(), out);
            times.encode_raw(out);
        }
        put_varint(CATALOG_VERSION, self.catalog_version, out);
        put_bytes(ARROW, &self.arrow, out);
    }
}

/// One array of values as bytes, its field in `FeatureColumn`, and whether it lies in
/// a message of its own there.
struct Packed<'c> {
    field: u32,
    array: &'c [u8],
    /// The bytes that the array tells the ends of.
    data: &'c [u8],
    is_nested: bool,
}

impl<'c> Packed<'c> {
    fn of(values: &'c Values) -> Self {
        let nested = |field, array| Packed { field, array, data: &[], is_nested: true };
        match values {
            Values::Bool(values) => nested(4, values.as_bytes()),
            Values::I32(values) => nested(5, values.as_bytes()),
            Values::I64(values) => nested(6, values.as_bytes()),
            Values::U32(values) => nested(7, values.as_bytes()),
            Values::U64(values) => nested(8, values.as_bytes()),
            Values::F32(values) => nested(9, values.as_bytes()),
            Values::F64(values) => nested(10, values.as_bytes()),
            Values::I128(values) => {
                Packed { field: 11, array: values.as_bytes(), data: &[], is_nested: false }
            }
            Values::Varlen { ends, data } => {
                Packed { field: 12, array: ends.as_bytes(), data, is_nested: true }
            }
        }
    }

    /// Bytes of the field without its head.
    fn len(&self) -> usize {
        match self.is_nested {
            true => bytes_len(ARRAY, self.array.len()) + bytes_len(DATA, self.data.len()),
            false => self.array.len(),
        }
    }

    fn put(&self, out: &mut impl BufMut) {
        put_head(self.field, self.len(), out);
        match self.is_nested {
            true => {
                put_bytes(ARRAY, self.array, out);
                put_bytes(DATA, self.data, out);
            }
            false => out.put_slice(self.array),
        }
    }
}

fn column_len(column: &Column) -> usize {
    let values = Packed::of(&column.values);
    bytes_len(NAME, column.name.len())
        + bytes_len(TYPE, column.data_type.name().len())
        + bytes_len(STATUSES, column.statuses.len())
        + nested_len(values.field, values.len())
        + varint_len(IS_FILLED, column.is_filled.into())
}

fn put_column(column: &Column, out: &mut impl BufMut) {
    put_bytes(NAME, column.name.as_bytes(), out);
    put_bytes(TYPE, column.data_type.name().as_bytes(), out);
    put_bytes(STATUSES, &column.statuses, out);
    Packed::of(&column.values).put(out);
    put_varint(IS_FILLED, column.is_filled.into(), out);
}

/// Bytes of a field of so many bytes, with its head.
fn nested_len(field: u32, bytes: usize) -> usize {
    key_len(field) + encoded_len_varint(bytes as u64) + bytes
}

/// As [`nested_len`], of a field that is left out when it is empty.
fn bytes_len(field: u32, bytes: usize) -> usize {
    if bytes == 0 { 0 } else { nested_len(field, bytes) }
}

fn varint_len(field: u32, number: u64) -> usize {
    if number == 0 { 0 } else { key_len(field) + encoded_len_varint(number) }
}

fn put_head(field: u32, bytes: usize, out: &mut impl BufMut) {
    encode_key(field, WireType::LengthDelimited, out);
    encode_varint(bytes as u64, out);
}

fn put_bytes(field: u32, bytes: &[u8], out: &mut impl BufMut) {
    if !bytes.is_empty() {
        put_head(field, bytes.len(), out);
        out.put_slice(bytes);
    }
}

fn put_varint(field: u32, number: u64, out: &mut impl BufMut) {
    if number != 0 {
        encode_key(field, WireType::Varint, out);
        encode_varint(number, out);
    }
}

/// Reads requests as generated and writes answers as above.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnswerCodec;

/// The writing half of [`AnswerCodec`].
#[derive(Clone, Copy, Debug, Default)]
pub struct AnswerEncoder;

impl Encoder for AnswerEncoder {
    type Item = Answer;
    type Error = Status;

    fn encode(&mut self, answer: Answer, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.reserve(answer.encoded_len());
        answer.encode(out);
        Ok(())
    }
}

impl Codec for AnswerCodec {
    type Encode = Answer;
    type Decode = v1::LookupRequest;
    type Encoder = AnswerEncoder;
    type Decoder = <ProstCodec<v1::LookupResponse, v1::LookupRequest> as Codec>::Decoder;

    fn encoder(&mut self) -> AnswerEncoder {
        AnswerEncoder
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<v1::LookupResponse, v1::LookupRequest>::default().decoder()
    }
}

#[cfg(test)]
mod tests;
