//! The steps of a lookup: columns of views to the columns of the answer.

use std::sync::Arc;

use arrow::array::{ArrayRef, TimestampMicrosecondArray};
use hitherto_api::arrow::{to_array, to_column};
use hitherto_api::fields::unknown;
use hitherto_core::column::{Column, Status};
use hitherto_core::definition::Field;
use hitherto_core::expression::Reasons;
use hitherto_core::{Error, Result};

use super::{Layout, Operand, Step};

/// What a lookup brings beside keys, and when it asks.
pub(crate) struct Asked<'r> {
    /// In the order of the layout's fields.
    fields: Vec<&'r Column>,
    at: i64,
    rows: usize,
}

/// Checks what a request brings for the layout, at this moment.
///
/// # Errors
/// `Invalid` for a field that is missing, that nobody reads, of another type or length.
pub(crate) fn ask<'r>(
    layout: &Layout,
    request: &'r [Column],
    at: i64,
    rows: usize,
) -> Result<Asked<'r>> {
    let is_field = |column: &Column| layout.request.iter().any(|field| field.name == column.name);
    if let Some(column) = request.iter().find(|column| !is_field(column)) {
        return Err(unknown(&column.name, &layout.request));
    }
    let fields = layout.request.iter().map(|field| take(field, request, rows));
    Ok(Asked { fields: fields.collect::<Result<_>>()?, at, rows })
}

/// The request's one column for a field.
fn take<'r>(field: &Field, request: &'r [Column], rows: usize) -> Result<&'r Column> {
    let Field { name, data_type, .. } = field;
    let mut found = request.iter().filter(|column| column.name == *name);
    let column = match (found.next(), found.next()) {
        (Some(column), None) => column,
        (Some(_), Some(_)) => {
            return Err(Error::invalid(format!(
                "field {name:?} of the request is given twice; give it once"
            )));
        }
        (None, _) => {
            return Err(Error::invalid(format!(
                "field {name:?} ({data_type}) is missing from the request; give a value for each \
                 entity, or null"
            )));
        }
    };
    if column.data_type != *data_type {
        return Err(Error::invalid(format!(
            "field {name:?} of the request has type {data_type}, found {}; give values of its type",
            column.data_type
        )));
    }
    if column.len() != rows {
        return Err(Error::invalid(format!(
            "field {name:?} of the request has {} values for {rows} entities; give one for each",
            column.len()
        )));
    }
    Ok(column)
}

impl Asked<'_> {
    /// The columns of the answer, of those of views with their defaults filled in; `count` is
    /// told of values that there are not.
    ///
    /// # Errors
    /// `Internal` when an expression does not take what it reads.
    pub fn answer(
        &self,
        layout: &Layout,
        mut columns: Vec<Column>,
        mut count: impl FnMut(usize, &Reasons),
    ) -> Result<Vec<Column>> {
        let mut arrays: Vec<Option<ArrayRef>> = vec![None; layout.columns()];
        for (index, step) in layout.steps.iter().enumerate() {
            let (column, reasons) = self.compute(step, &columns, &mut arrays)?;
            count(index, &reasons);
            columns.push(column);
        }
        let mut columns: Vec<Option<Column>> = columns.into_iter().map(Some).collect();
        let shown = layout.shown.iter().map(|place| columns[*place].take());
        shown.collect::<Option<_>>().ok_or_else(|| Error::internal("a column is shown twice"))
    }

    fn compute(
        &self,
        step: &Step,
        columns: &[Column],
        arrays: &mut [Option<ArrayRef>],
    ) -> Result<(Column, Reasons)> {
        let read = step.reads.iter().map(|from| match from {
            Operand::Time => Ok(self.moments()),
            Operand::Request(field) => to_array(self.fields[*field].clone()),
            Operand::Column(place) => {
                if arrays[*place].is_none() {
                    arrays[*place] = Some(to_array(columns[*place].clone())?);
                }
                arrays[*place].clone().ok_or_else(|| Error::internal("an array was just made"))
            }
        });
        let read: Vec<ArrayRef> = read.collect::<Result<_>>()?;
        let computed = step.expressions.compute(step.place, read, self.rows)?;
        let mut column = to_column(step.name.clone(), &step.data_type, &computed.values)?;
        if computed.reasons.rows() > 0 {
            self.tell(step, columns, &mut column);
        }
        if let Some(default) = &step.default {
            column.fill(default)?;
        }
        Ok((column, computed.reasons))
    }

    /// A value that there is not has the status of what it is computed of: the worst of them.
    fn tell(&self, step: &Step, columns: &[Column], column: &mut Column) {
        let nulls = column.statuses.iter_mut().enumerate();
        for (row, status) in nulls.filter(|(_, status)| **status == Status::Null as u8) {
            let read = step.reads.iter().filter_map(|from| match from {
                Operand::Column(place) => Some(columns[*place].statuses[row]),
                Operand::Request(_) | Operand::Time => None,
            });
            *status = read.fold(*status, u8::max);
        }
    }

    fn moments(&self) -> ArrayRef {
        let moments = TimestampMicrosecondArray::from_value(self.at, self.rows);
        Arc::new(moments.with_timezone("UTC"))
    }
}
