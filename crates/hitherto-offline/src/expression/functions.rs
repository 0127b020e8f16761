//! Functions of numbers, times and texts.

use ::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array};
use ::arrow::compute::cast;
use ::arrow::datatypes::{
    DataType as ArrowType, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use datafusion::error::Result as DataFusionResult;
use hitherto_core::expression::Reason;
use hitherto_core::time::MICROS_PER_SECOND;
use regex::Regex;
use xxhash_rust::xxh64::xxh64;

use super::kernel::refuse;

/// Kilometres from the middle of the earth, as spheres of maps have it.
const EARTH_RADIUS_KM: f64 = 6_371.008_8;

/// A function of so many float64.
#[derive(Clone, Copy, Debug)]
pub enum Numbers {
    /// Of one.
    One(fn(f64) -> f64),
    /// Of two.
    Two(fn(f64, f64) -> f64),
    /// Latitude and longitude of two places, in degrees.
    Haversine,
}

impl Numbers {
    /// All of them: name and how many numbers each takes.
    pub const ALL: [(&'static str, usize, Numbers); 10] = [
        ("ln", 1, Numbers::One(libm::log)),
        ("log2", 1, Numbers::One(libm::log2)),
        ("log10", 1, Numbers::One(libm::log10)),
        ("exp", 1, Numbers::One(libm::exp)),
        ("power", 2, Numbers::Two(libm::pow)),
        ("sqrt", 1, Numbers::One(libm::sqrt)),
        ("sin", 1, Numbers::One(libm::sin)),
        ("cos", 1, Numbers::One(libm::cos)),
        ("atan2", 2, Numbers::Two(libm::atan2)),
        ("haversine_km", 4, Numbers::Haversine),
    ];

    /// Null where an argument is.
    pub fn compute(self, arguments: &[ArrayRef]) -> DataFusionResult<Float64Array> {
        let column = |index: usize| arguments[index].as_primitive::<Float64Type>();
        Ok(match self {
            Numbers::One(function) => column(0).unary(function),
            Numbers::Two(function) => ::arrow::compute::binary(column(0), column(1), function)?,
            Numbers::Haversine => {
                let rows = 0..column(0).len();
                let number = |index: usize, row| {
                    column(index).is_valid(row).then(|| column(index).value(row))
                };
                let distance = rows.map(|row| {
                    let places =
                        [number(0, row)?, number(1, row)?, number(2, row)?, number(3, row)?];
                    Some(haversine_km(places))
                });
                distance.collect()
            }
        })
    }
}

/// The distance along a great circle.
fn haversine_km([latitude, longitude, other_latitude, other_longitude]: [f64; 4]) -> f64 {
    let radians = |degrees: f64| degrees * (std::f64::consts::PI / 180.0);
    let half_sine = |degrees: f64| {
        let sine = libm::sin(radians(degrees) / 2.0);
        sine * sine
    };
    let along = half_sine(other_latitude - latitude);
    let across = half_sine(other_longitude - longitude);
    let cosines = libm::cos(radians(latitude)) * libm::cos(radians(other_latitude));
    let chord = (along + cosines * across).clamp(0.0, 1.0);
    2.0 * EARTH_RADIUS_KM * libm::asin(chord.sqrt())
}

/// A function of times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dates {
    /// From one to another, in whole units of so many microseconds; the first argument says so.
    Diff(i64),
    /// Whole seconds since 1970.
    Unix,
}

/// The units of `date_diff`, in microseconds.
pub const UNITS: [(&str, i64); 7] = [
    ("microsecond", 1),
    ("millisecond", 1_000),
    ("second", MICROS_PER_SECOND),
    ("minute", 60 * MICROS_PER_SECOND),
    ("hour", 3_600 * MICROS_PER_SECOND),
    ("day", 86_400 * MICROS_PER_SECOND),
    ("week", 7 * 86_400 * MICROS_PER_SECOND),
];

/// Refuses arguments that are no times; the first of `date_diff` is a unit.
pub fn check_times(name: &str, types: &[ArrowType]) -> DataFusionResult<()> {
    let is_time = |found: &ArrowType| matches!(found, ArrowType::Timestamp(..) | ArrowType::Date32);
    let times = if types.len() == 3 { &types[1..] } else { types };
    match times.iter().all(|found| is_time(found) || found.is_null()) {
        true => Ok(()),
        false => refuse(name, "timestamps and dates", times),
    }
}

impl Dates {
    /// Null where an argument is, and where a number of microseconds is beyond 64 bits.
    pub fn compute(
        self,
        arguments: &[ArrayRef],
        record: impl Fn(Reason, usize),
    ) -> DataFusionResult<Int64Array> {
        let times = arguments.iter().map(micros);
        let times: Vec<Int64Array> = times.collect::<DataFusionResult<_>>()?;
        let given: usize = arguments.iter().map(|times| times.null_count()).sum();
        let read: usize = times.iter().map(Array::null_count).sum();
        record(Reason::Overflow, read.saturating_sub(given));
        let mut overflows = 0;
        let answers = match self {
            Dates::Unix => times[0].unary(|micros| micros.div_euclid(MICROS_PER_SECOND)),
            Dates::Diff(unit) => {
                let pairs = times[0].iter().zip(times[1].iter());
                let answer = |(from, to): (Option<i64>, Option<i64>)| {
                    let (from, to) = (from?, to?);
                    let micros = to.checked_sub(from);
                    overflows += usize::from(micros.is_none());
                    Some(micros? / unit)
                };
                pairs.map(answer).collect()
            }
        };
        record(Reason::Overflow, overflows);
        Ok(answers)
    }
}

/// Times as microseconds since 1970.
fn micros(times: &ArrayRef) -> DataFusionResult<Int64Array> {
    let zone = match times.data_type() {
        ArrowType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    };
    let times = cast(times, &ArrowType::Timestamp(TimeUnit::Microsecond, zone))?;
    Ok(times.as_primitive::<TimestampMicrosecondType>().reinterpret_cast::<Int64Type>())
}

/// Whether each text has what a pattern says.
pub fn matches(pattern: &Regex, texts: &ArrayRef) -> DataFusionResult<BooleanArray> {
    let texts = cast(texts, &ArrowType::Utf8)?;
    let texts = texts.as_string::<i32>().iter();
    Ok(texts.map(|text| text.map(|text| pattern.is_match(text))).collect())
}

/// The rest of a text's XXH64 by a number: from 0 to it.
pub fn hash_bucket(
    arguments: &[ArrayRef],
    record: impl Fn(Reason, usize),
) -> DataFusionResult<Int64Array> {
    let (texts, buckets) =
        (arguments[0].as_string::<i32>(), arguments[1].as_primitive::<Int64Type>());
    let mut refused = 0;
    let bucket = |(text, buckets): (Option<&str>, Option<i64>)| {
        let (text, buckets) = (text?, buckets?);
        if buckets <= 0 {
            refused += 1;
            return None;
        }
        Some((xxh64(text.as_bytes(), 0) % buckets.unsigned_abs()) as i64)
    };
    let answers = texts.iter().zip(buckets.iter()).map(bucket).collect();
    record(Reason::DivisionByZero, refused);
    Ok(answers)
}

/// How many of the bounds a number reaches; NaN is beyond all.
pub fn bucketize(arguments: &[ArrayRef]) -> DataFusionResult<Int64Array> {
    let columns: Vec<&Float64Array> =
        arguments.iter().map(|column| column.as_primitive::<Float64Type>()).collect();
    let [numbers, bounds @ ..] = &columns[..] else { return Ok(Int64Array::from_iter_values([])) };
    let reached = |row: usize| {
        let number = numbers.is_valid(row).then(|| numbers.value(row))?;
        let is_reached = |bound: &&&Float64Array| {
            bound.is_valid(row) && (number.is_nan() || number >= bound.value(row))
        };
        Some(bounds.iter().filter(is_reached).count() as i64)
    };
    Ok((0..numbers.len()).map(reached).collect())
}
