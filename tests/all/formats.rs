//! Stores of other releases, and folders that hold none.

use hitherto_core::Kind;
use hitherto_online::rocks::{RocksOptions, RocksStore};
use hitherto_online::{Access, OnlineStore};

use crate::stores::rocks;

#[test]
fn a_store_of_the_format_before_becomes_one_of_this() {
    let folder = tempfile::tempdir().unwrap();
    let key = || String::from("key");
    rocks(folder.path()).unwrap().commit_meta(&[(key(), Some(vec![5]))]).unwrap();
    let format = folder.path().join("FORMAT");
    std::fs::write(&format, "1\n").unwrap();
    let reader = RocksStore::open(folder.path(), Access::ReadOnly, RocksOptions::default());
    let error = reader.err().unwrap();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("open it for writing once"), "{error}");
    assert_eq!(std::fs::read_to_string(&format).unwrap(), "1\n", "a reader changes nothing");
    let store = rocks(folder.path()).unwrap();
    assert_eq!(store.read_meta("key").unwrap(), Some(vec![5]));
    assert_eq!(std::fs::read_to_string(&format).unwrap(), "2\n");
}

#[test]
fn a_store_of_a_newer_release_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    drop(rocks(folder.path()).unwrap());
    std::fs::write(folder.path().join("FORMAT"), "3\n").unwrap();
    let listing = |path: &std::path::Path| {
        let mut names: Vec<_> = std::fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name(), entry.metadata().unwrap().modified().unwrap()))
            .collect();
        names.sort();
        names
    };
    let before = listing(&folder.path().join("rocksdb"));
    for access in [Access::ReadWrite, Access::ReadOnly] {
        let error = RocksStore::open(folder.path(), access, RocksOptions::default()).err().unwrap();
        assert_eq!(error.kind(), Kind::Invalid, "{error}");
    }
    assert_eq!(listing(&folder.path().join("rocksdb")), before);
}

#[test]
fn reading_where_no_store_is_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    let opened = RocksStore::open(&nowhere, Access::ReadOnly, RocksOptions::default());
    assert_eq!(opened.err().unwrap().kind(), Kind::NotFound);
    assert!(!nowhere.exists());
}
