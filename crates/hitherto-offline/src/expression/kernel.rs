//! Our own functions, as DataFusion calls them.
//!
//! Those with a name can be written in expressions ([`named`]); the others take the place of
//! operators and casts that would fail a batch.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::arrow::array::ArrayRef;
use ::arrow::compute::{CastOptions, cast_with_options};
use ::arrow::datatypes::{DataType as ArrowType, TimeUnit};
use datafusion::common::{exec_err, plan_err};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility,
};
use hitherto_core::expression::Reason;
use regex::Regex;

use super::arithmetic::{self, Operator};
use super::functions::{self, Dates, Numbers};
use super::{faults, lists};

/// What one of our functions does.
#[derive(Clone, Debug)]
pub enum Work {
    /// Integers and decimals, null where there is no answer.
    Arithmetic(Operator),
    /// A cast, null where the type has no such value.
    Cast(ArrowType),
    /// The first value that is not null.
    Coalesce,
    /// Numbers to a number, by `libm`.
    Numbers(Numbers),
    /// Times to a whole number.
    Dates(Dates),
    /// Whether a text has what a pattern says.
    Matches(Regex),
    /// `hash_bucket(text, n)`.
    HashBucket,
    /// `bucketize(x, bounds...)`.
    Bucketize,
    /// Of lists.
    Lists(lists::Function),
    /// What stands for `request_time()` until it is a column.
    RequestTime,
}

/// One use of a function in one expression.
#[derive(Debug)]
pub struct Kernel {
    name: &'static str,
    /// By which faults are told apart.
    part: u64,
    work: Work,
    signature: Signature,
}

impl PartialEq for Kernel {
    fn eq(&self, other: &Self) -> bool {
        self.part == other.part
    }
}

impl Eq for Kernel {}

impl std::hash::Hash for Kernel {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.part.hash(state);
    }
}

/// The type in which times of requests are.
pub fn moment() -> ArrowType {
    ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

impl Kernel {
    fn new(name: &'static str, work: Work, signature: TypeSignature) -> Self {
        static PARTS: AtomicU64 = AtomicU64::new(0);
        let signature = Signature::new(signature, Volatility::Immutable);
        Self { name, part: PARTS.fetch_add(1, Ordering::Relaxed), work, signature }
    }

    /// A call of it with arguments whose types need not be brought together any more.
    pub fn call(name: &'static str, work: Work, arguments: Vec<Expr>) -> Expr {
        let signature = match arguments.len() {
            0 => TypeSignature::Nullary,
            count => TypeSignature::Any(count),
        };
        ScalarUDF::from(Self::new(name, work, signature)).call(arguments)
    }

    /// The same function as a part of its own, which its faults are counted by.
    pub fn again(&self, arguments: Vec<Expr>) -> Expr {
        Self::call(self.name, self.work.clone(), arguments)
    }

    /// What it does.
    pub fn work(&self) -> &Work {
        &self.work
    }

    fn record(&self, reason: Reason, rows: usize) {
        faults::record(self.part, reason, rows);
    }
}

/// The functions that can be written, by their names.
pub fn named() -> impl Iterator<Item = ScalarUDF> {
    let numbers = Numbers::ALL.into_iter().map(|(name, count, function)| {
        let signature = TypeSignature::Exact(vec![ArrowType::Float64; count]);
        Kernel::new(name, Work::Numbers(function), signature)
    });
    let dates = [
        Kernel::new("date_diff", Work::Dates(Dates::Diff(1)), TypeSignature::Any(3)),
        Kernel::new("to_unix", Work::Dates(Dates::Unix), TypeSignature::Any(1)),
    ];
    let text_and_number = TypeSignature::Exact(vec![ArrowType::Utf8, ArrowType::Int64]);
    let others = [
        Kernel::new("hash_bucket", Work::HashBucket, text_and_number),
        Kernel::new(
            "bucketize",
            Work::Bucketize,
            TypeSignature::Variadic(vec![ArrowType::Float64]),
        ),
        Kernel::new("request_time", Work::RequestTime, TypeSignature::Nullary),
    ];
    let lists = lists::Function::ALL.into_iter().map(|(name, count, function)| {
        Kernel::new(name, Work::Lists(function), TypeSignature::Any(count))
    });
    let kernels = numbers.chain(dates).chain(others).chain(lists);
    kernels.map(|kernel| match kernel.name {
        "power" => ScalarUDF::from(kernel).with_aliases(["pow"]),
        _ => ScalarUDF::from(kernel),
    })
}

impl ScalarUDFImpl for Kernel {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[ArrowType]) -> DataFusionResult<ArrowType> {
        Ok(match &self.work {
            Work::Arithmetic(operator) => operator.return_type(types)?,
            Work::Cast(to) => to.clone(),
            Work::Coalesce => types[0].clone(),
            Work::Numbers(_) => ArrowType::Float64,
            Work::Dates(_) => {
                functions::check_times(self.name, types)?;
                ArrowType::Int64
            }
            Work::HashBucket | Work::Bucketize => ArrowType::Int64,
            Work::Matches(_) => ArrowType::Boolean,
            Work::Lists(function) => function.return_type(self.name, types)?,
            Work::RequestTime => moment(),
        })
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> DataFusionResult<ColumnarValue> {
        let rows = arguments.number_rows;
        let arrays = arguments.args.iter().map(|value| value.to_array(rows));
        let arrays: Vec<ArrayRef> = arrays.collect::<DataFusionResult<_>>()?;
        let record = |reason, rows| self.record(reason, rows);
        let values: ArrayRef = match &self.work {
            Work::Arithmetic(operator) => {
                operator.compute(&arrays[0], &arrays[1], arguments.return_type(), record)?
            }
            Work::Cast(to) => {
                let values = cast_with_options(&arrays[0], to, &CastOptions::default())?;
                let had = arrays[0].logical_null_count();
                record(Reason::Cast, values.logical_null_count().saturating_sub(had));
                values
            }
            Work::Coalesce => arithmetic::coalesce(&arrays)?,
            Work::Numbers(function) => Arc::new(function.compute(&arrays)?),
            Work::Dates(function) => Arc::new(function.compute(&arrays, record)?),
            Work::Matches(pattern) => Arc::new(functions::matches(pattern, &arrays[0])?),
            Work::HashBucket => Arc::new(functions::hash_bucket(&arrays, record)?),
            Work::Bucketize => Arc::new(functions::bucketize(&arrays)?),
            Work::Lists(function) => function.compute(&arrays, record)?,
            Work::RequestTime => return exec_err!("request_time() is a column by now"),
        };
        Ok(ColumnarValue::Array(values))
    }
}

/// Refuses arguments of other types, in the words of a plan.
pub fn refuse<T>(name: &str, takes: &str, types: &[ArrowType]) -> DataFusionResult<T> {
    let found: Vec<String> = types.iter().map(hitherto_api::arrow::type_name).collect();
    plan_err!("{name}() takes {takes}, and is given {}", found.join(", "))
}
