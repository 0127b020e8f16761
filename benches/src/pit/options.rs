//! What can be typed after `pit`.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread::available_parallelism;

use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueEnum};
use hitherto_core::definition::Known;

use super::entities::KeyType;
use super::labels::Labels;
use super::lake::{Lake, Sort};
use super::shapes::{self, Memory, Reads, Shape, Weight};
use crate::{Result, folder};

/// The shape that is described on the command line.
const CUSTOM: &str = "custom";

/// What to measure, and how.
#[derive(Debug, Args)]
pub struct Options {
    /// A shape to measure, by name (repeatable), such as main, sparse, or
    /// main_optimized and sparse_optimized, which read optimized copies; "custom"
    /// is the one that the options below describe [default: all that fit a normal
    /// run]
    #[arg(long = "shape", value_name = "NAME")]
    shapes: Vec<String>,
    /// Measure every shape, the heavy ones too
    #[arg(long, conflicts_with = "shapes")]
    all: bool,
    /// Shrink rows, labels and entities, to try the command
    #[arg(long, default_value_t = 1.0, value_name = "FACTOR")]
    scale: f64,
    /// Measurements of each; the median counts
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) reps: u32,
    /// Threads, ours and the peers' [default: as many as cores]
    #[arg(long)]
    threads: Option<NonZeroUsize>,
    /// What our join may hold
    #[arg(long, default_value = "8GiB", value_parser = parse_bytes)]
    pub(super) memory: usize,
    /// Ask other engines, too; installs them at the first time
    #[arg(long)]
    pub(super) peers: bool,
    /// Show our plan with its metrics after each measurement
    #[arg(long)]
    pub(super) explain: bool,
    /// Where generated data are kept [default: ~/.cache/hitherto/bench/pit]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    custom: Custom,
}

/// The shape `custom`; defaults are those of `main`.
#[derive(Debug, Args)]
#[command(next_help_heading = "The shape \"custom\"")]
struct Custom {
    /// Label rows
    #[arg(long, default_value_t = 1_000_000)]
    labels: u64,
    /// Entities that labels are about [default: all]
    #[arg(long)]
    label_entities: Option<u64>,
    /// Days with labels, up to the last
    #[arg(long, default_value_t = 90, value_parser = at_least_one())]
    label_days: u64,
    /// Entities that facts are about
    #[arg(long, default_value_t = 100_000)]
    entities: u64,
    /// Views
    #[arg(long, default_value_t = 5)]
    views: usize,
    /// Rows of each view
    #[arg(long, default_value_t = 10_000_000)]
    rows: u64,
    /// Features of each view
    #[arg(long, default_value_t = 10)]
    features: usize,
    /// Days that the facts span
    #[arg(long, default_value_t = 120, value_parser = at_least_one())]
    days: u64,
    /// Files of each view [default: one a day]
    #[arg(long, value_parser = at_least_one())]
    files: Option<u64>,
    /// Rows of a row group
    #[arg(long, default_value_t = 131_072)]
    row_group_rows: usize,
    /// How much more often some entities have facts and labels
    #[arg(long, default_value_t = 0.0, value_name = "EXPONENT")]
    zipf: f64,
    /// The order inside a file
    #[arg(long, value_enum, default_value_t = Sort::Time)]
    sort: Sort,
    /// The type of the join key
    #[arg(long, value_enum, default_value_t = KeyType::Int64)]
    key: KeyType,
    /// Whether known time counts
    #[arg(long, value_enum, default_value_t = KnownTime::Honor)]
    known: KnownTime,
    /// Everything random comes from here
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

/// [`Known`], to be typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum KnownTime {
    /// No fact answers before it was known.
    Honor,
    /// Event time alone decides.
    Ignore,
}

impl Options {
    /// The shapes to measure, in the order in which they are listed.
    ///
    /// # Errors
    /// For a name that no shape has.
    pub(super) fn shapes(&self) -> Result<Vec<Shape>> {
        let mut known = shapes::all(self.scale);
        known.push(self.custom.shape());
        for name in &self.shapes {
            if !known.iter().any(|shape| shape.name == name) {
                let names: Vec<&str> = known.iter().map(|shape| shape.name).collect();
                return Err(format!("no shape {name:?}; there are {}", names.join(", ")).into());
            }
        }
        known.retain(|shape| match self.shapes.as_slice() {
            [] => shape.name != CUSTOM && (self.all || shape.weight == Weight::Normal),
            names => names.iter().any(|name| name == shape.name),
        });
        Ok(known)
    }

    /// Where generated data are kept.
    ///
    /// # Errors
    /// When neither an option nor the environment says where.
    pub(super) fn data(&self) -> Result<PathBuf> {
        match &self.data {
            // Measuring processes and peers must find it, wherever they run.
            Some(data) => Ok(std::path::absolute(data)?),
            None => Ok(folder::cache()?.join("bench").join("pit")),
        }
    }

    /// How many threads there are to work with.
    pub(super) fn threads(&self) -> usize {
        self.threads.map_or_else(|| available_parallelism().map_or(1, usize::from), usize::from)
    }
}

impl Custom {
    fn shape(&self) -> Shape {
        let lake = Lake {
            rows: self.rows,
            features: self.features,
            entities: self.entities,
            days: self.days,
            files: self.files.unwrap_or(self.days),
            row_group_rows: self.row_group_rows,
            zipf: self.zipf,
            sort: self.sort,
            key: self.key,
            seed: self.seed,
        };
        let labels = Labels {
            rows: self.labels,
            entities: self.label_entities.unwrap_or(self.entities),
            lake_days: self.days,
            days: self.label_days,
            zipf: self.zipf,
            key: self.key,
            seed: self.seed,
        };
        let known = match self.known {
            KnownTime::Honor => Known::Honor,
            KnownTime::Ignore => Known::Ignore,
        };
        Shape {
            name: CUSTOM,
            weight: Weight::Normal,
            lake,
            labels,
            labels_max: None,
            views: self.views,
            views_apart: self.views,
            known,
            memory: Memory::AsAsked,
            reads: Reads::Files,
            peers: &[],
        }
    }
}

fn at_least_one() -> RangedU64ValueParser {
    RangedU64ValueParser::new().range(1..)
}

/// Reads a size such as `512MiB` or `8GiB`, or a number of bytes.
///
/// # Errors
/// For anything else.
pub fn parse_bytes(text: &str) -> std::result::Result<usize, String> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    let unit = units.iter().find_map(|(unit, bits)| Some((text.strip_suffix(unit)?, *bits)));
    let (number, bits) = unit.unwrap_or((text, 0));
    let number: usize = number.trim().parse().map_err(|_| {
        format!("{text:?} is no size; expected bytes or a number with KiB, MiB or GiB")
    })?;
    number.checked_mul(1 << bits).ok_or_else(|| format!("{text} is more than can be addressed"))
}
