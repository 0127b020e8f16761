//! What a view's SQL does with the rows of its source: whether each fact depends on one
//! of them alone, and whether it depends on nothing else at all.

use ::arrow::datatypes::DataType as ArrowType;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::Result as DataFusionResult;
use datafusion::logical_expr::{
    Expr, ExprSchemable, LogicalPlan, Volatility, WindowFunctionDefinition,
};
use datafusion::prelude::DataFrame;
use hitherto_api::arrow::type_name;
use hitherto_core::{Error, Result};

use super::Shape;

use crate::error::from_datafusion;
use crate::spine::shape;

/// Whether each row of a plan depends on one row of its source alone.
pub fn shape(plan: &LogicalPlan) -> DataFusionResult<Shape> {
    let mut shape = Shape::RowWise;
    // A subquery inside an expression looks at other rows whatever it is made of.
    plan.apply_with_subqueries(|node| {
        let is_row_wise = matches!(
            node,
            LogicalPlan::Projection(_)
                | LogicalPlan::Filter(_)
                | LogicalPlan::SubqueryAlias(_)
                | LogicalPlan::TableScan(_)
        );
        if is_row_wise {
            return Ok(TreeNodeRecursion::Continue);
        }
        shape = Shape::WholeSource;
        Ok(TreeNodeRecursion::Stop)
    })?;
    Ok(shape)
}

/// SQL over the columns of a source that is true or not of each row, as an expression.
///
/// # Errors
/// `Invalid` when it does not run, is no condition, looks at other rows, or is not true of a
/// row once and for all.
pub fn condition(source: &DataFrame, sql: &str) -> Result<Expr> {
    shape::check(sql, "the condition", shape::Author::Owner)?;
    let failed = |cause| from_datafusion("the condition does not run over its source", cause);
    let condition = source.parse_sql_expr(sql).map_err(failed)?;
    let (mut others, mut found) = (false, None);
    let looked = condition.apply(|part| {
        others |= matches!(
            part,
            Expr::AggregateFunction(_)
                | Expr::WindowFunction(_)
                | Expr::ScalarSubquery(_)
                | Expr::InSubquery(_)
                | Expr::Exists(_)
        );
        found = found.take().or_else(|| changing(part));
        Ok(TreeNodeRecursion::Continue)
    });
    looked.map_err(failed)?;
    if others {
        return Err(Error::invalid(
            "the condition looks at other rows than the one that it is asked of; compute that in \
             source.sql",
        ));
    }
    found.map_or(Ok(()), |(name, volatility)| Err(not_lasting(&name, volatility)))?;
    match condition.get_type(source.schema()).map_err(failed)? {
        ArrowType::Boolean | ArrowType::Null => Ok(condition.is_true()),
        other => Err(Error::invalid(format!(
            "the condition is of type {} and neither true nor false; compare it with something",
            type_name(&other)
        ))),
    }
}

/// Refuses SQL that gives other facts each time it runs: a lookup would answer with those of
/// one run, and a training set with those of another.
///
/// # Errors
/// `Invalid` naming the function.
pub fn check_lasting(plan: &LogicalPlan) -> Result<()> {
    let mut found = None;
    let looked = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                found = changing(part);
                Ok(if found.is_some() {
                    TreeNodeRecursion::Stop
                } else {
                    TreeNodeRecursion::Continue
                })
            })
        })
    });
    looked.map_err(|cause| from_datafusion("the SQL does not run over its source", cause))?;
    found.map_or(Ok(()), |(name, volatility)| Err(not_lasting(&name, volatility)))
}

fn not_lasting(name: &str, volatility: Volatility) -> Error {
    let (what, advice) = match volatility {
        Volatility::Stable => (
            "what the clock says when it runs",
            "compare with a column, or write that moment as it is, such as TIMESTAMP '2026-01-01'",
        ),
        _ => ("something else each time it is called", "leave it out, or write it to the source"),
    };
    Error::invalid(format!(
        "the SQL calls {name}(), which gives {what}: lookups and training sets would not have the \
         same facts; {advice}"
    ))
}

/// A function that an expression calls, if what it gives may change.
fn changing(expression: &Expr) -> Option<(String, Volatility)> {
    let (name, volatility) = match expression {
        Expr::ScalarFunction(call) => (call.name(), call.func.signature().volatility),
        Expr::AggregateFunction(call) => (call.func.name(), call.func.signature().volatility),
        Expr::WindowFunction(call) => match &call.fun {
            WindowFunctionDefinition::AggregateUDF(function) => {
                (function.name(), function.signature().volatility)
            }
            WindowFunctionDefinition::WindowUDF(function) => {
                (function.name(), function.signature().volatility)
            }
        },
        _ => return None,
    };
    (volatility != Volatility::Immutable).then(|| (name.to_owned(), volatility))
}
