//! What an Arrow message claims to be, checked before anybody believes it.
//!
//! ```text
//! message    header: flatbuffer          body: buffers
//!            rows, nodes, buffers -----> [length when decompressed i64 | bytes]
//! ```
//!
//! Arrow allocates what a compressed buffer says of itself, before it looks at the bytes:
//! one that says 2^47 ends the process, since nobody can be asked for so much. LZ4 is worse,
//! as its bytes are decompressed to their end whatever was said. So every buffer is found in
//! the header, must lie in its body, and counts with what it claims; LZ4 is decompressed
//! into nothing first, as far as its claim goes. What is let through may still be wrong,
//! but is not larger than it says.

use std::io::{Read, sink};

use arrow::error::ArrowError;
use arrow::ipc::{CompressionType, MessageHeader, RecordBatch, Schema, root_as_message};
use hitherto_core::limits::{
    ARROW_BYTES_MAX, ARROW_HEADER_BYTES_MAX, ARROW_ROWS_MAX, REQUEST_FEATURES_MAX,
};

/// Bytes that Arrow takes for an array beside its buffers.
const ARRAY_BYTES: u64 = 256;

/// What stands before a message's length since version 0.15 of Arrow's format.
const CONTINUATION: u32 = u32::MAX;

/// How much a stream of messages may claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// All messages together: they are held together.
    Stream,
    /// Each record batch by itself, and all dictionaries together: a batch is given away
    /// before the next one comes.
    Batch,
}

/// What the messages of one stream have claimed so far.
#[derive(Debug)]
pub struct Claims {
    span: Span,
    held: u64,
}

impl Claims {
    /// No message yet.
    pub fn new(span: Span) -> Self {
        Self { span, held: 0 }
    }

    /// Bytes that were claimed by what is held together.
    pub fn bytes(&self) -> u64 {
        self.held
    }

    /// Takes one message; bytes that it claims.
    ///
    /// # Errors
    /// When it does not hold what it claims, or claims more than is allowed.
    pub fn take(&mut self, header: &[u8], body: &[u8]) -> Result<u64, ArrowError> {
        if header.len() > ARROW_HEADER_BYTES_MAX {
            return Err(refused(format!(
                "a message has a header of {} bytes, and {ARROW_HEADER_BYTES_MAX} is the limit; \
                 send fewer columns",
                header.len()
            )));
        }
        let message = root_as_message(header).map_err(|cause| {
            refused(format!("a message's header is damaged; send it again: {cause}"))
        })?;
        let damaged = || refused("a message has another header than it says; send it again".into());
        let claimed = match message.header_type() {
            MessageHeader::Schema => {
                check_schema(message.header_as_schema().ok_or_else(damaged)?)?;
                return Ok(0);
            }
            MessageHeader::RecordBatch => {
                let batch = message.header_as_record_batch().ok_or_else(damaged)?;
                let claimed = claimed(&batch, body)?;
                if self.span == Span::Batch {
                    return fits(self.held.saturating_add(claimed)).map(|()| claimed);
                }
                claimed
            }
            MessageHeader::DictionaryBatch => {
                let batch = message.header_as_dictionary_batch().ok_or_else(damaged)?;
                claimed(&batch.data().ok_or_else(damaged)?, body)?
            }
            _ => return Ok(0),
        };
        self.held = self.held.saturating_add(claimed);
        fits(self.held).map(|()| claimed)
    }

    /// Takes the messages of a whole stream, as they lie behind each other.
    ///
    /// # Errors
    /// As [`take`](Self::take).
    pub fn take_stream(&mut self, mut bytes: &[u8]) -> Result<(), ArrowError> {
        while let Some(length) = header_length(&mut bytes) {
            let (header, rest) = bytes.split_at_checked(length).ok_or_else(cut)?;
            let message = root_as_message(header).map_err(|cause| {
                refused(format!("a message's header is damaged; send it again: {cause}"))
            })?;
            let length = usize::try_from(message.bodyLength()).map_err(|_| cut())?;
            let (body, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
            self.take(header, body)?;
            bytes = rest;
        }
        Ok(())
    }
}

/// The length of the next message's header, and what is behind it; `None` at the end.
fn header_length(bytes: &mut &[u8]) -> Option<usize> {
    let mut word = || {
        let (word, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        Some(u32::from_le_bytes(*word))
    };
    let length = match word()? {
        CONTINUATION => word()?,
        length => length,
    };
    (length > 0).then_some(length as usize)
}

fn check_schema(schema: Schema<'_>) -> Result<(), ArrowError> {
    let columns = schema.fields().map_or(0, |fields| fields.len());
    match columns > REQUEST_FEATURES_MAX {
        true => Err(refused(format!(
            "its schema has {columns} columns, and {REQUEST_FEATURES_MAX} is the limit; send fewer"
        ))),
        false => Ok(()),
    }
}

/// Bytes that a batch claims to be when it is decompressed.
fn claimed(batch: &RecordBatch<'_>, body: &[u8]) -> Result<u64, ArrowError> {
    let nodes = batch.nodes();
    let rows = nodes.iter().flat_map(|nodes| nodes.iter()).map(|node| node.length());
    for rows in rows.chain([batch.length()]) {
        if !(0..=ARROW_ROWS_MAX).contains(&rows) {
            return Err(refused(format!(
                "a batch says that it has {rows} rows or items, and {ARROW_ROWS_MAX} is the \
                 limit; send smaller batches"
            )));
        }
    }
    let arrays = nodes.map_or(0, |nodes| nodes.len() as u64);
    let buffers = batch.buffers();
    let count = buffers.map_or(0, |buffers| buffers.len());
    let variadic = batch.variadicBufferCounts();
    for more in variadic.iter().flat_map(|counts| counts.iter()) {
        if !usize::try_from(more).is_ok_and(|more| more <= count) {
            return Err(refused("a batch has fewer buffers than it says; send it again".into()));
        }
    }
    let codec = batch.compression().map(|compression| compression.codec());
    let mut total = arrays * ARRAY_BYTES;
    for buffer in buffers.iter().flat_map(|buffers| buffers.iter()) {
        let bytes = slice(body, buffer.offset(), buffer.length()).ok_or_else(cut)?;
        total = total.saturating_add(match codec {
            None => bytes.len() as u64,
            Some(codec) => decompressed(codec, bytes)?,
        });
        fits(total)?;
    }
    Ok(total)
}

fn slice(body: &[u8], offset: i64, length: i64) -> Option<&[u8]> {
    let (offset, length) = (usize::try_from(offset).ok()?, usize::try_from(length).ok()?);
    body.get(offset..offset.checked_add(length)?)
}

/// Bytes that a compressed buffer says it is.
fn decompressed(codec: CompressionType, bytes: &[u8]) -> Result<u64, ArrowError> {
    let Some((length, bytes)) = bytes.split_first_chunk() else { return Ok(0) };
    let claimed = match i64::from_le_bytes(*length) {
        -1 => return Ok(bytes.len() as u64),
        claimed => u64::try_from(claimed).map_err(|_| {
            refused(format!("a compressed buffer says that it has {claimed} bytes; send it again"))
        })?,
    };
    fits(claimed)?;
    if codec == CompressionType::LZ4_FRAME && claimed > 0 {
        let frame = lz4_flex::frame::FrameDecoder::new(bytes);
        let found = std::io::copy(&mut frame.take(claimed + 1), &mut sink());
        if !found.is_ok_and(|found| found == claimed) {
            return Err(refused("a compressed buffer is not what it says; send it again".into()));
        }
    }
    Ok(claimed)
}

fn fits(claimed: u64) -> Result<(), ArrowError> {
    match claimed > ARROW_BYTES_MAX {
        true => Err(refused(format!(
            "it claims to be {claimed} bytes when it is decompressed, and {ARROW_BYTES_MAX} is \
             the limit; send smaller batches"
        ))),
        false => Ok(()),
    }
}

fn cut() -> ArrowError {
    refused("a message is shorter than it says; send it again".into())
}

fn refused(message: String) -> ArrowError {
    ArrowError::IpcError(message)
}

#[cfg(test)]
mod tests;
