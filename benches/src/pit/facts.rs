//! Keys, times and features inside one file of a view.
//!
//! Facts are shaped like those that people have: what is known is known some
//! minutes after it happened, one in a hundred comes up to three days late, and
//! one in fifty restates another (same entity, same event time, other values,
//! known later), so that known time and ties matter. Features are four kinds of
//! column that compress differently.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch};
use arrow::datatypes::DataType;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, Exp, Gamma, Poisson, StandardNormal};
use rand_pcg::Pcg64Mcg;

use super::entities::Entities;
use super::lake::{DAY_MICROS, KEY_COLUMNS, Lake, Sort, feature_name};
use super::writer;
use crate::Result;

/// Share of rows that restate an earlier row of their file.
const RESTATED: f64 = 0.02;
/// Share of rows that become known up to [`LATE_MICROS_MAX`] late.
const LATE: f64 = 0.01;
const LATE_MICROS_MAX: i64 = 3 * DAY_MICROS;
/// From event to knowledge, on average: five minutes.
const LAG_MICROS_MEAN: f64 = 300e6;
/// Share of nulls in the columns that have any.
const NULLS: f64 = 0.1;

/// Whom one fact is about, when it happened and when it could be known.
#[derive(Clone, Copy)]
struct Fact {
    entity: i64,
    event_time: i64,
    known_time: i64,
}

/// The rows of one file of a view. Depends on nothing but its arguments.
///
/// # Errors
/// When the lake's parameters make no sense.
pub fn file(lake: &Lake, view: usize, file: u64) -> Result<RecordBatch> {
    let seed = lake.seed.wrapping_mul(1_000_003).wrapping_add(view as u64);
    let mut random = Pcg64Mcg::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(file));
    let facts = facts(lake, file, &mut random)?;
    let key = lake.key.column(facts.iter().map(|fact| fact.entity));
    let mut columns = vec![
        key,
        writer::times(facts.iter().map(|fact| fact.event_time)),
        writer::times(facts.iter().map(|fact| fact.known_time)),
    ];
    let mut names = KEY_COLUMNS.map(str::to_owned).to_vec();
    for index in 0..lake.features {
        columns.push(feature(index, facts.len(), &mut random)?);
        names.push(feature_name(index));
    }
    let times = [writer::time_type(), writer::time_type()];
    let features = std::iter::repeat_n(DataType::Float64, lake.features);
    let types = std::iter::once(lake.key.arrow()).chain(times).chain(features);
    Ok(RecordBatch::try_new(writer::schema(names.into_iter().zip(types)), columns)?)
}

/// Keys and times, in the order of the file.
fn facts(lake: &Lake, file: u64, random: &mut Pcg64Mcg) -> Result<Vec<Fact>> {
    let entities = Entities::new(lake.entities, lake.zipf)?;
    let lag = Exp::new(1.0 / LAG_MICROS_MEAN)?;
    let (from, to) = lake.span(file);
    let count = lake.rows_of(file) as usize;
    let mut facts = Vec::with_capacity(count);
    for _ in 0..count {
        let event_time = random.random_range(from..to);
        let mut known_time = event_time + lag.sample(random) as i64 + 1;
        if random.random_bool(LATE) {
            known_time += random.random_range(0..LATE_MICROS_MAX);
        }
        facts.push(Fact { entity: entities.draw(random), event_time, known_time });
    }
    let restated = (count as f64 * RESTATED) as usize;
    for index in 0..restated {
        let known_time = facts[index].known_time + random.random_range(1..DAY_MICROS);
        facts[count - restated + index] = Fact { known_time, ..facts[index] };
    }
    match lake.sort {
        Sort::Time => facts.sort_by_key(|fact| fact.event_time),
        Sort::Entity => facts.sort_by_key(|fact| (fact.entity, fact.event_time)),
    }
    Ok(facts)
}

/// One feature column; which kind depends on its index alone.
fn feature(index: usize, rows: usize, random: &mut Pcg64Mcg) -> Result<ArrayRef> {
    let column: Float64Array = match index % 10 {
        // Full entropy.
        0..=3 => values(rows, || StandardNormal.sample(random)),
        // Prices, in cents.
        4..=6 => {
            let price = Gamma::new(2.0, 50.0)?;
            values(rows, || (price.sample(random) * 100.0_f64).round() / 100.0)
        }
        // Counts.
        7..=8 => {
            let count = Poisson::new(5.0)?;
            values(rows, || count.sample(random))
        }
        // Shares, some of them missing.
        _ => {
            let share = || (!random.random_bool(NULLS)).then(|| random.random::<f64>());
            std::iter::repeat_with(share).take(rows).collect()
        }
    };
    Ok(Arc::new(column))
}

fn values(rows: usize, draw: impl FnMut() -> f64) -> Float64Array {
    Float64Array::from_iter_values(std::iter::repeat_with(draw).take(rows))
}
