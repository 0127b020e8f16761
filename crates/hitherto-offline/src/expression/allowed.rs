//! What an expression may have: parts and functions of one row that give the same for ever.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{Expr, Operator};
use hitherto_core::name::closest;
use hitherto_core::{Error, Result};

use super::arithmetic;
use super::kernel::named;

/// DataFusion's own functions that are allowed, by their names there.
const FUNCTIONS: [&str; 25] = [
    "abs",
    "btrim",
    "ceil",
    "character_length",
    "coalesce",
    "concat",
    "contains",
    "date_part",
    "date_trunc",
    "floor",
    "greatest",
    "isnan",
    "least",
    "lower",
    "ltrim",
    "nullif",
    "regexp_like",
    "round",
    "rtrim",
    "signum",
    "split_part",
    "starts_with",
    "substr",
    "trunc",
    "upper",
];

/// What else they can be called.
const ALIASES: [(&str, &str); 5] = [
    ("trim", "btrim"),
    ("length", "character_length"),
    ("sign", "signum"),
    ("pow", "power"),
    ("extract", "date_part"),
];

/// The names of all functions, in order.
fn names() -> Vec<String> {
    let ours = named().map(|function| function.name().to_owned());
    let all = ours.chain(FUNCTIONS.map(str::to_owned));
    let mut names: Vec<String> = all.chain(ALIASES.map(|(alias, _)| alias.to_owned())).collect();
    names.sort();
    names
}

/// Refuses a call of anything else.
pub fn refused(function: &str) -> Error {
    let (names, function) = (names(), function.to_lowercase());
    let instead = match function.as_str() {
        "now" | "current_timestamp" | "current_date" | "current_time" | "localtimestamp" => {
            String::from("write request_time() for the moment that is asked about")
        }
        name => match closest(name, names.iter().map(String::as_str)) {
            Some(closest) => format!("did you mean {closest}()?"),
            None => String::from("write it in source.sql of a feature view"),
        },
    };
    Error::invalid(format!(
        "the expression calls {function}(), which is none of its functions ({}); {instead}",
        names.join(", ")
    ))
}

/// Refuses an expression that has anything that is not allowed.
///
/// # Errors
/// `Invalid` naming the part.
pub fn check(expr: &Expr) -> Result<()> {
    let mut found = Ok(());
    let walked = expr.apply(|part| {
        found = check_part(part);
        Ok(if found.is_err() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    walked.map_err(|cause: DataFusionError| {
        Error::internal("an expression cannot be walked; report it").with_source(cause)
    })?;
    found
}

fn check_part(part: &Expr) -> Result<()> {
    let other_rows = |what: &str| {
        Err(Error::invalid(format!(
            "the expression has {what}, and sees one row alone; write an aggregate of a feature \
             view and read its feature"
        )))
    };
    match part {
        Expr::Alias(_)
        | Expr::Column(_)
        | Expr::Literal(..)
        | Expr::Like(_)
        | Expr::Not(_)
        | Expr::IsNotNull(_)
        | Expr::IsNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNotFalse(_)
        | Expr::IsNotUnknown(_)
        | Expr::Negative(_)
        | Expr::Between(_)
        | Expr::Case(_)
        | Expr::Cast(_)
        | Expr::TryCast(_)
        | Expr::InList(_) => Ok(()),
        Expr::BinaryExpr(binary) if is_allowed(binary.op) => Ok(()),
        Expr::BinaryExpr(binary) => Err(Error::invalid(format!(
            "the expression has the operator {}, which is none of its own; write +, -, *, /, %, \
             ||, a comparison, AND or OR, or regexp_like(text, pattern)",
            binary.op
        ))),
        Expr::ScalarFunction(call) => {
            let name = call.name();
            let is_ours = || named().any(|function| function.name() == name);
            if FUNCTIONS.contains(&name) || is_ours() { Ok(()) } else { Err(refused(name)) }
        }
        Expr::AggregateFunction(call) => {
            other_rows(&format!("the aggregate {}()", call.func.name()))
        }
        Expr::WindowFunction(_) => other_rows("a window"),
        Expr::ScalarSubquery(_)
        | Expr::InSubquery(_)
        | Expr::Exists(_)
        | Expr::SetComparison(_)
        | Expr::OuterReferenceColumn(..) => other_rows("a subquery"),
        other => Err(Error::invalid(format!(
            "the expression has {:?}, a {}, which it cannot have; write it by operators and \
             functions of one row",
            other.to_string(),
            other.variant_name()
        ))),
    }
}

fn is_allowed(operator: Operator) -> bool {
    arithmetic::Operator::of(operator).is_some()
        || matches!(
            operator,
            Operator::Eq
                | Operator::NotEq
                | Operator::Lt
                | Operator::LtEq
                | Operator::Gt
                | Operator::GtEq
                | Operator::And
                | Operator::Or
                | Operator::IsDistinctFrom
                | Operator::IsNotDistinctFrom
                | Operator::StringConcat
        )
}
