//! Arrays read as facts: entity key and times, then row bytes.
//!
//! The columns of facts have one order, fixed by [`FactLayout`]:
//!
//! ```text
//! join keys ... | event time | known time, if the view has one or the facts were pushed
//!               | deleted, if the view has it | values ...
//! '------------------ heads -----------------' '- values -'
//! ```
//!
//! Heads say which entity a fact is about and when it counts; they are read
//! first, and where that decides that a fact cannot answer, its values are
//! never looked at. Values are a view's features, or what these are computed from: the columns
//! of an event's id, which become one value, columns that functions are of, and conditions. Of
//! an event a deletion has them, too: they say what is gone.

use std::sync::Arc;

use ::arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use ::arrow::buffer::ScalarBuffer;
use ::arrow::datatypes::{DataType as ArrowType, Schema};
use hitherto_api::arrow::micros::{Micros, Rounding, is_zoneless};
use hitherto_core::catalog::AppliedView;
use hitherto_core::definition::Field;
use hitherto_core::key::batch::KeyBatch;
use hitherto_core::row::{self, FLAG_DELETION, RowBlock, RowSchema};
use hitherto_core::rule::{NEVER, Times};
use hitherto_core::slots::{Arrival, Entry, KnownTimes, TimesBatch};
use hitherto_core::zone::Zone;
use hitherto_core::{Error, Result};

use crate::arrow::FeatureArray;
use crate::keys::{encode_ids, encode_keys};
use crate::source;

/// How a view's facts are read.
#[derive(Clone, Debug)]
pub struct FactLayout {
    view: Arc<str>,
    keys: Arc<[Field]>,
    is_timeless: bool,
    has_known_time: bool,
    delay_micros: i64,
    timezone: Option<Zone>,
    has_deleted: bool,
    is_of_events: bool,
    /// Columns that become an event's id, which is the first value of a row; none where there
    /// is no id, or it is a column as it is.
    id_columns: usize,
    schema: RowSchema,
}

impl FactLayout {
    /// The layout of a view's facts.
    pub fn new(view: &AppliedView) -> Self {
        Self {
            view: view.name().into(),
            keys: view.keys.clone().into(),
            is_timeless: view.definition.source.is_timeless(),
            has_known_time: view.definition.source.known_time.is_some(),
            delay_micros: view.definition.source.delay_micros,
            timezone: view.definition.source.timezone.clone(),
            has_deleted: view.definition.source.deleted.is_some(),
            is_of_events: view.definition.aggregates.is_some(),
            id_columns: view.definition.aggregates.as_ref().map_or(0, |view| view.id.len()),
            schema: view.row_schema(),
        }
    }

    /// The layout of facts that were pushed: each brings a known time, or was given one
    /// when it arrived.
    pub fn pushed(view: &AppliedView) -> Self {
        Self { has_known_time: true, ..Self::new(view) }
    }

    /// The layout of such facts as they lie in files: the id of an event is one column.
    pub fn landed(view: &AppliedView) -> Self {
        Self { id_columns: 0, ..Self::pushed(view) }
    }

    /// The view's join keys.
    pub fn keys(&self) -> &[Field] {
        &self.keys
    }

    /// Whether facts have no age, because they always were.
    pub fn is_timeless(&self) -> bool {
        self.is_timeless
    }

    /// Whether event times of a column may be further from what statistics say of it: they
    /// are local times.
    pub(crate) fn has_local(&self, event: &ArrowType) -> bool {
        self.timezone.is_some() && is_zoneless(event)
    }

    /// What to say of times without a zone that nobody has said anything of: `facts` are
    /// columns in this order.
    pub(crate) fn read_as_utc(&self, facts: &Schema) -> Option<String> {
        let of = |index: usize| facts.fields().get(index).map(|field| field.data_type());
        let event = of(self.keys.len());
        let known = of(self.keys.len() + 1).filter(|_| self.has_known_time);
        source::read_as_utc(&self.view, self.timezone.as_ref(), event, known)
    }

    /// The layout of the view's rows.
    pub fn row_schema(&self) -> &RowSchema {
        &self.schema
    }

    /// How many columns are heads; the rest are features.
    pub fn heads(&self) -> usize {
        self.keys.len() + 1 + usize::from(self.has_known_time) + usize::from(self.has_deleted)
    }

    /// How many columns a fact has.
    pub fn columns(&self) -> usize {
        let of_id = self.id_columns.saturating_sub(1);
        self.heads() + of_id + self.schema.types().len()
    }

    /// Whether every value of a row is a column as it is.
    pub fn is_plain(&self) -> bool {
        self.id_columns == 0
    }

    /// Reads whole facts: all columns, in order, of `rows` rows.
    ///
    /// # Errors
    /// `Invalid` when a key is too long, a time out of range or a text batch
    /// too large.
    pub fn read(&self, columns: &[ArrayRef], rows: usize) -> Result<FactBatch<'_>> {
        let (heads, features) = columns.split_at(self.heads());
        Ok(FactBatch { heads: self.read_heads(heads, rows)?, features: self.features(features)? })
    }

    /// Reads the heads of `rows` facts.
    ///
    /// # Errors
    /// As [`FactLayout::read`].
    pub fn read_heads(&self, columns: &[ArrayRef], rows: usize) -> Result<FactHeads> {
        self.read_head_columns(columns, rows).map_err(|cause| self.of_view(cause))
    }

    /// Reads the features of facts.
    ///
    /// # Errors
    /// As [`FactLayout::read`].
    pub fn features(&self, columns: &[ArrayRef]) -> Result<FeatureBatch<'_>> {
        let arrays = self.values(columns).map_err(|cause| self.of_view(cause))?;
        Ok(self.features_of(arrays))
    }

    fn values(&self, columns: &[ArrayRef]) -> Result<Vec<FeatureArray>> {
        let (id, columns) = columns.split_at(self.id_columns);
        let mut types = self.schema.types().iter();
        let mut arrays = Vec::with_capacity(types.len());
        if !id.is_empty() {
            types.next();
            arrays.push(FeatureArray::Varlen(encode_ids(id)?));
        }
        for (array, data_type) in columns.iter().zip(types) {
            arrays.push(FeatureArray::new(array, data_type)?);
        }
        Ok(arrays)
    }

    /// Features that were read already.
    pub fn features_of(&self, arrays: Vec<FeatureArray>) -> FeatureBatch<'_> {
        FeatureBatch { layout: self, arrays }
    }

    fn of_view(&self, cause: Error) -> Error {
        let context = format!("a fact of feature view {:?} cannot be read", self.view);
        Error::new(cause.kind(), context).with_source(cause)
    }

    fn read_head_columns(&self, columns: &[ArrayRef], rows: usize) -> Result<FactHeads> {
        let (keys, rest) = columns.split_at(self.keys.len());
        let mut rest = rest.iter();
        let mut next = || {
            let missing = || Error::internal("a batch of facts lacks a column");
            rest.next().ok_or_else(missing)
        };
        let zone = self.timezone.as_ref();
        let event = Micros::read_in(zone, next()?, Rounding::Up)?;
        let known = match self.has_known_time {
            true => Some(or_never(Micros::read_in(zone, next()?, Rounding::Up)?)),
            false => None,
        };
        let deleted = match self.has_deleted {
            true => Some(next()?.as_boolean().clone()),
            false => None,
        };
        let is_absent = event.nulls.map(|nulls| nulls.iter().map(|valid| !valid).collect());
        Ok(FactHeads {
            keys: encode_keys(keys, &self.keys, rows)?,
            event: event.values,
            is_absent,
            known,
            delay_micros: self.delay_micros,
            deleted,
        })
    }
}

/// Known times; a fact of which nobody can say when it was known is known never.
fn or_never(known: Micros) -> ScalarBuffer<i64> {
    match &known.nulls {
        None => known.values,
        Some(_) => (0..known.values.len()).map(|row| known.get(row).unwrap_or(NEVER)).collect(),
    }
}

/// Entity keys and times of a batch of facts.
pub struct FactHeads {
    /// The encoded entity keys.
    pub keys: KeyBatch,
    event: ScalarBuffer<i64>,
    is_absent: Option<Vec<bool>>,
    known: Option<ScalarBuffer<i64>>,
    delay_micros: i64,
    deleted: Option<BooleanArray>,
}

impl FactHeads {
    /// Facts in the batch.
    pub fn len(&self) -> usize {
        self.event.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.event.is_empty()
    }

    /// All times.
    pub fn times_batch(&self) -> TimesBatch<'_> {
        TimesBatch {
            event: &self.event,
            known: match &self.known {
                Some(known) => KnownTimes::Column(known),
                None => KnownTimes::Delay(self.delay_micros),
            },
            is_absent: self.is_absent.as_deref(),
        }
    }

    /// Event and known time. `None` is a fact without an event time, which
    /// happened never and answers nothing; one without a known time is known
    /// [`NEVER`].
    pub fn times(&self, index: usize) -> Option<Times> {
        let is_absent = self.is_absent.as_ref().is_some_and(|is_absent| is_absent[index]);
        (!is_absent).then(|| self.times_batch().get(index))
    }

    /// Whether the fact is a deletion; one that does not say is none.
    pub fn is_deletion(&self, index: usize) -> bool {
        self.deleted.as_ref().is_some_and(|flag| flag.is_valid(index) && flag.value(index))
    }
}

/// A fact whose features are elsewhere.
pub trait Placed {
    /// Its row there.
    fn row(&self) -> u32;
    /// Its times.
    fn times(&self) -> Times;
}

impl Placed for Entry {
    fn row(&self) -> u32 {
        self.row
    }

    fn times(&self) -> Times {
        self.times
    }
}

impl Placed for Arrival {
    fn row(&self) -> u32 {
        self.row
    }

    fn times(&self) -> Times {
        self.times
    }
}

/// Whole facts.
pub struct FactBatch<'l> {
    /// Keys and times.
    pub heads: FactHeads,
    features: FeatureBatch<'l>,
}

impl FactBatch<'_> {
    /// Writes a fact's row bytes; those of a deletion have no values, but for an event's.
    ///
    /// # Errors
    /// `Invalid` when the row is too large.
    pub fn encode(&self, index: usize, times: Times, out: &mut Vec<u8>) -> Result<()> {
        let layout = self.features.layout;
        let is_deletion = self.heads.is_deletion(index);
        if is_deletion && !layout.is_of_events {
            layout.schema.write(out, times, FLAG_DELETION);
            return Ok(());
        }
        self.features.encode(index, times, out)?;
        if is_deletion {
            row::mark_deletion(out);
        }
        Ok(())
    }

    /// Encodes the rows of facts that are no deletions, or are events; their rows count from
    /// this batch's first.
    ///
    /// # Errors
    /// As [`FactBatch::encode`].
    pub fn encode_block(&self, facts: &[impl Placed], block: &mut RowBlock) -> Result<()> {
        self.features.encode_block(facts, |_, fact| fact.row() as usize, block)
    }
}

/// The features of a batch of facts.
pub struct FeatureBatch<'l> {
    layout: &'l FactLayout,
    arrays: Vec<FeatureArray>,
}

impl FeatureBatch<'_> {
    fn encode(&self, index: usize, times: Times, out: &mut Vec<u8>) -> Result<()> {
        let mut row = self.layout.schema.write(out, times, 0);
        for (feature, array) in self.arrays.iter().enumerate() {
            array.write(index, feature, &mut row)?;
        }
        Ok(())
    }

    /// Encodes the rows of facts that are no deletions, or are events; `place` says, by a fact's
    /// number among them and the fact, where in this batch it is.
    ///
    /// # Errors
    /// As [`FactBatch::encode`].
    pub fn encode_block<F: Placed>(
        &self,
        facts: &[F],
        place: impl Fn(usize, &F) -> usize,
        block: &mut RowBlock,
    ) -> Result<()> {
        let schema = &self.layout.schema;
        if !schema.is_fixed() {
            return block.encode_each(facts.len(), |index, out| {
                self.encode(place(index, &facts[index]), facts[index].times(), out)
            });
        }
        block.begin(schema, facts.iter().map(Placed::times));
        for (feature, array) in self.arrays.iter().enumerate() {
            let place = |index: usize| place(index, &facts[index]);
            array.write_column(schema, feature, place, block);
        }
        Ok(())
    }
}
