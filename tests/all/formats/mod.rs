//! Stores of other releases, and folders that hold none.

mod fixture;

use std::fs;

use hitherto_api::{Manifest, MaterializeMode, VerifyRequest};
use hitherto_core::Kind;
use hitherto_engine::{Config, backup};
use hitherto_online::rocks::{RocksOptions, RocksStore};
use hitherto_online::{Access, Meta, MetaKey};

use crate::repo::{grant, materialize};
use crate::stores::rocks;

/// Number of a fixture to write with this release; see `fixtures/formats/README.md`.
const WRITE: &str = "HITHERTO_WRITE_FORMATS";

#[tokio::test(flavor = "multi_thread")]
async fn what_any_release_wrote_answers_as_it_did() {
    if let Some(number) = std::env::var_os(WRITE) {
        fixture::write(&fixture::folder().join(number)).await;
    }
    let folders = fs::read_dir(fixture::folder()).unwrap().map(|entry| entry.unwrap().path());
    let folders: Vec<_> = folders.filter(|path| path.is_dir()).collect();
    assert!(!folders.is_empty());
    for kept in folders {
        let shown = kept.display();
        let folder = tempfile::tempdir().unwrap();
        fixture::copy(&kept, folder.path());
        let expected = fs::read_to_string(kept.join("expected.txt")).unwrap();
        let (landed, _) = expected.trim_end().rsplit_once('\n').unwrap();

        let repository = folder.path().join("repository");
        let engine = fixture::open(&repository);
        assert_eq!(fixture::looked_up(&engine), expected, "lookups of {shown}");
        assert!(fixture::push_first(&engine).is_repeated, "the name of a push in {shown}");
        let plan = engine.plan(grant()).await.unwrap();
        assert!(plan.is_empty(), "{shown}: {plan:?}");
        for run in materialize(&engine, MaterializeMode::Incremental, fixture::NOW).await {
            assert!(run.is_up_to_date, "what was consumed in {shown}: {run:?}");
        }
        let (trained, finished) = fixture::train(&engine).await;
        assert_eq!(trained.trim_end(), landed, "training set of {shown}");
        // Columns of a copy are named by their position.
        let reads_source = ["heads=[stay,", "heads=[ward,"].map(|own| finished.plan.contains(own));
        assert_eq!(reads_source, [false; 2], "{shown}: {}", finished.plan);
        let verified =
            engine.verify(grant(), &VerifyRequest::default(), fixture::NOW).await.unwrap();
        assert_eq!(verified.differences(), 0, "{shown}: {verified:?}");
        assert!(verified.stale().next().is_none() && verified.values() > 60, "{verified:?}");

        let manifest = fs::read_to_string(kept.join("manifest.json")).unwrap();
        let manifest = Manifest::from_json(&manifest).unwrap();
        let (rebuilt, finished) = fixture::rebuild(&engine, &manifest).await;
        assert_eq!(rebuilt.trim_end(), landed, "rows of the manifest of {shown}");
        let differences = manifest.differences(&finished.manifest().unwrap());
        assert_eq!(differences, Vec::<String>::new(), "{shown}");
        drop(engine);

        fs::remove_dir_all(repository.join("store")).unwrap();
        let config = Config::read(&repository).unwrap();
        backup::restore(grant(), &folder.path().join("backup"), &repository, &config).unwrap();
        let engine = fixture::open(&repository);
        assert_eq!(fixture::looked_up(&engine), expected, "restored {shown}");
        let (trained, _) = fixture::train(&engine).await;
        assert_eq!(trained.trim_end(), landed, "training set of the restored {shown}");
    }
}

#[test]
fn a_store_of_the_format_before_becomes_one_of_this() {
    let folder = tempfile::tempdir().unwrap();
    rocks(folder.path()).unwrap().commit_meta(&[(MetaKey::Clock, Some(vec![5]))]).unwrap();
    let format = folder.path().join("FORMAT");
    std::fs::write(&format, "1\n").unwrap();
    let reader = RocksStore::open(folder.path(), Access::ReadOnly, RocksOptions::default());
    let error = reader.err().unwrap();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("open it for writing once"), "{error}");
    assert_eq!(std::fs::read_to_string(&format).unwrap(), "1\n", "a reader changes nothing");
    let store = rocks(folder.path()).unwrap();
    assert_eq!(store.read_meta(MetaKey::Clock).unwrap(), Some(vec![5]));
    assert_eq!(std::fs::read_to_string(&format).unwrap(), "4\n");
}

#[test]
fn a_store_of_a_newer_release_is_refused_untouched() {
    let folder = tempfile::tempdir().unwrap();
    drop(rocks(folder.path()).unwrap());
    std::fs::write(folder.path().join("FORMAT"), "5\n").unwrap();
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
