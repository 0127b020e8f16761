//! Each value with its count, up to a limit of values: how many differ, which are frequent.
//!
//! ```text
//! 00 | how many | { value, count } in the order of their bytes
//! 01                                                                  cut
//! 02                                                                  lost
//! ```
//!
//! More values than the limit are not held: the state is **cut**, and what is known of it is
//! that there are more. That is an answer, the limit or none, until something is taken out of
//! it. Then nobody can say which values are left: the state is **lost**, and whoever has the
//! events reads them instead. Counts below zero stay, because the state of a tile may take
//! away what another one added; such values make a state lost where it would be cut.

use std::collections::BTreeMap;

use super::bytes::{put_signed, put_unsigned, take_array, take_signed, take_unsigned};
use super::finish::{Lost, Outcome, Reason};
use super::value::Value;
use crate::limits::AGGREGATE_ITEM_BYTES_MAX;

/// What is kept.
#[derive(Clone, Debug)]
pub struct Distinct {
    limit: u32,
    held: Held,
}

#[derive(Clone, Debug)]
enum Held {
    All(BTreeMap<Box<[u8]>, i64>),
    Cut,
    Lost,
}

impl Distinct {
    /// Of nothing.
    pub fn new(limit: u32) -> Self {
        Self { limit, held: Held::All(BTreeMap::new()) }
    }

    /// Changes the count of a value, given by its bytes.
    pub fn change(&mut self, item: &[u8], by: i64) {
        let Held::All(counts) = &mut self.held else {
            if by < 0 {
                self.held = Held::Lost;
            }
            return;
        };
        match counts.get_mut(item) {
            Some(count) => {
                *count = count.wrapping_add(by);
                if *count == 0 {
                    counts.remove(item);
                }
            }
            None if by != 0 => {
                counts.insert(item.into(), by);
                if counts.len() > self.limit as usize {
                    let is_sure = counts.values().all(|count| *count > 0);
                    self.held = if is_sure { Held::Cut } else { Held::Lost };
                }
            }
            None => {}
        }
    }

    /// Adds all of another state.
    pub fn merge(&mut self, other: &Self) {
        match &other.held {
            Held::All(counts) => counts.iter().for_each(|(item, count)| self.change(item, *count)),
            Held::Lost => self.held = Held::Lost,
            Held::Cut => {
                let is_sure = match &self.held {
                    Held::All(counts) => counts.values().all(|count| *count > 0),
                    Held::Cut => true,
                    Held::Lost => false,
                };
                self.held = if is_sure { Held::Cut } else { Held::Lost };
            }
        }
    }

    /// Whether the events have to be read instead.
    pub fn is_lost(&self) -> bool {
        matches!(self.held, Held::Lost)
    }

    /// How many values differ, at most a limit that is not over the state's.
    ///
    /// # Errors
    /// When the events have to be read instead, as with the next.
    pub fn count(&self, limit: u32) -> Result<i64, Lost> {
        match &self.held {
            Held::All(counts) => {
                let differ = counts.values().filter(|count| **count > 0).count() as i64;
                Ok(differ.min(limit.into()))
            }
            Held::Cut => Ok(limit.into()),
            Held::Lost => Err(Lost),
        }
    }

    /// The most frequent values, most frequent first, then in the order of their bytes; none
    /// if more than a limit differ, which is not over the state's.
    pub fn top(&self, k: u32, limit: u32) -> Result<Outcome, Lost> {
        let counts = match &self.held {
            Held::All(counts) => counts,
            Held::Cut => return Ok(Outcome::Absent(Reason::TooManyValues)),
            Held::Lost => return Err(Lost),
        };
        let mut items: Vec<_> = counts.iter().filter(|(_, count)| **count > 0).collect();
        if items.len() > limit as usize {
            return Ok(Outcome::Absent(Reason::TooManyValues));
        }
        items.sort_by_key(|(_, count)| -**count);
        let values = items.into_iter().take(k as usize).map(|(item, _)| {
            Value::decode(&mut &**item).expect("only bytes of values are counted")
        });
        Ok(Outcome::List(values.collect()))
    }

    /// Appends its bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match &self.held {
            Held::All(counts) => {
                out.push(0);
                put_unsigned(out, counts.len() as u64);
                for (item, count) in counts {
                    out.extend_from_slice(item);
                    put_signed(out, *count);
                }
            }
            Held::Cut => out.push(1),
            Held::Lost => out.push(2),
        }
    }

    /// Takes a state off the front of bytes; `None` if they are none.
    pub(super) fn decode(limit: u32, bytes: &mut &[u8]) -> Option<Self> {
        let held = match take_array(bytes)? {
            [0] => Held::All(decode_counts(limit, bytes)?),
            [1] => Held::Cut,
            [2] => Held::Lost,
            _ => return None,
        };
        Some(Self { limit, held })
    }
}

fn decode_counts(limit: u32, bytes: &mut &[u8]) -> Option<BTreeMap<Box<[u8]>, i64>> {
    let length = take_unsigned(bytes)?;
    if length > limit.into() {
        return None;
    }
    let mut counts = BTreeMap::<Box<[u8]>, i64>::new();
    for _ in 0..length {
        let start = *bytes;
        let value = Value::decode(bytes)?;
        let item = &start[..start.len() - bytes.len()];
        let mut normal = Vec::with_capacity(item.len());
        value.normal().encode(&mut normal);
        let count = take_signed(bytes)?;
        let is_next = counts.last_key_value().is_none_or(|(last, _)| **last < *item);
        let is_held = value.bytes() <= AGGREGATE_ITEM_BYTES_MAX && normal == item && count != 0;
        if !is_held || !is_next {
            return None;
        }
        counts.insert(item.into(), count);
    }
    Some(counts)
}
