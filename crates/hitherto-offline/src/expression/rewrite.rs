//! Expressions in other words, so that no value fails a batch, and constants are computed once.

use std::sync::Arc;

use ::arrow::array::{RecordBatch, RecordBatchOptions};
use ::arrow::datatypes::{DataType as ArrowType, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue, plan_err};
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::context::ExecutionProps;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, ExprSchemable, TryCast};
use datafusion::physical_expr::create_physical_expr;
use regex::RegexBuilder;

use super::arithmetic::Operator;
use super::functions::{Dates, UNITS};
use super::kernel::{Kernel, Work};

/// Bytes that a compiled pattern may take.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Functions whose first or last argument is no value of a row: a unit, a pattern.
pub fn special(expr: Expr) -> DataFusionResult<Expr> {
    let rewritten = expr.transform_up(|part| {
        let Expr::ScalarFunction(ScalarFunction { func, args }) = &part else {
            return Ok(Transformed::no(part));
        };
        match (func.name(), &args[..]) {
            ("date_diff", [unit, from, to]) => {
                let work = Work::Dates(Dates::Diff(unit_micros(unit)?));
                Ok(Transformed::yes(Kernel::call(
                    "date_diff",
                    work,
                    vec![from.clone(), to.clone()],
                )))
            }
            ("regexp_like", [text, pattern]) => {
                let work = Work::Matches(compiled(pattern)?);
                Ok(Transformed::yes(Kernel::call("regexp_like", work, vec![text.clone()])))
            }
            ("regexp_like", _) => {
                plan_err!("regexp_like() takes a text and a pattern; write flags into it, as (?i)")
            }
            _ => Ok(Transformed::no(part)),
        }
    });
    Ok(rewritten?.data)
}

fn unit_micros(unit: &Expr) -> DataFusionResult<i64> {
    let named = text_of(unit);
    let found = UNITS.iter().find(|(name, _)| named.is_some_and(|named| named == *name));
    match found {
        Some((_, micros)) => Ok(*micros),
        None => {
            let units: Vec<&str> = UNITS.iter().map(|(name, _)| *name).collect();
            plan_err!("the first argument of date_diff() is one of '{}'", units.join("', '"))
        }
    }
}

fn compiled(pattern: &Expr) -> DataFusionResult<regex::Regex> {
    let Some(pattern) = text_of(pattern) else {
        return plan_err!("the pattern of regexp_like() is written as it is, such as '^a.*'");
    };
    match RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build() {
        Ok(regex) => Ok(regex),
        Err(cause) => plan_err!("the pattern of regexp_like() is none: {cause}"),
    }
}

fn text_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    }
}

/// What could fail a batch, or wrap, as kernels that say null; types are brought together
/// before.
pub fn total(expr: Expr, schema: &DFSchema) -> DataFusionResult<Expr> {
    let rewritten = expr.transform_up(|part| {
        Ok(match part {
            Expr::BinaryExpr(binary) => operator(binary, schema)?,
            Expr::Negative(inner) => {
                let data_type = inner.get_type(schema)?;
                if !data_type.is_integer() {
                    return Ok(Transformed::no(Expr::Negative(inner)));
                }
                let zero = Expr::Literal(ScalarValue::new_zero(&data_type)?, None);
                let work = Work::Arithmetic(Operator::Subtract);
                Transformed::yes(Kernel::call("minus", work, vec![zero, *inner]))
            }
            Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field }) => {
                cast(*expr, field.data_type(), schema)?
            }
            Expr::ScalarFunction(ScalarFunction { func, args }) => {
                match func.inner().downcast_ref::<Kernel>() {
                    Some(kernel) => Transformed::yes(kernel.again(args)),
                    None if func.name() == "coalesce" => {
                        Transformed::yes(Kernel::call("coalesce", Work::Coalesce, args))
                    }
                    None => Transformed::no(Expr::ScalarFunction(ScalarFunction { func, args })),
                }
            }
            other => Transformed::no(other),
        })
    });
    Ok(rewritten?.data)
}

fn operator(binary: BinaryExpr, schema: &DFSchema) -> DataFusionResult<Transformed<Expr>> {
    let Some(operator) = Operator::of(binary.op) else {
        return Ok(Transformed::no(Expr::BinaryExpr(binary)));
    };
    let types = [binary.left.get_type(schema)?, binary.right.get_type(schema)?];
    if types.iter().all(|found| found.is_floating() || found.is_null()) {
        return Ok(Transformed::no(Expr::BinaryExpr(binary)));
    }
    let is_exact = |found: &ArrowType| {
        found.is_integer() || found.is_null() || matches!(found, ArrowType::Decimal128(..))
    };
    if !types.iter().all(is_exact) {
        return plan_err!(
            "{} {} {} is no arithmetic of numbers; of times write date_diff('second', from, to)",
            hitherto_api::arrow::type_name(&types[0]),
            binary.op,
            hitherto_api::arrow::type_name(&types[1])
        );
    }
    let work = Work::Arithmetic(operator);
    Ok(Transformed::yes(Kernel::call("arithmetic", work, vec![*binary.left, *binary.right])))
}

/// A cast that cannot fail is DataFusion's.
fn cast(expr: Expr, to: &ArrowType, schema: &DFSchema) -> DataFusionResult<Transformed<Expr>> {
    let from = expr.get_type(schema)?;
    let is_whole = |found: &ArrowType| found.is_integer() || *found == ArrowType::Boolean;
    let never_fails = from == *to || (is_whole(&from) && to.is_floating()) || from.is_null();
    Ok(Transformed::yes(match never_fails {
        true => Expr::Cast(Cast::new(Box::new(expr), to.clone())),
        false => Kernel::call("cast", Work::Cast(to.clone()), vec![expr]),
    }))
}

/// Computes what has no column.
pub fn fold(expr: Expr) -> DataFusionResult<Expr> {
    let schema = DFSchema::empty();
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let one = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options)?;
    let (props, context) = (ExecutionProps::new(), PhysicalPlanningContext::default());
    let folded = expr.transform_up(|part| {
        if matches!(part, Expr::Literal(..)) || part.any_column_refs() {
            return Ok(Transformed::no(part));
        }
        let value = create_physical_expr(&part, &schema, &props, &context)
            .and_then(|expr| expr.evaluate(&one))
            .and_then(|value| ScalarValue::try_from_array(&value.into_array(1)?, 0));
        Ok(match value {
            Ok(value) => Transformed::yes(Expr::Literal(value, None)),
            Err(_) => Transformed::no(part),
        })
    });
    Ok(folded?.data)
}
