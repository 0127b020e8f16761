//! What a measurement leans on: that data are what their folder's name says.

use std::collections::HashSet;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;

use super::options::parse_bytes;
use super::ours::Joined;
use super::shapes::{self, Shape};
use super::suite::median;
use super::{facts, lake};

fn shape(name: &str, scale: f64) -> Shape {
    shapes::all(scale).into_iter().find(|shape| shape.name == name).expect("a shape of that name")
}

/// Event and known times of a file.
fn times(rows: &RecordBatch) -> Vec<(i64, i64)> {
    let column = |index| rows.column(index).as_primitive::<TimestampMicrosecondType>().values();
    column(1).iter().copied().zip(column(2).iter().copied()).collect()
}

#[test]
fn files_are_the_same_every_time_and_differ_from_each_other() {
    let lake = shape("main", 0.01).lake;
    let first = facts::file(&lake, 0, 0).unwrap();
    assert_eq!(first, facts::file(&lake, 0, 0).unwrap());
    assert_ne!(first, facts::file(&lake, 0, 1).unwrap());
    assert_ne!(first, facts::file(&lake, 1, 0).unwrap());
}

#[test]
fn files_follow_each_other_in_time_and_are_sorted_inside() {
    let lake = lake::Lake { files: 7, rows: 1_000, ..shape("main", 1.0).lake };
    let mut rows = 0;
    let mut last = i64::MIN;
    for file in 0..lake.files {
        let batch = facts::file(&lake, 0, file).unwrap();
        rows += batch.num_rows() as u64;
        for (event_time, known_time) in times(&batch) {
            assert!(last <= event_time && event_time < known_time);
            last = event_time;
        }
    }
    assert_eq!(rows, lake.rows);
}

#[test]
fn some_facts_restate_others_and_some_come_late() {
    let lake = lake::Lake { files: 1, ..shape("main", 0.01).lake };
    let batch = facts::file(&lake, 0, 0).unwrap();
    let rows = batch.num_rows();
    let times = times(&batch);
    let distinct: HashSet<i64> = times.iter().map(|(event_time, _)| *event_time).collect();
    let restated = rows - distinct.len();
    assert!((rows / 60..rows / 45).contains(&restated), "{restated} of {rows} are restated");
    let hour = 3_600_000_000;
    let late = times.iter().filter(|(event, known)| known - event > hour).count();
    assert!((rows / 50..rows / 30).contains(&late), "{late} of {rows} are known late");
    let nulls = batch.column_by_name("f9").unwrap().null_count();
    assert!((rows / 11..rows / 9).contains(&nulls), "{nulls} of {rows} are null");
}

#[test]
fn shapes_have_names_of_their_own() {
    let shapes = shapes::all(1.0);
    let names: HashSet<&str> = shapes.iter().map(|shape| shape.name).collect();
    assert_eq!(names.len(), shapes.len());
}

#[test]
fn the_median_of_an_even_number_is_between_the_middle_two() {
    assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
    assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
}

#[test]
fn sizes_have_binary_units() {
    assert_eq!(parse_bytes("512MiB"), Ok(512 << 20));
    assert_eq!(parse_bytes("8 GiB"), Ok(8 << 30));
    assert_eq!(parse_bytes("17"), Ok(17));
    assert!(parse_bytes("8GB").is_err());
    assert!(parse_bytes("99999999999GiB").is_err());
}

#[test]
fn an_answer_differs_by_a_row_or_a_value_but_not_by_rounding() {
    let plain = Joined {
        seconds: 1.0,
        peak_rss_bytes: 1,
        result_bytes: 1,
        rows: 2,
        facts: 9,
        matched: vec![2, 1],
        sum_f0: vec![0.25, -3.0],
    };
    let rounded =
        Joined { seconds: 2.0, facts: 8, sum_f0: vec![0.25, -3.0 + 1e-12], ..plain.clone() };
    assert!(rounded.is_same_answer(&plain));
    assert!(!Joined { sum_f0: vec![0.25, -2.99], ..plain.clone() }.is_same_answer(&plain));
    assert!(!Joined { sum_f0: vec![f64::NAN, -3.0], ..plain.clone() }.is_same_answer(&plain));
    assert!(!Joined { matched: vec![1, 2], ..plain.clone() }.is_same_answer(&plain));
}
