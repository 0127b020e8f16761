//! All facts of one entity, read from the source.
//!
//! The join keys become a condition of the query, in their declared types, so
//! that row groups and pages without the entity are skipped by their
//! statistics. Which facts are the entity's is then decided by the encoded key,
//! as everywhere else: a condition may let too much through, never too little.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, lit};
use datafusion::physical_plan::execute_stream;
use futures::StreamExt;
use hitherto_core::Result;
use hitherto_core::catalog::AppliedView;
use hitherto_core::definition::{Field, Source};
use hitherto_core::key::{self, OwnedPart};
use hitherto_core::rule::Times;
use hitherto_core::types::DataType;

use crate::Offline;
use crate::error::from_datafusion;
use crate::files::SourceFile;
use crate::pushed::arrivals;
use crate::source::column;

/// What an entity's facts were, apart from those that were shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntityScan {
    /// Facts without an event time: they answer nothing.
    pub without_time: u64,
}

impl Offline {
    /// Shows every fact of the entity `parts`, one for each join key in declared
    /// order, to `visit`: times, row bytes and, if it was pushed, when it arrived, in no
    /// order. They come from the source's `files` and from those of facts that were
    /// `pushed`. An entity that cannot exist, because a part does not fit its key's type,
    /// has none.
    ///
    /// # Errors
    /// Those of [`Offline::fact_query`], of reading the files and of `visit`.
    pub async fn scan_entity(
        &self,
        view: &AppliedView,
        files: &[SourceFile],
        pushed: &[SourceFile],
        parts: &[OwnedPart],
        mut visit: impl FnMut(Times, &[u8], Option<i64>) -> Result<()>,
    ) -> Result<EntityScan> {
        let failed = |cause| {
            from_datafusion(&format!("the source of feature view {:?} failed", view.name()), cause)
        };
        let source = &view.definition.source;
        let Some((entity, condition)) = encode(source, &view.keys, parts) else {
            return Ok(EntityScan::default());
        };
        let mut queries = vec![self.filtered_fact_query(view, files, None, Some(condition)).await?];
        queries.extend(self.pushed_queries(view, pushed)?);
        let mut scan = EntityScan::default();
        let (mut key, mut row) = (Vec::new(), Vec::new());
        for query in queries {
            let context = self.session().task_ctx();
            let mut batches = execute_stream(query.plan, context).map_err(failed)?;
            while let Some(batch) = batches.next().await {
                let batch = batch.map_err(failed)?;
                let facts = query.layout.read(batch.columns(), batch.num_rows())?;
                let arrived = arrivals(&query.layout, &batch)?;
                for index in 0..facts.heads.len() {
                    if !facts.heads.keys.read_into(index, &mut key) || key != entity {
                        continue;
                    }
                    match facts.heads.times(index) {
                        Some(times) => {
                            facts.encode(index, times, &mut row)?;
                            visit(times, &row, arrived.as_ref().and_then(|all| all.get(index)))?;
                        }
                        None => scan.without_time += 1,
                    }
                }
            }
        }
        Ok(scan)
    }
}

/// The encoded key of an entity and the condition that its facts meet; `None`
/// if a part does not fit.
fn encode(source: &Source, keys: &[Field], parts: &[OwnedPart]) -> Option<(Vec<u8>, Expr)> {
    let mut entity = Vec::new();
    let mut condition = lit(true);
    for (key, part) in keys.iter().zip(parts) {
        key::encode_part(&mut entity, &key.data_type, part.borrow()).ok()?;
        let column = column(source.column(&key.name));
        condition = condition.and(column.eq(literal(&key.data_type, part)?));
    }
    Some((entity, condition))
}

/// A join key's value in its declared type; `None` if it does not fit.
fn literal(data_type: &DataType, part: &OwnedPart) -> Option<Expr> {
    let integer = match part {
        OwnedPart::Int(value) => Some(i128::from(*value)),
        OwnedPart::UInt(value) => Some(i128::from(*value)),
        OwnedPart::Bool(_) | OwnedPart::Bytes(_) => None,
    };
    let value = match (data_type, part) {
        (DataType::Bool, OwnedPart::Bool(value)) => ScalarValue::Boolean(Some(*value)),
        (DataType::String, OwnedPart::Bytes(bytes)) => {
            ScalarValue::Utf8(Some(String::from_utf8(bytes.clone()).ok()?))
        }
        (DataType::Binary, OwnedPart::Bytes(bytes)) => ScalarValue::Binary(Some(bytes.clone())),
        (DataType::Int8, _) => ScalarValue::Int8(Some(integer?.try_into().ok()?)),
        (DataType::Int16, _) => ScalarValue::Int16(Some(integer?.try_into().ok()?)),
        (DataType::Int32, _) => ScalarValue::Int32(Some(integer?.try_into().ok()?)),
        (DataType::Int64, _) => ScalarValue::Int64(Some(integer?.try_into().ok()?)),
        (DataType::UInt8, _) => ScalarValue::UInt8(Some(integer?.try_into().ok()?)),
        (DataType::UInt16, _) => ScalarValue::UInt16(Some(integer?.try_into().ok()?)),
        (DataType::UInt32, _) => ScalarValue::UInt32(Some(integer?.try_into().ok()?)),
        (DataType::UInt64, _) => ScalarValue::UInt64(Some(integer?.try_into().ok()?)),
        (DataType::Date32, _) => ScalarValue::Date32(Some(integer?.try_into().ok()?)),
        _ => return None,
    };
    Some(lit(value))
}
