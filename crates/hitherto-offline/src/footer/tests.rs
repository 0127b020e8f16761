//! When a footer is read.

use std::fs::{self, File};

use ::arrow::array::{Int64Array, RecordBatch};
use parquet::arrow::ArrowWriter;

use super::*;

#[test]
fn a_footer_is_read_once_for_a_listing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("three.parquet");
    let values: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let batch = RecordBatch::try_from_iter([("value", values)]).unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let file = SourceFile::describe(folder.path(), path.clone()).unwrap();
    assert_eq!(count_rows(&file.clone()).unwrap(), 3);

    fs::write(&path, vec![0; file.bytes as usize]).unwrap();
    assert_eq!(count_rows(&file).unwrap(), 3, "who counted has read it for all");
    let listed_again = file.describe_again().unwrap();
    assert_eq!(count_rows(&listed_again).unwrap_err().kind(), Kind::Corrupt);
    let blamed = blame_if_broken([&file], Error::internal("the scan broke off"));
    assert_eq!(blamed.kind(), Kind::Corrupt, "who looks for damage reads it again");
}
