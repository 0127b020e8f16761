//! Keys and values as text, and what differs between two stores' worth of them.

use std::collections::BTreeMap;

use hitherto_core::row;
use hitherto_core::rule::Times;
use hitherto_online::keys::{self, Logged};
use serde_json::Value;

pub const MINUTE: i64 = 60_000_000;

/// What a store has: place in it, to what is shown of key and value.
pub type Shown = BTreeMap<(String, Vec<u8>, String), (String, String)>;

/// Parts of JSON that say nothing of what was written when: definitions, and what a file's
/// writer and its disk decide.
const LEFT_OUT: [&str; 7] =
    [".definition", ".entities", ".keys", ".services", ".bytes", ".modified", ".fingerprint"];

/// Adds one key and its value; of JSON a line for each of its values.
pub fn add(shown: &mut Shown, family: &str, key: &[u8], value: &[u8]) {
    let mut put = |path: &str, name: String, value: String| {
        let place = (place(family), key.to_vec(), path.to_owned());
        shown.insert(place, (format!("{family} {name}"), value));
    };
    match family {
        "latest" => put("", format!("{} {}", generation(key), text(&key[8..])), row_of(value)),
        "history" => {
            let (entity, times) = keys::split_history(key).unwrap();
            let name = format!("{} {} {}", generation(key), text(&entity[8..]), times_of(times));
            put("", name, row_of(value));
        }
        "pushed" => {
            let (name, value) = logged(key, value);
            put("", name, value);
        }
        _ => {
            let name = String::from_utf8(key.to_vec()).unwrap();
            match moment(&name, value) {
                Some(moment) => put("", name, moment),
                None => flatten(&serde_json::from_slice(value).unwrap(), "", &mut |path, value| {
                    put(path, format!("{name} {path}"), value);
                }),
            }
        }
    }
}

/// Rows before the log, and metadata last.
fn place(family: &str) -> String {
    let order = ["latest", "history", "pushed", "meta"];
    order.iter().position(|one| *one == family).unwrap().to_string()
}

/// The keys that were added, changed and removed.
pub fn changes(before: &Shown, after: &Shown) -> String {
    let mut places: Vec<_> = before.keys().chain(after.keys()).collect();
    places.sort();
    places.dedup();
    let changes =
        places.into_iter().filter_map(|place| match (before.get(place), after.get(place)) {
            (None, Some((key, value))) => Some(format!("+ {key} = {value}\n")),
            (Some((key, _)), None) => Some(format!("- {key}\n")),
            (Some((_, old)), Some((key, new))) if old != new => Some(format!("~ {key} = {new}\n")),
            _ => None,
        });
    changes.collect()
}

fn generation(key: &[u8]) -> String {
    let number = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
    format!("{}/{}", number(&key[..4]), number(&key[4..8]))
}

/// An entity key that is one string.
fn text(key: &[u8]) -> String {
    let letters = key.iter().filter(|byte| byte.is_ascii_graphic());
    letters.map(|byte| char::from(*byte)).collect()
}

fn times_of(Times { event, known }: Times) -> String {
    match event == known {
        true => format!("@{}", minutes(event)),
        false => format!("@{}/{}", minutes(event), minutes(known)),
    }
}

fn row_of(row: &[u8]) -> String {
    let value = i64::from_le_bytes(row[row.len() - 8..].try_into().unwrap());
    format!("{value}{}", times_of(row::times(row).unwrap()))
}

fn logged(key: &[u8], value: &[u8]) -> (String, String) {
    let view = u32::from_be_bytes(key[..4].try_into().unwrap());
    let number = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().unwrap());
    let rest = &key[5..];
    match key[4] {
        of if of == Logged::Batch as u8 => {
            (format!("{view} batch {}", number(rest)), format!("{} bytes", value.len()))
        }
        of if of == Logged::Number as u8 => {
            let named = keys::read_named(value).unwrap();
            let (_, arrived) = named.facts.unwrap();
            let name = format!("{view} number by name {}", short(rest));
            (name, format!("{}, arrived @{}", named.number, minutes(arrived)))
        }
        _ => (format!("{view} name of {}", number(rest)), short(value)),
    }
}

/// The beginning of a name, which is a hash.
fn short(name: &[u8]) -> String {
    name[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Metadata that is a number.
fn moment(name: &str, value: &[u8]) -> Option<String> {
    let bytes = || value.try_into().unwrap();
    match name.split('/').next()? {
        "arrived" => Some(format!("@{}", minutes(i64::from_be_bytes(bytes())))),
        "visible-by" => Some(format!("@{}", minutes(i64::from_le_bytes(bytes())))),
        "landed" => Some(u64::from_be_bytes(bytes()).to_string()),
        _ => None,
    }
}

fn flatten(value: &Value, path: &str, put: &mut dyn FnMut(&str, String)) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            let path = format!("{path}.{name}");
            if !LEFT_OUT.iter().any(|left_out| path.ends_with(left_out)) {
                flatten(value, &path, put);
            }
        }),
        Value::Array(items) => items.iter().enumerate().for_each(|(index, item)| {
            flatten(item, &format!("{path}[{index}]"), put);
        }),
        Value::Number(number) => match number.as_i64() {
            Some(micros) if micros != 0 && micros % MINUTE == 0 => {
                put(path, format!("@{}", minutes(micros)));
            }
            _ => put(path, number.to_string()),
        },
        other => put(path, other.to_string()),
    }
}

fn minutes(micros: i64) -> String {
    match micros {
        i64::MIN => String::from("never"),
        _ if micros % MINUTE == 0 => (micros / MINUTE).to_string(),
        _ => format!("{micros}us"),
    }
}
