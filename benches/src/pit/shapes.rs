//! Which questions are asked, by name.
//!
//! `main` is the question of a typical training set; every other shape differs
//! from it in one respect, so that a bad figure names its cause. Most of the
//! others are smaller: they show a form of data, not a size.

use hitherto_core::definition::Known;

use super::entities::KeyType;
use super::labels::Labels;
use super::lake::{Lake, Sort};
use super::peers::Peer::{self, DuckdbAsof, DuckdbKnown, Feast, PolarsAsof};

/// Whether a shape is measured when none is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// It fits a normal run.
    Normal,
    /// It takes minutes or many gigabytes.
    Heavy,
}

/// What the join may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// As the command line says.
    AsAsked,
    /// These many bytes, whatever it says.
    Bytes(usize),
    /// Whatever there is.
    Unlimited,
}

/// What our join reads; peers and the floor always read the views' files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// The views' files.
    Files,
    /// An optimized copy of each view.
    Copies,
}

/// One question.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Its name, and its key in the answer.
    pub name: &'static str,
    /// Whether a normal run has it.
    pub weight: Weight,
    /// The views' files.
    pub lake: Lake,
    /// The spine.
    pub labels: Labels,
    /// How many of its rows; `None` is all.
    pub labels_max: Option<u64>,
    /// Views that are asked for.
    pub views: usize,
    /// Views that have files of their own; further ones read the same again.
    pub views_apart: usize,
    /// Whether known time counts.
    pub known: Known,
    /// What the join may hold.
    pub memory: Memory,
    /// What our join reads.
    pub reads: Reads,
    /// Who else can answer it. Those that ignore known time answer an easier
    /// question than ours does.
    pub peers: &'static [Peer],
}

/// Every shape at a scale: 1 is full size, less shrinks rows, labels and
/// entities alike.
pub fn all(scale: f64) -> Vec<Shape> {
    let scaled = |count: u64| ((count as f64 * scale) as u64).max(1);
    let main = main_shape(scaled);
    let one_view = Shape { views: 1, views_apart: 1, ..main.clone() };
    let heavy = Shape { weight: Weight::Heavy, peers: &[], ..main.clone() };
    let labels = |rows: u64| Labels { rows: scaled(rows), ..main.labels.clone() };
    let by_rows = |rows: u64| {
        let lake = Lake { rows: scaled(rows), features: 3, ..main.lake.clone() };
        let memory = Memory::Bytes(512 << 20);
        Shape { lake, memory, peers: &[PolarsAsof], ..one_view.clone() }
    };
    let many_labels =
        Shape { labels: labels(20_000_000), views: 2, views_apart: 2, ..heavy.clone() };
    let small = Shape { views: 2, views_apart: 2, ..small_shape(&main, scaled) };
    let small_one = Shape { views: 1, views_apart: 1, ..small.clone() };
    let sparse_labels = Labels { entities: scaled(2_000), ..labels(50_000) };
    let sparse = Shape { name: "sparse", labels: sparse_labels, ..main.clone() };
    let wide = Lake {
        rows: scaled(200_000),
        features: 500,
        entities: scaled(2_000),
        files: 12,
        ..main.lake.clone()
    };
    let wide_labels = Labels { entities: wide.entities, ..labels(50_000) };
    let tiny_files = Lake { files: scaled(5_000), ..small.lake.clone() };
    let one_file = Lake { files: 1, row_group_rows: 1_000_000, ..main.lake.clone() };
    let skewed = Lake { zipf: 1.1, ..small.lake.clone() };
    let skewed_labels = Labels { zipf: 1.1, ..small.labels.clone() };
    let by_entity = Lake { sort: Sort::Entity, ..small.lake.clone() };
    let words = Lake { key: KeyType::String, ..small.lake.clone() };
    let words_labels = Labels { key: KeyType::String, ..small.labels.clone() };
    vec![
        main.clone(),
        Shape { name: "known_off", known: Known::Ignore, ..main.clone() },
        Shape { name: "known_one_view", peers: &[DuckdbKnown], ..one_view.clone() },
        sparse.clone(),
        Shape { name: "main_optimized", reads: Reads::Copies, ..main.clone() },
        Shape { name: "sparse_optimized", reads: Reads::Copies, ..sparse },
        Shape { name: "views_1", ..one_view.clone() },
        Shape { name: "views_20", views: 20, ..heavy.clone() },
        Shape { name: "rows_10m", ..by_rows(10_000_000) },
        Shape { name: "rows_100m", weight: Weight::Heavy, ..by_rows(100_000_000) },
        Shape { name: "labels_20m", memory: Memory::Bytes(1 << 30), ..many_labels.clone() },
        Shape { name: "labels_20m_unlimited", memory: Memory::Unlimited, ..many_labels },
        Shape {
            name: "feast",
            labels_max: Some(scaled(100_000)),
            peers: &[Feast],
            ..one_view.clone()
        },
        Shape { name: "zipf", lake: skewed, labels: skewed_labels, ..small.clone() },
        // Polars would have to sort the files first, and says nothing if one forgets.
        Shape { name: "entity_sorted", lake: by_entity, peers: &[DuckdbAsof], ..small.clone() },
        Shape { name: "string_keys", lake: words, labels: words_labels, ..small },
        Shape { name: "wide", lake: wide, labels: wide_labels, ..small_one.clone() },
        Shape { name: "tiny_files", lake: tiny_files, ..small_one },
        Shape { name: "one_file", lake: one_file, ..one_view },
    ]
}

fn main_shape(scaled: impl Fn(u64) -> u64) -> Shape {
    let lake = Lake {
        rows: scaled(10_000_000),
        features: 10,
        entities: scaled(100_000),
        days: 120,
        files: 120,
        row_group_rows: 131_072,
        zipf: 0.0,
        sort: Sort::Time,
        key: KeyType::Int64,
        seed: 7,
    };
    let labels = Labels {
        rows: scaled(1_000_000),
        entities: lake.entities,
        lake_days: lake.days,
        days: 90,
        zipf: 0.0,
        key: KeyType::Int64,
        seed: 7,
    };
    Shape {
        name: "main",
        weight: Weight::Normal,
        lake,
        labels,
        labels_max: None,
        views: 5,
        views_apart: 5,
        known: Known::Honor,
        memory: Memory::AsAsked,
        reads: Reads::Files,
        peers: &[PolarsAsof, DuckdbAsof],
    }
}

/// A fifth of `main`, for shapes that show a form of data.
fn small_shape(main: &Shape, scaled: impl Fn(u64) -> u64) -> Shape {
    let entities = scaled(20_000);
    let lake = Lake { rows: scaled(2_000_000), entities, ..main.lake.clone() };
    let labels = Labels { rows: scaled(200_000), entities, ..main.labels.clone() };
    Shape { lake, labels, ..main.clone() }
}
