//! Whom a request is about, as keyed hashes.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchReader};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Date32Type, Int32Type, SchemaRef};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use hitherto_api::{AskedEntity, AskedKey, KeyColumn};
use hitherto_core::limits::AUDIT_HASHES_MAX;
use hitherto_trust::audit::{EntityKey, KeyText, Record};

use super::{Audit, Note};

impl Audit {
    /// Notes whom a lookup is about: the first of them as hashes, of all their number.
    pub fn note_keys(&self, asked: &[AskedEntity], keys: &[KeyColumn], record: &mut Record) {
        let rows = keys.iter().map(|column| column.parts.len()).max().unwrap_or_default();
        let mut hashes = Hashes::of(self, record);
        for AskedEntity { entity, keys: named } in asked {
            let find = |key: &AskedKey| keys.iter().find(|column| column.name == key.column);
            let Some(columns) = named.iter().map(find).collect::<Option<Vec<_>>>() else {
                continue;
            };
            let hashed_max = AUDIT_HASHES_MAX.saturating_sub(hashes.hashes.len());
            hashes.add((entity, named), (rows, hashed_max), |column, row, text| {
                let part = columns[column].parts.get(row)?.as_ref()?;
                text.set(part.borrow());
                Some(())
            });
        }
        hashes.done(record);
    }

    /// The same of rows of a batch, each join key in the column that it names; `rows_max` of
    /// them as hashes.
    pub fn note_batch(
        &self,
        asked: &[AskedEntity],
        batch: &RecordBatch,
        rows_max: usize,
        record: &mut Record,
    ) {
        let mut hashes = Hashes::of(self, record);
        for AskedEntity { entity, keys: named } in asked {
            let find = |key: &AskedKey| Some(plain(batch.column_by_name(&key.column)?));
            let Some(columns) = named.iter().map(find).collect::<Option<Vec<_>>>() else {
                continue;
            };
            let options = FormatOptions::default();
            let written: Vec<_> =
                columns.iter().map(|column| ArrayFormatter::try_new(column, &options)).collect();
            hashes.add((entity, named), (batch.num_rows(), rows_max), |column, row, text| {
                if columns[column].is_null(row) {
                    return None;
                }
                *text = match columns[column].as_binary_opt::<i32>() {
                    Some(bytes) => KeyText::typed_bytes(bytes.value(row)),
                    None => {
                        let written = written[column].as_ref().ok()?;
                        KeyText::typed(&written.value(row).to_string())
                    }
                };
                Some(())
            });
        }
        hashes.done(record);
    }
}

/// A column whose values are written as those of join keys are: a date as its days.
fn plain(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Date32 => {
            Arc::new(column.as_primitive::<Date32Type>().reinterpret_cast::<Int32Type>())
        }
        DataType::LargeBinary | DataType::BinaryView => {
            cast(column, &DataType::Binary).unwrap_or_else(|_| Arc::clone(column))
        }
        _ => Arc::clone(column),
    }
}

/// Hashes that are gathered.
struct Hashes {
    key: Option<EntityKey>,
    hashes: Vec<u64>,
    /// Entities without a hash.
    more: u64,
}

impl Hashes {
    /// Goes on from those of a record.
    fn of(audit: &Audit, record: &mut Record) -> Self {
        let key = audit.entities.of((audit.clock)());
        let key = key.inspect_err(|error| tracing::error!(%error, "nobody is recorded by hash"));
        let hashes = std::mem::take(&mut record.hashes);
        let more = record.entities - hashes.len() as u64;
        Self { key: key.ok(), hashes, more }
    }

    /// Adds so many rows, the first of them as hashes.
    fn add(
        &mut self,
        (entity, named): (&str, &[AskedKey]),
        (rows, hashed_max): (usize, usize),
        text: impl Fn(usize, usize, &mut KeyText) -> Option<()>,
    ) {
        let hashed = rows.min(hashed_max);
        self.more += (rows - hashed) as u64;
        let Some(key) = &self.key else {
            self.more += hashed as u64;
            return;
        };
        let mut values = vec![KeyText::default(); named.len()];
        for row in 0..hashed {
            let mut columns = (0..).zip(&mut values);
            // Nobody has a key that is null.
            if columns.all(|(column, value)| text(column, row, value).is_some()) {
                let names = named.iter().map(|key| key.name.as_str());
                self.hashes.push(key.hash(entity, names.zip(&values)));
            }
        }
    }

    fn done(mut self, record: &mut Record) {
        self.hashes.sort_unstable();
        self.hashes.dedup();
        record.entities = self.hashes.len() as u64 + self.more;
        self.hashes.truncate(AUDIT_HASHES_MAX);
        record.hashes = self.hashes;
    }
}

/// Rows of a spine, or of pushed facts, that are hashed: of few entities, there may be many.
pub const ROWS_HASHED_MAX: usize = 64 * AUDIT_HASHES_MAX;

/// A spine on its way, whose entities are noted as they pass.
pub struct Passing {
    rows: Box<dyn RecordBatchReader + Send>,
    entities: Vec<AskedEntity>,
    note: Note,
    /// Rows that may still be hashed.
    left: usize,
}

impl Passing {
    /// These rows; who they are about is noted.
    pub fn new(
        rows: Box<dyn RecordBatchReader + Send>,
        entities: Vec<AskedEntity>,
        note: Note,
    ) -> Self {
        Self { rows, entities, note, left: ROWS_HASHED_MAX }
    }
}

impl Iterator for Passing {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.rows.next()?;
        if let Ok(batch) = &batch {
            let (entities, left) = (&self.entities, self.left);
            self.note.set(|audit, record| audit.note_batch(entities, batch, left, record));
            self.left = left.saturating_sub(batch.num_rows());
        }
        Some(batch)
    }
}

impl RecordBatchReader for Passing {
    fn schema(&self) -> SchemaRef {
        self.rows.schema()
    }
}
