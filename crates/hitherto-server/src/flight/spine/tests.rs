use std::sync::Arc;

use arrow::array::TimestampMicrosecondArray;
use hitherto_api::{FeatureNames, Scan, Selection};
use hitherto_proto::flight::FlightDescriptor;
use tokio::task::spawn_blocking;

use super::*;
use hitherto_proto::ipc::Encoder;

const BOUNDS: QueryBounds = QueryBounds { rows_max: 1, seconds_max: 1 };

fn request() -> TrainingSetRequest {
    TrainingSetRequest {
        selection: Selection::Service("deterioration_v1".into()),
        timestamp: "at".into(),
        timezone: None,
        known_by: None,
        known: None,
        names: FeatureNames::Short,
    }
}

fn command() -> Vec<u8> {
    convert::training_set::encode_request(&request(), &rows()).unwrap()
}

fn spine() -> RecordBatch {
    let times = TimestampMicrosecondArray::from(vec![2, 1]);
    RecordBatch::try_from_iter([("at", Arc::new(times) as _)]).unwrap()
}

fn rows() -> Spine {
    Spine::Rows { batches: vec![spine()], schema: spine().schema() }
}

/// What comes of a spine, on a thread that may block.
async fn rows_of(question: Question) -> Result<Vec<RecordBatch>, ArrowError> {
    let Spine::Reader { rows, times } = question.spine else { panic!("{question:?} is made") };
    assert_eq!((rows.schema(), times), (spine().schema(), Some((1, 2))));
    spawn_blocking(|| rows.collect()).await.unwrap()
}

/// A schema and one batch.
fn messages() -> [FlightData; 2] {
    let (mut encoder, schema) = Encoder::new(spine().schema());
    [schema, encoder.encode(&spine()).unwrap().remove(0)]
}

async fn read(messages: impl IntoIterator<Item = FlightData>) -> Result<Question> {
    let messages: Vec<_> = messages.into_iter().map(Ok).collect();
    Question::read(stream::iter(messages), BOUNDS, None).await
}

#[track_caller]
fn check_refused(question: Result<Question>, reason: &str) {
    let error = question.unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.chain().contains(reason), "{}", error.chain());
}

#[tokio::test]
async fn the_command_comes_with_the_schema_or_before_it() {
    let [schema, batch] = messages();
    let together = [schema.clone().with_command(command()), batch.clone()];
    let apart = [FlightData::default().with_command(command()), schema, batch];
    for question in [read(together).await, read(apart).await] {
        let question = question.unwrap();
        assert_eq!(question.request.timestamp, "at");
        assert_eq!(rows_of(question).await.unwrap(), [spine()]);
    }
}

#[tokio::test]
async fn a_spine_without_rows_has_a_schema() {
    let [schema, _] = messages();
    let question = read([schema.with_command(command())]).await.unwrap();
    assert_eq!(rows_of(question).await.unwrap(), []);
}

#[tokio::test]
async fn a_spine_that_is_made_comes_without_rows() {
    let scan = Scan::At(7);
    let command = convert::training_set::encode_request(&request(), &Spine::Scan(scan)).unwrap();
    let alone = FlightData::default().with_command(command);
    let question = read([alone.clone()]).await.unwrap();
    assert!(matches!(question.spine, Spine::Scan(asked) if asked == scan));
    let [schema, _] = messages();
    check_refused(read([alone, schema]).await, "send one of them");
}

#[tokio::test]
async fn what_is_no_spine_is_refused() {
    let [schema, batch] = messages();
    let alone = || FlightData::default().with_command(command());
    let path = FlightDescriptor { path: vec![String::from("labs")], ..FlightDescriptor::default() };
    let of_path = FlightData { flight_descriptor: Some(path), ..schema.clone() };
    let garbage = FlightData { data_header: b"no flatbuffer"[..].into(), ..FlightData::default() };
    check_refused(read([]).await, "no descriptor");
    check_refused(read([schema.clone()]).await, "no descriptor");
    check_refused(read([of_path]).await, "asks for nothing");
    check_refused(read([alone()]).await, "brings no spine");
    check_refused(read([alone(), batch]).await, "before the schema");
    check_refused(read([alone(), garbage]).await, "cannot be read as Arrow data");
}

#[tokio::test]
async fn a_caller_who_gives_up_keeps_their_status() {
    let gives_up = || Err(Status::cancelled("changed my mind"));
    let alone = FlightData::default().with_command(command());
    let error =
        Question::read(stream::iter(vec![Ok(alone), gives_up()]), BOUNDS, None).await.unwrap_err();
    assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Unavailable, "changed my mind"));

    let [schema, batch] = messages();
    let begun = vec![Ok(schema.with_command(command())), Ok(batch), gives_up()];
    let question = Question::read(stream::iter(begun), BOUNDS, None).await.unwrap();
    let ArrowError::ExternalError(error) = rows_of(question).await.unwrap_err() else {
        panic!("it is no error of ours")
    };
    let error = error.downcast::<Error>().unwrap();
    assert_eq!((error.kind(), error.to_string().as_str()), (Kind::Unavailable, "changed my mind"));
}
