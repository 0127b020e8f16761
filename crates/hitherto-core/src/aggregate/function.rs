//! The functions of an aggregate, and the state that each of them is read from.
//!
//! Several functions of one column share a state: what `variance` keeps answers `sum`, `mean`
//! and `count`, too. So a [`Form`] says what is kept while events come and go, and a
//! [`Function`] what is read from it in the end.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::limits::{
    AGGREGATE_DISTINCT_MAX, AGGREGATE_LIST_MAX, AGGREGATE_TOP_MAX, HISTOGRAM_BITS,
    REGISTERS_PRECISION,
};
use crate::{Error, Result};

/// What is asked of the events in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Function {
    /// How many values; without a column, how many events.
    Count,
    /// Their exact sum, as that type.
    Sum {
        /// Digits after the point of a decimal column; 0 for any other.
        scale: i8,
        /// The type of the answer.
        output: SumType,
    },
    /// The float64 nearest to the exact sum over the count.
    Mean {
        /// As in `Sum`.
        scale: i8,
    },
    /// The float64 nearest to the exact variance.
    Variance {
        /// As in `Sum`.
        scale: i8,
        /// By what the squares are divided.
        of: Basis,
    },
    /// The float64 nearest to the root of the exact variance.
    Stddev {
        /// As in `Sum`.
        scale: i8,
        /// By what the squares are divided.
        of: Basis,
    },
    /// The least value.
    Min,
    /// The greatest value.
    Max,
    /// The value where another column is least; of several the earliest.
    MinBy,
    /// The value where another column is greatest; of several the latest.
    MaxBy,
    /// The earliest value.
    First(Nulls),
    /// The latest value.
    Last(Nulls),
    /// The earliest values, earliest first.
    FirstN {
        /// How many at most.
        n: u32,
        /// Whether nulls are among them.
        nulls: Nulls,
    },
    /// The latest values, latest first.
    LastN {
        /// How many at most.
        n: u32,
        /// Whether nulls are among them.
        nulls: Nulls,
    },
    /// The latest values that differ, latest first.
    LastNDistinct {
        /// How many at most.
        n: u32,
    },
    /// The least values, least first.
    MinN {
        /// How many at most.
        n: u32,
    },
    /// The greatest values, greatest first.
    MaxN {
        /// How many at most.
        n: u32,
    },
    /// How many values differ; the limit if more do.
    CountDistinct {
        /// How many are told apart.
        limit: u32,
    },
    /// The most frequent value; of several the least.
    Mode {
        /// How many are told apart.
        limit: u32,
    },
    /// The most frequent values, most frequent first, then least first.
    TopK {
        /// How many at most.
        k: u32,
        /// How many are told apart.
        limit: u32,
    },
    /// About how many values differ.
    ApproxCountDistinct {
        /// Bits that choose a register.
        precision: u8,
    },
    /// The value of nearest rank, rounded to so many bits below the leading one.
    ApproxQuantile {
        /// As in `Sum`.
        scale: i8,
        /// Bits below the leading one.
        bits: u8,
        /// Which quantile: 950,000 is p95. A whole number, so that ranks need no rounding.
        millionths: u32,
    },
    /// Seconds from the first event to the moment.
    SecondsSinceFirst,
    /// Seconds from the last event to the moment.
    SecondsSinceLast,
    /// Whether some value is true.
    Any,
    /// Whether every value is true.
    All,
}

/// The type of a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SumType {
    /// Of integers; null beyond its range.
    Int64,
    /// Of integers or decimals, with 38 digits and the column's scale; null beyond its range.
    Decimal,
    /// Of anything; the nearest one.
    Float64,
}

/// By what the sum of squares is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// One less than the count.
    Sample,
    /// The count.
    Population,
}

/// Whether an event without a value is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nulls {
    /// It is as if it had not been.
    Skip,
    /// Its null is a value.
    Keep,
}

/// Which end of an order is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// The least.
    Least,
    /// The greatest.
    Greatest,
}

/// What values are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// Themselves; equal ones are one.
    Value,
    /// Themselves, then the place of their event.
    ValueThenPlace,
    /// Another column, then the place of their event.
    ByThenPlace,
    /// The place of their event: `(e, n, id)`.
    Place,
}

/// Whether a value is kept that another event has, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Repeats {
    /// Each event's.
    Keep,
    /// One for each value.
    Drop,
}

/// Which values an ordered state keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Selection {
    /// What they are ordered by.
    pub order: Order,
    /// Which end.
    pub end: End,
    /// How many.
    pub keep: u32,
    /// Whether values repeat.
    pub repeats: Repeats,
    /// Whether nulls are values.
    pub nulls: Nulls,
}

/// What is kept of the events in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// How many.
    Count,
    /// Count and sum.
    Sum,
    /// Count, sum and sum of squares.
    Squares,
    /// How many are true, and how many false.
    Truth,
    /// Each value with its count, up to so many.
    Distinct {
        /// How many.
        limit: u32,
    },
    /// Buckets of the numbers' leading bits with their counts.
    Histogram {
        /// Digits after the point of a decimal column; 0 for any other.
        scale: i8,
        /// Bits below the leading one.
        bits: u8,
    },
    /// Registers of HyperLogLog.
    Registers {
        /// Bits that choose a register.
        precision: u8,
    },
    /// Values at one end of an order.
    Ordered(Selection),
}

impl Form {
    /// Whether events can be taken out again. The other forms take an event twice as once.
    pub fn is_invertible(&self) -> bool {
        !matches!(self, Form::Registers { .. } | Form::Ordered(_))
    }

    /// Whether it keeps more than one value of a column.
    pub fn keeps_many(&self) -> bool {
        match self {
            Form::Distinct { .. } => true,
            Form::Ordered(selection) => selection.keep > 1,
            _ => false,
        }
    }

    /// Whether a state of this form has all that another form has.
    pub fn includes(&self, other: &Form) -> bool {
        let is_more = matches!(
            (self, other),
            (Form::Squares, Form::Sum | Form::Count) | (Form::Sum, Form::Count)
        );
        let tells_more = match (self, other) {
            (Form::Distinct { limit: mine }, Form::Distinct { limit }) => mine >= limit,
            _ => false,
        };
        self == other || is_more || tells_more
    }
}

impl Function {
    /// The least that it can be read from.
    pub fn form(&self) -> Form {
        let ordered = |order, end, keep, repeats, nulls| {
            Form::Ordered(Selection { order, end, keep, repeats, nulls })
        };
        let one = |order, end, nulls| ordered(order, end, 1, Repeats::Keep, nulls);
        match *self {
            Function::Count => Form::Count,
            Function::Sum { .. } | Function::Mean { .. } => Form::Sum,
            Function::Variance { .. } | Function::Stddev { .. } => Form::Squares,
            Function::Min => one(Order::Value, End::Least, Nulls::Skip),
            Function::Max => one(Order::Value, End::Greatest, Nulls::Skip),
            Function::MinBy => one(Order::ByThenPlace, End::Least, Nulls::Skip),
            Function::MaxBy => one(Order::ByThenPlace, End::Greatest, Nulls::Skip),
            Function::First(nulls) => one(Order::Place, End::Least, nulls),
            Function::Last(nulls) => one(Order::Place, End::Greatest, nulls),
            Function::SecondsSinceFirst => one(Order::Place, End::Least, Nulls::Keep),
            Function::SecondsSinceLast => one(Order::Place, End::Greatest, Nulls::Keep),
            Function::FirstN { n, nulls } => {
                ordered(Order::Place, End::Least, n, Repeats::Keep, nulls)
            }
            Function::LastN { n, nulls } => {
                ordered(Order::Place, End::Greatest, n, Repeats::Keep, nulls)
            }
            Function::LastNDistinct { n } => {
                ordered(Order::Place, End::Greatest, n, Repeats::Drop, Nulls::Skip)
            }
            Function::MinN { n } => {
                ordered(Order::ValueThenPlace, End::Least, n, Repeats::Keep, Nulls::Skip)
            }
            Function::MaxN { n } => {
                ordered(Order::ValueThenPlace, End::Greatest, n, Repeats::Keep, Nulls::Skip)
            }
            Function::CountDistinct { limit }
            | Function::Mode { limit }
            | Function::TopK { limit, .. } => Form::Distinct { limit },
            Function::ApproxCountDistinct { precision } => Form::Registers { precision },
            Function::ApproxQuantile { scale, bits, .. } => Form::Histogram { scale, bits },
            Function::Any | Function::All => Form::Truth,
        }
    }

    /// Whether it answers with a list.
    pub fn is_list(&self) -> bool {
        matches!(
            self,
            Function::FirstN { .. }
                | Function::LastN { .. }
                | Function::LastNDistinct { .. }
                | Function::MinN { .. }
                | Function::MaxN { .. }
                | Function::TopK { .. }
        )
    }

    /// Refuses a number that is out of its range.
    ///
    /// # Errors
    /// `Invalid` with the range to choose from.
    pub fn check(&self) -> Result<()> {
        match *self {
            Function::FirstN { n, .. }
            | Function::LastN { n, .. }
            | Function::LastNDistinct { n }
            | Function::MinN { n }
            | Function::MaxN { n } => within("n", n, 1..=AGGREGATE_LIST_MAX),
            Function::CountDistinct { limit } | Function::Mode { limit } => {
                within("limit", limit, 1..=AGGREGATE_DISTINCT_MAX)
            }
            Function::TopK { k, limit } => within("k", k, 1..=AGGREGATE_TOP_MAX).and(within(
                "limit",
                limit,
                1..=AGGREGATE_DISTINCT_MAX,
            )),
            Function::ApproxCountDistinct { precision } => {
                within("precision", precision, REGISTERS_PRECISION)
            }
            Function::ApproxQuantile { bits, millionths, .. } => within(
                "bits",
                bits,
                HISTOGRAM_BITS,
            )
            .and(within("p in millionths", millionths, 0..=1_000_000)),
            _ => Ok(()),
        }
    }
}

fn within<T: PartialOrd + std::fmt::Display>(
    name: &str,
    number: T,
    range: RangeInclusive<T>,
) -> Result<()> {
    if range.contains(&number) {
        return Ok(());
    }
    let (least, most) = range.into_inner();
    Err(Error::invalid(format!("{name} is {number}; choose one from {least} to {most}")))
}
