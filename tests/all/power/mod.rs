//! Power cuts at any moment, with everything lost that was not synced: what was
//! acknowledged is there, and nothing is half there.
//!
//! A worker pushes, builds, goes back, lands, backs up and begins again, as a seed says,
//! while everything that is done to its folder is recorded ([`recorder`]). For each cut the
//! folder is made again from the first so many things that were done, as a disk that loses
//! power then may have it ([`disk`]), opened and asked.
//!
//! ```text
//! HITHERTO_CUTS=5000 cargo test --test all power::
//! ```

mod disk;
mod recorder;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use hitherto_api::OptimizeMode;
use hitherto_engine::backup::restore;
use hitherto_engine::{BackupFiles, Config};
use tokio::runtime::Runtime;

use crate::crashes::{Dice, NOW, Worker, build, check, new_repo};
use crate::repo::{Silent, grant};
use disk::Disk;
use recorder::{Op, Recording};

/// Cuts of one test run, unless `HITHERTO_CUTS` says otherwise.
const CUTS: u64 = 40;
const CUTS_SETTING: &str = "HITHERTO_CUTS";
/// Cuts of what one worker did.
const CUTS_OF_WORKER: u64 = 40;
/// Things that a worker does.
const STEPS: u64 = 80;
/// Where sources are, which are somebody else's and lose nothing.
const SOURCES: &str = "labs";

/// What the recording says between what was done to the disk.
const BUILT: &str = "built";
const PUSHED: &str = "pushed";
const BEGUN: &str = "backup begins";
const BACKED_UP: &str = "backup ended";

#[test]
#[expect(clippy::print_stdout, reason = "which cut it was is shown where one fails")]
fn what_was_acknowledged_survives_power_cuts_and_nothing_is_torn() {
    let cuts = env::var(CUTS_SETTING).map_or(CUTS, |text| text.parse().unwrap());
    let runtime = Runtime::new().unwrap();
    for from in (0..cuts).step_by(CUTS_OF_WORKER as usize) {
        let mut dice = Dice(from);
        let repo = new_repo();
        let done = work(repo.path(), &mut dice, &runtime);
        for cut in from..cuts.min(from + CUTS_OF_WORKER) {
            let until = dice.roll(done.len() as u64 + 1) as usize;
            let mut left = tempfile::tempdir().unwrap();
            println!("cut {cut}, after {until} of {}: {}", done.len(), left.path().display());
            // It stays where what is found there is not right.
            left.disable_cleanup(true);
            let mut disk = Disk::new();
            done[..until].iter().for_each(|op| disk.take(op));
            disk.lose_power(&mut dice, left.path());
            borrow_sources(repo.path(), left.path());
            runtime.block_on(ask(left.path(), &done[..until], cut));
            left.disable_cleanup(false);
        }
    }
}

/// Does what a seed says; all that was done to the folder.
fn work(root: &Path, dice: &mut Dice, runtime: &Runtime) -> Vec<Op> {
    let recording = Recording::begin(root, &root.join(SOURCES));
    runtime.block_on(build(root));
    recording.mark(String::from(BUILT));
    let mut worker = Worker::open(root, Dice(dice.roll(u64::MAX)));
    for step in 0..STEPS {
        match dice.roll(30) {
            0 => worker = worker.again(),
            1 => {
                recording.mark(format!("{BEGUN} {step}"));
                let folder = root.join(format!("backups/{step}"));
                let how = [BackupFiles::Linked, BackupFiles::Copied][dice.roll(2) as usize];
                worker.engine().backup(grant(), &folder, how, NOW).unwrap();
                recording.mark(format!("{BACKED_UP} {step}"));
            }
            2 => {
                let optimized =
                    worker.engine().optimize(grant(), "labs", OptimizeMode::Full, &Silent);
                runtime.block_on(optimized).unwrap();
            }
            _ => {
                if let Some((stay, number)) = worker.step() {
                    recording.mark(format!("{PUSHED} {number} {stay}"));
                }
            }
        }
    }
    drop(worker);
    recording.end()
}

/// Gives a repository the definitions and sources of another.
fn borrow_sources(from: &Path, to: &Path) {
    fs::copy(from.join("definitions.yaml"), to.join("definitions.yaml")).unwrap();
    fs::create_dir(to.join(SOURCES)).unwrap();
    for file in fs::read_dir(from.join(SOURCES)).unwrap() {
        let path = file.unwrap().path();
        fs::copy(&path, to.join(SOURCES).join(path.file_name().unwrap())).unwrap();
    }
}

/// Opens what was left, and asks for what had been acknowledged.
async fn ask(root: &Path, done: &[Op], cut: u64) {
    let marks = done.iter().filter_map(|op| match op {
        Op::Mark(text) => Some(text.as_str()),
        _ => None,
    });
    let marks: Vec<&str> = marks.collect();
    if !marks.contains(&BUILT) {
        // Nobody was told of anything, and it is done again.
        build(root).await;
        return;
    }
    // Before the store itself changes: backups share files with it.
    for backup in backups(root, &marks) {
        let restored = tempfile::tempdir().unwrap();
        borrow_sources(root, restored.path());
        restore(grant(), &backup, restored.path(), &Config::default()).unwrap();
        let name = backup.file_name().unwrap().to_str().unwrap();
        let begun = marks.iter().position(|mark| *mark == format!("{BEGUN} {name}")).unwrap();
        check(restored.path(), &pushed(&marks[..begun]), cut).await;
    }
    check(root, &pushed(&marks), cut).await;
}

/// The backups that have their names; all that somebody was told of are among them.
fn backups(root: &Path, marks: &[&str]) -> Vec<PathBuf> {
    let folder = root.join("backups");
    let found = fs::read_dir(&folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let whole: Vec<PathBuf> = found.filter(|path| path.extension().is_none()).collect();
    for told in marks.iter().filter_map(|mark| mark.strip_prefix(BACKED_UP)) {
        assert!(whole.contains(&folder.join(told.trim())), "there is no backup {told}");
    }
    whole
}

/// The stays and numbers of pushes that were acknowledged.
fn pushed(marks: &[&str]) -> Vec<(String, i64)> {
    let pushes = marks.iter().filter_map(|mark| {
        let (number, stay) = mark.strip_prefix(PUSHED)?.trim().split_once(' ')?;
        Some((stay.to_owned(), number.parse().ok()?))
    });
    pushes.collect()
}
