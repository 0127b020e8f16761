//! What a caller's SQL may be made of: tables, names and functions whose cost is known.
//!
//! A query of the machine's owner may do what DataFusion can. One that came over the wire
//! is planned and computed beside everybody's lookups, so it is written with the words
//! listed here, and with no more of them than these bounds, which are found before it is
//! planned:
//!
//! ```text
//! tables    those of a WITH again for each use, because they are planned for each
//! joined    tables that one FROM comes to
//! cells     leaves of expressions; a name weighs what it stands for, layer by layer:
//!           SELECT b + b FROM (SELECT a + a AS b FROM v)      4
//! ```

use std::collections::HashMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Function, Ident, ObjectName, Query, Select, SetExpr, TableFactor, TableWithJoins, Value,
    Visit, Visitor,
};
use hitherto_core::limits::{SQL_CELLS_MAX, SQL_JOINED_MAX, SQL_TABLES_MAX};
use hitherto_core::name::suggestion;
use hitherto_core::{Error, Result};

/// Functions that answer with about as many bytes as they take, in about as much time.
/// `repeat`, `lpad` or `string_agg` make any number of bytes of a few.
#[rustfmt::skip]
const FUNCTIONS: &[&str] = &[
    // numbers
    "abs", "ceil", "exp", "floor", "greatest", "isnan", "iszero", "least", "ln", "log", "log10",
    "log2", "nanvl", "pow", "power", "round", "sign", "signum", "sqrt", "trunc",
    // nulls
    "coalesce", "ifnull", "nullif", "nvl", "nvl2",
    // text
    "ascii", "bit_length", "btrim", "char_length", "character_length", "concat", "concat_ws",
    "contains", "ends_with", "initcap", "left", "length", "lower", "ltrim", "octet_length",
    "position", "regexp_like", "reverse", "right", "rtrim", "split_part", "starts_with", "strpos",
    "substr", "substring", "trim", "upper",
    // times
    "current_date", "current_timestamp", "date_bin", "date_part", "date_trunc", "datepart",
    "datetrunc", "from_unixtime", "make_date", "now", "to_date", "to_timestamp",
    "to_timestamp_micros", "to_timestamp_millis", "to_timestamp_nanos", "to_timestamp_seconds",
    "to_unixtime", "today",
    // rows as one
    "approx_distinct", "avg", "bit_and", "bit_or", "bit_xor", "bool_and", "bool_or", "corr",
    "count", "covar", "covar_pop", "covar_samp", "first_value", "last_value", "max", "mean", "min",
    "stddev", "stddev_pop", "stddev_samp", "sum", "var", "var_pop", "var_samp", "variance",
    // rows beside each other
    "cume_dist", "dense_rank", "lag", "lead", "nth_value", "ntile", "percent_rank", "rank",
    "row_number",
];

/// Bytes of a literal that weigh as much as a column.
const LITERAL_BYTES: usize = 16;

/// What a query comes to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Size {
    tables: usize,
    joined: usize,
    /// Of the heaviest of its columns.
    column: usize,
    /// Of all its expressions.
    pub cells: usize,
}

/// Checks that a caller's query is made of what is listed, and how much of it.
///
/// # Errors
/// `Invalid` with the word that is not listed, or the bound that it is beyond.
pub fn check(query: &Query) -> Result<Size> {
    if let ControlFlow::Break(error) = query.visit(&mut Words) {
        return Err(error);
    }
    Reader::default().query(query)
}

/// Refuses words that are not listed.
struct Words;

impl Visitor for Words {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Error> {
        match &query.with {
            Some(with) if with.recursive => refuse("WITH RECURSIVE"),
            _ if !query.pipe_operators.is_empty() => refuse("a |>"),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<Error> {
        match table {
            TableFactor::Table { args: None, sample: None, json_path: None, .. }
            | TableFactor::Derived { lateral: false, sample: None, .. }
            | TableFactor::NestedJoin { .. } => ControlFlow::Continue(()),
            TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } => {
                refuse(&format!("the table function {name}"))
            }
            other => refuse(&format!("{other} as a table")),
        }
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<Error> {
        match expression {
            Expr::Function(function) => check_function(function),
            expression if is_listed(expression) => ControlFlow::Continue(()),
            other => refuse(&format!("{:?}", shortened(other))),
        }
    }
}

fn check_function(function: &Function) -> ControlFlow<Error> {
    let name = function.name.to_string().to_ascii_lowercase();
    let name = name.trim_matches('"');
    match FUNCTIONS.contains(&name) {
        true => ControlFlow::Continue(()),
        false => ControlFlow::Break(Error::invalid(format!(
            "the spine's SQL calls {name:?}, which is none of the functions that a caller's SQL \
             may call{}; they are {}",
            suggestion(name, FUNCTIONS.iter().copied()),
            FUNCTIONS.join(", ")
        ))),
    }
}

fn is_listed(expression: &Expr) -> bool {
    matches!(
        expression,
        Expr::Identifier(_)
            | Expr::CompoundIdentifier(_)
            | Expr::IsFalse(_)
            | Expr::IsNotFalse(_)
            | Expr::IsTrue(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotUnknown(_)
            | Expr::IsDistinctFrom(..)
            | Expr::IsNotDistinctFrom(..)
            | Expr::InList { .. }
            | Expr::InSubquery { .. }
            | Expr::Between { .. }
            | Expr::BinaryOp { .. }
            | Expr::Like { .. }
            | Expr::ILike { .. }
            | Expr::SimilarTo { .. }
            | Expr::UnaryOp { .. }
            | Expr::Cast { .. }
            | Expr::AtTimeZone { .. }
            | Expr::Extract { .. }
            | Expr::Ceil { .. }
            | Expr::Floor { .. }
            | Expr::Position { .. }
            | Expr::Substring { .. }
            | Expr::Trim { .. }
            | Expr::Nested(_)
            | Expr::Value(_)
            | Expr::TypedString(_)
            | Expr::Case { .. }
            | Expr::Exists { .. }
            | Expr::Subquery(_)
            | Expr::Tuple(_)
            | Expr::Interval(_)
            | Expr::Wildcard(_)
            | Expr::QualifiedWildcard(..)
    )
}

fn refuse(what: &str) -> ControlFlow<Error> {
    ControlFlow::Break(Error::invalid(format!(
        "the spine's SQL has {what}, which a caller's SQL may not; make the rows where you are \
         and send them, or write the query with SELECT, JOIN, WHERE and functions"
    )))
}

/// The beginning of an expression, for a message.
fn shortened(expression: &Expr) -> String {
    expression.to_string().chars().take(40).collect()
}

/// Finds what a query comes to.
#[derive(Default)]
struct Reader {
    /// The queries of WITH that are in sight, by name.
    named: HashMap<String, Size>,
}

impl Reader {
    fn query(&mut self, query: &Query) -> Result<Size> {
        let outer = self.named.clone();
        for named in query.with.iter().flat_map(|with| &with.cte_tables) {
            let size = self.query(&named.query)?;
            self.named.insert(folded(&named.alias.name), size);
        }
        let mut size = self.body(&query.body)?;
        size = self.around(&query.order_by, size)?;
        size = self.around(&query.limit_clause, size)?;
        size = self.around(&query.fetch, size)?;
        self.named = outer;
        Ok(size)
    }

    /// What a query comes to with a part that stands around its body.
    fn around<V: Visit>(&mut self, part: &V, size: Size) -> Result<Size> {
        let leaves = self.leaves(part, size)?;
        let cells = size.cells.saturating_add(leaves.cells);
        Size { column: size.column, cells, ..leaves }.checked()
    }

    fn body(&mut self, body: &SetExpr) -> Result<Size> {
        match body {
            SetExpr::Select(select) => self.select(select),
            SetExpr::Query(query) => self.query(query),
            SetExpr::SetOperation { left, right, .. } => {
                let (left, right) = (self.body(left)?, self.body(right)?);
                let joined = left.joined.max(right.joined);
                Size { joined, ..left.beside(right) }.checked()
            }
            SetExpr::Values(values) => {
                let leaves = self.leaves(values, Size::default())?;
                let mut column = 1;
                for value in values.rows.iter().flat_map(|row| &row.content) {
                    column = column.max(self.leaves(value, Size::default())?.cells);
                }
                Ok(Size { column, ..leaves })
            }
            _ => Err(Error::invalid(
                "the spine's SQL does not run: it changes something; write one SELECT",
            )),
        }
    }

    fn select(&mut self, select: &Select) -> Result<Size> {
        let mut sources = Size { column: 1, ..Size::default() };
        for table in &select.from {
            sources = sources.beside(self.tables(table)?);
        }
        let all = self.leaves(select, sources)?;
        let mut column = sources.column;
        for item in &select.projection {
            // What REPLACE puts into the place of a column is among them.
            column = column.max(self.leaves(item, sources)?.cells);
        }
        Size { column, cells: sources.cells.saturating_add(all.cells), ..all }.checked()
    }

    fn tables(&mut self, tables: &TableWithJoins) -> Result<Size> {
        let mut size = self.table(&tables.relation)?;
        for join in &tables.joins {
            size = size.beside(self.table(&join.relation)?);
        }
        Ok(size)
    }

    fn table(&mut self, table: &TableFactor) -> Result<Size> {
        match table {
            TableFactor::Table { name, .. } => Ok(self.relation(name)),
            TableFactor::Derived { subquery, .. } => self.query(subquery),
            TableFactor::NestedJoin { table_with_joins, .. } => self.tables(table_with_joins),
            _ => Err(Error::invalid("the spine's SQL reads what is no table; name feature views")),
        }
    }

    fn relation(&self, name: &ObjectName) -> Size {
        let is_one = |name: &&ObjectName| name.0.len() == 1;
        let ident = Some(name).filter(is_one).and_then(|name| name.0[0].as_ident());
        let named = ident.and_then(|name| self.named.get(&folded(name)));
        named.copied().unwrap_or(Size { tables: 1, joined: 1, column: 1, cells: 0 })
    }

    /// What the expressions of a part come to over `sources`, and the queries in them.
    fn leaves<V: Visit>(&mut self, part: &V, sources: Size) -> Result<Size> {
        let mut leaves = Leaves { reader: self, size: sources, count: 0, inside: 0 };
        match part.visit(&mut leaves) {
            ControlFlow::Break(error) => Err(error),
            ControlFlow::Continue(()) => {
                let Leaves { size, count, .. } = leaves;
                let inner = size.cells.saturating_sub(sources.cells);
                let cells = count.saturating_mul(size.column.max(1)).saturating_add(inner);
                Size { cells, ..size }.checked()
            }
        }
    }
}

/// Names are compared without their case: two that differ in it alone count as one, the
/// later, which is the heavier in what could do harm.
fn folded(name: &Ident) -> String {
    name.value.to_ascii_lowercase()
}

impl Size {
    fn beside(self, other: Size) -> Size {
        Size {
            tables: self.tables.saturating_add(other.tables),
            joined: self.joined.saturating_add(other.joined),
            column: self.column.max(other.column),
            cells: self.cells.saturating_add(other.cells),
        }
    }

    fn checked(self) -> Result<Size> {
        for (count, limit, what) in [
            (self.joined, SQL_JOINED_MAX, "joins tables"),
            (self.tables, SQL_TABLES_MAX, "reads tables, those of each use of a WITH counted"),
            (self.cells, SQL_CELLS_MAX, "computes columns, with what their names stand for"),
        ] {
            if count > limit {
                return Err(Error::invalid(format!(
                    "the spine's SQL {what}: {count} of them, and {limit} is the limit for a \
                     caller's SQL; write it smaller, or make the rows where you are and send them"
                )));
            }
        }
        Ok(self)
    }
}

/// Counts the leaves of expressions. Those of queries in them are the queries' own, and
/// those of FROM have been read.
struct Leaves<'r> {
    reader: &'r mut Reader,
    size: Size,
    count: usize,
    inside: usize,
}

impl Visitor for Leaves<'_> {
    type Break = Error;

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<Error> {
        match expression {
            _ if self.inside > 0 => {}
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Wildcard(_) => {
                self.count += 1;
            }
            Expr::Value(value) => self.count += 1 + literal_bytes(&value.value) / LITERAL_BYTES,
            Expr::TypedString(text) => {
                self.count += 1 + literal_bytes(&text.value.value) / LITERAL_BYTES;
            }
            Expr::Subquery(query)
            | Expr::Exists { subquery: query, .. }
            | Expr::InSubquery { subquery: query, .. } => match self.reader.query(query) {
                Ok(size) => self.size = self.size.beside(size),
                Err(error) => return ControlFlow::Break(error),
            },
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<Error> {
        self.inside += 1;
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<Error> {
        self.inside -= 1;
        ControlFlow::Continue(())
    }
}

fn literal_bytes(value: &Value) -> usize {
    match value {
        Value::Number(digits, _) => digits.len(),
        Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) => text.len(),
        Value::Boolean(_) | Value::Null => 0,
        other => other.to_string().len(),
    }
}

#[cfg(test)]
mod tests;
