//! The values at one end of an order: least, greatest, first, last, and so many of each.
//!
//! Each value is held under a key, whose bytes sort as the function asks:
//!
//! ```text
//! min, max                   value
//! max_n, min_n               value | place
//! min_by, max_by             other column's value | place          value beside it
//! first, last, and so on     place                                 value beside it
//!
//! place:  event time | known time | id        greatest is last; no two events have one
//! ```
//!
//! A key names its event, so an event that is shown twice is held once: states may overlap.
//! For the same reason nothing can be taken out; another value might come in its stead, and
//! who it would be is known to the events alone.
//!
//! ```text
//! how many | { key as text, value as text }       best first
//! ```

use std::cmp::Ordering;

use super::bytes::{put_text, put_unsigned, take_text, take_unsigned};
use super::function::{End, Order, Repeats, Selection};
use super::value::Value;
use crate::limits::{AGGREGATE_ITEM_BYTES_MAX, EVENT_ID_BYTES_MAX, ROW_BYTES_MAX};

/// Where an event stands among those of its entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place<'a> {
    /// When it happened, in microseconds UTC.
    pub event: i64,
    /// When the version that counts was known.
    pub known: i64,
    /// What names it among those of that time: see [`super::identity`].
    pub id: &'a [u8],
}

/// Bytes of a place without its id.
const TIMES_BYTES: usize = 16;
/// Bytes of a value escaped to the utmost, with its tag and its end.
const fn encoded_max(bytes: usize) -> usize {
    2 * bytes + 3
}

/// What is kept.
#[derive(Clone, Debug)]
pub struct Ordered {
    selection: Selection,
    /// Best first.
    entries: Vec<Entry>,
    /// Room for the next, which mostly is not kept.
    next: Entry,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Entry {
    key: Vec<u8>,
    /// Nothing where the key has it.
    value: Vec<u8>,
}

impl Ordered {
    /// Of nothing.
    pub fn new(selection: Selection) -> Self {
        Self { selection, entries: Vec::new(), next: Entry::default() }
    }

    /// Shows a value, that of the other column, and the place of their event.
    pub fn add(&mut self, value: &Value<'_>, by: &Value<'_>, place: Place<'_>) {
        if self.is_plainly_beaten(value, by, place) {
            return;
        }
        let key = &mut self.next.key;
        key.clear();
        match self.selection.order {
            Order::Value | Order::ValueThenPlace => value.normal().encode(key),
            Order::ByThenPlace => by.normal().encode(key),
            Order::Place => {}
        }
        if self.selection.order != Order::Value {
            key.extend_from_slice(&crate::key::ascending(place.event));
            key.extend_from_slice(&crate::key::ascending(place.known));
            key.extend_from_slice(place.id);
        }
        if self.is_beaten(&self.next.key) {
            return;
        }
        self.next.value.clear();
        match (self.selection.order, self.selection.repeats) {
            (Order::Value | Order::ValueThenPlace, _) => {}
            (_, Repeats::Keep) => value.encode(&mut self.next.value),
            (_, Repeats::Drop) => value.normal().encode(&mut self.next.value),
        }
        self.insert_next();
    }

    /// Adds all of another state.
    pub fn merge(&mut self, other: &Self) {
        for entry in &other.entries {
            if self.is_beaten(&entry.key) {
                return;
            }
            self.next.clone_from(entry);
            self.insert_next();
        }
    }

    /// Whether a key has no place among those held.
    fn is_beaten(&self, key: &[u8]) -> bool {
        self.entries.len() >= self.selection.keep as usize
            && self.entries.last().is_some_and(|last| self.order(key, &last.key).is_gt())
    }

    /// The same, as far as numbers say it: most that are shown are beaten, and need no bytes.
    #[inline]
    fn is_plainly_beaten(&self, value: &Value<'_>, by: &Value<'_>, place: Place<'_>) -> bool {
        if self.entries.len() < self.selection.keep as usize {
            return false;
        }
        let Some(last) = self.entries.last() else { return false };
        let (lead, held) = match self.selection.order {
            Order::Value | Order::ValueThenPlace => (value.lead(), Value::lead_of(&last.key)),
            Order::ByThenPlace => (by.lead(), Value::lead_of(&last.key)),
            Order::Place => (
                Some((0, place.event as u64 ^ 1 << 63)),
                last.key.first_chunk().map(|time| (0, u64::from_be_bytes(*time))),
            ),
        };
        let order = lead.zip(held).map(|(lead, held)| lead.cmp(&held));
        order
            == Some(match self.selection.end {
                End::Least => Ordering::Greater,
                End::Greatest => Ordering::Less,
            })
    }

    /// The better of two comes first.
    fn order(&self, a: &[u8], b: &[u8]) -> Ordering {
        match self.selection.end {
            End::Least => a.cmp(b),
            End::Greatest => b.cmp(a),
        }
    }

    fn insert_next(&mut self) {
        let next = &self.next;
        let found = self.entries.binary_search_by(|held| {
            // One event has one value; were there two, they must not depend on who came first.
            self.order(&held.key, &next.key).then_with(|| held.value.cmp(&next.value))
        });
        let Err(index) = found else { return };
        if self.selection.repeats == Repeats::Drop
            && let Some(same) = self.entries.iter().position(|held| held.value == next.value)
        {
            if same < index {
                return;
            }
            self.entries.remove(same);
        }
        self.entries.insert(index, std::mem::take(&mut self.next));
        if self.entries.len() > self.selection.keep as usize {
            self.next = self.entries.pop().expect("it has more than it keeps");
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The values, best first.
    pub fn values(&self) -> impl Iterator<Item = Value<'static>> + '_ {
        self.entries.iter().map(|entry| {
            let bytes = match self.selection.order {
                Order::Value | Order::ValueThenPlace => &entry.key,
                Order::ByThenPlace | Order::Place => &entry.value,
            };
            Value::decode(&mut &**bytes).expect("only bytes of values are held")
        })
    }

    /// When the best event happened, for orders by place.
    pub fn event(&self) -> Option<i64> {
        let time = self.entries.first()?.key.first_chunk()?;
        Some((u64::from_be_bytes(*time) ^ (1 << 63)) as i64)
    }

    /// Appends its bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_unsigned(out, self.entries.len() as u64);
        for entry in &self.entries {
            put_text(out, &entry.key);
            put_text(out, &entry.value);
        }
    }

    /// Takes a state off the front of bytes; `None` if they are none.
    pub(super) fn decode(selection: Selection, bytes: &mut &[u8]) -> Option<Self> {
        let length = take_unsigned(bytes)?;
        if length > selection.keep.into() {
            return None;
        }
        let mut state = Self::new(selection);
        for _ in 0..length {
            let key = take_text(bytes, 2 * encoded_max(ROW_BYTES_MAX))?.to_vec();
            let value = take_text(bytes, encoded_max(ROW_BYTES_MAX))?.to_vec();
            let entry = Entry { key, value };
            let is_next = state.entries.last().is_none_or(|last| {
                let order = state.order(&last.key, &entry.key);
                order.then_with(|| last.value.cmp(&entry.value)).is_lt()
            });
            if !is_next || !state.is_sound(&entry) {
                return None;
            }
            state.entries.push(entry);
        }
        Some(state)
    }

    /// Whether an entry is one that this state could hold.
    fn is_sound(&self, entry: &Entry) -> bool {
        let mut rest = &*entry.key;
        let has_value = self.selection.order != Order::Place;
        if has_value && !is_value(&mut rest, self.selection.keep, IsNormal::Always) {
            return false;
        }
        let is_placed = match self.selection.order {
            Order::Value => rest.is_empty(),
            _ => (TIMES_BYTES..=TIMES_BYTES + EVENT_ID_BYTES_MAX).contains(&rest.len()),
        };
        let mut value = &*entry.value;
        let is_valued = match (self.selection.order, self.selection.repeats) {
            (Order::Value | Order::ValueThenPlace, _) => value.is_empty(),
            (_, Repeats::Keep) => {
                is_value(&mut value, self.selection.keep, IsNormal::Perhaps) && value.is_empty()
            }
            (_, Repeats::Drop) => {
                is_value(&mut value, self.selection.keep, IsNormal::Always)
                    && value.is_empty()
                    && self.entries.iter().all(|held| held.value != entry.value)
            }
        };
        is_placed && is_valued
    }
}

/// Whether equal values must have equal bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum IsNormal {
    Always,
    Perhaps,
}

/// Takes a value off the front of bytes and says whether it is one that can be held.
fn is_value(bytes: &mut &[u8], keep: u32, normal: IsNormal) -> bool {
    let start = *bytes;
    let Some(value) = Value::decode(bytes) else { return false };
    if keep > 1 && value.bytes() > AGGREGATE_ITEM_BYTES_MAX {
        return false;
    }
    let mut again = Vec::with_capacity(start.len() - bytes.len());
    match normal {
        IsNormal::Always => value.normal().encode(&mut again),
        IsNormal::Perhaps => value.encode(&mut again),
    }
    again == start[..start.len() - bytes.len()]
}
