//! What a measurement leans on: keys, ratios, and an echo of the real shape.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use hitherto_api::Lookup;
use hitherto_core::column::{Column, Values};

use super::echo::Echo;
use super::facts::{self, Place};
use super::keys::{Keys, scattered};
use super::latencies::{Latencies, Percentiles};
use super::load::Measured;
use super::proc::cpu_ticks;
use super::repository::Service;
use super::{check, shapes, suite};

fn keys(zipf: f64) -> Keys {
    Keys { service: Service::Narrow, entities: 10_000, rows: 10, zipf, seed: 7 }
}

/// How often the entity that is asked about most is.
fn most(keys: &Keys) -> usize {
    let mut counts = HashMap::new();
    for entity in keys.draw().unwrap().into_iter().flatten() {
        assert!((0..10_000).contains(&entity));
        *counts.entry(entity).or_insert(0) += 1;
    }
    counts.into_values().max().unwrap()
}

#[test]
fn requests_are_the_same_every_time_and_differ_by_seed() {
    assert_eq!(keys(0.0).draw().unwrap(), keys(0.0).draw().unwrap());
    let other = Keys { seed: 8, ..keys(0.0) };
    assert_ne!(keys(0.0).draw().unwrap(), other.draw().unwrap());
}

#[test]
fn zipf_asks_about_some_much_more_often() {
    assert!(most(&keys(0.0)) < 60);
    assert!(most(&keys(0.99)) > 5_000);
}

#[test]
fn scattering_loses_no_entity() {
    for count in [1_000, 20_000, 1_000_000] {
        let scattered: HashSet<i64> = (0..count).map(|n| scattered(n, count as u64)).collect();
        assert_eq!(scattered.len(), count as usize);
    }
}

#[test]
fn every_value_is_another() {
    let mut seen = HashSet::new();
    for view in 0..3 {
        for entity in 0..50 {
            for version in 0..3 {
                for feature in 0..facts::FEATURES {
                    let value = facts::value(Place { view, entity, version }, feature);
                    assert!((0.0..1.0).contains(&value));
                    assert!(seen.insert(value.to_bits()));
                }
            }
        }
    }
}

#[test]
fn the_echo_answers_every_shape_in_full() {
    let echo = Echo::new();
    for shape in shapes::all() {
        let keys = Keys { service: shape.service, rows: shape.rows, ..keys(0.0) };
        let answer = echo.answer(keys.messages().unwrap().swap_remove(0)).unwrap();
        assert_eq!(answer.rows as usize, shape.rows);
        assert_eq!(answer.columns.len(), shape.service.views().count() * facts::FEATURES);
        for column in answer.columns {
            let column: Column = column.try_into().unwrap();
            assert_eq!(column.len(), shape.rows);
        }
    }
}

#[test]
fn shapes_have_names_of_their_own() {
    let shapes = shapes::all();
    let names: HashSet<&str> = shapes.iter().map(|shape| shape.name).collect();
    assert_eq!(names.len(), shapes.len());
}

#[test]
fn percentiles_are_good_for_three_digits() {
    let mut latencies = Latencies::new().unwrap();
    for micros in 1..=1_000 {
        latencies.record(Duration::from_micros(micros));
    }
    let found = latencies.percentiles();
    assert!((found.p50_micros - 500.0).abs() < 1.0);
    assert!((found.p99_micros - 990.0).abs() < 1.0);
    assert_eq!(latencies.count(), 1_000);
}

#[test]
fn a_ratio_is_the_median_over_neighbours() {
    let measured = |micros: f64| Measured {
        latency: Percentiles { p50_micros: micros, p99_micros: micros, p999_micros: micros },
        requests: 1_000,
        seconds: micros,
        cpu_seconds: 1.0,
        reads: 0,
    };
    // Pair by pair 2, 3 and 1.5; the second pair was measured in a slow minute.
    let ours = [20.0, 300.0, 15.0].map(measured);
    let echoes = [10.0, 100.0, 10.0].map(measured);
    let ratios = suite::ratios(&ours, &echoes);
    assert_eq!(ratios["p50_ratio"], 2.0);
    assert_eq!(ratios["rps_ratio"], 0.5);
}

#[test]
fn the_name_of_a_process_does_not_shift_its_times() {
    let stat = "12 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0";
    assert_eq!(cpu_ticks(stat), Some(300.0));
}

#[test]
fn a_wrong_answer_is_told() {
    let answer = |wrong: f64| {
        let keys = Keys { service: Service::History, rows: 1, ..keys(0.0) };
        let answer = Echo::new().answer(keys.messages().unwrap().swap_remove(0)).unwrap();
        let columns = answer.columns.into_iter().map(|column| column.try_into().unwrap());
        let mut columns: Vec<Column> = columns.collect();
        columns[49].values = Values::F64(vec![wrong]);
        Lookup {
            at: 0,
            rows: 1,
            columns,
            times: Vec::new(),
            catalog_version: 1,
            entities: [].into(),
        }
    };
    let expected = |_, _, _| Some(0.5);
    assert!(check::compare(Service::History, &answer(0.5), expected).is_ok());
    assert!(check::compare(Service::History, &answer(0.25), expected).is_err());
    assert!(check::compare(Service::Narrow, &answer(0.5), expected).is_err());
    assert!(check::compare(Service::History, &answer(0.5), |_, _, _| None).is_err());
}
