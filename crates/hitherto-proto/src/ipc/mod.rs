//! Record batches as Flight messages.
//!
//! ```text
//! schema | dictionary* batch | dictionary* batch | ... | metadata alone
//! ```
//!
//! The crate `arrow-flight` has an encoder. Ours differs where a spine would suffer:
//!
//! - types travel as they are; theirs turns large lists into small ones, and
//!   dictionaries into their values;
//! - a slice is as large as its own rows; theirs counts the buffers that the
//!   slice shares, and cuts a slice of something large into crumbs;
//! - the bytes of a string view column travel once; a slice of one refers to
//!   the buffers of the whole, which would all be sent again with each slice.
//!
//! The one message without a header is the last: it carries metadata alone.
//!
//! That crate is not used at all: it links a web server, which a client has no use for.
//!
//! | module    | what it owns                                        |
//! | --------- | --------------------------------------------------- |
//! | `decoder` | messages to record batches                          |
//! | `claims`  | what callers' messages claim, before they are decoded |
//! | `unwound` | reading what a library takes at its word            |

mod claims;
mod decoder;
mod unwound;

use std::sync::Arc;

use crate::convert::status::{KIND_METADATA, from_status};
use crate::flight::flight_descriptor::DescriptorType;
use crate::flight::{FlightData, FlightDescriptor};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::{
    DictionaryTracker, EncodedData, IpcDataGenerator, IpcWriteContext, IpcWriteOptions,
};
use hitherto_core::limits::MESSAGE_BYTES_MAX;
use hitherto_core::{Error, Kind};
use tonic::{Code, Status};

pub use claims::{Claims, Span};
pub use decoder::{Decoded, Decoder};
pub use unwound::read_unwound;

/// Bytes of data that a message aims at. Clients in other languages take 4 MiB
/// unless told otherwise, and one row may be large.
const MESSAGE_BYTES_TARGET: usize = 2 << 20;

/// Bytes of a message beside its data, at most.
const FRAME_BYTES: usize = 64 << 10;

/// Writes the batches of one stream, which have one schema.
pub struct Encoder {
    schema: SchemaRef,
    generator: IpcDataGenerator,
    dictionaries: DictionaryTracker,
    options: IpcWriteOptions,
    context: IpcWriteContext,
}

impl Encoder {
    /// Begins a stream: its encoder and its first message.
    pub fn new(schema: SchemaRef) -> (Self, FlightData) {
        let mut encoder = Self {
            schema,
            generator: IpcDataGenerator::default(),
            // A later batch may bring other dictionaries.
            dictionaries: DictionaryTracker::new(false),
            options: IpcWriteOptions::default(),
            context: IpcWriteContext::default(),
        };
        let message = encoder.generator.schema_to_bytes_with_dictionary_tracker(
            &encoder.schema,
            &mut encoder.dictionaries,
            &encoder.options,
        );
        (encoder, self::message(message))
    }

    /// Writes a batch as messages of about [`MESSAGE_BYTES_TARGET`] each; none
    /// for no rows.
    ///
    /// # Errors
    /// When the batch has another schema, or a type that Arrow IPC has no form
    /// for.
    pub fn encode(&mut self, batch: &RecordBatch) -> Result<Vec<FlightData>, ArrowError> {
        if batch.schema_ref().fields() != self.schema.fields() {
            return Err(ArrowError::SchemaError(format!(
                "a batch has schema {} where its stream has {}",
                batch.schema_ref(),
                self.schema
            )));
        }
        let rows = batch.num_rows();
        let pieces = bytes_of(batch)?.div_ceil(MESSAGE_BYTES_TARGET).max(1);
        let rows_at_once = rows.div_ceil(pieces).max(1);
        let mut messages = Vec::with_capacity(pieces);
        for begin in (0..rows).step_by(rows_at_once) {
            let piece = compact(&batch.slice(begin, rows_at_once.min(rows - begin)))?;
            let (dictionaries, data) = self.generator.encode(
                &piece,
                &mut self.dictionaries,
                &self.options,
                &mut self.context,
            )?;
            let data = message(data);
            check_message(&data, piece.num_rows())?;
            messages.extend(dictionaries.into_iter().map(message));
            messages.push(data);
        }
        Ok(messages)
    }
}

/// Refuses rows that no message can carry; a connection would end of it without a word.
fn check_message(data: &FlightData, rows: usize) -> Result<(), ArrowError> {
    let bytes = data.data_header.len() + data.data_body.len();
    match bytes > MESSAGE_BYTES_MAX - FRAME_BYTES {
        true => Err(ArrowError::ExternalError(
            Error::invalid(format!(
                "{rows} of the rows have {bytes} bytes, and one message carries \
                 {MESSAGE_BYTES_MAX}; leave out the column of such large values, or build the \
                 training set on the machine that has the data"
            ))
            .into(),
        )),
        false => Ok(()),
    }
}

/// Whether a message carries metadata alone.
pub fn is_metadata(message: &FlightData) -> bool {
    message.data_header.is_empty()
}

/// What is wrong with `what`, whose messages cannot be decoded. It is the fault of whoever
/// sent them, which is `kind` for us.
pub fn unreadable(cause: ArrowError, kind: Kind, what: &str) -> Error {
    Error::new(kind, format!("{what} cannot be read as Arrow data; send it again"))
        .with_source(cause)
}

impl FlightData {
    /// The same message, which says what is asked.
    pub fn with_command(self, command: Vec<u8>) -> Self {
        let (r#type, cmd) = (DescriptorType::Cmd.into(), command.into());
        let descriptor = FlightDescriptor { r#type, cmd, ..FlightDescriptor::default() };
        Self { flight_descriptor: Some(descriptor), ..self }
    }
}

fn message(encoded: EncodedData) -> FlightData {
    FlightData {
        data_header: encoded.ipc_message.into(),
        data_body: encoded.arrow_data.into(),
        ..FlightData::default()
    }
}

/// What is wrong with what a caller sent. What a library says of bytes that it cannot read
/// is not this server's failure, though it calls it internal.
pub fn received(status: &Status) -> Error {
    match (status.code(), status.metadata().contains_key(KIND_METADATA)) {
        (Code::Internal | Code::Unknown | Code::OutOfRange, false) => Error::invalid(format!(
            "the call cannot be read; send messages of the contract, hitherto.v1: {}",
            status.message()
        )),
        _ => from_status(status),
    }
}

/// Bytes that a batch's own rows take.
fn bytes_of(batch: &RecordBatch) -> Result<usize, ArrowError> {
    let columns = batch.columns().iter();
    columns.map(|column| Ok(column.to_data().get_slice_memory_size()? + viewed_bytes(column))).sum()
}

/// Bytes that the views of a column refer to; 0 for a column of any other kind.
fn viewed_bytes(column: &ArrayRef) -> usize {
    match column.data_type() {
        DataType::Utf8View => column.as_string_view().total_buffer_bytes_used(),
        DataType::BinaryView => column.as_binary_view().total_buffer_bytes_used(),
        _ => 0,
    }
}

/// The same rows with the buffers of view columns cut down to them.
fn compact(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().map(|column| match column.data_type() {
        DataType::Utf8View => Arc::new(column.as_string_view().gc()) as ArrayRef,
        DataType::BinaryView => Arc::new(column.as_binary_view().gc()),
        _ => Arc::clone(column),
    });
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(batch.schema(), columns.collect(), &options)
}

#[cfg(test)]
mod tests;
