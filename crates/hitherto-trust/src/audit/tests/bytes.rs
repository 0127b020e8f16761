//! The bytes of records and logs, for ever.

use proptest::prelude::*;

use super::*;

/// A log that was written once; its key is not kept.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/audit/1");

#[test]
fn a_record_has_these_bytes() {
    let record = Record { as_of: Some(NOW), views: vec![String::from("labs")], ..lookup(1) };
    let bytes: String = record.encode().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(bytes, include_str!("../../../../../fixtures/audit/record-1.hex").trim());
    assert_eq!(Record::decode(&record.encode()), Some(record));
}

#[test]
fn a_log_of_the_first_form_is_read() {
    let folder = Path::new(GOLDEN);
    let key = PublicKey::read(&folder.join("key.pem")).unwrap();
    let since = fs::read_to_string(folder.join("since.note")).unwrap();
    let since = read_signed(&since, key);
    assert!(since.is_some());
    let report = verify(folder, Trusted { key, since }).unwrap();
    assert_eq!(report.problem, None);
    assert_eq!((report.records, report.files, report.unsigned), (9, 2, 0));
    let mut json = String::new();
    for record in read(folder).unwrap() {
        json.push_str(&serde_json::to_string(&record.unwrap().1).unwrap());
        json.push('\n');
    }
    assert_eq!(json, fs::read_to_string(folder.join("records.jsonl")).unwrap());
}

/// Writes what the test above reads, where a setting names a folder.
#[test]
fn golden() {
    let Some(folder) = std::env::var_os("HITHERTO_WRITE_AUDIT") else { return };
    let place = Place::new();
    let log = Log::open(Options { file_bytes: 300, ..place.options() }).unwrap();
    (0..3).for_each(|number| log.append(&lookup(number)).unwrap());
    let is_next = || fs::read_dir(place.log()).unwrap().count() >= 6;
    until("the next file", is_next);
    let late = Record { as_of: Some(-1), views: vec![String::from("labs")], ..lookup(3) };
    log.append(&late).unwrap();
    log.append(&Record::of(Event::Denied, NOW, 1, "Grüße")).unwrap();
    log.append(&Record { hashes: vec![1, 2], entities: 5, ..lookup(4) }).unwrap();
    log.append(&Record { outcome: String::from("not_found"), ..lookup(u64::MAX) }).unwrap();
    drop(log);
    let to = Path::new(&folder).join("1");
    copy(&place.log(), &to);
    fs::remove_file(to.join("lock")).unwrap();
    fs::copy(place.remembered(), to.join("since.note")).unwrap();
    let json: Vec<_> =
        place.records().iter().map(|one| serde_json::to_string(one).unwrap()).collect();
    fs::write(to.join("records.jsonl"), json.join("\n") + "\n").unwrap();
    let record = Record { as_of: Some(NOW), views: vec![String::from("labs")], ..lookup(1) };
    let bytes: String = record.encode().iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(Path::new(&folder).join("record-1.hex"), bytes + "\n").unwrap();
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-zé/_]{1,12}", "x{1020}é{4}"]
}

fn numbers() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 1..300_u64, any::<u64>()]
}

prop_compose! {
    fn records()(
        (time, event, call) in (any::<i64>(), 0..Event::ALL.len(), numbers()),
        texts in prop::array::uniform7(texts()),
        views in prop::collection::vec(texts(), 0..4),
        hashes in prop::collection::btree_set(any::<u64>(), 0..5),
        as_of in prop::option::of(any::<i64>()),
        numbers in prop::array::uniform5(numbers()),
        decision in 0..3_u8,
    ) -> Record {
        let [caller, address, method, service, outcome, detail, _] = texts;
        let [features, entities, count, duration, catalog_version] = numbers;
        let decision = match decision {
            0 => Decision::None,
            1 => Decision::Permitted,
            _ => Decision::Denied,
        };
        Record {
            time, event: Event::ALL[event], call, caller, address, method, service, views,
            features, as_of, entities, hashes: hashes.into_iter().collect(), count, decision,
            outcome, duration, detail, catalog_version,
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_and_written_again_alike(record in records()) {
        let bytes = record.encode();
        let read = Record::decode(&bytes).unwrap();
        prop_assert_eq!(read.encode(), bytes.clone());
        // A record within its bounds is what was read; a longer one was cut.
        let is_whole = record.encode() == read.encode();
        prop_assert!(is_whole);
        prop_assert_eq!((read.time, read.event, read.as_of), (record.time, record.event, record.as_of));
        prop_assert_eq!(read.hashes, record.hashes);
    }

    #[test]
    fn no_other_bytes_are_a_record(record in records(), at in any::<prop::sample::Index>(), bit in 0..8_u32) {
        let bytes = record.encode();
        let mut changed = bytes.clone();
        let at = at.index(changed.len());
        changed[at] ^= 1_u8 << bit;
        // Either no record, or another one: never the same by two spellings.
        if let Some(read) = Record::decode(&changed) {
            prop_assert_ne!(read.encode(), bytes);
        }
    }
}

#[test]
fn a_record_at_its_bounds_is_read() {
    let long = "é".repeat(5_000);
    let record = Record {
        caller: long.clone(),
        views: vec![long; 10_000],
        hashes: (0..10_000).collect(),
        entities: 10_000,
        ..lookup(0)
    };
    let bytes = record.encode();
    assert!(bytes.len() < hitherto_core::limits::AUDIT_RECORD_BYTES_MAX);
    let read = Record::decode(&bytes).unwrap();
    assert_eq!((read.views.len(), read.hashes.len()), (512, 1_024));
    assert_eq!(read.is_about(1_023), Some(true));
    assert_eq!(read.is_about(1_024), None, "it does not say");
    assert_eq!(lookup(1).is_about(7), Some(false));
}

#[test]
fn an_entity_has_one_hash_a_year() {
    let folder = tempfile::tempdir().unwrap();
    let keys = EntityKeys::new(folder.path());
    assert!(keys.kept(NOW).unwrap().is_none(), "asking makes no key");
    let key = keys.of(NOW).unwrap();
    let hash = |key: &EntityKey, entity: &str, values: &[(&str, &str)]| {
        let values: Vec<_> =
            values.iter().map(|(name, value)| (*name, KeyText::typed(value))).collect();
        key.hash(entity, values.iter().map(|(name, value)| (*name, value)))
    };
    let one = hash(&key, "stay", &[("a", "1"), ("b", "22")]);
    assert_eq!(one, hash(&keys.of(NOW + 1).unwrap(), "stay", &[("a", "1"), ("b", "22")]));
    assert_ne!(one, hash(&key, "stay", &[("a", "12"), ("b", "2")]));
    assert_ne!(one, hash(&key, "patient", &[("a", "1"), ("b", "22")]));
    let next_year = keys.of(NOW + 40 * 86_400 * SECOND).unwrap();
    assert_ne!(one, hash(&next_year, "stay", &[("a", "1"), ("b", "22")]));
    // As a program reads them that was started later.
    let again = EntityKeys::new(folder.path()).kept(NOW).unwrap().unwrap();
    assert_eq!(one, hash(&again, "stay", &[("a", "1"), ("b", "22")]));
    let mut value = KeyText::default();
    value.set(hitherto_core::key::Part::Int(-42));
    assert_eq!(value, KeyText::typed("-42"));
    fs::write(folder.path().join("entities-2026.key"), "short").unwrap();
    let refusal = EntityKeys::new(folder.path()).of(NOW).err().unwrap();
    assert!(refusal.to_string().contains("no key of 64 hex digits"), "{refusal}");
}
