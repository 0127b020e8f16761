//! Functions of lists of numbers, such as embeddings.

use std::sync::Arc;

use ::arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array};
use ::arrow::compute::{cast, take};
use ::arrow::datatypes::{DataType as ArrowType, Float64Type, Int64Type};
use datafusion::error::Result as DataFusionResult;
use hitherto_core::expression::Reason;

use super::kernel::refuse;

/// A function of lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    Length,
    /// The item at a place, counted from 1.
    Get,
    Dot,
    Cosine,
}

/// The items of lists that lie in one array.
struct Lists<'a> {
    lists: &'a ArrayRef,
    items: ArrayRef,
}

impl Function {
    /// All of them: name and how many arguments each takes.
    pub const ALL: [(&'static str, usize, Function); 4] = [
        ("list_length", 1, Function::Length),
        ("list_get", 2, Function::Get),
        ("dot", 2, Function::Dot),
        ("cosine", 2, Function::Cosine),
    ];

    /// The type of the answer.
    pub fn return_type(self, name: &str, types: &[ArrowType]) -> DataFusionResult<ArrowType> {
        let item = |found: &ArrowType| match found {
            ArrowType::List(item) | ArrowType::FixedSizeList(item, _) => {
                Some(item.data_type().clone())
            }
            _ => None,
        };
        let is_list = |found: &ArrowType| item(found).is_some();
        match (self, types) {
            (Function::Length, [list]) if is_list(list) => Ok(ArrowType::Int64),
            (Function::Get, [list, place]) if is_list(list) && place.is_integer() => {
                Ok(item(list).unwrap_or(ArrowType::Null))
            }
            (Function::Dot | Function::Cosine, [left, right])
                if is_list(left) && is_list(right) =>
            {
                Ok(ArrowType::Float64)
            }
            (Function::Length, _) => refuse(name, "a list", types),
            (Function::Get, _) => refuse(name, "a list and an integer", types),
            (Function::Dot | Function::Cosine, _) => refuse(name, "two lists", types),
        }
    }

    /// Null where an argument is, or an item that counts.
    pub fn compute(
        self,
        arguments: &[ArrayRef],
        record: impl Fn(Reason, usize),
    ) -> DataFusionResult<ArrayRef> {
        let lists = Lists::new(&arguments[0]);
        Ok(match self {
            Function::Length => {
                let lengths = (0..lists.len()).map(|row| Some(lists.range(row)?.len() as i64));
                Arc::new(lengths.collect::<Int64Array>())
            }
            Function::Get => {
                let places = cast(&arguments[1], &ArrowType::Int64)?;
                let places = places.as_primitive::<Int64Type>();
                let mut beyond = 0;
                let place = |row: usize| {
                    let (range, place) = (lists.range(row)?, places.is_valid(row));
                    let place = place.then(|| places.value(row))?;
                    let found =
                        usize::try_from(place).ok().filter(|at| (1..=range.len()).contains(at));
                    beyond += usize::from(found.is_none());
                    Some((range.start + found? - 1) as i64)
                };
                let found: Int64Array = (0..lists.len()).map(place).collect();
                record(Reason::Failed, beyond);
                take(&lists.items, &found, None)?
            }
            Function::Dot | Function::Cosine => {
                Arc::new(self.products(&lists, &Lists::new(&arguments[1]), record)?)
            }
        })
    }

    /// Sums from the first item to the last, in float64.
    fn products(
        self,
        left: &Lists<'_>,
        right: &Lists<'_>,
        record: impl Fn(Reason, usize),
    ) -> DataFusionResult<Float64Array> {
        let items =
            [cast(&left.items, &ArrowType::Float64)?, cast(&right.items, &ArrowType::Float64)?];
        let items =
            [items[0].as_primitive::<Float64Type>(), items[1].as_primitive::<Float64Type>()];
        let mut unlike = 0;
        let product = |row: usize| {
            let (of_left, of_right) = (left.range(row)?, right.range(row)?);
            let is_whole = |side: usize, range: &std::ops::Range<usize>| {
                range.clone().all(|item| items[side].is_valid(item))
            };
            if of_left.len() != of_right.len() || !is_whole(0, &of_left) || !is_whole(1, &of_right)
            {
                unlike += 1;
                return None;
            }
            let [mut dot, mut of_one, mut of_other] = [0.0_f64; 3];
            for (one, other) in of_left.zip(of_right) {
                let (one, other) = (items[0].value(one), items[1].value(other));
                dot += one * other;
                of_one += one * one;
                of_other += other * other;
            }
            Some(if self == Function::Dot { dot } else { dot / (of_one.sqrt() * of_other.sqrt()) })
        };
        let answers = (0..left.len()).map(product).collect();
        record(Reason::Failed, unlike);
        Ok(answers)
    }
}

impl<'a> Lists<'a> {
    fn new(lists: &'a ArrayRef) -> Self {
        let items = match lists.as_list_opt::<i32>() {
            Some(lists) => lists.values(),
            None => lists.as_fixed_size_list().values(),
        };
        Self { lists, items: ArrayRef::clone(items) }
    }

    fn len(&self) -> usize {
        self.lists.len()
    }

    /// Where the items of a list lie, if there is one.
    fn range(&self, row: usize) -> Option<std::ops::Range<usize>> {
        if self.lists.is_null(row) {
            return None;
        }
        Some(match self.lists.as_list_opt::<i32>() {
            Some(lists) => {
                let offsets = lists.value_offsets();
                offsets[row] as usize..offsets[row + 1] as usize
            }
            None => {
                let lists = self.lists.as_fixed_size_list();
                let start = lists.value_offset(row) as usize;
                start..start + lists.value_length() as usize
            }
        })
    }
}
