//! Random worlds of events for the naive oracle: facts, a view with every function of them, and
//! questions.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType as ArrowType, Float64Type, Int64Type};
use hitherto_core::aggregate::{Basis, Function, Nulls, Outcome, SumType, Value};
use parquet::file::properties::WriterProperties;
use proptest::prelude::*;
use proptest::sample::select;

use super::oracle::{self, Fact, Question};
use crate::repo::{Repo, batch, write_parquet_as};

pub const SECOND: i64 = 1_000_000;

pub fn times(times: impl IntoIterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_iter(times))
}

/// A function as it is written over the float and the integer column of a world.
pub fn functions() -> Vec<(&'static str, Function, &'static str)> {
    let n = 3;
    let sum = |output| Function::Sum { scale: 0, output };
    vec![
        ("function: count", Function::Count, "count"),
        ("function: count, column: x", Function::Count, "x_count"),
        ("function: sum, column: x", sum(SumType::Float64), "x_sum"),
        ("function: min, column: x", Function::Min, "x_min"),
        ("function: max, column: x", Function::Max, "x_max"),
        ("function: first, column: x", Function::First(Nulls::Skip), "x_first"),
        ("function: last, column: x", Function::Last(Nulls::Skip), "x_last"),
        (
            "function: last_n, column: x, n: 3, nulls: keep",
            Function::LastN { n, nulls: Nulls::Keep },
            "x_last_3",
        ),
        ("function: max_n, column: x, n: 3", Function::MaxN { n }, "x_max_3"),
        (
            "function: count_distinct, column: x",
            Function::CountDistinct { limit: 1_000 },
            "x_count_distinct",
        ),
        (
            "function: count_distinct, column: x, limit: 2, name: few",
            Function::CountDistinct { limit: 2 },
            "few",
        ),
        ("function: mode, column: x", Function::Mode { limit: 1_000 }, "x_mode"),
        (
            "function: mode, column: x, limit: 2, name: few_modes",
            Function::Mode { limit: 2 },
            "few_modes",
        ),
        ("function: top_k, column: x, k: 2", Function::TopK { k: 2, limit: 1_000 }, "x_top_2"),
        (
            "function: approx_quantile, column: x, p: [0.5]",
            Function::ApproxQuantile { scale: 0, bits: 7, millionths: 500_000 },
            "x_p50",
        ),
        ("function: seconds_since_last", Function::SecondsSinceLast, "seconds_since_last"),
        ("function: max_by, column: x, by: y, byType: int64", Function::MaxBy, "x_max_by_y"),
        ("function: sum, column: y, type: int64", sum(SumType::Int64), "y_sum"),
        ("function: mean, column: y, type: int64", Function::Mean { scale: 0 }, "y_mean"),
        (
            "function: variance, column: y, type: int64",
            Function::Variance { scale: 0, of: Basis::Sample },
            "y_variance",
        ),
    ]
}

/// Whether a function is of the integer column.
fn is_of_integers(written: &str) -> bool {
    written.contains("column: y")
}

/// Facts of some entities, and what is asked of them.
#[derive(Clone, Debug)]
pub struct World {
    pub facts: Vec<(i64, Fact)>,
    pub rows: Vec<(i64, i64)>,
    /// Of all aggregates.
    pub question: Question,
    pub is_filtered: bool,
    files: usize,
    group_rows: usize,
}

pub fn worlds() -> impl Strategy<Value = World> {
    let seconds = |range: std::ops::Range<i64>| range.prop_map(|second| second * SECOND);
    let number = prop_oneof![
        1 => Just(Value::Null),
        6 => select(vec![0.0, -0.0, 0.1, 0.2, 1e300, -1e300, 5e-324, 7.5]).prop_map(Value::Float),
        1 => select(vec![f64::NAN, f64::INFINITY]).prop_map(Value::Float),
    ];
    let known = prop_oneof![1 => Just(None), 9 => seconds(0..40).prop_map(Some)];
    let flags = (prop::bool::weighted(0.15), prop::bool::weighted(0.8));
    let fact = (0..4_i64, seconds(0..30), 0..2_u8, known, flags, number, -3..4_i64);
    let fact = fact.prop_map(|(entity, event, id, known, (is_deletion, passes), value, by)| {
        (entity, Fact { event, id, known, is_deletion, passes, value, by, row: 0 })
    });
    let facts = prop::collection::vec(fact, 0..120).prop_map(|mut facts| {
        let mut seen = std::collections::BTreeSet::new();
        let identity = |(entity, fact): &(i64, Fact)| {
            (*entity, fact.event, fact.id, fact.known, fact.is_deletion)
        };
        facts.retain(|fact| seen.insert(identity(fact)));
        facts
    });
    let rows = prop::collection::vec((0..5_i64, seconds(-2..45)), 1..60);
    let length = prop_oneof![1 => Just(None), 3 => seconds(1..20).prop_map(Some)];
    let offset = prop_oneof![2 => Just(0), 1 => seconds(1..6)];
    let ttl = prop_oneof![3 => Just(None), 1 => seconds(1..15).prop_map(Some)];
    let known_by = prop_oneof![2 => Just(i64::MAX), 1 => seconds(0..40)];
    let flags = (prop::bool::weighted(0.2), any::<bool>());
    let question = (length, offset, ttl, known_by, prop::bool::weighted(0.2));
    (facts, rows, question, flags, 1..4_usize, 1..40_usize).prop_map(
        |(facts, rows, question, (excludes_current_time, is_filtered), files, group_rows)| {
            let (length, offset, ttl, known_by, ignores_known) = question;
            // A lifetime has no offset.
            let offset = if length.is_some() { offset } else { 0 };
            let question = Question {
                at: 0,
                known_by,
                ignores_known,
                length,
                offset,
                excludes_current_time,
                ttl,
            };
            World { facts, rows, question, is_filtered, files, group_rows }
        },
    )
}

impl World {
    pub fn yaml(&self) -> String {
        let Question { length, offset, excludes_current_time, ttl, ignores_known, .. } =
            self.question;
        let seconds = |micros: i64| format!("{}s", micros / SECOND);
        let mut more = format!("windows: [{}]", length.map_or("lifetime".into(), seconds));
        if offset > 0 {
            more.push_str(&format!(", offset: {}", seconds(offset)));
        }
        if excludes_current_time {
            more.push_str(", excludeCurrentTime: true");
        }
        if self.is_filtered {
            more.push_str(", where: passes");
        }
        let aggregates =
            functions().into_iter().map(|(written, ..)| format!("    - {{ {written}, {more} }}\n"));
        let ttl = ttl.map_or(String::new(), |ttl| format!("  ttl: {}\n", seconds(ttl)));
        let known = if ignores_known { "  known: ignore\n" } else { "" };
        format!(
            "apiVersion: hitherto/v1\nkind: Entity\nmetadata: {{ name: k }}\nspec: {{ keys: [{{ \
             name: k, type: int64 }}] }}\n---\napiVersion: hitherto/v1\nkind: FeatureView\n\
             metadata: {{ name: v }}\nspec:\n  entity: k\n{ttl}{known}  source: {{ parquet: v/, \
             eventTime: e, knownTime: n, deleted: gone, id: [id] }}\n  aggregates:\n{}",
            aggregates.collect::<String>()
        )
    }

    /// The name that a feature has beside its window.
    pub fn name(&self, written: &str, stem: &str) -> String {
        if written.contains("name:") {
            return stem.to_owned();
        }
        let Question { length, offset, .. } = self.question;
        let window = length.map_or("lifetime".into(), |length| format!("{}s", length / SECOND));
        match offset {
            0 => format!("{stem}_{window}"),
            offset => format!("{stem}_{window}_offset_{}s", offset / SECOND),
        }
    }

    pub fn write(&self, repo: &Repo) {
        for file in 0..self.files {
            let facts: Vec<&(i64, Fact)> =
                self.facts.iter().skip(file).step_by(self.files).collect();
            self.write_file(repo, &file.to_string(), &facts);
        }
    }

    /// Writes facts as one file of the source.
    pub fn write_file(&self, repo: &Repo, name: &str, facts: &[&(i64, Fact)]) {
        std::fs::create_dir_all(repo.path().join("v")).unwrap();
        let properties =
            WriterProperties::builder().set_max_row_group_row_count(Some(self.group_rows)).build();
        let path = repo.path().join(format!("v/{name}.parquet"));
        write_parquet_as(&path, &columns(facts), properties);
    }

    /// Facts of an entity as its question sees them.
    pub fn facts_of(&self, entity: i64) -> Vec<Fact> {
        let facts = self.facts.iter().filter(|(of, _)| *of == entity);
        let facts = facts
            .map(|(_, fact)| Fact { passes: fact.passes || !self.is_filtered, ..fact.clone() });
        facts.collect()
    }

    /// Compares the answers to the questions with the oracle's.
    pub fn check(&self, rows: &RecordBatch) {
        for (row, (entity, at)) in self.rows.iter().enumerate() {
            let facts = self.facts_of(*entity);
            let counting = oracle::counting(&facts, Question { at: *at, ..self.question });
            for (written, function, stem) in functions() {
                let value = |fact: &Fact| match written {
                    written if is_of_integers(written) => Value::Int(fact.by),
                    written if written.contains("column") => fact.value.clone(),
                    _ => Value::Bool(true),
                };
                let of_column = |fact: &&Fact| Fact { value: value(fact), ..(*fact).clone() };
                let counting: Vec<Fact> = counting.iter().map(of_column).collect();
                let expected = oracle::answer(&counting.iter().collect::<Vec<_>>(), function, *at);
                let column = rows.column_by_name(&self.name(written, stem)).unwrap();
                assert!(
                    shown(column, row) == expected_of(&expected),
                    "{written} at {at} of {entity} is {} instead of {}: {self:?}",
                    shown(column, row),
                    expected_of(&expected)
                );
            }
        }
    }
}

/// Facts as the source has them.
pub fn columns(facts: &[&(i64, Fact)]) -> RecordBatch {
    let floats = facts.iter().map(|(_, fact)| match &fact.value {
        Value::Float(number) => Some(*number),
        _ => None,
    });
    let whole = |number: &dyn Fn(&(i64, Fact)) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(facts.iter().map(|fact| number(fact))))
    };
    let flags = |flag: &dyn Fn(&Fact) -> Option<bool>| -> ArrayRef {
        Arc::new(BooleanArray::from_iter(facts.iter().map(|(_, fact)| flag(fact))))
    };
    batch(vec![
        ("k", whole(&|(k, _)| *k)),
        ("e", times(facts.iter().map(|(_, fact)| Some(fact.event)))),
        ("n", times(facts.iter().map(|(_, fact)| fact.known))),
        ("id", whole(&|(_, fact)| fact.id.into())),
        ("gone", flags(&|fact| Some(fact.is_deletion))),
        // A null is not true either.
        ("passes", flags(&|fact| fact.passes.then_some(true))),
        ("x", Arc::new(Float64Array::from_iter(floats))),
        ("y", whole(&|(_, fact)| fact.by)),
    ])
}

/// A value of a column, with all its bits.
fn shown(column: &ArrayRef, row: usize) -> String {
    if column.is_null(row) {
        return String::from("null");
    }
    match column.data_type() {
        ArrowType::Int64 => column.as_primitive::<Int64Type>().value(row).to_string(),
        ArrowType::Float64 => bits(column.as_primitive::<Float64Type>().value(row)),
        ArrowType::List(_) => {
            let items = column.as_list::<i32>().value(row);
            let items: Vec<String> = (0..items.len()).map(|item| shown(&items, item)).collect();
            format!("[{}]", items.join(", "))
        }
        other => panic!("{other} is not asked for"),
    }
}

fn bits(number: f64) -> String {
    format!("{number:?} {:016x}", number.to_bits())
}

fn expected_of(outcome: &Outcome) -> String {
    let value = |value: &Value<'_>| match value {
        Value::Null => String::from("null"),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => bits(*number),
        other => panic!("{other:?} is not asked for"),
    };
    match outcome {
        Outcome::Value(found) => value(found),
        Outcome::List(values) => {
            format!("[{}]", values.iter().map(value).collect::<Vec<_>>().join(", "))
        }
        Outcome::Absent(_) => String::from("null"),
    }
}
