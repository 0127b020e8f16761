//! Golden scripts: what each step wrote to the store, key by key.
//!
//! | module  | what it owns                                       |
//! | ------- | -------------------------------------------------- |
//! | `shown` | keys and values as text                            |
//! | `stage` | a repository with one view, and the steps          |
//!
//! A script is `fixtures/keys/<name>.txt`: steps that begin with `>`, and below each the keys
//! that it added (`+`), changed (`~`) and removed (`-`), each with what it has now. Times are
//! minutes. Every script is run on RocksDB and on the mirror, and both must write the same,
//! but that the mirror computes by when rows are visible, and keeps what compaction takes
//! away.
//!
//! `HITHERTO_WRITE_KEYS=1` writes what was found, to be read before it is committed.

mod shown;
mod stage;

use std::fs;
use std::path::{Path, PathBuf};

use self::stage::Stage;

const WRITE: &str = "HITHERTO_WRITE_KEYS";

/// What the mirror has no key for.
const COMPUTED: &str = "meta visible-by/";

fn scripts() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/keys");
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    files
}

/// A script with what its steps wrote, up to a step that the store has not.
async fn play(script: &str, mut stage: Stage) -> String {
    let mut played = String::new();
    for line in script.lines() {
        match line.strip_prefix("> ") {
            Some(step) if !stage.can(step) => break,
            Some(step) => {
                let before = stage.shown();
                stage.take(step).await;
                played += &format!("{line}\n{}", shown::changes(&before, &stage.shown()));
            }
            // Changes are written anew, all else is the author's.
            None if line.starts_with(['+', '~', '-']) => {}
            None => played += &format!("{line}\n"),
        }
    }
    played
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_writes_the_keys_that_its_script_says() {
    let scripts = scripts();
    assert!(scripts.len() >= 5, "{scripts:?}");
    for file in scripts {
        let expected = fs::read_to_string(&file).unwrap();
        let on_disk = play(&expected, Stage::on_disk()).await;
        if std::env::var_os(WRITE).is_some() {
            fs::write(&file, &on_disk).unwrap();
        } else {
            assert_eq!(on_disk, expected, "{}", file.display());
        }
        let in_memory = play(&expected, Stage::in_memory()).await;
        let stored = on_disk.lines().filter(|line| !line.contains(COMPUTED));
        for (mirrored, stored) in in_memory.lines().zip(stored) {
            assert_eq!(mirrored, stored, "the mirror in {}", file.display());
        }
        assert!(in_memory.lines().count() > 20, "the mirror in {}", file.display());
    }
}
