//! Pages and bloom filters: which rows of a row group can be about entities of a
//! small spine.
//!
//! Looking costs reads of its own, so it is done only where the spine has few
//! entities between the least and the greatest key of the row group; a larger
//! one has some in every page.

use std::ops::Range;

use ::arrow::array::ArrayRef;
use hitherto_core::key::{self, OwnedPart};
use hitherto_core::limits::BLOOM_ENTITIES_MAX;
use hitherto_core::slots::Spine;
use hitherto_core::{Error, Result};
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use parquet::basic::Type as PhysicalType;
use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::ParquetMetaData;

use super::bounds::{self, Bounds};
use super::units::{FactFiles, Unit};

/// With one entity in so many rows, pages without any are worth looking for.
const ROWS_PER_ENTITY: usize = 512;

impl FactFiles {
    /// The rows of a row group that can concern a spine, as ascending ranges;
    /// `None` is all of them.
    pub(super) fn rows_that_concern(
        &self,
        unit: &Unit,
        spine: &Spine,
    ) -> Result<Option<Vec<Range<usize>>>> {
        let entities = unit.bounds.entities(spine);
        let count = entities.len();
        if count <= BLOOM_ENTITIES_MAX && !self.may_have_any(unit, spine, entities)? {
            return Ok(Some(Vec::new()));
        }
        if self.layout.keys().is_empty() || count * ROWS_PER_ENTITY > unit.rows {
            return Ok(None);
        }
        let metadata = unit.file.read_indexed()?;
        Ok(self.pages(unit, metadata).map(|pages| {
            let last = spine.time_range().map_or(i64::MIN, |(_, last)| last);
            let mut rows: Vec<Range<usize>> = Vec::new();
            for (page, bounds) in pages {
                if !bounds.concerns(spine, last) {
                    continue;
                }
                match rows.last_mut().filter(|before| before.end == page.start) {
                    Some(before) => before.end = page.end,
                    None => rows.push(page),
                }
            }
            rows
        }))
    }

    /// The pages of the first join key in a row group, each with what its
    /// statistics say; `None` without a page index.
    fn pages(
        &self,
        unit: &Unit,
        metadata: &ArrowReaderMetadata,
    ) -> Option<Vec<(Range<usize>, Bounds)>> {
        let parquet: &ParquetMetaData = metadata.metadata();
        let (columns, offsets) = (parquet.column_index()?, parquet.offset_index()?);
        let (schema, descriptor) = (metadata.schema(), metadata.parquet_schema());
        let converter = StatisticsConverter::try_new(&self.columns[0], schema, descriptor).ok()?;
        let leaf = converter.parquet_column_index()?;
        let groups = [unit.row_group];
        let least: ArrayRef = converter.data_page_mins(columns, offsets, &groups).ok()?;
        let greatest = converter.data_page_maxes(columns, offsets, &groups).ok()?;
        let locations = offsets.get(unit.row_group)?.get(leaf)?.page_locations();
        let keys = bounds::keys(&least, &greatest, self.layout.keys());
        if keys.len() != locations.len() {
            return None;
        }
        let first_row = |page: usize| {
            locations.get(page).map_or(unit.rows, |location| location.first_row_index as usize)
        };
        let pages = keys.into_iter().enumerate().map(|(page, keys)| {
            (first_row(page)..first_row(page + 1), Bounds { event: unit.bounds.event, keys })
        });
        Some(pages.collect())
    }

    /// Whether a bloom filter of the key leaves any of these entities.
    fn may_have_any(&self, unit: &Unit, spine: &Spine, entities: Range<u32>) -> Result<bool> {
        let [key] = self.layout.keys() else { return Ok(true) };
        let metadata = unit.file.metadata.clone();
        let descriptor = metadata.parquet_schema();
        let leaf = descriptor.columns().iter().position(|column| {
            column.path().parts().len() == 1 && column.name() == self.columns[0]
        });
        let Some(leaf) = leaf else { return Ok(true) };
        let physical = descriptor.column(leaf).physical_type();
        let group = metadata.metadata().row_group(unit.row_group);
        if group.column(leaf).bloom_filter_offset().is_none() {
            return Ok(true);
        }
        let file = unit.file.file.open()?;
        let filter = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)
            .get_row_group_column_bloom_filter(unit.row_group, leaf)
            .map_err(|cause| unit.file.damaged(cause))?;
        let Some(filter) = filter else { return Ok(true) };
        let mut bytes = Vec::new();
        for entity in entities {
            spine.read_key(entity, self.layout.keys(), &mut bytes);
            let parts = key::decode(&bytes, std::slice::from_ref(key))?;
            let part = parts.first().ok_or_else(|| Error::internal("an entity has no key"))?;
            if may_have(&filter, part, physical) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether a filter leaves a value, in the form in which the file has it.
fn may_have(filter: &Sbbf, part: &OwnedPart, physical: PhysicalType) -> bool {
    match (part, physical) {
        (OwnedPart::Int(value), PhysicalType::INT32) => filter.check(&(*value as i32)),
        (OwnedPart::UInt(value), PhysicalType::INT32) => filter.check(&(*value as u32 as i32)),
        (OwnedPart::Int(value), PhysicalType::INT64) => filter.check(value),
        (OwnedPart::UInt(value), PhysicalType::INT64) => filter.check(&(*value as i64)),
        (OwnedPart::Bytes(value), PhysicalType::BYTE_ARRAY) => filter.check(value.as_slice()),
        _ => true,
    }
}
