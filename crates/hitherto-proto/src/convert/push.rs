//! Pushed batches.

use crate::v1;
use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::compute::concat_batches;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::StreamWriter;
use hitherto_api::{Ack, PushRequest, Pushed};
use hitherto_core::limits::ARROW_BYTES_MAX;
use hitherto_core::{Error, Result};

use crate::ipc::{Claims, Span, read_unwound};

/// Reads a request that a caller sent.
///
/// # Errors
/// `Invalid` when its facts are not Arrow data.
pub fn decode_request(request: v1::PushRequest) -> Result<PushRequest> {
    let ack = match request.ack() {
        v1::PushAck::Durable => Ack::Durable,
        v1::PushAck::Async => Ack::Async,
    };
    let v1::PushRequest { view, facts, idempotency_key, .. } = request;
    let facts = read_facts(facts).map_err(|cause| {
        Error::invalid("pushed facts cannot be read as an Arrow IPC stream; send them as one")
            .with_source(cause)
    })?;
    Ok(PushRequest { view, facts, idempotency_key, ack })
}

/// Bytes that the facts of a request claim to be when they are decompressed; those of what
/// claims too much are as many as are allowed, to be refused.
pub fn claimed(request: &v1::PushRequest) -> u64 {
    let mut claims = Claims::new(Span::Stream);
    // What is wrong is said to the caller where the facts are read.
    let _ = claims.take_stream(&request.facts);
    claims.bytes().min(ARROW_BYTES_MAX)
}

/// Reads an Arrow IPC stream, whose claims are checked before. Arrow takes a stream at its
/// word and breaks off where it is none.
fn read_facts(bytes: Vec<u8>) -> Result<RecordBatch, ArrowError> {
    Claims::new(Span::Stream).take_stream(&bytes)?;
    read_unwound(|| read_stream(bytes.into()))
        .unwrap_or_else(|| Err(ArrowError::IpcError("it is damaged".into())))
}

fn read_stream(mut bytes: Buffer) -> Result<RecordBatch, ArrowError> {
    let mut decoder = StreamDecoder::new();
    let mut batches = Vec::new();
    while let Some(batch) = decoder.decode(&mut bytes)? {
        batches.push(batch);
    }
    decoder.finish()?;
    let none = || ArrowError::IpcError("it has no schema".into());
    let schema = decoder.schema().ok_or_else(none)?;
    match batches.as_slice() {
        [batch] => Ok(batch.clone()),
        batches => concat_batches(&schema, batches),
    }
}

/// Writes a request.
///
/// # Errors
/// `Invalid` when its facts have a type that Arrow IPC has no form for.
pub fn encode_request(request: &PushRequest) -> Result<v1::PushRequest> {
    let write = || {
        let mut writer = StreamWriter::try_new(Vec::new(), request.facts.schema_ref())?;
        writer.write(&request.facts)?;
        writer.into_inner()
    };
    let facts = write().map_err(|cause| {
        Error::invalid(
            "facts cannot be written as an Arrow IPC stream; cast the column that is named here",
        )
        .with_source(cause)
    })?;
    let ack = match request.ack {
        Ack::Durable => v1::PushAck::Durable,
        Ack::Async => v1::PushAck::Async,
    };
    Ok(v1::PushRequest {
        view: request.view.clone(),
        facts,
        idempotency_key: request.idempotency_key.clone(),
        ack: ack.into(),
    })
}

/// Writes what was pushed.
pub fn encode_answer(pushed: Pushed) -> v1::PushResponse {
    let Pushed { facts, is_repeated, known_from, clock_off_micros } = pushed;
    v1::PushResponse { facts, is_repeated, known_from_micros: known_from, clock_off_micros }
}

/// Reads what a server pushed.
pub fn decode_answer(answer: v1::PushResponse) -> Pushed {
    let v1::PushResponse { facts, is_repeated, known_from_micros, clock_off_micros } = answer;
    Pushed { facts, is_repeated, known_from: known_from_micros, clock_off_micros }
}
