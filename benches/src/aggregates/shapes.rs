//! The questions, by name.

use crate::Result;
use crate::pit::entities::KeyType;
use crate::pit::labels::Labels;
use crate::pit::lake::{Lake, Sort};

/// Sum, count and mean.
const SUMS: [&str; 3] = ["sum", "count", "mean"];
/// Those and what cannot be taken back, or keeps values.
const ALL: [&str; 7] = ["sum", "count", "mean", "min", "max", "count_distinct", "approx_quantile"];
/// Windows in days.
const WINDOWS: [u32; 2] = [7, 30];

/// One question.
pub struct Shape {
    /// Its name, a key of the answer.
    pub name: &'static str,
    /// The functions, of the first feature of the lake.
    pub functions: &'static [&'static str],
    pub lake: Lake,
    pub labels: Labels,
}

impl Shape {
    /// The aggregates of its view, as YAML.
    pub fn aggregates(&self) -> String {
        let windows = WINDOWS.map(|days| format!("{days}d")).join(", ");
        let line = |function: &&str| {
            let more = match *function {
                "approx_quantile" => ", p: [0.95]",
                "count_distinct" => ", limit: 65536",
                _ => "",
            };
            format!("    - {{ function: {function}, column: f0, windows: [{windows}]{more} }}\n")
        };
        self.functions.iter().map(line).collect()
    }

    /// The windows in days.
    pub fn windows(&self) -> [u32; 2] {
        WINDOWS
    }
}

/// The shapes of these names; all that fit a normal run if there are none.
///
/// # Errors
/// For a name that no shape has.
pub fn named(names: &[String], scale: f64) -> Result<Vec<Shape>> {
    let mut known = all(scale);
    for name in names {
        if !known.iter().any(|shape| shape.name == name) {
            let names: Vec<&str> = known.iter().map(|shape| shape.name).collect();
            let names = names.into_iter().chain(super::online::SHAPES);
            let names = names.collect::<Vec<_>>().join(", ");
            return Err(format!("no shape {name:?}; there are {names}").into());
        }
    }
    known.retain(|shape| match names {
        [] => shape.name != "ten_times",
        names => names.iter().any(|name| name == shape.name),
    });
    Ok(known)
}

fn all(scale: f64) -> Vec<Shape> {
    let scaled = |count: u64| ((count as f64 * scale) as u64).max(1);
    let shape = |name, functions, rows: u64, entities: u64, labels: u64, label_entities: u64| {
        let (key, seed, zipf, days) = (KeyType::Int64, 7, 0.0, 120);
        Shape {
            name,
            functions,
            lake: Lake {
                rows: scaled(rows),
                features: 2,
                entities: scaled(entities),
                days,
                files: days,
                row_group_rows: 131_072,
                zipf,
                sort: Sort::Time,
                key,
                seed,
            },
            labels: Labels {
                rows: scaled(labels),
                entities: scaled(label_entities),
                lake_days: days,
                days: 90,
                zipf,
                key,
                seed,
            },
        }
    };
    const MILLION: u64 = 1_000_000;
    let (sums, all): (&[_], &[_]) = (&SUMS, &ALL);
    vec![
        shape("main", sums, 10 * MILLION, 100_000, MILLION, 100_000),
        shape("all_functions", all, 10 * MILLION, 100_000, MILLION, 100_000),
        // A hundred labels and a thousand facts an entity.
        shape("dense", sums, 10 * MILLION, 10_000, MILLION, 10_000),
        shape("ten_times", sums, 100 * MILLION, 1_000_000, MILLION, 1_000_000),
        // Every fact and label is of one.
        shape("hot_entity", sums, 10 * MILLION, 1, 100_000, 1),
    ]
}
