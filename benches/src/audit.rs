//! The writer of the audit log alone, and its verifier.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use clap::{Args, value_parser};
use hitherto_core::limits::AUDIT_FILE_BYTES;
use hitherto_core::time::micros_since_epoch;
use hitherto_trust::audit::{
    Decision, EntityKeys, KeyText, Log, Options as LogOptions, PublicKey, Record, Signer, Trusted,
    verify,
};
use serde_json::{Value, json};

use crate::Result;

/// What to measure.
#[derive(Debug, Args)]
pub struct Options {
    /// Records to write, in strict mode: each is with the kernel before the next
    #[arg(long, default_value_t = 1_000_000, value_parser = value_parser!(u64).range(1_000..))]
    records: u64,
    /// Threads that write
    #[arg(long, default_value_t = 2, value_parser = value_parser!(u64).range(1..=64))]
    threads: u64,
}

/// Writes and verifies a log.
///
/// # Errors
/// When it cannot be written, or is not what was written.
pub fn run(options: &Options) -> Result<Value> {
    let folder = tempfile::tempdir()?;
    let log = Log::open(LogOptions {
        folder: folder.path().join("log"),
        signer: Signer::read_or_make(&folder.path().join("signing.pem"))?,
        clock: Arc::new(now),
        checkpoint: Duration::from_secs(60),
        file_bytes: AUDIT_FILE_BYTES,
        retention: None,
        remembered: None,
        remember: Box::new(|_| Ok(())),
    })?;
    let keys = EntityKeys::new(&folder.path().join("keys"));
    let begun = Instant::now();
    let share = options.records / options.threads;
    thread::scope(|threads| {
        let writers: Vec<_> = (0..options.threads)
            .map(|writer| {
                threads.spawn({
                    let (log, keys) = (&log, &keys);
                    move || write(log, keys, writer * share..(writer + 1) * share)
                })
            })
            .collect();
        writers
            .into_iter()
            .try_for_each(|writer| writer.join().map_err(|_| "a writer broke off")?)
    })?;
    let written = begun.elapsed().as_secs_f64();
    drop(log);
    let begun = Instant::now();
    let key = PublicKey::read(&folder.path().join("log/key.pem"))?;
    let report = verify(&folder.path().join("log"), Trusted { key, since: None })?;
    let verified = begun.elapsed().as_secs_f64();
    if let Some(problem) = report.problem {
        return Err(format!("the log is not what was written: {}", problem.what).into());
    }
    let records = share * options.threads;
    Ok(json!({
        "records": records,
        "records_per_second": (records as f64 / written).round(),
        "verified_records_per_second": (report.records as f64 / verified).round(),
    }))
}

fn write(log: &Log, keys: &EntityKeys, calls: std::ops::Range<u64>) -> Result<()> {
    for call in calls {
        let time = now();
        let value = KeyText::typed(&call.to_string());
        let hash = keys.of(time)?.hash("stay", [("stay_id", &value)].into_iter());
        log.append(&Record {
            time,
            call,
            caller: String::from("token/3"),
            address: String::from("10.0.0.7"),
            method: String::from("lookup"),
            service: String::from("deterioration_v1"),
            features: 50,
            entities: 1,
            hashes: vec![hash],
            count: 1,
            decision: Decision::Permitted,
            outcome: String::from("ok"),
            duration: 206,
            catalog_version: 7,
            ..Record::default()
        })?;
    }
    Ok(())
}

fn now() -> i64 {
    micros_since_epoch(SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default())
}
