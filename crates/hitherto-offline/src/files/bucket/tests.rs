//! Against a store in memory, which has ETags and conditions as S3 has.

use hitherto_core::Kind;
use object_store::PutPayload;
use object_store::memory::InMemory;

use super::*;

const URL: &str = "s3://bucket";

fn store_of(keys: &[&str]) -> (Stores, Arc<Bucket>) {
    let stores = Stores::default();
    let bucket = stores.put(URL, Arc::new(InMemory::new())).unwrap();
    for key in keys {
        put(&bucket, key, "0123456789");
    }
    (stores, bucket)
}

fn put(bucket: &Bucket, key: &str, text: &'static str) {
    let (store, key) = (bucket.store(), Path::parse(key).unwrap());
    let put = async move { store.put(&key, PutPayload::from_static(text.as_bytes())).await };
    bucket.wait(put).unwrap().unwrap();
}

fn object(file: &SourceFile) -> &Object {
    match &file.place {
        Place::Object(object) => object,
        Place::Disk(path) => panic!("{} is no object", path.display()),
    }
}

#[test]
fn an_object_that_is_replaced_is_a_conflict_and_never_a_mixture() {
    let (stores, bucket) = store_of(&["labs/a.parquet"]);
    let files = list(&stores, "s3://bucket/labs").unwrap();
    let [file] = files.as_slice() else { panic!("{files:?}") };
    let pieces = object(file).read(vec![8..10, 0..2]).unwrap();
    assert_eq!(pieces, ["89".as_bytes(), "01".as_bytes()]);
    assert_eq!(file.describe_again().unwrap(), *file);

    put(&bucket, "labs/a.parquet", "abcdefghij");
    let error = object(file).read_range(0..2).unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict, "{}", error.chain());
    let again = file.describe_again().unwrap();
    assert_ne!(again, *file);
    assert_ne!(again.read_fingerprint().unwrap(), file.read_fingerprint().unwrap());
    assert_eq!(object(&again).read_range(0..2).unwrap(), "ab".as_bytes());
}

#[test]
fn objects_are_listed_as_files_on_disk_are() {
    let keys = [
        "a.parquet",
        "x/a.parquet",
        "x/y/b.parquet",
        "x/.z/c.parquet",
        "x/_temporary/0/c.parquet",
        "x/d.csv",
        "xx.parquet",
        "p/_day=1/a.PQ",
    ];
    let (stores, _) = store_of(&keys);
    let listed = |parquet: &str| -> Vec<String> {
        let files = list(&stores, parquet).unwrap();
        let mut names: Vec<String> =
            files.iter().map(|file| file.name["s3://bucket/".len()..].to_owned()).collect();
        names.sort();
        names
    };
    let below_x = ["x/a.parquet", "x/y/b.parquet"];
    assert_eq!(listed("s3://bucket/x"), below_x);
    assert_eq!(listed("s3://bucket/x/"), below_x);
    assert_eq!(listed("s3://bucket/x/a.parquet"), ["x/a.parquet"]);
    assert_eq!(listed("s3://bucket/x/d.csv"), ["x/d.csv"]);
    assert_eq!(listed("s3://bucket/x*.parquet"), ["xx.parquet"]);
    assert_eq!(listed("s3://bucket/x/*/*.parquet"), ["x/y/b.parquet"]);
    let all = ["a.parquet", "p/_day=1/a.PQ", "x/a.parquet", "x/y/b.parquet", "xx.parquet"];
    assert_eq!(listed("s3://bucket"), all);
    assert_eq!(listed("s3://bucket/nothing"), [""; 0]);
    let error = list(&stores, "s3://bucket/[").unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
}

#[test]
fn an_object_is_read_whatever_its_key() {
    for key in ["plain/a.parquet", "day=1/100% of [b], new?.parquet", "ä/#1*.parquet"] {
        let (stores, _) = store_of(&[key]);
        let folder = key.split_once('/').map_or("", |(folder, _)| folder);
        let files = list(&stores, &format!("s3://bucket/{folder}")).unwrap();
        let [file] = files.as_slice() else { panic!("{key}: {files:?}") };
        let ranges = [2..5, 7..8].to_vec();
        assert_eq!(file.open().unwrap().read_ranges(ranges).unwrap(), ["234", "7"], "{key}");
    }
}

#[test]
fn objects_that_are_a_table_are_refused() {
    let keys =
        ["t/a.parquet", "t/_delta_log/0.json", "i/data/a.parquet", "i/metadata/1.metadata.json"];
    let (stores, _) = store_of(&keys);
    for (parquet, name) in [
        ("s3://bucket/t", "a Delta table"),
        ("s3://bucket/t/*.parquet", "a Delta table"),
        ("s3://bucket/i", "an Iceberg table"),
        ("s3://bucket", "\"s3://bucket\": i is an Iceberg table"),
    ] {
        let error = list(&stores, parquet).unwrap_err();
        assert!(error.kind() == Kind::Invalid && error.to_string().contains(name), "{error}");
    }
    assert_eq!(list(&stores, "s3://bucket/t/a.parquet").unwrap().len(), 1, "one object");
    // Nor is what lies beside a table the table.
    let (stores, _) = store_of(&["raw/a.parquet", "raw/t/_delta_log/0.json", "raw/t/b.parquet"]);
    assert_eq!(list(&stores, "s3://bucket/raw/*.parquet").unwrap().len(), 1);
    assert!(list(&stores, "s3://bucket/raw/*/*.parquet").is_err());
}
