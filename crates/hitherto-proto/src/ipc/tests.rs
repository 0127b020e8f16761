use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, Int64Array, LargeListBuilder, RecordBatch, StringArray,
    StringBuilder, StringViewArray,
};
use arrow::datatypes::{Int32Type, Schema};

use super::*;

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).unwrap()
}

fn text(rows: usize) -> StringViewArray {
    (0..rows).map(|row| Some(format!("a string too long for its view, {row}"))).collect()
}

/// Writes batches, and reads them back as one.
fn sent(batches: &[RecordBatch]) -> (RecordBatch, Vec<FlightData>) {
    let (mut encoder, schema) = Encoder::new(batches[0].schema());
    let mut messages = vec![schema];
    for batch in batches {
        messages.extend(encoder.encode(batch).unwrap());
    }
    let mut decoder = Decoder::default();
    let (mut schema, mut read) = (None, Vec::new());
    for message in &messages {
        match decoder.decode(message).unwrap() {
            Decoded::Schema(found) => schema = Some(found),
            Decoded::Batch(batch) => read.push(batch),
            Decoded::Other => {}
        }
    }
    (arrow::compute::concat_batches(&schema.unwrap(), &read).unwrap(), messages)
}

fn bytes(messages: &[FlightData]) -> usize {
    messages.iter().map(|message| message.data_body.len()).sum()
}

#[test]
fn types_that_the_stock_encoder_changes_survive() {
    let mut lists = LargeListBuilder::new(StringBuilder::new());
    lists.append_value([Some("a"), None]);
    lists.append_null();
    let whole = batch(vec![
        ("lists", Arc::new(lists.finish())),
        ("words", Arc::new(DictionaryArray::<Int32Type>::from_iter(["b", "b"]))),
        ("views", Arc::new(text(2))),
    ]);
    assert_eq!(sent(std::slice::from_ref(&whole)).0, whole);
}

#[test]
fn each_batch_may_bring_its_own_dictionary() {
    let words = |word| DictionaryArray::<Int32Type>::from_iter([word]);
    let first = batch(vec![("word", Arc::new(words("a")))]);
    let second = batch(vec![("word", Arc::new(words("b")))]);
    let (read, _) = sent(&[first.clone(), second.clone()]);
    let both = arrow::compute::concat_batches(&first.schema(), [&first, &second]).unwrap();
    assert_eq!(read.column(0).to_data(), both.column(0).to_data());
}

#[test]
fn a_large_batch_travels_in_pieces() {
    let numbers: Int64Array = (0..1_000_000).collect();
    let whole = batch(vec![("number", Arc::new(numbers))]);
    let (read, messages) = sent(std::slice::from_ref(&whole));
    assert_eq!(read, whole);
    let largest = messages.iter().map(|message| message.data_body.len()).max();
    assert_eq!(messages.len(), 1 + 4);
    assert!(largest.unwrap() <= MESSAGE_BYTES_TARGET + 1_024, "{largest:?}");
}

#[test]
fn a_slice_travels_without_the_rest() {
    let numbers: Int64Array = (0..1_000_000).collect();
    let columns: Vec<(&str, ArrayRef)> =
        vec![("number", Arc::new(numbers)), ("view", Arc::new(text(1_000_000)))];
    let slice = batch(columns).slice(500_000, 1_000);
    let (read, messages) = sent(std::slice::from_ref(&slice));
    assert_eq!(read, slice);
    assert_eq!(messages.len(), 1 + 1);
    assert!(bytes(&messages) < 1_000 * 100, "{}", bytes(&messages));
}

#[test]
fn rows_without_columns_keep_their_number() {
    let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(3));
    let schema = Arc::new(Schema::empty());
    let bare = RecordBatch::try_new_with_options(schema, vec![], &options).unwrap();
    let (mut encoder, _) = Encoder::new(bare.schema());
    assert_eq!(encoder.encode(&bare).unwrap().len(), 1);
}

#[test]
fn no_rows_take_no_message() {
    let empty = batch(vec![("word", Arc::new(StringArray::from(Vec::<&str>::new())))]);
    let (mut encoder, _) = Encoder::new(empty.schema());
    assert!(encoder.encode(&empty).unwrap().is_empty());
}

#[test]
fn a_batch_of_another_schema_is_refused() {
    let (mut encoder, _) = Encoder::new(batch(vec![("a", Arc::new(text(1)))]).schema());
    let error = encoder.encode(&batch(vec![("b", Arc::new(text(1)))])).unwrap_err();
    assert!(error.to_string().contains("a batch has schema"), "{error}");
}
