//! What can be typed after `online`.

use std::path::PathBuf;

use clap::{Args, ValueEnum, value_parser};
use hitherto_engine::config::AuditLevel;

use super::shapes::{self, Shape};
use crate::pit::parse_bytes;
use crate::{Result, folder};

/// What to measure, and how.
#[derive(Debug, Args)]
pub struct Options {
    /// A shape to measure, by name (repeatable) [default: all]
    #[arg(long = "shape", value_name = "NAME")]
    pub(super) shapes: Vec<String>,
    /// Measure every shape, which is the default
    #[arg(long, conflicts_with = "shapes")]
    all: bool,
    /// Entities of each view
    #[arg(long, default_value_t = 1_000_000, value_parser = value_parser!(u64).range(1_000..))]
    pub(super) entities: u64,
    /// How much more often some entities are asked about; 0 is not at all. `cold`
    /// always has 0.99
    #[arg(long, default_value_t = 0.0, value_name = "EXPONENT")]
    pub(super) zipf: f64,
    /// Seconds of each measurement, after a warm-up
    #[arg(long, default_value_t = 4.0)]
    pub(super) seconds: f64,
    /// Measurements of each; the median counts
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u32).range(1..))]
    pub(super) reps: u32,
    /// The server's cache of rows and blocks, which holds everything unless the shape is `cold`
    #[arg(long, default_value = "4GiB", value_parser = parse_bytes)]
    pub(super) cache: usize,
    /// Ask Redis and Feast for what `1x50` and `100x50` ask for, too; installs them at
    /// the first time
    #[arg(long)]
    pub(super) peers: bool,
    /// Beside the same server that records nothing, and not beside the echo: what recording
    /// every lookup costs
    #[arg(long, value_enum)]
    pub(super) audit: Option<Audited>,
    /// Where generated data are kept [default: ~/.cache/hitherto/bench/online]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// How lookups are recorded.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Audited {
    /// As well as it can be.
    BestEffort,
    /// Before each answer.
    Strict,
}

impl Audited {
    /// The level of the log.
    pub(super) fn level(self) -> AuditLevel {
        match self {
            Audited::BestEffort => AuditLevel::BestEffort,
            Audited::Strict => AuditLevel::Strict,
        }
    }
}

impl Options {
    /// The shapes to measure, in the order in which they are listed.
    ///
    /// # Errors
    /// For a name that no shape has.
    pub(super) fn shapes(&self) -> Result<Vec<Shape>> {
        let mut known = shapes::all();
        for name in &self.shapes {
            if !known.iter().any(|shape| shape.name == name) {
                let names: Vec<&str> = known.iter().map(|shape| shape.name).collect();
                return Err(format!("no shape {name:?}; there are {}", names.join(", ")).into());
            }
        }
        known.retain(|shape| {
            self.shapes.is_empty() || self.shapes.iter().any(|name| name == shape.name)
        });
        Ok(known)
    }

    /// Where generated data are kept.
    ///
    /// # Errors
    /// When neither an option nor the environment says where.
    pub(super) fn data(&self) -> Result<PathBuf> {
        match &self.data {
            // Measuring processes must find it, wherever they run.
            Some(data) => Ok(std::path::absolute(data)?),
            None => Ok(folder::cache()?.join("bench").join("online")),
        }
    }
}
