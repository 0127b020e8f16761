//! Arithmetic of integers and decimals in which nothing wraps and nothing fails: where there is
//! no answer there is null.

use std::sync::Arc;

use ::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Datum, PrimitiveArray, Scalar,
};
use ::arrow::compute::kernels::cmp::eq;
use ::arrow::compute::kernels::numeric;
use ::arrow::compute::kernels::zip::zip;
use ::arrow::compute::{is_not_null, nullif};
use ::arrow::datatypes::{
    ArrowNativeTypeOp, DataType as ArrowType, Decimal128Type, Int8Type, Int16Type, Int32Type,
    Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use ::arrow::error::ArrowError;
use datafusion::common::plan_err;
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::Operator as Sign;
use datafusion::logical_expr::binary::BinaryTypeCoercer;
use hitherto_core::expression::Reason;

type Kernel = fn(&dyn Datum, &dyn Datum) -> Result<ArrayRef, ArrowError>;

/// What is done with two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Operator {
    /// By its sign in SQL.
    pub fn of(sign: Sign) -> Option<Self> {
        Some(match sign {
            Sign::Plus => Operator::Add,
            Sign::Minus => Operator::Subtract,
            Sign::Multiply => Operator::Multiply,
            Sign::Divide => Operator::Divide,
            Sign::Modulo => Operator::Remainder,
            _ => return None,
        })
    }

    fn sign(self) -> Sign {
        match self {
            Operator::Add => Sign::Plus,
            Operator::Subtract => Sign::Minus,
            Operator::Multiply => Sign::Multiply,
            Operator::Divide => Sign::Divide,
            Operator::Remainder => Sign::Modulo,
        }
    }

    /// The type of the answer: as DataFusion has it.
    pub fn return_type(self, types: &[ArrowType]) -> DataFusionResult<ArrowType> {
        let [left, right] = types else { return plan_err!("an operator has two sides") };
        let sign = self.sign();
        let coercer = BinaryTypeCoercer::new(left, &sign, right);
        coercer.get_result_type()
    }

    /// Computes it; `record` is told for how many rows there is no answer, and why.
    ///
    /// # Errors
    /// Those of decimals that overflow.
    pub fn compute(
        self,
        left: &ArrayRef,
        right: &ArrayRef,
        to: &ArrowType,
        record: impl Fn(Reason, usize),
    ) -> DataFusionResult<ArrayRef> {
        // Mostly every row has an answer; where one has none, Arrow's kernel has none for all.
        if let Ok(answers) = self.kernel()(left, right) {
            return Ok(answers);
        }
        Ok(match to {
            ArrowType::Int8 => self.integers::<Int8Type>(left, right, record),
            ArrowType::Int16 => self.integers::<Int16Type>(left, right, record),
            ArrowType::Int32 => self.integers::<Int32Type>(left, right, record),
            ArrowType::Int64 => self.integers::<Int64Type>(left, right, record),
            ArrowType::UInt8 => self.integers::<UInt8Type>(left, right, record),
            ArrowType::UInt16 => self.integers::<UInt16Type>(left, right, record),
            ArrowType::UInt32 => self.integers::<UInt32Type>(left, right, record),
            ArrowType::UInt64 => self.integers::<UInt64Type>(left, right, record),
            _ => self.decimals(left, right, record)?,
        })
    }

    fn integers<T: ArrowPrimitiveType>(
        self,
        left: &ArrayRef,
        right: &ArrayRef,
        record: impl Fn(Reason, usize),
    ) -> ArrayRef {
        let (left, right) = (left.as_primitive::<T>(), right.as_primitive::<T>());
        let (mut zeros, mut overflows) = (0, 0);
        let answer = |pair: (Option<T::Native>, Option<T::Native>)| {
            let (left, right) = (pair.0?, pair.1?);
            let answer = match self {
                Operator::Add => left.add_checked(right),
                Operator::Subtract => left.sub_checked(right),
                Operator::Multiply => left.mul_checked(right),
                Operator::Divide => left.div_checked(right),
                Operator::Remainder if right.is_zero() => Err(ArrowError::DivideByZero),
                // As Arrow's kernel has it: of the least number by -1 it is 0.
                Operator::Remainder => Ok(left.mod_wrapping(right)),
            };
            match answer {
                Ok(answer) => return Some(answer),
                Err(ArrowError::DivideByZero) => zeros += 1,
                Err(_) => overflows += 1,
            }
            None
        };
        let answers: PrimitiveArray<T> = left.iter().zip(right.iter()).map(answer).collect();
        record(Reason::DivisionByZero, zeros);
        record(Reason::Overflow, overflows);
        Arc::new(answers)
    }

    fn decimals(
        self,
        left: &ArrayRef,
        right: &ArrayRef,
        record: impl Fn(Reason, usize),
    ) -> DataFusionResult<ArrayRef> {
        let divides = matches!(self, Operator::Divide | Operator::Remainder);
        let right = match right.as_primitive_opt::<Decimal128Type>().filter(|_| divides) {
            Some(numbers) => {
                let zero = PrimitiveArray::<Decimal128Type>::new_scalar(0);
                let zero = zero.into_inner().with_data_type(numbers.data_type().clone());
                let zero = Scalar::new(zero);
                let is_zero: BooleanArray = eq(numbers, &zero)?;
                let both = left.logical_nulls();
                let lost = is_zero.iter().enumerate().filter(|(row, is_zero)| {
                    *is_zero == Some(true) && both.as_ref().is_none_or(|nulls| nulls.is_valid(*row))
                });
                record(Reason::DivisionByZero, lost.count());
                nullif(right, &is_zero)?
            }
            None => ArrayRef::clone(right),
        };
        Ok(self.kernel()(left, &right)?)
    }

    /// Arrow's, which fails for all rows where one overflows or is divided by zero.
    fn kernel(self) -> Kernel {
        match self {
            Operator::Add => numeric::add,
            Operator::Subtract => numeric::sub,
            Operator::Multiply => numeric::mul,
            Operator::Divide => numeric::div,
            Operator::Remainder => numeric::rem,
        }
    }
}

/// The first value of each row that is not null.
pub fn coalesce(values: &[ArrayRef]) -> DataFusionResult<ArrayRef> {
    let Some((last, others)) = values.split_last() else {
        return plan_err!("coalesce() takes a value");
    };
    let mut answer = ArrayRef::clone(last);
    for values in others.iter().rev() {
        answer = zip(&is_not_null(values)?, values, &answer)?;
    }
    Ok(answer)
}
