//! One state of each form, and the six things that can be done with it.
//!
//! ```text
//! tag | events without a value | what the form keeps
//! ```
//!
//! Two states of one form that have been shown the same events have the same bytes, in
//! whatever order that was and however they were split and merged. Whoever stores them knows
//! the form; the tag finds bytes of another one. A tag is never reused.

use super::bytes::{put_signed, take_array, take_signed};
use super::distinct::Distinct;
use super::exact::wide::Sign;
use super::finish::{Lost, Outcome, Reason};
use super::function::{Form, Function, Nulls, Order};
use super::histogram::Histogram;
use super::ordered::{Ordered, Place};
use super::registers::Registers;
use super::sums::Sums;
use super::value::Value;
use crate::error::ROWS_ANEW;
use crate::limits::AGGREGATE_ITEM_BYTES_MAX;
use crate::time::MICROS_PER_SECOND;
use crate::{Error, Result};

/// One event as a state sees it.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The value of the aggregated column; any but null where there is none.
    pub value: &'a Value<'a>,
    /// The value of the column that orders, for `min_by` and `max_by`.
    pub by: &'a Value<'a>,
    /// Where the event stands.
    pub place: Place<'a>,
}

/// What has become of an event that was to be taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Removal {
    /// The state is as if it had never been shown.
    Done,
    /// The state is as it was, or lost: it has to be built again from the events.
    Rebuild,
}

/// What is kept of the events in a window, or in a tile.
#[derive(Clone, Debug)]
pub struct State {
    form: Form,
    /// Events whose value is null: how many, or one for any number of them where events
    /// cannot be taken out.
    nulls: i64,
    kept: Kept,
}

#[derive(Clone, Debug)]
enum Kept {
    Count(i64),
    Sums(Sums),
    /// How many are false, and how many true.
    Truth([i64; 2]),
    Distinct(Distinct),
    Histogram(Histogram),
    Registers(Registers),
    Ordered(Ordered),
}

impl State {
    /// The state of no event.
    pub fn new(form: Form) -> Self {
        let kept = match form {
            Form::Count => Kept::Count(0),
            Form::Sum => Kept::Sums(Sums::new()),
            Form::Squares => Kept::Sums(Sums::with_squares()),
            Form::Truth => Kept::Truth([0; 2]),
            Form::Distinct { limit } => Kept::Distinct(Distinct::new(limit)),
            Form::Histogram { scale, bits } => Kept::Histogram(Histogram::new(scale, bits)),
            Form::Registers { precision } => Kept::Registers(Registers::new(precision)),
            Form::Ordered(selection) => Kept::Ordered(Ordered::new(selection)),
        };
        Self { form, nulls: 0, kept }
    }

    /// What is kept.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Shows an event.
    ///
    /// # Errors
    /// `Invalid` for a value too long to be held beside others, `Internal` for one of a type
    /// that the form does not take.
    #[inline]
    pub fn add(&mut self, input: &Input<'_>) -> Result<()> {
        self.change(Sign::Plus, input)
    }

    /// Takes an event out that was shown, to this state or to one that is merged with it.
    ///
    /// # Errors
    /// As [`State::add`].
    pub fn remove(&mut self, input: &Input<'_>) -> Result<Removal> {
        if !self.form.is_invertible() {
            return Ok(Removal::Rebuild);
        }
        self.change(Sign::Minus, input)?;
        Ok(match &self.kept {
            Kept::Distinct(distinct) if distinct.is_lost() => Removal::Rebuild,
            _ => Removal::Done,
        })
    }

    #[inline]
    fn change(&mut self, sign: Sign, input: &Input<'_>) -> Result<()> {
        let step = if sign == Sign::Plus { 1 } else { -1 };
        if self.passes_over(input) {
            self.nulls = if self.form.is_invertible() { self.nulls.wrapping_add(step) } else { 1 };
            return Ok(());
        }
        let taken = match &mut self.kept {
            Kept::Count(count) => {
                *count = count.wrapping_add(step);
                Some(())
            }
            Kept::Sums(sums) => sums.add(sign, input.value),
            Kept::Truth(counts) => match *input.value {
                Value::Bool(value) => {
                    let count = &mut counts[usize::from(value)];
                    *count = count.wrapping_add(step);
                    Some(())
                }
                _ => None,
            },
            Kept::Histogram(histogram) => histogram.change(input.value, step),
            Kept::Distinct(_) | Kept::Registers(_) | Kept::Ordered(_) => {
                return self.change_item(step, input);
            }
        };
        taken.ok_or_else(|| {
            Error::internal(format!("an aggregate over {:?} was shown another type", self.form))
        })
    }

    /// Shows a value that is held, or hashed, by its bytes.
    fn change_item(&mut self, step: i64, input: &Input<'_>) -> Result<()> {
        let length = input.value.bytes();
        if self.form.keeps_many() && length > AGGREGATE_ITEM_BYTES_MAX {
            return Err(Error::invalid(format!(
                "a value of {length} bytes is too long for a function that keeps many values; \
                 the limit is {AGGREGATE_ITEM_BYTES_MAX}, so shorten it in source.sql"
            )));
        }
        if let Kept::Ordered(ordered) = &mut self.kept {
            ordered.add(input.value, input.by, input.place);
            return Ok(());
        }
        let mut item = Vec::with_capacity(length + 4);
        input.value.normal().encode(&mut item);
        match &mut self.kept {
            Kept::Distinct(distinct) => distinct.change(&item, step),
            Kept::Registers(registers) => registers.add(&item),
            _ => {}
        }
        Ok(())
    }

    /// Whether an event has no value for this form.
    fn passes_over(&self, input: &Input<'_>) -> bool {
        match self.form {
            Form::Ordered(selection) => {
                (input.value.is_null() && selection.nulls == Nulls::Skip)
                    || (input.by.is_null() && selection.order == Order::ByThenPlace)
            }
            _ => input.value.is_null(),
        }
    }

    /// Adds what another state was shown.
    ///
    /// # Panics
    /// When it has another form: a broken caller.
    pub fn merge(&mut self, other: &State) {
        assert_eq!(self.form, other.form, "states of one form are merged");
        match (&mut self.kept, &other.kept) {
            (Kept::Count(mine), Kept::Count(theirs)) => *mine = mine.wrapping_add(*theirs),
            (Kept::Sums(mine), Kept::Sums(theirs)) => mine.merge(theirs),
            (Kept::Truth(mine), Kept::Truth(theirs)) => {
                *mine = [0, 1].map(|value| mine[value].wrapping_add(theirs[value]));
            }
            (Kept::Distinct(mine), Kept::Distinct(theirs)) => mine.merge(theirs),
            (Kept::Histogram(mine), Kept::Histogram(theirs)) => mine.merge(theirs),
            (Kept::Registers(mine), Kept::Registers(theirs)) => mine.merge(theirs),
            (Kept::Ordered(mine), Kept::Ordered(theirs)) => mine.merge(theirs),
            _ => unreachable!("one form is kept in one way"),
        }
        self.nulls = match self.form.is_invertible() {
            true => self.nulls.wrapping_add(other.nulls),
            false => self.nulls.max(other.nulls),
        };
    }

    /// Reads a function at a moment `at`, in microseconds UTC.
    ///
    /// # Errors
    /// `Lost` when the events have to be read instead.
    ///
    /// # Panics
    /// When the state's form has not what the function needs: a broken caller.
    pub fn finish(&self, function: &Function, at: i64) -> Result<Outcome, Lost> {
        assert!(self.form.includes(&function.form()), "{function:?} of {:?}", self.form);
        let float = |number| Outcome::Value(Value::Float(number));
        let some =
            |number: Option<f64>| number.map_or(Outcome::Absent(Reason::TooFewValues), float);
        if let (Function::Count, Some(count)) = (function, self.count()) {
            return Ok(Outcome::Value(Value::Int(count)));
        }
        Ok(match (&self.kept, *function) {
            (Kept::Distinct(distinct), Function::CountDistinct { limit }) => {
                Outcome::Value(Value::Int(distinct.count(limit)?))
            }
            (Kept::Distinct(distinct), Function::TopK { k, limit }) => distinct.top(k, limit)?,
            (Kept::Registers(registers), _) => Outcome::Value(Value::Int(registers.estimate())),
            (Kept::Ordered(ordered), function) if function.is_list() => {
                Outcome::List(ordered.values().collect())
            }
            _ if self.is_empty() => Outcome::Absent(match self.nulls {
                0 => Reason::EmptyWindow,
                _ => Reason::AllNull,
            }),
            (Kept::Sums(sums), Function::Sum { scale, output }) => sums.sum(scale, output),
            (Kept::Sums(sums), Function::Mean { scale }) => float(sums.mean(scale)),
            (Kept::Sums(sums), Function::Variance { scale, of }) => some(sums.variance(scale, of)),
            (Kept::Sums(sums), Function::Stddev { scale, of }) => some(sums.stddev(scale, of)),
            (Kept::Truth([_, trues]), Function::Any) => Outcome::Value(Value::Bool(*trues > 0)),
            (Kept::Truth([falses, _]), _) => Outcome::Value(Value::Bool(*falses == 0)),
            (Kept::Distinct(distinct), Function::Mode { limit }) => match distinct.top(1, limit)? {
                Outcome::List(values) => values
                    .into_iter()
                    .next()
                    .map_or(Outcome::Absent(Reason::EmptyWindow), Outcome::Value),
                outcome => outcome,
            },
            (Kept::Histogram(histogram), Function::ApproxQuantile { millionths, .. }) => {
                some(histogram.quantile(millionths))
            }
            (Kept::Ordered(ordered), Function::SecondsSinceFirst | Function::SecondsSinceLast) => {
                some(ordered.event().map(|event| seconds_between(event, at)))
            }
            (Kept::Ordered(ordered), _) => {
                ordered.values().next().map_or(Outcome::Absent(Reason::EmptyWindow), |value| {
                    match value {
                        Value::Null => Outcome::Absent(Reason::AllNull),
                        value => Outcome::Value(value),
                    }
                })
            }
            (kept, function) => unreachable!("{function:?} is not read from {kept:?}"),
        })
    }

    /// How many values, where that is counted.
    fn count(&self) -> Option<i64> {
        match &self.kept {
            Kept::Count(count) => Some(*count),
            Kept::Sums(sums) => Some(sums.count()),
            _ => None,
        }
    }

    /// Whether no event has a value.
    pub(super) fn is_empty(&self) -> bool {
        match &self.kept {
            Kept::Count(count) => *count == 0,
            Kept::Sums(sums) => sums.count() == 0,
            Kept::Truth(counts) => *counts == [0; 2],
            Kept::Distinct(distinct) => distinct.count(1) == Ok(0),
            Kept::Histogram(histogram) => histogram.quantile(0).is_none(),
            Kept::Registers(_) => false,
            Kept::Ordered(ordered) => ordered.is_empty(),
        }
    }

    /// Appends the bytes of the state.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(tag(&self.form));
        put_signed(out, self.nulls);
        match &self.kept {
            Kept::Count(count) => put_signed(out, *count),
            Kept::Sums(sums) => sums.encode(out),
            Kept::Truth(counts) => counts.iter().for_each(|count| put_signed(out, *count)),
            Kept::Distinct(distinct) => distinct.encode(out),
            Kept::Histogram(histogram) => histogram.encode(out),
            Kept::Registers(registers) => registers.encode(out),
            Kept::Ordered(ordered) => ordered.encode(out),
        }
    }

    /// Takes a state of that form off the front of bytes.
    ///
    /// What is allocated is bounded by the bytes that are there, not by what they claim.
    ///
    /// # Errors
    /// `Corrupt` when they are not what [`State::encode`] writes.
    pub fn decode(form: Form, bytes: &mut &[u8]) -> Result<State> {
        Self::take(form, bytes).ok_or_else(|| {
            Error::corrupt(format!("stored bytes are not the state of an aggregate; {ROWS_ANEW}"))
        })
    }

    fn take(form: Form, bytes: &mut &[u8]) -> Option<State> {
        if take_array(bytes)? != [tag(&form)] {
            return None;
        }
        let nulls = take_signed(bytes)?;
        if !form.is_invertible() && !(0..=1).contains(&nulls) {
            return None;
        }
        let kept = match form {
            Form::Count => Kept::Count(take_signed(bytes)?),
            Form::Sum => Kept::Sums(Sums::new().decode(bytes)?),
            Form::Squares => Kept::Sums(Sums::with_squares().decode(bytes)?),
            Form::Truth => Kept::Truth([take_signed(bytes)?, take_signed(bytes)?]),
            Form::Distinct { limit } => Kept::Distinct(Distinct::decode(limit, bytes)?),
            Form::Histogram { scale, bits } => {
                Kept::Histogram(Histogram::decode(scale, bits, bytes)?)
            }
            Form::Registers { precision } => Kept::Registers(Registers::decode(precision, bytes)?),
            Form::Ordered(selection) => Kept::Ordered(Ordered::decode(selection, bytes)?),
        };
        Some(State { form, nulls, kept })
    }
}

/// The number of a form in stored bytes.
fn tag(form: &Form) -> u8 {
    match form {
        Form::Count => 1,
        Form::Sum => 2,
        Form::Squares => 3,
        Form::Truth => 4,
        Form::Distinct { .. } => 5,
        Form::Histogram { .. } => 6,
        Form::Registers { .. } => 7,
        Form::Ordered(_) => 8,
    }
}

/// Seconds between two moments.
fn seconds_between(event: i64, at: i64) -> f64 {
    let micros = i128::from(at) - i128::from(event);
    micros as f64 / MICROS_PER_SECOND as f64
}
