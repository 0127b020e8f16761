//! How aggregates are written.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::super::feature::Scalar;
use super::super::schema::{DURATION_PATTERN, NAME_PATTERN};
use super::function::NAMES;

/// A function over a column of the events in windows: a feature for each window.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Aggregate")]
pub struct AggregateForm {
    /// What is computed of the events in a window.
    #[schemars(with = "String", extend("enum" = NAMES))]
    pub function: Spanned<String>,
    /// The source's column that it is computed of; count without one counts events.
    #[schemars(with = "Option<String>", extend("minLength" = 1))]
    pub column: Option<Spanned<String>>,
    /// The column's type in the source; float64 without it.
    #[serde(rename = "type")]
    #[schemars(with = "Option<String>")]
    pub data_type: Option<Spanned<String>>,
    /// How far each looks back, such as 1h or 7d, or lifetime; at least one.
    #[schemars(with = "Vec<String>", extend("minItems" = 1))]
    pub windows: Spanned<Vec<Spanned<String>>>,
    /// How far the windows are moved back, such as 7d for the week before.
    #[schemars(with = "Option<String>", extend("pattern" = DURATION_PATTERN))]
    pub offset: Option<Spanned<String>>,
    /// A condition in SQL over the source's columns: other events do not count.
    #[serde(rename = "where")]
    #[schemars(with = "Option<String>", extend("minLength" = 1))]
    pub filter: Option<Spanned<String>>,
    /// One feature for each value of a column.
    pub buckets: Option<BucketsForm>,
    /// Whether an event of the very moment in question does not count: it may be the label's
    /// own.
    #[schemars(with = "Option<bool>")]
    pub exclude_current_time: Option<Spanned<String>>,
    /// For min_by and max_by: the column whose least or greatest value decides.
    #[schemars(with = "Option<String>", extend("minLength" = 1))]
    pub by: Option<Spanned<String>>,
    /// That column's type in the source; float64 without it.
    #[schemars(with = "Option<String>")]
    pub by_type: Option<Spanned<String>>,
    /// How many values first_n, last_n, last_n_distinct, min_n and max_n list at most.
    #[schemars(with = "Option<u32>")]
    pub n: Option<Spanned<String>>,
    /// How many values top_k lists at most.
    #[schemars(with = "Option<u32>")]
    pub k: Option<Spanned<String>>,
    /// How many values count_distinct, mode and top_k tell apart; 1000 without it.
    #[schemars(with = "Option<u32>")]
    pub limit: Option<Spanned<String>>,
    /// Which quantiles, such as 0.5 and 0.95: a feature for each.
    #[schemars(with = "Option<Vec<f64>>", extend("minItems" = 1))]
    pub p: Option<Spanned<Vec<Spanned<String>>>>,
    /// To how many bits below the leading one approx_quantile rounds; 7 without it, which is
    /// within 0.4 %.
    #[schemars(with = "Option<u8>")]
    pub bits: Option<Spanned<String>>,
    /// Of approx_count_distinct, whose error is 1.04 / sqrt(2^precision); 11 without it, which
    /// is 2.3 %.
    #[schemars(with = "Option<u8>")]
    pub precision: Option<Spanned<String>>,
    /// Whether first, last, first_n and last_n keep nulls; they skip them without it.
    #[schemars(with = "Option<String>", extend("enum" = ["skip", "keep"]))]
    pub nulls: Option<Spanned<String>>,
    /// The type of a sum, if it is not int64 of integers and otherwise the column's.
    #[schemars(with = "Option<String>", extend("enum" = ["int64", "decimal", "float64"]))]
    pub sum_type: Option<Spanned<String>>,
    /// What the feature is called, if it is one; else amount_sum_7d, or count_7d.
    #[schemars(with = "Option<String>", extend("pattern" = NAME_PATTERN))]
    pub name: Option<Spanned<String>>,
    /// What stands where there is no value, as for other features.
    #[schemars(with = "Option<Scalar>")]
    pub default: Option<Spanned<String>>,
    /// For people.
    pub description: Option<String>,
}

/// The values of a column, one feature for each.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "Buckets")]
pub struct BucketsForm {
    /// The source's column: text.
    #[schemars(with = "String", extend("minLength" = 1))]
    pub column: Spanned<String>,
    /// Its values.
    #[schemars(with = "Vec<String>", extend("minItems" = 1))]
    pub values: Spanned<Vec<Spanned<String>>>,
    /// Whether there is one more for all other values and none.
    #[schemars(with = "Option<bool>")]
    pub other: Option<Spanned<String>>,
}

/// What tells two events of an entity at one time apart: a column, several, or the word
/// eventTime if nothing does.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "EventId")]
pub enum EventIdForm {
    /// One column, or the word.
    One(#[schemars(with = "String")] Spanned<String>),
    /// Columns.
    Several(#[schemars(with = "Vec<String>")] Spanned<Vec<Spanned<String>>>),
}
