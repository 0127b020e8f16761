use std::sync::Arc;

use arrow::array::RecordBatchIterator;
use arrow::datatypes::Schema;
use hitherto_core::Kind;
use hitherto_core::definition::Known;

use super::*;

const BOUNDS: QueryBounds = QueryBounds { rows_max: 2, seconds_max: 1 };

fn request(known: Option<Known>, names: FeatureNames) -> TrainingSetRequest {
    TrainingSetRequest {
        selection: Selection::features(["labs:*"]).unwrap(),
        timestamp: "at".into(),
        timezone: None,
        known_by: Some(i64::MIN),
        known,
        names,
    }
}

#[test]
fn a_request_survives_the_wire() {
    for known in [None, Some(Known::Honor), Some(Known::Ignore)] {
        for names in [FeatureNames::Short, FeatureNames::Full] {
            let request = request(known, names);
            let read = decode_request(&encode_request(&request, &rows()).unwrap()).unwrap();
            assert_eq!(format!("{read:?}"), format!("{request:?}"));
        }
    }
}

fn rows() -> Spine {
    let rows = RecordBatchIterator::new([], Arc::new(Schema::empty()));
    Spine::Reader { rows: Box::new(rows), times: Some((i64::MIN, 7)) }
}

#[test]
fn what_makes_a_spine_survives_the_wire() {
    let request = request(None, FeatureNames::Short);
    let command = |spine: &Spine| encode_request(&request, spine).unwrap();
    let again = |spine: &Spine| decode_spine(&command(spine), BOUNDS).unwrap();
    assert!(again(&rows()).is_none());
    assert_eq!(decode_times(&command(&rows())).unwrap(), Some((i64::MIN, 7)));
    for scan in [Scan::At(i64::MIN), Scan::Between { after: -1, until: i64::MAX }] {
        assert!(matches!(again(&Spine::Scan(scan)), Some(Spine::Scan(read)) if read == scan));
    }
    let query = String::from("SELECT 1");
    let sql = Spine::Sql { query, files: LabelFiles::Readable, bounds: None };
    let Some(Spine::Sql { query, files, bounds }) = again(&sql) else { panic!("no SQL came") };
    assert_eq!((query.as_str(), files, bounds), ("SELECT 1", LabelFiles::Closed, Some(BOUNDS)));
}

#[test]
fn a_wrong_command_is_refused() {
    let check = |command: &[u8], reason: &str| {
        let error = decode_request(command).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.to_string().contains(reason), "{error}");
    };
    check(b"SELECT 1", "not a hitherto.v1.TrainingSetRequest");
    check(b"", "asks for nothing");
    let unknown = v1::TrainingSetRequest { known_time: 3, ..Default::default() };
    check(&unknown.encode_to_vec(), "known_time is not one of KnownTime");
}
