//! The machine: disks, open files, memory, the clock.

use std::fs;
use std::path::{Path, PathBuf};

use hitherto_core::limits::{
    DISK_FREE_BYTES_MIN, DISK_FREE_BYTES_SCARCE, MEMORY_BYTES_SCARCE, OPEN_FILES_MIN,
    OPEN_FILES_SCARCE,
};
use hitherto_core::time::{format_timestamp, parse_timestamp};
use hitherto_engine::read_memory_bytes;
use rustix::fs::statvfs;

use super::Examined;
use super::finding::Finding;
use crate::numbers::{bytes, count};

/// What no clock of a machine that runs this shows.
const CLOCK_SANE: (&str, &str) = ("2026-01-01T00:00:00Z", "2200-01-01T00:00:00Z");

/// Reads and judges.
pub async fn look(examined: &Examined<'_>) -> Vec<Finding> {
    let session = examined.session;
    let mut findings = Vec::new();
    if examined.server.is_none() {
        let store = session.config().map(|config| session.root().join(config.store));
        let store = store.unwrap_or_else(|_| session.root().to_owned());
        findings.push(disk("disk", "the store", &existing(&store)));
    }
    findings.push(disk("temporary disk", "temporary files", &std::env::temp_dir()));
    findings.push(open_files(&fs::read_to_string("/proc/self/limits").unwrap_or_default()));
    findings.push(memory(read_memory_bytes()));
    if session.stopped_at().is_none() {
        findings.push(clock(session.now()));
    }
    findings
}

/// The folder, or the nearest above it that is there.
fn existing(folder: &Path) -> PathBuf {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let there = folder.ancestors().find(|folder| folder.is_dir());
    there.map_or_else(|| PathBuf::from("/"), Path::to_owned)
}

fn disk(check: &'static str, what: &str, folder: &Path) -> Finding {
    match statvfs(folder) {
        Ok(disk) => judge_disk(check, what, folder, disk.f_bavail.saturating_mul(disk.f_frsize)),
        Err(cause) => Finding::wrong(
            check,
            format!("{} cannot be looked at: {cause}", folder.display()),
            format!("mkdir -p {}", folder.display()),
        ),
    }
}

fn judge_disk(check: &'static str, what: &str, folder: &Path, free: u64) -> Finding {
    let found = format!("{} free for {what}, in {}", bytes(free), folder.display());
    let mend = match check {
        "disk" => String::from("make room, or set store in hitherto.yaml to a folder that has it"),
        _ => String::from("make room, or export TMPDIR=/a/folder/that/has/it"),
    };
    match free {
        ..DISK_FREE_BYTES_MIN => Finding::wrong(check, found, mend),
        DISK_FREE_BYTES_MIN..DISK_FREE_BYTES_SCARCE => Finding::odd(check, found, mend),
        _ => Finding::fine(check, found),
    }
}

/// Judges the text of `/proc/self/limits`.
fn open_files(limits: &str) -> Finding {
    let check = "open files";
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next());
    let mend = "ulimit -n 65536 (of a service: LimitNOFILE=65536)";
    match soft.map(str::parse::<u64>) {
        Some(Ok(files)) => {
            let found = format!("{} may be open at a time", count(files));
            match files {
                ..OPEN_FILES_MIN => Finding::wrong(check, found, mend),
                OPEN_FILES_MIN..OPEN_FILES_SCARCE => Finding::odd(check, found, mend),
                _ => Finding::fine(check, found),
            }
        }
        Some(Err(_)) => Finding::fine(check, "any number may be open at a time"),
        None => Finding::odd(check, "the system does not say how many may be open", mend),
    }
}

fn memory(limit: u64) -> Finding {
    let found = format!("{}, of the machine or of this container", bytes(limit));
    match limit {
        ..MEMORY_BYTES_SCARCE => Finding::odd(
            "memory",
            found,
            "raise the container's limit, or set memory and cache in hitherto.yaml",
        ),
        _ => Finding::fine("memory", found),
    }
}

fn clock(now: i64) -> Finding {
    let found = format_timestamp(now);
    let sane = |text| parse_timestamp(text).unwrap_or(now);
    let (earliest, latest) = (sane(CLOCK_SANE.0), sane(CLOCK_SANE.1));
    match (earliest..latest).contains(&now) {
        true => Finding::fine("clock", found),
        false => Finding::wrong(
            "clock",
            format!("{found}, which cannot be: facts would be known too late or too early"),
            "timedatectl set-ntp true",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::doctor::finding::Verdict;

    const GIB: u64 = 1 << 30;

    #[test]
    fn a_full_disk_is_wrong_and_a_small_one_odd() {
        let judge = |free| judge_disk("disk", "the store", Path::new("/data"), free).verdict;
        assert_eq!(
            [1 << 20, GIB, 100 * GIB].map(judge),
            [Verdict::Wrong, Verdict::Odd, Verdict::Fine]
        );
        let gone = disk("disk", "the store", Path::new("/no/such/folder"));
        assert_eq!(gone.verdict, Verdict::Wrong, "{gone:?}");
    }

    #[test]
    fn few_open_files_are_odd_and_very_few_wrong() {
        let line = |soft| format!("Limit\nMax open files            {soft}       4096     files\n");
        let judge = |soft| open_files(&line(soft)).verdict;
        let judged = ["64", "1024", "65536", "unlimited"].map(judge);
        assert_eq!(judged, [Verdict::Wrong, Verdict::Odd, Verdict::Fine, Verdict::Fine]);
        assert_eq!(open_files("").verdict, Verdict::Odd);
    }

    #[test]
    fn a_clock_that_was_never_set_is_wrong() {
        assert_eq!(clock(0).verdict, Verdict::Wrong);
        assert_eq!(clock(i64::MAX).verdict, Verdict::Wrong);
        assert_eq!(clock(1_800_000_000_000_000).verdict, Verdict::Fine);
    }

    #[test]
    fn little_memory_is_odd() {
        assert_eq!(
            [GIB / 4, 8 * GIB].map(|limit| memory(limit).verdict),
            [Verdict::Odd, Verdict::Fine]
        );
    }
}
