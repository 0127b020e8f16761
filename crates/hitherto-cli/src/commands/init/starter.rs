//! The starter's data: a handful of card payments around the present, and
//! label rows. Computed, not drawn: the same `now` gives the same files.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use hitherto_core::time::MICROS_PER_SECOND;
use hitherto_core::{Error, Result};

const HOUR: i64 = 3_600 * MICROS_PER_SECOND;
const DAY: i64 = 24 * HOUR;
/// The bank books at six in the morning UTC.
const BOOKING: i64 = 6 * HOUR;
/// Labels are given after the last payment of a day.
const EVENING: i64 = 20 * HOUR;
const CUSTOMERS: i64 = 5;
const PAYMENTS_EACH: i64 = 14;
const LABELS_EACH: i64 = 6;
const MERCHANTS: [&str; 4] = ["grocery", "fuel", "electronics", "travel"];

/// Payments of the past four weeks: each customer pays every other day, between
/// nine and seven.
///
/// # Errors
/// `Internal` when columns do not fit each other, which would be a bug.
pub fn payments(now: i64) -> Result<RecordBatch> {
    let (mut customers, mut paid, mut booked) = (Vec::new(), Vec::new(), Vec::new());
    let (mut amounts, mut merchants) = (Vec::new(), Vec::new());
    let today = now - now.rem_euclid(DAY);
    for customer in 1..=CUSTOMERS {
        for payment in 0..PAYMENTS_EACH {
            let days_ago = 1 + 2 * payment + customer % 2;
            let hour = 9 + (3 * customer + 5 * payment) % 10;
            let paid_at = today - days_ago * DAY + hour * HOUR;
            customers.push(customer);
            paid.push(paid_at);
            booked.push(paid_at - paid_at.rem_euclid(DAY) + DAY + BOOKING);
            let mix = customer * 31 + payment * 17;
            amounts.push((mix * mix % 24_000) as f64 / 100.0 + 3.5);
            merchants.push(MERCHANTS[(mix % 4) as usize]);
        }
    }
    batch(vec![
        ("customer_id", Arc::new(Int64Array::from(customers))),
        ("paid_at", times(paid)),
        ("booked_at", times(booked)),
        ("amount_eur", Arc::new(Float64Array::from(amounts))),
        ("merchant", Arc::new(StringArray::from(merchants))),
    ])
}

/// Label rows: each customer every few days, in the evening, when a payment of
/// the day, which every other customer has made, is not booked yet.
///
/// # Errors
/// As [`payments`].
pub fn labels(now: i64) -> Result<RecordBatch> {
    let (mut customers, mut at, mut is_fraud) = (Vec::new(), Vec::new(), Vec::new());
    let today = now - now.rem_euclid(DAY);
    for customer in 1..=CUSTOMERS {
        for label in 1..=LABELS_EACH {
            customers.push(customer);
            at.push(today - (1 + 4 * label) * DAY + EVENING);
            is_fraud.push((customer * 7 + label) % 9 == 0);
        }
    }
    batch(vec![
        ("customer_id", Arc::new(Int64Array::from(customers))),
        ("event_timestamp", times(at)),
        ("is_fraud", Arc::new(BooleanArray::from(is_fraud))),
    ])
}

fn times(micros: Vec<i64>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from(micros).with_timezone("UTC"))
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> Result<RecordBatch> {
    RecordBatch::try_from_iter(columns)
        .map_err(|cause| Error::internal("the starter's data do not fit").with_source(cause))
}
