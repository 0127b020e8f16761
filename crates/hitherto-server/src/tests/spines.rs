//! Spines that are sent while their training set is read.

use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatchIterator;
use arrow::error::ArrowError;
use hitherto_api::Spine;

use super::*;
use hitherto_client::RemoteTrainingSet;

/// A reader of so many batches, and how often it was asked for one.
fn repeated(batches: usize) -> (Spine, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let rows = (0..batches).map(move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(timed(Some(25)))
    });
    (reader(rows), asked)
}

/// Four rows of one time.
fn timed(at: Option<i64>) -> RecordBatch {
    let at = TimestampMicrosecondArray::from(vec![at; 4]).with_timezone("UTC");
    RecordBatch::try_from_iter_with_nullable([
        ("stay_id", Arc::new(Int64Array::from(vec![1, 1, 1, 2])) as ArrayRef, false),
        ("at", Arc::new(at), true),
    ])
    .unwrap()
}

fn reader<I>(rows: I) -> Spine
where
    I: IntoIterator<Item = Result<RecordBatch, ArrowError>, IntoIter: Send> + 'static,
{
    let rows = RecordBatchIterator::new(rows, timed(None).schema());
    Spine::Reader { rows: Box::new(rows), times: None }
}

async fn read(set: &mut RemoteTrainingSet) -> Result<usize> {
    let mut rows = 0;
    while let Some(batch) = set.next().await {
        rows += batch?.num_rows();
    }
    Ok(rows)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_is_read_when_its_training_set_is() {
    let server = Served::start().await;
    let (rows, asked) = repeated(1_000);
    let request = training("deterioration_v1");
    let mut set = server.client.training_set(&request, rows).await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 0);
    assert_eq!(read(&mut set).await.unwrap(), 4_000);
    assert_eq!(set.finish().unwrap().manifest.spine.rows, 4_000);
    drop(set);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_either_side_keeps_its_kind_and_words() {
    let server = Served::start().await;
    let request = training("deterioration_v1");
    let gone = std::io::Error::other("the disk is gone");
    let rows = reader([Ok(timed(Some(25))), Err(ArrowError::from(gone))]);
    let mut set = server.client.training_set(&request, rows).await.unwrap();
    let error = read(&mut set).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    for words in ["the rows cannot be read to their end", "the disk is gone"] {
        assert!(error.chain().contains(words), "{}", error.chain());
    }
    assert!(set.next().await.is_none() && set.finish().is_err());

    let rows = || [Some(25), None].map(|at| Ok(timed(at)));
    let set = server.engine.training_set(grant(), &request, reader(rows()), NOW).await;
    let local = set.unwrap().next().await.unwrap().unwrap_err();
    let mut set = server.client.training_set(&request, reader(rows())).await.unwrap();
    let remote = read(&mut set).await.unwrap_err();
    assert_eq!((remote.kind(), remote.to_string()), (Kind::Invalid, local.chain()));

    // Rows at hand are looked at before anything is sent.
    let spine = timed(None);
    let refused = server.client.training_set(&request, spine.clone()).await;
    assert!(refused.unwrap_err().to_string().contains("leave that row out, or give it its time"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_reading_while_the_spine_is_sent_gives_the_place_back() {
    let config = ServerConfig { training_sets_in_flight_max: 1, ..ServerConfig::default() };
    let server = Served::start_with(config, Arc::new(|| NOW)).await;
    let request = training("deterioration_v1");
    let (endless, asked) = repeated(usize::MAX);
    let mut set = server.client.training_set(&request, endless).await.unwrap();
    let full = server.client.training_set(&request, repeated(1).0).await.unwrap_err();
    assert!(full.to_string().contains("server.trainingSetsInFlightMax"), "{full}");
    tokio::time::timeout(Duration::from_millis(200), set.next()).await.unwrap_err();
    assert!(asked.load(Ordering::Relaxed) > 10);
    drop(set);
    let begun = Instant::now();
    let mut next = loop {
        match server.client.training_set(&request, repeated(1).0).await {
            Ok(set) => break set,
            Err(full) => assert_eq!(full.kind(), Kind::Unavailable, "{full}"),
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "the place is still taken");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(read(&mut next).await.unwrap(), 4);
    server.stop().await;
}
