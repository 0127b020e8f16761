//! Which entity a row is about, and how it is written down.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::datatypes::DataType as ArrowType;
use clap::ValueEnum;
use hitherto_core::types::DataType;
use rand::Rng;
use rand::distr::{Distribution, Uniform};
use rand_distr::Zipf;
use serde::{Deserialize, Serialize};

use crate::Result;

/// The type of the join key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub enum KeyType {
    /// The entity's number.
    Int64,
    /// The entity's number in a word: `stay-0001234`.
    String,
}

impl KeyType {
    /// The name in folders.
    pub fn name(self) -> &'static str {
        match self {
            KeyType::Int64 => "int64",
            KeyType::String => "string",
        }
    }

    /// As a definition declares it.
    pub fn declared(self) -> DataType {
        match self {
            KeyType::Int64 => DataType::Int64,
            KeyType::String => DataType::String,
        }
    }

    /// As a file has it.
    pub fn arrow(self) -> ArrowType {
        match self {
            KeyType::Int64 => ArrowType::Int64,
            KeyType::String => ArrowType::Utf8,
        }
    }

    /// A key column for these entities.
    pub fn column(self, entities: impl Iterator<Item = i64>) -> ArrayRef {
        match self {
            KeyType::Int64 => Arc::new(Int64Array::from_iter_values(entities)),
            KeyType::String => {
                let words = entities.map(|entity| format!("stay-{entity:07}"));
                Arc::new(StringArray::from_iter_values(words))
            }
        }
    }
}

/// Draws entities: evenly, or a few of them much more often than others.
pub enum Entities {
    /// All alike.
    Even(Uniform<i64>),
    /// The `n`-th as often as `1 / n^exponent`.
    Skewed(Zipf<f64>),
}

impl Entities {
    /// The first `count` entities; an exponent of 0 is evenly.
    ///
    /// # Errors
    /// For no entities and for an exponent below 0.
    pub fn new(count: u64, zipf: f64) -> Result<Self> {
        match zipf {
            0.0 => Ok(Self::Even(Uniform::new(0, i64::try_from(count)?)?)),
            _ => Ok(Self::Skewed(Zipf::new(count as f64, zipf)?)),
        }
    }

    /// The next one.
    pub fn draw(&self, random: &mut impl Rng) -> i64 {
        match self {
            Entities::Even(even) => even.sample(random),
            Entities::Skewed(zipf) => zipf.sample(random) as i64 - 1,
        }
    }
}
