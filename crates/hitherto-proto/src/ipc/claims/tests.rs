use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};

use super::*;

/// A stream of one column that compresses well.
fn stream(codec: CompressionType) -> Vec<u8> {
    let column = Arc::new(Int64Array::from(vec![7; 10_000])) as ArrayRef;
    let words = Arc::new(StringArray::from(vec!["word"; 10_000]));
    let batch = RecordBatch::try_from_iter([("a", column), ("b", words)]).unwrap();
    let options = IpcWriteOptions::default().try_with_compression(Some(codec)).unwrap();
    let mut writer =
        StreamWriter::try_new_with_options(Vec::new(), batch.schema_ref(), options).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

fn take(bytes: &[u8]) -> Result<u64, ArrowError> {
    let mut claims = Claims::new(Span::Stream);
    claims.take_stream(bytes).map(|()| claims.bytes())
}

/// Where in a stream its first compressed buffer says how long it is.
fn claim_at(bytes: &[u8]) -> usize {
    let length = 80_000_i64.to_le_bytes();
    bytes.windows(8).position(|window| window == length).unwrap()
}

const CODECS: [CompressionType; 2] = [CompressionType::LZ4_FRAME, CompressionType::ZSTD];

#[test]
fn what_is_sound_counts_with_what_it_decompresses_to() {
    for codec in CODECS {
        let bytes = stream(codec);
        let claimed = take(&bytes).unwrap();
        assert!((160_000..170_000).contains(&claimed), "{claimed}");
        assert!(bytes.len() < 50_000, "{}", bytes.len());
    }
}

#[test]
fn a_claim_beyond_the_limit_is_refused_before_anything_is_allocated() {
    for codec in CODECS {
        for claim in [1_i64 << 47, i64::MAX, -2, ARROW_BYTES_MAX as i64 + 1] {
            let mut bytes = stream(codec);
            let at = claim_at(&bytes);
            bytes[at..at + 8].copy_from_slice(&claim.to_le_bytes());
            let error = take(&bytes).unwrap_err().to_string();
            assert!(error.contains("bytes"), "{error}");
        }
    }
}

#[test]
fn an_lz4_buffer_that_is_larger_than_it_says_is_refused() {
    let mut bytes = stream(CompressionType::LZ4_FRAME);
    let at = claim_at(&bytes);
    bytes[at..at + 8].copy_from_slice(&79_999_i64.to_le_bytes());
    let error = take(&bytes).unwrap_err().to_string();
    assert!(error.contains("is not what it says"), "{error}");
}

#[test]
fn many_batches_count_together_or_each_by_itself() {
    let column = Arc::new(Int64Array::from(vec![7; 1 << 20])) as ArrayRef;
    let batch = RecordBatch::try_from_iter([("a", column)]).unwrap();
    let mut writer = StreamWriter::try_new(Vec::new(), batch.schema_ref()).unwrap();
    for _ in 0..=ARROW_BYTES_MAX >> 23 {
        writer.write(&batch).unwrap();
    }
    let bytes = writer.into_inner().unwrap();
    assert!(take(&bytes).unwrap_err().to_string().contains("is the limit"));
    Claims::new(Span::Batch).take_stream(&bytes).unwrap();
}

#[test]
fn any_bytes_are_refused_or_taken_and_never_more() {
    let sound: Vec<Vec<u8>> = CODECS.map(stream).to_vec();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut roll = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    for round in 0..2_000 {
        let mut bytes = sound[round % 2].clone();
        for _ in 0..=roll(4) {
            let at = roll(bytes.len());
            bytes[at] = roll(256) as u8;
        }
        bytes.truncate(bytes.len() - roll(2) * roll(bytes.len()));
        if let Ok(claimed) = take(&bytes) {
            assert!(claimed <= ARROW_BYTES_MAX);
        }
    }
}
