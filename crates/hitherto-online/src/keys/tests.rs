//! The bytes of every key, as they are on disks out there.

use super::*;

const ID: GenerationId = GenerationId { view: 7, number: 258 };
const TIMES: Times = Times { event: 1, known: -2 };

/// Bytes as text: what is no letter, digit or mark in hexadecimal.
fn shown(bytes: &[u8]) -> String {
    let shown = |byte: &u8| match byte {
        b'!'..=b'~' => char::from(*byte).to_string(),
        _ => format!("[{byte:02x}]"),
    };
    bytes.iter().map(shown).collect()
}

/// Every sort of metadata with its number and text. A new sort has the number after the
/// last that there ever was: there is none retired yet.
const META: [(u8, MetaKey, &str); 7] = [
    (1, MetaKey::Catalog, "catalog"),
    (2, MetaKey::Clock, "clock"),
    (3, MetaKey::Consumed { view: 7 }, "consumed/7"),
    (4, MetaKey::ConsumedBefore { view: 7 }, "consumed/7/previous"),
    (5, MetaKey::Landed { view: 7 }, "landed/7"),
    (6, MetaKey::Arrived, "arrived"),
    (7, MetaKey::VisibleBy(ID), "visible-by/7/258"),
];

#[test]
fn keys_of_metadata_are_as_they_were() {
    for (number, key, text) in META {
        assert_eq!((key.number(), key.to_string().as_str()), (number, text));
    }
    assert_eq!(META.map(|(number, ..)| number), [1, 2, 3, 4, 5, 6, 7], "each once");
}

#[test]
fn keys_of_rows_and_batches_are_as_they_were() {
    let mut keys = LatestKeys::default();
    keys.push(ID, b"stay");
    let sorts = [
        ("generation", generation(ID).to_vec()),
        ("generation_end", generation_end(ID).to_vec()),
        ("latest", latest(ID, b"stay")),
        ("latest", keys.get(0).to_vec()),
        ("history", history(ID, b"stay", TIMES)),
        ("batch", logged(7, Logged::Batch, &258_u64.to_be_bytes())),
        ("number", logged(7, Logged::Number, &259_u128.to_be_bytes())),
        ("name", logged(7, Logged::Name, &258_u64.to_be_bytes())),
    ];
    let lines = sorts.map(|(sort, key)| format!("{sort} {}", shown(&key)));
    let zeros = |count| "[00]".repeat(count);
    let id = format!("{}[07]{}[01][02]", zeros(3), zeros(2));
    let expected = [
        format!("generation {id}"),
        format!("generation_end {}[07]{}[01][03]", zeros(3), zeros(2)),
        format!("latest {id}stay"),
        format!("latest {id}stay"),
        // All bits of the times are turned: the sign's and then all.
        format!("history {id}stay[7f]{}[fe][80]{}[01]", "[ff]".repeat(6), zeros(6)),
        format!("batch {}[07][00]{}[01][02]", zeros(3), zeros(6)),
        format!("number {}[07][01]{}[01][03]", zeros(3), zeros(14)),
        format!("name {}[07][02]{}[01][02]", zeros(3), zeros(6)),
    ];
    assert_eq!(lines, expected);
}

#[test]
fn what_a_name_leads_to_is_as_it_was() {
    let entry = LogEntry { view: 7, number: 1, name: None, arrived: 3, bytes: &[] };
    let named = named(&entry, BatchName { name: 9, content: 2 });
    let zeros = |count| "[00]".repeat(count);
    let expected = format!("{}[01]{}[02]{}[03]", zeros(7), zeros(15), zeros(7));
    assert_eq!(shown(&named), expected);
    let facts = Some((2, 3));
    assert_eq!(read_named(&named), Some(NamedBatch { number: 1, facts }));
    let earlier = 1_u64.to_be_bytes();
    assert_eq!(read_named(&earlier), Some(NamedBatch { number: 1, facts: None }));
    assert_eq!(read_named(&earlier[1..]), None);
}
