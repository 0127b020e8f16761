//! Flight messages to record batches.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::convert::fb_to_schema;
use arrow::ipc::reader::{read_dictionary, read_record_batch};
use arrow::ipc::{Message, MessageHeader, root_as_message};

use crate::flight::FlightData;

/// Bytes at whose multiples Arrow wants arrays to begin.
const ALIGNMENT: usize = 64;

/// What a message was.
#[derive(Debug)]
pub enum Decoded {
    /// Neither schema nor rows: a dictionary, or nothing.
    Other,
    /// What rows after it have.
    Schema(SchemaRef),
    /// Rows.
    Batch(RecordBatch),
}

/// Reads the messages of one stream. It believes them: see [`Claims`](super::Claims).
#[derive(Debug, Default)]
pub struct Decoder {
    schema: Option<SchemaRef>,
    dictionaries: HashMap<i64, ArrayRef>,
}

impl Decoder {
    /// Reads the next message.
    ///
    /// # Errors
    /// When it is no message of Arrow, or comes before the schema that it needs.
    ///
    /// # Panics
    /// Where Arrow does, of a message that is damaged.
    pub fn decode(&mut self, data: &FlightData) -> Result<Decoded, ArrowError> {
        let message = root_as_message(&data.data_header)
            .map_err(|cause| damaged(format!("a message's header is damaged: {cause}")))?;
        match message.header_type() {
            MessageHeader::NONE => Ok(Decoded::Other),
            MessageHeader::Schema => {
                let schema = message.header_as_schema().ok_or_else(|| mislabelled(message))?;
                let schema = Arc::new(fb_to_schema(schema));
                *self = Self { schema: Some(Arc::clone(&schema)), dictionaries: HashMap::new() };
                Ok(Decoded::Schema(schema))
            }
            MessageHeader::DictionaryBatch => {
                let schema = self.schema.as_ref().ok_or_else(|| early(message))?;
                let batch = message.header_as_dictionary_batch();
                let batch = batch.ok_or_else(|| mislabelled(message))?;
                let (body, known) = (aligned(data), &mut self.dictionaries);
                read_dictionary(&body, batch, schema, known, &message.version())?;
                Ok(Decoded::Other)
            }
            MessageHeader::RecordBatch => {
                let schema = Arc::clone(self.schema.as_ref().ok_or_else(|| early(message))?);
                let batch = message.header_as_record_batch();
                let batch = batch.ok_or_else(|| mislabelled(message))?;
                let (body, known) = (aligned(data), &self.dictionaries);
                read_record_batch(&body, batch, schema, known, None, &message.version())
                    .map(Decoded::Batch)
            }
            _ => Err(damaged(format!("a message is a {}", name(message)))),
        }
    }
}

/// A message's body where Arrow can use it as it lies, and a copy of it elsewhere.
fn aligned(data: &FlightData) -> Buffer {
    match data.data_body.as_ptr().addr() % ALIGNMENT {
        0 => Buffer::from(data.data_body.clone()),
        _ => Buffer::from(data.data_body.as_ref()),
    }
}

fn early(message: Message<'_>) -> ArrowError {
    damaged(format!("a {} comes before the schema", name(message)))
}

fn mislabelled(message: Message<'_>) -> ArrowError {
    damaged(format!("a message says that it is a {}, and is none", name(message)))
}

fn name(message: Message<'_>) -> &'static str {
    message.header_type().variant_name().unwrap_or("message that Arrow does not know")
}

fn damaged(message: String) -> ArrowError {
    ArrowError::IpcError(message)
}
