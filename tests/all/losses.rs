//! What is missing or damaged is found: cut logs, deleted files, flipped bytes. A store says
//! so, or answers as before; it never answers with less or with something else.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use hitherto_api::{KeyColumn, MaterializeMode, OptimizeMode, WhyRequest};
use hitherto_core::Kind;
use hitherto_core::key::OwnedPart;
use hitherto_engine::backup::restore;
use hitherto_engine::{Access, BackupFiles, Config, Engine};

use crate::pushing::{VALUE, facts, labs, push, trained, value};
use crate::repo::{self, Repo, Silent, grant, materialize};

/// After everything.
const NOW: i64 = 10_000;
/// Stays with facts.
const STAYS: [&str; 4] = ["x", "y", "z", "w"];

fn open(root: &Path) -> hitherto_core::Result<Engine> {
    Engine::open(root, &Config::default(), Access::ReadWrite)
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        match path.is_dir() {
            true => copy(&path, &to),
            false => drop(fs::copy(&path, &to).unwrap()),
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}

/// The one file whose path has these words, or the first.
fn file(folder: &Path, ending: &str) -> PathBuf {
    let is_it = |path: &PathBuf| path.to_string_lossy().ends_with(ending);
    files(folder).into_iter().find(is_it).unwrap()
}

/// A store with rows, a log with pushes, files of pushed facts and an optimized copy.
async fn filled() -> Repo {
    let repo = Repo::new(&labs("", VALUE));
    repo.parquet("labs/a.parquet", facts(&STAYS.map(|stay| (stay, 10, 1))));
    let engine = repo.applied().await;
    materialize(&engine, MaterializeMode::Incremental, 50).await;
    engine.optimize(grant(), "labs", OptimizeMode::IfChanged, &Silent).await.unwrap();
    for number in 1..=4 {
        let rows = STAYS.map(|stay| (stay, 10 * number, number));
        push(&engine, "labs", repo::batch(facts(&rows)), "", 100 * number).unwrap();
    }
    assert_eq!(trained(&engine, &[("x", NOW)], "labs:value").await, [Some(4)]);
    for number in 5..=12 {
        let rows = STAYS.map(|stay| (stay, 10 * number, number));
        push(&engine, "labs", repo::batch(facts(&rows)), "", 100 * number).unwrap();
    }
    drop(engine);
    repo
}

/// A copy of a repository to be damaged.
fn another(repo: &Repo) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    copy(repo.path(), folder.path());
    folder
}

fn check_corrupt(root: &Path, words: &str, when: &str) {
    let error = open(root).err().unwrap_or_else(|| panic!("{when}: it opens"));
    assert_eq!(error.kind(), Kind::Corrupt, "{when}: {}", error.chain());
    let said = error.chain();
    assert!(said.contains(words) && said.contains("backup"), "{when}: {said}");
    // Again: what was found is not forgotten.
    assert_eq!(open(root).err().unwrap().kind(), Kind::Corrupt, "{when}, again");
    let reader = Engine::open(root, &Config::default(), Access::ReadOnly);
    assert_eq!(reader.err().unwrap().kind(), Kind::Corrupt, "{when}, for a reader");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_cut_anywhere_is_refused() {
    let repo = filled().await;
    let log = file(&repo.path().join(".hitherto/online/rocksdb"), ".log");
    let bytes = fs::read(&log).unwrap();
    assert!(bytes.len() > 1_000, "the pushes are in it");
    let name = log.strip_prefix(repo.path()).unwrap();
    let whole = another(&repo);
    let (expected, mut opened) = (all_answers(whole.path()).await, 0);
    for cut in (0..bytes.len()).step_by(bytes.len() / 40) {
        let damaged = another(&repo);
        fs::write(damaged.path().join(name), &bytes[..cut]).unwrap();
        let when = format!("cut at {cut} of {}", bytes.len());
        // Behind the last push are only its rows, which are put again from it.
        if open(damaged.path()).is_ok() {
            assert_eq!(all_answers(damaged.path()).await, expected, "{when}");
            opened += 1;
        } else {
            check_corrupt(damaged.path(), "", &when);
        }
    }
    assert!(opened < 5, "{opened} of 40 cuts were not found");
    let damaged = another(&repo);
    fs::remove_file(damaged.path().join(name)).unwrap();
    check_corrupt(damaged.path(), "", "without its log");
    // Whoever would rather go on than restore is told how.
    let counted = damaged.path().join(".hitherto/online/acknowledged");
    let said = open(damaged.path()).err().unwrap().to_string();
    assert!(said.contains(counted.to_str().unwrap()), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_nobody_was_told_of_may_be_torn() {
    let repo = filled().await;
    let counted = repo.path().join(".hitherto/online/acknowledged");
    let engine = open(repo.path()).unwrap();
    let before = fs::read(&counted).unwrap();
    push(&engine, "labs", repo::batch(facts(&[("x", 200, 20)])), "", 2_000).unwrap();
    drop(engine);
    let log = file(&repo.path().join(".hitherto/online/rocksdb"), ".log");
    let bytes = fs::read(&log).unwrap();
    // The rows that were put after the batch, and most of the batch itself.
    fs::write(&log, &bytes[..bytes.len() / 4]).unwrap();
    check_corrupt(repo.path(), "were acknowledged", "cut after it was told of");
    fs::write(&counted, before).unwrap();
    let engine = open(repo.path()).unwrap();
    assert_eq!(value(&engine, "x", None, NOW), Ok(12), "as after a loss of power");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_deleted_is_missed() {
    let repo = filled().await;
    let cases = [
        (".hitherto/online/rocksdb", "rocksdb is missing"),
        (".hitherto/online/rocksdb/CURRENT", "is missing"),
        (".hitherto/pushed", "are missing"),
    ];
    for (path, words) in cases {
        let damaged = another(&repo);
        let path = damaged.path().join(path);
        match path.is_dir() {
            true => fs::remove_dir_all(&path).unwrap(),
            false => fs::remove_file(&path).unwrap(),
        }
        check_corrupt(damaged.path(), words, path.to_str().unwrap());
    }
    let damaged = another(&repo);
    let landed = file(&damaged.path().join(".hitherto/pushed"), ".v2.parquet");
    fs::remove_file(&landed).unwrap();
    check_corrupt(damaged.path(), "are missing", "without its last file of pushed facts");
    let damaged = another(&repo);
    fs::remove_file(file(&damaged.path().join(".hitherto/pushed"), ".sums")).unwrap();
    let engine = open(damaged.path()).unwrap();
    let spine = repo::batch(vec![
        ("stay", std::sync::Arc::new(arrow::array::StringArray::from(vec!["x"])) as _),
        ("at", crate::pushing::times([NOW].into_iter())),
    ]);
    let error = repo::training_set(&engine, &["labs:value"], spine, None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Corrupt, "{}", error.chain());
    // Everything: that is no store any more, and one is made.
    let damaged = another(&repo);
    fs::remove_dir_all(damaged.path().join(".hitherto")).unwrap();
    assert!(open(damaged.path()).unwrap().catalog().registry.views.is_empty());
}

/// Everything that can be asked, or that an answer was refused.
async fn all_answers(root: &Path) -> Vec<Option<String>> {
    let Ok(engine) = open(root) else { return vec![None; 3 * STAYS.len() + 1] };
    let mut answers = Vec::new();
    for stay in STAYS {
        let parts = vec![Some(OwnedPart::Bytes(stay.as_bytes().to_vec()))];
        let keys = vec![KeyColumn { name: String::from("stay"), parts }];
        let found = repo::lookup(&engine, &["labs:value"], keys.clone(), None, NOW);
        answers.push(found.ok().map(|found| format!("{:?} {:?}", found.columns, found.times)));
        let request = WhyRequest { at: Some(NOW), ..WhyRequest::new("labs", keys) };
        let why = engine.why(grant(), &request, NOW).await;
        answers.push(why.ok().map(|why| format!("{:?} {:?}", why.candidates, why.columns)));
    }
    let spine = |stays: Vec<&'static str>| {
        let times = crate::pushing::times(stays.iter().enumerate().map(|(n, _)| 300 * n as i64));
        repo::batch(vec![
            ("stay", std::sync::Arc::new(arrow::array::StringArray::from(stays)) as _),
            ("at", times),
        ])
    };
    for stay in STAYS {
        let set = repo::training_set(&engine, &["labs:value"], spine(vec![stay; 5]), None).await;
        answers.push(set.ok().map(|(batches, _)| format!("{batches:?}")));
    }
    let all = repo::training_set(&engine, &["labs:value"], spine(STAYS.to_vec()), None).await;
    answers.push(all.ok().map(|(batches, _)| format!("{batches:?}")));
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_anywhere_is_an_error_and_never_another_answer() {
    let flips = std::env::var("HITHERTO_FLIPS").ok().and_then(|count| count.parse().ok());
    let flips: usize = flips.unwrap_or(120);
    let repo = filled().await;
    let whole = another(&repo);
    let expected = all_answers(whole.path()).await;
    assert!(expected.iter().all(Option::is_some), "{expected:?}");
    // Of every file alike, however small.
    let store = repo.path().join(".hitherto");
    let is_asked = |path: &PathBuf| {
        let is_empty = path.metadata().unwrap().len() == 0;
        !is_empty && !path.ends_with("owner") && !path.ends_with("LOG")
    };
    let files: Vec<PathBuf> = files(&store).into_iter().filter(is_asked).collect();
    let (mut seed, mut refused) = (0x9E37_79B9_7F4A_7C15_u64, 0);
    for flip in 0..flips {
        seed = seed.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        let name = files[flip % files.len()].strip_prefix(repo.path()).unwrap();
        let damaged = another(&repo);
        let path = damaged.path().join(name);
        let mut bytes = fs::read(&path).unwrap();
        let place = (seed >> 20) as usize % bytes.len();
        bytes[place] ^= 1 << (seed >> 60 & 7);
        fs::write(&path, &bytes).unwrap();
        let answers = all_answers(damaged.path()).await;
        for (answer, expected) in answers.iter().zip(&expected) {
            let is_right = answer.is_none() || answer == expected;
            assert!(is_right, "{} byte {place}: {answer:?} for {expected:?}", name.display());
        }
        refused += usize::from(answers.contains(&None));
    }
    assert!(refused > flips / 8, "{refused} of {flips} flips were found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_its_owners_alone() {
    let repo = filled().await;
    let reader = repo.open(Access::ReadOnly).unwrap();
    trained(&reader, &[("x", NOW)], "labs:value").await;
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let store = repo.path().join(".hitherto");
    assert_eq!(mode(&store), 0o700);
    for path in files(&store) {
        let mut above = path.parent().unwrap();
        while above != store {
            // What RocksDB makes lies below a folder that nobody else can enter.
            let is_ours = !above.ends_with("rocksdb");
            assert!(!is_ours || mode(above) == 0o700, "{} {:o}", above.display(), mode(above));
            above = above.parent().unwrap();
        }
        let is_ours = !path.parent().unwrap().ends_with("rocksdb");
        assert!(!is_ours || mode(&path) == 0o600, "{} {:o}", path.display(), mode(&path));
    }
    // A store of an earlier release becomes so.
    drop(reader);
    fs::set_permissions(&store, fs::Permissions::from_mode(0o755)).unwrap();
    drop(open(repo.path()).unwrap());
    assert_eq!(mode(&store), 0o700);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_lock_lets_nobody_else_write() {
    let repo = filled().await;
    let engine = open(repo.path()).unwrap();
    fs::remove_file(repo.path().join(".hitherto/online/rocksdb/LOCK")).unwrap();
    let error = open(repo.path()).err().expect("one process writes at a time");
    assert_eq!(error.kind(), Kind::Conflict, "{}", error.chain());
    drop(engine);
    open(repo.path()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_removes_and_writes_nothing_that_is_not_its_own() {
    let repo = filled().await;
    let engine = open(repo.path()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let precious = folder.path().join("backup.writing/precious");
    fs::create_dir_all(precious.parent().unwrap()).unwrap();
    fs::write(&precious, "work of years").unwrap();
    let error = engine
        .backup(grant(), &folder.path().join("backup"), BackupFiles::Linked, NOW)
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict, "{error}");
    assert!(precious.exists());
    let backup = folder.path().join("other");
    engine.backup(grant(), &backup, BackupFiles::Linked, NOW).unwrap();
    drop(engine);
    let record = fs::read_to_string(backup.join("backup.json")).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    for name in ["../../evil", "online/../../../evil", "/tmp/hitherto-evil", "definitions.yaml"] {
        let first = record.find("online/").unwrap();
        let end = first + record[first..].find('"').unwrap();
        let forged = format!("{}{name}{}", &record[..first], &record[end..]);
        fs::write(backup.join("backup.json"), forged).unwrap();
        let restored = restore(grant(), &backup, elsewhere.path(), &Config::default());
        assert_eq!(restored.unwrap_err().kind(), Kind::Corrupt, "{name}");
    }
    fs::write(backup.join("backup.json"), record).unwrap();
    restore(grant(), &backup, elsewhere.path(), &Config::default()).unwrap();
    let engine = open(elsewhere.path()).unwrap();
    assert_eq!(value(&engine, "x", None, NOW), Ok(12));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_was_changed_has_no_seal_for_whoever_has_the_key() {
    let repo = filled().await;
    let folder = tempfile::tempdir().unwrap();
    let config = Config { backup_key: Some(PathBuf::from("key")), ..Config::default() };
    let write_key = |root: &Path, key: &str, mode| {
        fs::write(root.join("key"), key).unwrap();
        fs::set_permissions(root.join("key"), fs::Permissions::from_mode(mode)).unwrap();
    };
    let key = "0123456789abcdef".repeat(4) + "\n";
    write_key(repo.path(), &key, 0o600);
    let engine = Engine::open(repo.path(), &config, Access::ReadWrite).unwrap();
    let (sealed, plain) = (folder.path().join("sealed"), folder.path().join("plain"));
    engine.backup(grant(), &sealed, BackupFiles::Copied, NOW).unwrap();
    drop(engine);
    open(repo.path()).unwrap().backup(grant(), &plain, BackupFiles::Linked, NOW).unwrap();
    let is_shared = |path: &PathBuf| fs::metadata(path).unwrap().nlink() > 1;
    assert!(!files(&sealed).iter().any(is_shared), "copies share nothing with the store");
    assert!(files(&plain).iter().any(is_shared));

    let restored = |backup: &Path, config: &Config, key: &str, mode| {
        let root = tempfile::tempdir().unwrap();
        write_key(root.path(), key, mode);
        let restored = restore(grant(), backup, root.path(), config);
        assert_eq!(restored.is_ok(), root.path().join(".hitherto").exists());
        restored.map(|_| value(&open(root.path()).unwrap(), "x", None, NOW))
    };
    let refused = |backup: &Path, key: &str, mode, words: &str| {
        let error = restored(backup, &config, key, mode).unwrap_err();
        assert!(error.to_string().contains(words), "{words}: {error}");
        error.kind()
    };
    assert_eq!(restored(&sealed, &config, &key, 0o600).unwrap(), Ok(12));
    assert_eq!(restored(&sealed, &Config::default(), &key, 0o600).unwrap(), Ok(12));
    assert_eq!(refused(&sealed, &key, 0o644, "chmod 600"), Kind::Invalid);
    assert_eq!(refused(&sealed, "too short", 0o600, "openssl"), Kind::Invalid);
    assert_eq!(refused(&sealed, &"f".repeat(32), 0o600, "another key"), Kind::Corrupt);
    assert_eq!(refused(&plain, &key, 0o600, "no seal"), Kind::Corrupt);
    // Sound by its own fingerprints, and not what was sealed.
    fs::copy(sealed.join("backup.hmac"), plain.join("backup.hmac")).unwrap();
    assert_eq!(refused(&plain, &key, 0o600, "was changed"), Kind::Corrupt);
    let record = fs::read_to_string(sealed.join("backup.json")).unwrap();
    let forged = record.replace(&format!("\"taken_at\": {NOW}"), "\"taken_at\": 1");
    assert_ne!(forged, record);
    fs::write(sealed.join("backup.json"), forged).unwrap();
    assert_eq!(refused(&sealed, &key, 0o600, "was changed"), Kind::Corrupt);
}
