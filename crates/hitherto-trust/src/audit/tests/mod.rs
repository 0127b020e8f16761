//! Logs that are written, damaged and read.

#![allow(clippy::disallowed_methods, reason = "tests wait, and are told by their environment")]

mod bytes;
mod judges;
mod kills;
mod tamper;
mod writing;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use hitherto_core::limits::AUDIT_FILE_BYTES;
use tempfile::TempDir;

use super::*;

/// 2026-12-01T00:00:00Z.
const NOW: i64 = 1_796_083_200_000_000;
const SECOND: i64 = 1_000_000;

/// A folder for a log, with its key beside it and a clock of its own.
struct Place {
    folder: TempDir,
    now: Arc<AtomicI64>,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), now: Arc::new(AtomicI64::new(NOW)) }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("signing.pem")
    }

    fn remembered(&self) -> PathBuf {
        self.folder.path().join("last")
    }

    fn signer(&self) -> Signer {
        Signer::read_or_make(&self.key()).unwrap()
    }

    fn options(&self) -> Options {
        let (now, last) = (Arc::clone(&self.now), self.remembered());
        Options {
            folder: self.log(),
            signer: self.signer(),
            clock: Arc::new(move || now.load(Ordering::Relaxed)),
            checkpoint: Duration::from_secs(60),
            file_bytes: AUDIT_FILE_BYTES,
            retention: None,
            remembered: fs::read_to_string(self.remembered()).ok(),
            remember: Box::new(move |note| {
                fs::write(&last, note).unwrap();
                Ok(())
            }),
        }
    }

    fn open(&self) -> Log {
        Log::open(self.options()).unwrap()
    }

    fn trusted(&self) -> Trusted {
        Trusted { key: self.signer().public(), since: None }
    }

    fn verify(&self) -> Report {
        verify(&self.log(), self.trusted()).unwrap()
    }

    fn records(&self) -> Vec<Record> {
        read(&self.log()).unwrap().map(|record| record.unwrap().1).collect()
    }

    fn advance(&self, micros: i64) {
        self.now.fetch_add(micros, Ordering::Relaxed);
    }
}

/// A lookup, as one is recorded.
fn lookup(number: u64) -> Record {
    Record {
        time: NOW + number as i64,
        call: number,
        caller: String::from("token/3"),
        address: String::from("10.0.0.7"),
        method: String::from("lookup"),
        service: String::from("deterioration_v1"),
        features: 50,
        entities: 1,
        hashes: vec![number.wrapping_mul(0x9E37_79B9_7F4A_7C15)],
        count: 1,
        decision: Decision::Permitted,
        outcome: String::from("ok"),
        duration: 206,
        catalog_version: 7,
        ..Record::default()
    }
}

/// Numbers in an order that a seed decides.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % sides
    }
}

/// Waits until something is so.
fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}
