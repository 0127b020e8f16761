use std::sync::Arc;

use axum::body::Body as AnyBody;
use futures::{StreamExt, stream};

use super::super::connection::{Call, Connection, Epoch};
use super::*;
use crate::budget::Budget;

const TOTAL: u64 = 1 << 30;

fn call(budget: &Arc<Budget>) -> Call {
    Arc::new(Connection::new(1, None, budget.share(), false, Epoch::begin())).begin().unwrap()
}

/// A body of these pieces, after which nothing comes.
fn body(pieces: Vec<Vec<u8>>, form: Form, call: &Call) -> Upload<AnyBody> {
    let pieces = stream::iter(pieces).map(|piece| Ok::<_, std::io::Error>(Bytes::from(piece)));
    Upload::new(AnyBody::from_stream(pieces.chain(stream::pending())), form, call.listening())
}

async fn frame(body: &mut Upload<AnyBody>) -> Option<Result<Frame<Bytes>, BoxError>> {
    std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await
}

fn message(is_compressed: u8, bytes: usize) -> Vec<u8> {
    let length = (bytes as u32).to_be_bytes();
    [&[is_compressed][..], &length, &vec![0; bytes]].concat()
}

const STREAM: Form = Form::Messages(None);

#[tokio::test]
async fn a_message_counts_until_the_next_begins_however_it_is_cut() {
    let budget = Budget::new(TOTAL).unwrap();
    let call = call(&budget);
    let bytes = [message(0, 1_000), message(0, 10)].concat();
    let mut upload = body(bytes.chunks(1).map(Vec::from).collect(), STREAM, &call);
    for _ in 0..1_005 {
        frame(&mut upload).await.unwrap().unwrap();
    }
    assert_eq!(budget.used(), 1_000);
    for _ in 0..15 {
        frame(&mut upload).await.unwrap().unwrap();
    }
    assert_eq!(budget.used(), 10);
    drop(upload);
    assert_eq!(budget.used(), 0);
}

#[tokio::test]
async fn what_is_compressed_counts_for_what_it_may_become() {
    let budget = Budget::new(TOTAL).unwrap();
    let call = call(&budget);
    let mut upload = body(vec![message(1, 100), message(1, 1 << 20)], STREAM, &call);
    frame(&mut upload).await.unwrap().unwrap();
    assert_eq!(budget.used(), 100 * (1 + GZIP_RATIO));
    frame(&mut upload).await.unwrap().unwrap();
    assert_eq!(budget.used(), MESSAGE_BYTES_MAX as u64 + (1 << 20));
}

#[tokio::test]
async fn more_than_a_caller_may_have_is_refused_before_it_is_read() {
    let budget = Budget::new(TOTAL).unwrap();
    let call = call(&budget);
    let mut held = call.connection().share.hold();
    held.try_grow(TOTAL / 4 - 10).unwrap();
    let mut upload = body(vec![message(0, 11)], STREAM, &call);
    let error = frame(&mut upload).await.unwrap().unwrap_err();
    let status = error.downcast_ref::<tonic::Status>().unwrap();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
}

#[tokio::test]
async fn half_a_message_has_its_time_and_a_stream_may_be_silent_between_two() {
    let budget = Budget::new(TOTAL).unwrap();
    let call = call(&budget);
    let mut half = message(0, 1_000);
    half.truncate(500);
    let mut upload = body(vec![half], STREAM, &call);
    frame(&mut upload).await.unwrap().unwrap();
    assert!(upload.patience >= Duration::from_secs(MESSAGE_SECONDS));
    upload.patience = Duration::from_millis(20);
    let error = frame(&mut upload).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("not sent in time"), "{error}");

    let mut upload = body(vec![message(0, 10)], STREAM, &call);
    frame(&mut upload).await.unwrap().unwrap();
    assert_eq!(upload.patience, Duration::MAX);
    let a_while = Duration::from_millis(50);
    assert!(tokio::time::timeout(a_while, frame(&mut upload)).await.is_err());

    let between = Form::Messages(Some(Duration::from_millis(20)));
    let mut upload = body(vec![message(0, 10)], between, &call);
    frame(&mut upload).await.unwrap().unwrap();
    assert!(frame(&mut upload).await.unwrap().is_err());
}

#[tokio::test]
async fn a_stream_may_be_silent_before_its_first_message_and_not_within_it() {
    let budget = Budget::new(TOTAL).unwrap();
    let call = call(&budget);
    let message_time = Duration::from_secs(MESSAGE_SECONDS);
    let mut upload = body(vec![], STREAM, &call);
    assert_eq!(upload.patience, Duration::MAX);
    let a_while = Duration::from_millis(50);
    assert!(tokio::time::timeout(a_while, frame(&mut upload)).await.is_err());
    // One byte of what stands before a message begins it.
    let mut upload = body(vec![vec![0]], STREAM, &call);
    frame(&mut upload).await.unwrap().unwrap();
    assert_eq!(upload.patience, message_time);
    for form in [Form::Whole, Form::Messages(Some(Duration::from_secs(600)))] {
        assert_eq!(body(vec![], form, &call).patience, message_time);
    }
}
