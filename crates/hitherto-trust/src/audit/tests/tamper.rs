//! Edits, deletions, reorderings and truncations, a thousand of them: each is found.

use super::super::chain::{Chain, sha256};
use super::super::segment::{HEADER_BYTES, checkpoints_of, list, list_checkpoints, path_of};
use super::*;

/// One sort of tampering, of a copy of a closed log.
type Tamper = fn(&Tampering, &mut Dice);

/// Every sort, by what it is.
const TAMPERS: [(&str, Tamper); 15] = [
    ("a bit is flipped", |log, dice| {
        let (path, mut bytes) = log.file(dice);
        let at = dice.roll(bytes.len() as u64) as usize;
        bytes[at] ^= 1 << dice.roll(8);
        fs::write(path, bytes).unwrap();
    }),
    ("a record is another", |log, dice| {
        log.change(dice, |entries, at, _| {
            entries[at] = with(&entries[at], &lookup(1 << 40));
        });
    }),
    ("a record is taken out", |log, dice| {
        log.change(dice, |entries, at, _| drop(entries.remove(at)));
    }),
    ("a record is there twice", |log, dice| {
        log.change(dice, |entries, at, _| entries.insert(at, entries[at].clone()));
    }),
    ("records change places", |log, dice| {
        log.change(dice, |entries, at, dice| {
            let by = 1 + dice.roll(entries.len() as u64 - 1) as usize;
            let other = (at + by) % entries.len();
            entries.swap(at, other);
        });
    }),
    ("the end of a file is cut off", |log, dice| {
        let (path, bytes) = log.file(dice);
        let left = dice.roll(bytes.len() as u64) as usize;
        fs::write(path, &bytes[..left]).unwrap();
    }),
    ("the last records are cut off, and whole ones stay", |log, dice| {
        let path = log.records(*list(&log.folder).unwrap().last().unwrap());
        let (header, mut entries) = parse(&fs::read(&path).unwrap());
        entries.truncate(dice.roll(entries.len() as u64) as usize);
        fs::write(path, [header, entries.concat()].concat()).unwrap();
    }),
    ("a file is gone", |log, dice| fs::remove_file(log.file(dice).0).unwrap()),
    ("files change places", |log, dice| {
        let firsts = list(&log.folder).unwrap();
        let one = dice.roll(firsts.len() as u64) as usize;
        let other = (one + 1 + dice.roll(firsts.len() as u64 - 1) as usize) % firsts.len();
        let (one, other) = (log.records(firsts[one]), log.records(firsts[other]));
        let bytes = fs::read(&one).unwrap();
        fs::write(&one, fs::read(&other).unwrap()).unwrap();
        fs::write(&other, bytes).unwrap();
    }),
    ("a record is another, and the chain made anew", |log, dice| {
        log.change_all(dice, |records, at, _| records[at] = lookup(1 << 40).encode());
    }),
    ("a record is taken out, and the chain made anew", |log, dice| {
        log.change_all(dice, |records, at, _| drop(records.remove(at)));
    }),
    ("records change places, and the chain is made anew", |log, dice| {
        log.change_all(dice, |records, at, dice| {
            let by = 1 + dice.roll(records.len() as u64 - 1) as usize;
            let other = (at + by) % records.len();
            records.swap(at, other);
        });
    }),
    ("a checkpoint is taken out", |log, dice| {
        let firsts = list_checkpoints(&log.folder).unwrap();
        let first = firsts[dice.roll(firsts.len() as u64) as usize];
        let path = checkpoints_of(&log.folder, first);
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        let note = dice.roll(lines.len() as u64 / 7) as usize;
        let left = [&lines[..7 * note], &lines[7 * (note + 1)..]].concat();
        fs::write(path, left.concat()).unwrap();
    }),
    ("all is cut off behind a checkpoint", |log, dice| {
        let (mut left, mut records) = (2 + dice.roll(8), 0_u64);
        for first in list_checkpoints(&log.folder).unwrap() {
            let path = checkpoints_of(&log.folder, first);
            let text = fs::read_to_string(&path).unwrap();
            let lines: Vec<&str> = text.split_inclusive('\n').collect();
            let notes: Vec<_> = lines.chunks(7).take(left as usize).collect();
            records = notes.last().map_or(records, |note| note[1].trim().parse().unwrap());
            left -= notes.len() as u64;
            fs::write(path, notes.concat().concat()).unwrap();
        }
        for first in list(&log.folder).unwrap() {
            let path = log.records(first);
            let (header, entries) = parse(&fs::read(&path).unwrap());
            let kept = entries.len().min(records.saturating_sub(first) as usize);
            match first < records {
                true => fs::write(path, [header, entries[..kept].concat()].concat()).unwrap(),
                false => fs::remove_file(path).unwrap(),
            }
        }
    }),
    ("all of it is signed by another", |log, _| {
        for first in list_checkpoints(&log.folder).unwrap() {
            let path = checkpoints_of(&log.folder, first);
            let other = checkpoints_of(&log.other, first);
            match other.exists() {
                true => drop(fs::copy(other, path).unwrap()),
                false => fs::remove_file(path).unwrap(),
            }
        }
    }),
];

/// A copy of a log.
struct Tampering {
    folder: PathBuf,
    /// Another log, by another key.
    other: PathBuf,
}

impl Tampering {
    fn records(&self, first: u64) -> PathBuf {
        path_of(&self.folder, first)
    }

    fn file(&self, dice: &mut Dice) -> (PathBuf, Vec<u8>) {
        let firsts = list(&self.folder).unwrap();
        let path = self.records(firsts[dice.roll(firsts.len() as u64) as usize]);
        let bytes = fs::read(&path).unwrap();
        (path, bytes)
    }

    /// Changes the entries of a file, without making anything anew.
    fn change(&self, dice: &mut Dice, change: fn(&mut Vec<Vec<u8>>, usize, &mut Dice)) {
        let (path, bytes) = self.file(dice);
        let (header, mut entries) = parse(&bytes);
        let at = dice.roll(entries.len() as u64) as usize;
        change(&mut entries, at, dice);
        fs::write(path, [header, entries.concat()].concat()).unwrap();
    }

    /// Changes the records of a file, and makes tags, chain and headers anew from there to the
    /// end of the log: what somebody does who has everything but the key.
    fn change_all(&self, dice: &mut Dice, change: fn(&mut Vec<Vec<u8>>, usize, &mut Dice)) {
        let firsts = list(&self.folder).unwrap();
        let changed = dice.roll(firsts.len() as u64) as usize;
        let mut chain = None;
        let mut next = firsts[changed];
        for (index, first) in firsts.iter().enumerate().skip(changed) {
            let bytes = fs::read(self.records(*first)).unwrap();
            let (mut header, entries) = parse(&bytes);
            let mut records: Vec<Vec<u8>> =
                entries.iter().map(|entry| entry[4..entry.len() - 8].to_vec()).collect();
            if index == changed {
                let at = dice.roll(records.len() as u64) as usize;
                change(&mut records, at, dice);
            }
            let mut chain_now = chain.unwrap_or(Chain(header[34..66].try_into().unwrap()));
            header[26..34].copy_from_slice(&next.to_le_bytes());
            header[34..66].copy_from_slice(&chain_now.0);
            let check = sha256(&[&header[..66]]);
            header[66..].copy_from_slice(&check[..8]);
            fs::remove_file(self.records(*first)).unwrap();
            let path = self.records(next);
            for record in records {
                chain_now.append(&record, &mut header);
                next += 1;
            }
            fs::write(path, header).unwrap();
            chain = Some(chain_now);
        }
    }
}

/// Header and entries of a file.
fn parse(bytes: &[u8]) -> (Vec<u8>, Vec<Vec<u8>>) {
    let (header, mut rest) = bytes.split_at(HEADER_BYTES);
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_le_bytes(rest[..4].try_into().unwrap()) as usize + 12;
        entries.push(rest[..length].to_vec());
        rest = &rest[length..];
    }
    (header.to_vec(), entries)
}

/// An entry with another record and its tag as it was.
fn with(entry: &[u8], record: &Record) -> Vec<u8> {
    let body = record.encode();
    [&(body.len() as u32).to_le_bytes()[..], &body, &entry[entry.len() - 8..]].concat()
}

/// A closed log of several files, with checkpoints in them.
pub fn closed() -> Place {
    let place = Place::new();
    let options =
        || Options { file_bytes: 5_000, checkpoint: Duration::from_millis(1), ..place.options() };
    let mut log = Log::open(options()).unwrap();
    for number in 0..400 {
        log.append(&lookup(number)).unwrap();
        if number % 60 == 59 {
            let is_next = || list(&place.log()).unwrap().len() as u64 > number / 60 + 1;
            until("the next file", is_next);
            drop(log);
            log = Log::open(options()).unwrap();
        }
    }
    drop(log);
    place
}

#[test]
fn a_thousand_of_a_thousand_are_found() {
    let (place, other) = (closed(), closed());
    let note = fs::read_to_string(place.remembered()).unwrap();
    let trusted = Trusted { since: read_signed(&note, place.trusted().key), ..place.trusted() };
    assert!(trusted.since.is_some());
    let report = verify(&place.log(), trusted).unwrap();
    assert_eq!(report.problem, None);
    assert!(report.files > 3 && report.checkpoints > 7 && report.unsigned == 0, "{report:?}");
    let mut found = 0;
    for seed in 0..1_000 {
        let (what, tamper) = TAMPERS[seed % TAMPERS.len()];
        let folder = tempfile::tempdir().unwrap();
        copy(&place.log(), folder.path());
        let log = Tampering { folder: folder.path().to_owned(), other: other.log() };
        tamper(&log, &mut Dice(seed as u64));
        let report = verify(folder.path(), trusted).unwrap();
        assert!(report.problem.is_some(), "seed {seed}, {what}: {report:?}");
        found += 1;
    }
    assert_eq!(found, 1_000);
}

#[test]
fn the_record_that_was_changed_is_named() {
    let place = closed();
    let path = path_of(&place.log(), 0);
    let (header, mut entries) = parse(&fs::read(&path).unwrap());
    entries[5] = with(&entries[5], &lookup(1 << 40));
    fs::write(path, [header, entries.concat()].concat()).unwrap();
    let problem = place.verify().problem.unwrap();
    assert_eq!((problem.record, &*problem.file), (5, "0000000000000000.audit"));
    let refusal = Log::open(place.options());
    assert!(refusal.is_ok(), "the last file is whole: whoever asks for all of it verifies");
}

#[test]
fn a_log_that_was_set_back_is_found_by_what_was_put_aside() {
    let place = Place::new();
    let log = place.open();
    (0..10).for_each(|number| log.append(&lookup(number)).unwrap());
    drop(log);
    let older = tempfile::tempdir().unwrap();
    copy(&place.log(), older.path());
    let log = place.open();
    (0..10).for_each(|number| log.append(&lookup(number)).unwrap());
    drop(log);
    let note = fs::read_to_string(place.remembered()).unwrap();
    let since = read_signed(&note, place.trusted().key);
    let trusted = Trusted { since, ..place.trusted() };
    assert_eq!(verify(&place.log(), trusted).unwrap().problem, None);
    // Whole and signed, and not all of it.
    assert_eq!(verify(older.path(), place.trusted()).unwrap().problem, None);
    let problem = verify(older.path(), trusted).unwrap().problem.unwrap();
    assert!(problem.what.contains("set back"), "{problem:?}");
    fs::remove_dir_all(place.log()).unwrap();
    copy(older.path(), &place.log());
    let refusal = Log::open(place.options()).unwrap_err();
    assert_eq!(refusal.kind(), hitherto_core::Kind::Corrupt, "{refusal}");
    fs::remove_dir_all(place.log()).unwrap();
    let refusal = Log::open(place.options()).unwrap_err();
    assert_eq!(refusal.kind(), hitherto_core::Kind::Corrupt, "nothing is not a new log: {refusal}");
}
