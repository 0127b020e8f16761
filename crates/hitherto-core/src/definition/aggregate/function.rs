//! The functions of aggregates, as they are written: what each takes, and of which type its
//! answer is.

use std::fmt;

use crate::aggregate::{Basis, Function, Nulls, SumType};
use crate::limits::{AGGREGATE_LIST_MAX, AGGREGATE_TOP_MAX};
use crate::types::DataType;

/// How a function is written, and what it takes.
pub(super) struct Signature {
    /// Its name.
    pub name: &'static str,
    /// Whether it is of a column.
    pub column: Takes,
    /// Columns of which types it can be.
    pub of: Of,
    /// Its parameters.
    pub parameters: &'static [&'static str],
    /// The function over a column of a type, and the type of its answers; `None` where a sum
    /// is wanted as what it cannot be.
    pub make: fn(&DataType, Parameters) -> Made,
}

/// Whether something is written with a function.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// It cannot be.
    No,
    /// It can be left out.
    Optional,
    /// It has to be.
    Required,
}

/// Types of columns.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Of {
    /// Any.
    Any,
    /// Integers, floating point and decimals.
    Numbers,
    /// What sorts: all but lists.
    Sorted,
    /// What a list can hold: integers and floating point.
    Items,
    /// Bools.
    Bools,
}

impl Of {
    /// Whether a type is one of them.
    pub fn has(self, data_type: &DataType) -> bool {
        let is_item = DataType::list(data_type.clone(), None).is_some();
        match self {
            Of::Any => true,
            Of::Numbers => is_item || matches!(data_type, DataType::Decimal128 { .. }),
            Of::Sorted => !matches!(data_type, DataType::List { .. }),
            Of::Items => is_item,
            Of::Bools => *data_type == DataType::Bool,
        }
    }

    /// As a message says it.
    pub const fn words(self) -> &'static str {
        match self {
            Of::Any => "anything",
            Of::Numbers => "integers, floating point or decimals",
            Of::Sorted => "anything but lists",
            Of::Items => "integers or floating point",
            Of::Bools => "bools",
        }
    }
}

type Made = Option<(Function, DataType)>;

const fn of(
    name: &'static str,
    of: Of,
    parameters: &'static [&'static str],
    make: fn(&DataType, Parameters) -> Made,
) -> Signature {
    Signature { name, column: Takes::Required, of, parameters, make }
}

const fn of_events(
    name: &'static str,
    column: Takes,
    make: fn(&DataType, Parameters) -> Made,
) -> Signature {
    Signature { name, column, of: Of::Any, parameters: &[], make }
}

/// All functions, in the order of the documents.
pub(super) const SIGNATURES: [Signature; 27] = [
    of_events("count", Takes::Optional, |_, _| int(Function::Count)),
    of("sum", Of::Numbers, &["sumType"], sum),
    of("mean", Of::Numbers, &[], |of, _| float(Function::Mean { scale: scale(of) })),
    of("variance", Of::Numbers, &[], |of, _| variance(of, Basis::Sample)),
    of("variance_pop", Of::Numbers, &[], |of, _| variance(of, Basis::Population)),
    of("stddev", Of::Numbers, &[], |of, _| stddev(of, Basis::Sample)),
    of("stddev_pop", Of::Numbers, &[], |of, _| stddev(of, Basis::Population)),
    of("min", Of::Sorted, &[], |of, _| own(of, Function::Min)),
    of("max", Of::Sorted, &[], |of, _| own(of, Function::Max)),
    of("min_by", Of::Any, &["by", "byType"], |of, _| own(of, Function::MinBy)),
    of("max_by", Of::Any, &["by", "byType"], |of, _| own(of, Function::MaxBy)),
    of("first", Of::Any, &["nulls"], |of, is| own(of, Function::First(is.nulls))),
    of("last", Of::Any, &["nulls"], |of, is| own(of, Function::Last(is.nulls))),
    of("first_n", Of::Items, &["n", "nulls"], |of, is| {
        list(of, Function::FirstN { n: is.n, nulls: is.nulls })
    }),
    of("last_n", Of::Items, &["n", "nulls"], |of, is| {
        list(of, Function::LastN { n: is.n, nulls: is.nulls })
    }),
    of("last_n_distinct", Of::Items, &["n"], |of, is| {
        list(of, Function::LastNDistinct { n: is.n })
    }),
    of("min_n", Of::Items, &["n"], |of, is| list(of, Function::MinN { n: is.n })),
    of("max_n", Of::Items, &["n"], |of, is| list(of, Function::MaxN { n: is.n })),
    of("count_distinct", Of::Sorted, &["limit"], |_, is| {
        int(Function::CountDistinct { limit: is.limit })
    }),
    of("approx_count_distinct", Of::Sorted, &["precision"], |_, is| {
        int(Function::ApproxCountDistinct { precision: is.precision })
    }),
    of("approx_quantile", Of::Numbers, &["p", "bits"], |of, is| {
        float(Function::ApproxQuantile {
            scale: scale(of),
            bits: is.bits,
            millionths: is.millionths,
        })
    }),
    of("mode", Of::Sorted, &["limit"], |of, is| own(of, Function::Mode { limit: is.limit })),
    of("top_k", Of::Items, &["k", "limit"], |of, is| {
        list(of, Function::TopK { k: is.k, limit: is.limit })
    }),
    of_events("seconds_since_first", Takes::No, |_, _| float(Function::SecondsSinceFirst)),
    of_events("seconds_since_last", Takes::No, |_, _| float(Function::SecondsSinceLast)),
    of("any", Of::Bools, &[], |_, _| Some((Function::Any, DataType::Bool))),
    of("all", Of::Bools, &[], |_, _| Some((Function::All, DataType::Bool))),
];

fn int(function: Function) -> Made {
    Some((function, DataType::Int64))
}

fn float(function: Function) -> Made {
    Some((function, DataType::Float64))
}

fn own(column: &DataType, function: Function) -> Made {
    Some((function, column.clone()))
}

fn list(column: &DataType, function: Function) -> Made {
    Some((function, DataType::list(column.clone(), None)?))
}

fn variance(column: &DataType, of: Basis) -> Made {
    float(Function::Variance { scale: scale(column), of })
}

fn stddev(column: &DataType, of: Basis) -> Made {
    float(Function::Stddev { scale: scale(column), of })
}

/// Digits after the point of a decimal column; 0 for any other.
fn scale(column: &DataType) -> i8 {
    if let DataType::Decimal128 { scale, .. } = column { *scale } else { 0 }
}

/// The sum of a column, as its own type or another that can hold it.
fn sum(column: &DataType, parameters: Parameters) -> Made {
    let scale = scale(column);
    let is_float = matches!(column, DataType::Float32 | DataType::Float64);
    let is_decimal = matches!(column, DataType::Decimal128 { .. });
    let own = match (is_float, is_decimal) {
        (true, _) => SumType::Float64,
        (_, true) => SumType::Decimal,
        _ => SumType::Int64,
    };
    let output = parameters.sum_type.unwrap_or(own);
    let data_type = match output {
        SumType::Float64 => DataType::Float64,
        SumType::Decimal if !is_float => DataType::Decimal128 { precision: 38, scale },
        SumType::Int64 if !is_float && !is_decimal => DataType::Int64,
        _ => return None,
    };
    Some((Function::Sum { scale, output }, data_type))
}

/// The names of [`SIGNATURES`], for the schema.
pub(super) const NAMES: [&str; SIGNATURES.len()] = {
    let mut names = [""; SIGNATURES.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = SIGNATURES[index].name;
        index += 1;
    }
    names
};

/// The numbers and words that functions take, each with its value where nothing is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters {
    /// How many values a list has at most.
    pub n: u32,
    /// How many values `top_k` lists at most.
    pub k: u32,
    /// How many values are told apart.
    pub limit: u32,
    /// Bits below the leading one to which a quantile is rounded.
    pub bits: u8,
    /// Bits that choose a register of an approximate count.
    pub precision: u8,
    /// Which quantile.
    pub millionths: u32,
    /// Whether nulls are values.
    pub nulls: Nulls,
    /// `None` is the column's own: int64 of integers, and of decimals and floating point
    /// themselves.
    pub sum_type: Option<SumType>,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            n: AGGREGATE_LIST_MAX,
            k: AGGREGATE_TOP_MAX,
            limit: 1_000,
            bits: 7,
            precision: 11,
            millionths: 500_000,
            nulls: Nulls::Skip,
            sum_type: None,
        }
    }
}

impl Parameters {
    /// Writes those that are not as without being written: `(n 5, nulls keep)`.
    pub(super) fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { n, k, limit, bits, precision, millionths, nulls, sum_type } = *self;
        let none = Self::default();
        let number =
            |name, is: u32, otherwise: u32| (is != otherwise).then(|| format!("{name} {is}"));
        let quantile = (millionths != none.millionths).then_some(f64::from(millionths) / 1e6);
        let written = [
            quantile.map(|p| format!("p {p}")),
            number("n", n, none.n),
            number("k", k, none.k),
            number("limit", limit, none.limit),
            number("bits", bits.into(), none.bits.into()),
            number("precision", precision.into(), none.precision.into()),
            (nulls == Nulls::Keep).then(|| String::from("nulls keep")),
            sum_type.map(|sum_type| format!("as {}", sum_type.name())),
        ];
        let written: Vec<String> = written.into_iter().flatten().collect();
        if written.is_empty() { Ok(()) } else { write!(f, " ({})", written.join(", ")) }
    }
}

impl Signature {
    /// The signature of that name.
    pub fn find(name: &str) -> Option<&'static Signature> {
        SIGNATURES.iter().find(|signature| signature.name == name)
    }
}

/// What a function is called, and its parameters.
pub fn written(function: &Function) -> (&'static str, Parameters) {
    let none = Parameters::default();
    match *function {
        Function::Count => ("count", none),
        Function::Sum { output, .. } => ("sum", Parameters { sum_type: Some(output), ..none }),
        Function::Mean { .. } => ("mean", none),
        Function::Variance { of: Basis::Sample, .. } => ("variance", none),
        Function::Variance { of: Basis::Population, .. } => ("variance_pop", none),
        Function::Stddev { of: Basis::Sample, .. } => ("stddev", none),
        Function::Stddev { of: Basis::Population, .. } => ("stddev_pop", none),
        Function::Min => ("min", none),
        Function::Max => ("max", none),
        Function::MinBy => ("min_by", none),
        Function::MaxBy => ("max_by", none),
        Function::First(nulls) => ("first", Parameters { nulls, ..none }),
        Function::Last(nulls) => ("last", Parameters { nulls, ..none }),
        Function::FirstN { n, nulls } => ("first_n", Parameters { n, nulls, ..none }),
        Function::LastN { n, nulls } => ("last_n", Parameters { n, nulls, ..none }),
        Function::LastNDistinct { n } => ("last_n_distinct", Parameters { n, ..none }),
        Function::MinN { n } => ("min_n", Parameters { n, ..none }),
        Function::MaxN { n } => ("max_n", Parameters { n, ..none }),
        Function::CountDistinct { limit } => ("count_distinct", Parameters { limit, ..none }),
        Function::Mode { limit } => ("mode", Parameters { limit, ..none }),
        Function::TopK { k, limit } => ("top_k", Parameters { k, limit, ..none }),
        Function::ApproxCountDistinct { precision } => {
            ("approx_count_distinct", Parameters { precision, ..none })
        }
        Function::ApproxQuantile { bits, millionths, .. } => {
            ("approx_quantile", Parameters { bits, millionths, ..none })
        }
        Function::SecondsSinceFirst => ("seconds_since_first", none),
        Function::SecondsSinceLast => ("seconds_since_last", none),
        Function::Any => ("any", none),
        Function::All => ("all", none),
    }
}

/// The function of that name over a column of a type; `None` if there is none.
pub fn named(name: &str, column: &DataType, parameters: Parameters) -> Option<Function> {
    let signature = Signature::find(name).filter(|signature| signature.of.has(column))?;
    (signature.make)(column, parameters).map(|(function, _)| function)
}

impl SumType {
    /// The type that is written so.
    pub fn named(name: &str) -> Option<Self> {
        let all = [SumType::Int64, SumType::Decimal, SumType::Float64];
        all.into_iter().find(|sum_type| sum_type.name() == name)
    }

    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            SumType::Int64 => "int64",
            SumType::Decimal => "decimal",
            SumType::Float64 => "float64",
        }
    }
}
