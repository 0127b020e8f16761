//! From the text of an expression to what computes it.

use std::sync::{Arc, LazyLock};

use ::arrow::datatypes::{DataType as ArrowType, Field as ArrowField, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, SchemaError, TableReference};
use datafusion::error::{DataFusionError, Result as DataFusionResult};
use datafusion::execution::context::ExecutionProps;
use datafusion::execution::{FunctionRegistry, SessionState, SessionStateBuilder};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::create_physical_expr;
use datafusion::prelude::SessionConfig;
use hitherto_api::arrow::{field, from_arrow, type_name};
use hitherto_core::definition::OnDemandFeature;
use hitherto_core::limits::EXPRESSION_BYTES_MAX;
use hitherto_core::name::suggestion;
use hitherto_core::types::DataType;
use hitherto_core::{Error, Result};

use super::kernel::{Kernel, Work, moment, named};
use super::{Compiled, Read, Readable, allowed, rewrite};
use crate::error::from_datafusion;
use crate::spine::shape;

/// The column that stands for `request_time()`.
const TIME: &str = "request_time()";

/// Parser and planner, with DataFusion's functions and ours in their stead.
static PLANNER: LazyLock<SessionState> = LazyLock::new(|| {
    let mut config = SessionConfig::new();
    config.options_mut().sql_parser.map_string_types_to_utf8view = false;
    let mut state = SessionStateBuilder::new().with_config(config).with_default_features().build();
    let sign = datafusion::functions::math::signum().as_ref().clone().with_aliases(["sign"]);
    for function in named().chain([sign]) {
        state.register_udf(Arc::new(function)).expect("a registry of functions takes one more");
    }
    state
});

/// Compiles one feature of the view of that name.
///
/// # Errors
/// `Invalid`, which says what to write.
pub fn compile(view: &str, feature: &OnDemandFeature, readable: &[Readable]) -> Result<Compiled> {
    let OnDemandFeature { name, data_type, expr: text, .. } = feature;
    if text.len() > EXPRESSION_BYTES_MAX {
        return Err(Error::invalid(format!(
            "the expression has {} bytes, and {EXPRESSION_BYTES_MAX} is the limit; write several \
             features",
            text.len()
        )));
    }
    shape::check(text, "the expression", shape::Author::Owner)?;
    let failed = |cause| understood(cause, readable);
    let schema = schema(readable).map_err(failed)?;
    let parsed = PLANNER.create_logical_expr(text, &schema).map_err(failed)?;
    allowed::check(&parsed)?;
    let planned = plan(parsed.unalias(), &schema).map_err(failed)?;
    let (expr, reads) = columns(planned, readable).map_err(failed)?;
    let read = reads.iter().map(|read| match read {
        Read::Column(index) => {
            let column = &readable[*index];
            field(&column.called(), &column.data_type)
        }
        Read::Time => ArrowField::new(TIME, moment(), false),
    });
    let schema = Arc::new(Schema::new(read.collect::<Vec<_>>()));
    let of_columns = DFSchema::try_from(Arc::clone(&schema)).map_err(failed)?;
    let (props, context) = (ExecutionProps::new(), PhysicalPlanningContext::default());
    let expr = create_physical_expr(&expr, &of_columns, &props, &context).map_err(failed)?;
    check_type(&expr.data_type(&schema).map_err(failed)?, data_type)?;
    Ok(Compiled { name: format!("{view}:{name}"), reads, schema, expr })
}

/// What can be read, as a schema with the names that expressions use.
fn schema(readable: &[Readable]) -> DataFusionResult<DFSchema> {
    let fields = readable.iter().map(|one| {
        let table = Some(TableReference::bare(one.table()));
        (table, Arc::new(field(&one.name, &one.data_type)))
    });
    DFSchema::new_with_metadata(fields.collect(), Default::default())
}

/// What computes the same and fails no batch.
fn plan(parsed: Expr, schema: &DFSchema) -> DataFusionResult<Expr> {
    let special = rewrite::special(parsed)?;
    let context = SimplifyContext::builder().with_schema(Arc::new(schema.clone())).build();
    let coerced = ExprSimplifier::new(context).coerce(special, schema)?;
    let total = rewrite::total(coerced, schema)?;
    rewrite::fold(total)
}

/// The columns that are read, in the order in which they are met, and the expression over them.
fn columns(expr: Expr, readable: &[Readable]) -> DataFusionResult<(Expr, Vec<Read>)> {
    let mut reads: Vec<Read> = Vec::new();
    let mut meet = |read| {
        if !reads.contains(&read) {
            reads.push(read);
        }
    };
    let over = expr.transform_up(|part| {
        let name = match &part {
            Expr::Column(column) => {
                let table = column.relation.as_ref().map(TableReference::table);
                let is_it = |one: &Readable| one.name == column.name && Some(one.table()) == table;
                let Some(index) = readable.iter().position(is_it) else {
                    return Ok(Transformed::no(part));
                };
                meet(Read::Column(index));
                readable[index].called()
            }
            Expr::ScalarFunction(ScalarFunction { func, .. }) if is_time(func.inner().as_ref()) => {
                meet(Read::Time);
                TIME.to_owned()
            }
            _ => return Ok(Transformed::no(part)),
        };
        Ok(Transformed::yes(Expr::Column(Column::new_unqualified(name))))
    });
    Ok((over?.data, reads))
}

fn is_time(function: &dyn datafusion::logical_expr::ScalarUDFImpl) -> bool {
    let kernel = function.downcast_ref::<Kernel>();
    kernel.is_some_and(|kernel| matches!(kernel.work(), Work::RequestTime))
}

/// Refuses an expression of another type than declared.
fn check_type(found: &ArrowType, declared: &DataType) -> Result<()> {
    if from_arrow(found).as_ref() == Some(declared) {
        return Ok(());
    }
    if found.is_null() {
        return Err(Error::invalid(
            "the expression is always null; write one that reads an input or the request",
        ));
    }
    let cast = cast_to(declared).map(|name| format!("CAST(... AS {name})"));
    let declare = from_arrow(found).map(|found| format!("type: {found}"));
    let advice: Vec<String> = cast.into_iter().chain(declare).collect();
    Err(Error::invalid(format!(
        "it is declared {declared}, and its expression is {}; write {}",
        type_name(found),
        if advice.is_empty() { String::from("another expression") } else { advice.join(", or ") }
    )))
}

/// A type's name in SQL.
fn cast_to(data_type: &DataType) -> Option<String> {
    Some(String::from(match data_type {
        DataType::Bool => "BOOLEAN",
        DataType::Int8 => "TINYINT",
        DataType::Int16 => "SMALLINT",
        DataType::Int32 => "INT",
        DataType::Int64 => "BIGINT",
        DataType::UInt8 => "TINYINT UNSIGNED",
        DataType::UInt16 => "SMALLINT UNSIGNED",
        DataType::UInt32 => "INT UNSIGNED",
        DataType::UInt64 => "BIGINT UNSIGNED",
        DataType::Float32 => "REAL",
        DataType::Float64 => "DOUBLE",
        DataType::String => "VARCHAR",
        DataType::Date32 => "DATE",
        DataType::Decimal128 { precision, scale } => {
            return Some(format!("DECIMAL({precision}, {scale})"));
        }
        DataType::Binary | DataType::Timestamp { .. } | DataType::List { .. } => return None,
    }))
}

/// An error of DataFusion in words about inputs.
fn understood(cause: DataFusionError, readable: &[Readable]) -> Error {
    let root = cause.find_root();
    if let DataFusionError::SchemaError(error, _) = root {
        match error.as_ref() {
            SchemaError::FieldNotFound { field, .. } => return unknown(field, readable),
            SchemaError::AmbiguousReference { field } => return unknown(field, readable),
            _ => {}
        }
    }
    if let DataFusionError::Plan(message) = root
        && let Some(rest) = message.strip_prefix("Invalid function '")
        && let Some((name, _)) = rest.split_once('\'')
    {
        return allowed::refused(name);
    }
    from_datafusion("the expression cannot be read", cause)
}

/// A column that is not there, or there more than once.
fn unknown(field: &Column, readable: &[Readable]) -> Error {
    let found = match &field.relation {
        Some(view) => format!("{}.{}", view.table(), field.name),
        None => field.name.clone(),
    };
    if let Some(view) = &field.relation
        && !readable.iter().any(|one| one.table() == view.table())
    {
        return Error::invalid(format!(
            "the expression reads {found}, and view {:?} is not among the inputs; add \"{}:{}\" to \
             inputs",
            view.table(),
            view.table(),
            field.name
        ));
    }
    let alike: Vec<String> =
        readable.iter().filter(|one| one.name == field.name).map(Readable::called).collect();
    if field.relation.is_none() && alike.len() > 1 {
        return Error::invalid(format!(
            "the expression reads {found:?}, and several are called so; write {}",
            alike.join(" or ")
        ));
    }
    // A field of the request is called by its name alone, mostly.
    let names = readable.iter().map(|one| match &one.view {
        Some(_) => one.called(),
        None => one.name.clone(),
    });
    let names: Vec<String> = names.collect();
    let there = suggestion(&found, names.iter().map(String::as_str));
    Error::invalid(format!(
        "the expression reads {found:?}, which is neither an input nor a field of the request; add \
         it to one of them, or write another name{there}"
    ))
}
