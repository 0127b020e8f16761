//! Writing, as well as a disk, a clock and other people allow.

use std::os::unix::fs::PermissionsExt;
use std::thread;

use hitherto_core::Kind;

use super::super::segment::list;
use super::*;

fn events(place: &Place) -> Vec<Event> {
    place.records().iter().map(|record| record.event).collect()
}

#[test]
fn a_log_is_its_owners_alone_and_says_how_it_was_found() {
    let place = Place::new();
    drop(place.open());
    let log = place.open();
    let other = Log::open(place.options()).unwrap_err();
    assert_eq!(other.kind(), Kind::Conflict, "{other}");
    log.append(&lookup(0)).unwrap();
    drop(log);
    let (started, stopped) = (Event::Started, Event::Stopped);
    assert_eq!(events(&place), [started, stopped, started, Event::Call, stopped]);
    let said: Vec<_> = place.records().into_iter().map(|record| record.detail).collect();
    assert_eq!((&*said[0], &*said[2]), ("a new log", "closed"));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place.log()), 0o700);
    for entry in fs::read_dir(place.log()).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
    assert_eq!(mode(&place.key()), 0o600);
}

#[test]
fn threads_write_every_record_once() {
    let place = Place::new();
    let log = place.open();
    thread::scope(|threads| {
        for writer in 0..4_u64 {
            let log = &log;
            threads.spawn(move || {
                for number in 0..2_000 {
                    let record = lookup(writer * 10_000 + number);
                    match writer % 2 {
                        0 => log.append(&record).unwrap(),
                        _ => log.offer(&record),
                    }
                }
            });
        }
    });
    log.sync().unwrap();
    drop(log);
    let report = place.verify();
    assert_eq!((report.problem, report.unsigned), (None, 0));
    let mut calls: Vec<u64> = place
        .records()
        .iter()
        .filter(|record| record.event == Event::Call)
        .map(|record| record.call)
        .collect();
    calls.sort_unstable();
    let all = (0..4).flat_map(|writer| (0..2_000).map(move |number| writer * 10_000 + number));
    assert_eq!(calls, all.collect::<Vec<_>>());
}

#[test]
fn what_is_dropped_is_counted_in_the_log() {
    let place = Place::new();
    let log = place.open();
    let large = Record { hashes: (0..1_024).collect(), entities: 1_024, ..lookup(0) };
    let offered = 20_000;
    for _ in 0..offered {
        log.offer(&large);
    }
    let dropped = log.status().dropped;
    assert!(dropped > 0, "the queue is larger than its bound");
    drop(log);
    let records = place.records();
    let written = records.iter().filter(|record| record.event == Event::Call).count() as u64;
    let told = records.iter().filter(|record| record.event == Event::Dropped);
    assert_eq!(told.map(|record| record.count).sum::<u64>(), dropped);
    assert_eq!(written + dropped, offered);
}

#[test]
fn a_file_that_is_removed_is_missed() {
    let place = Place::new();
    let log = place.open();
    log.append(&lookup(0)).unwrap();
    let first = super::super::segment::path_of(&place.log(), 0);
    fs::remove_file(&first).unwrap();
    until("another file", || list(&place.log()).unwrap() == [2]);
    until("it goes on", || log.append(&lookup(1)).is_ok());
    assert!(log.status().is_writable);
    // Where none can be made, nothing is answered, until one can.
    fs::rename(place.log(), place.folder.path().join("aside")).unwrap();
    fs::write(place.log(), "").unwrap();
    until("a refusal", || log.append(&lookup(2)).is_err());
    let refusal = log.append(&lookup(2)).unwrap_err();
    assert_eq!(refusal.kind(), Kind::Unavailable, "{}", refusal.chain());
    assert!(!log.status().is_writable);
    fs::remove_file(place.log()).unwrap();
    until("it goes on", || log.append(&lookup(3)).is_ok());
    drop(log);
    let events = events(&place);
    assert!(events.contains(&Event::Lost) && events.contains(&Event::Refused), "{events:?}");
    assert!(place.verify().problem.is_some(), "two files are gone");
}

#[test]
fn a_torn_record_is_cut_off_and_that_is_recorded() {
    let place = Place::new();
    let log = place.open();
    log.append(&lookup(0)).unwrap();
    drop(log);
    let path = super::super::segment::path_of(&place.log(), 0);
    let whole = fs::read(&path).unwrap();
    // As a crash leaves it: not closed, and with a part of the next record.
    let note = fs::read_to_string(place.remembered()).unwrap();
    let notes = super::super::segment::checkpoints_of(&place.log(), 0);
    let first: Vec<_> = fs::read_to_string(&notes)
        .unwrap()
        .split_inclusive('\n')
        .take(7)
        .collect::<Vec<_>>()
        .concat()
        .into_bytes();
    fs::write(&notes, [&first, &note.as_bytes()[..20]].concat()).unwrap();
    fs::write(place.remembered(), &first).unwrap();
    let cut = whole.len() - 5;
    fs::write(&path, &whole[..cut]).unwrap();
    let report = place.verify();
    assert_eq!((report.problem, report.is_unfinished, report.unsigned), (None, true, 1));
    drop(place.open());
    let report = place.verify();
    assert_eq!((report.problem, report.is_unfinished, report.unsigned), (None, false, 0));
    let records = place.records();
    assert_eq!(records[2].event, Event::Started);
    assert!(records[2].detail.contains("cut off"), "{:?}", records[2]);
}

#[test]
fn another_key_does_not_go_on() {
    let place = Place::new();
    drop(place.open());
    fs::remove_file(place.key()).unwrap();
    fs::remove_file(place.remembered()).unwrap();
    let refusal = Log::open(place.options()).unwrap_err();
    assert_eq!(refusal.kind(), Kind::Conflict, "{refusal}");
    assert!(place.verify().problem.is_some(), "nothing is signed by the new key");
}

/// A log of several closed files, their ends days apart.
fn days(place: &Place, retention: Option<i64>) -> Log {
    let open =
        |retention| Log::open(Options { file_bytes: 300, retention, ..place.options() }).unwrap();
    for _ in 0..5 {
        let log = open(None);
        let before = list(&place.log()).unwrap().len();
        (0..4).for_each(|number| log.append(&lookup(number)).unwrap());
        until("the next file", || list(&place.log()).unwrap().len() > before);
        drop(log);
        place.advance(86_400 * SECOND);
    }
    open(retention)
}

#[test]
fn what_is_old_goes_whole_and_the_rest_is_still_verified() {
    let place = Place::new();
    let log = days(&place, Some(3 * 86_400 * SECOND));
    let before = list(&place.log()).unwrap();
    drop(log);
    let after = list(&place.log()).unwrap();
    assert!(after.len() < before.len() && after.len() > 2, "{before:?} {after:?}");
    assert!(before.ends_with(&after[..1]) || before.contains(&after[0]));
    let report = place.verify();
    assert_eq!(report.problem, None, "{report:?}");
    assert_eq!(report.first, after[0]);
    let oldest = place.records()[0].time;
    assert!(oldest < place.now.load(Ordering::Relaxed));
    // The same without the record that says so.
    let other = tempfile::tempdir().unwrap();
    copy(&place.log(), other.path());
    fs::remove_file(super::super::segment::path_of(other.path(), after[0])).unwrap();
    let problem = verify(other.path(), place.trusted()).unwrap().problem.unwrap();
    assert!(problem.what.contains("retired"), "{problem:?}");
}

#[test]
fn nothing_goes_under_a_hold_or_by_a_clock_that_jumped() {
    let place = Place::new();
    let hold = Hold {
        name: String::from("CASE-7"),
        from: NOW - 1,
        by: String::from("ada"),
        reason: String::from("a question"),
    };
    drop(place.open());
    hold.place(&place.log()).unwrap();
    assert_eq!(hold.place(&place.log()).unwrap_err().kind(), Kind::Conflict);
    let before = {
        drop(days(&place, Some(86_400 * SECOND)));
        list(&place.log()).unwrap()
    };
    assert_eq!(before[0], 0, "it is held");
    assert_eq!(Hold::all(&place.log()).unwrap(), [hold]);
    Hold::lift(&place.log(), "CASE-7").unwrap();
    assert_eq!(Hold::lift(&place.log(), "CASE-7").unwrap_err().kind(), Kind::NotFound);
    // Ten years ahead at once: that is a clock, and not time.
    place.advance(10 * 365 * 86_400 * SECOND);
    let retention = Some(86_400 * SECOND);
    drop(Log::open(Options { retention, ..place.options() }).unwrap());
    assert_eq!(list(&place.log()).unwrap()[0], 0);
    // It has gone on from there.
    place.advance(86_400 * SECOND);
    drop(Log::open(Options { retention, ..place.options() }).unwrap());
    assert_ne!(list(&place.log()).unwrap()[0], 0);
    let events = events(&place);
    assert_eq!(place.verify().problem, None);
    assert!(events.contains(&Event::Retired), "{events:?}");
}

#[test]
fn holds_have_names_and_reasons() {
    let folder = tempfile::tempdir().unwrap();
    let hold = |name: &str, reason: &str| Hold {
        name: name.to_owned(),
        from: 0,
        by: String::from("ada"),
        reason: reason.to_owned(),
    };
    for (name, reason) in [("../x", "r"), (".x", "r"), ("", "r"), ("x", ""), ("x", "a\nb")] {
        assert_eq!(hold(name, reason).place(folder.path()).unwrap_err().kind(), Kind::Invalid);
    }
    hold("x", "why: because").place(folder.path()).unwrap();
    assert_eq!(Hold::all(folder.path()).unwrap(), [hold("x", "why: because")]);
    fs::write(folder.path().join("holds/odd"), "?").unwrap();
    assert_eq!(Hold::all(folder.path()).unwrap_err().kind(), Kind::Corrupt);
}

#[test]
fn a_step_of_the_clock_is_recorded() {
    let place = Place::new();
    let log = place.open();
    until("the clock was looked at", || log.status().records >= 1);
    thread::sleep(Duration::from_millis(1_200));
    place.advance(-3_600 * SECOND);
    let told = || events(&place).contains(&Event::ClockStepped);
    until("the step is told", told);
    drop(log);
}
