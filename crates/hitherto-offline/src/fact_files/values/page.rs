//! One decompressed page, asked for the values of ascending rows.

use bytes::Bytes;
use parquet::basic::Encoding;
use parquet::column::page::Page;
use parquet::errors::{ParquetError, Result as ParquetResult};

use super::hybrid::Hybrid;

/// A page's values.
pub(super) struct PageValues<'a> {
    /// Which rows are not null; `None` if all are not.
    levels: Option<Levels<'a>>,
    values: Values<'a>,
    width: usize,
}

/// Definition levels, twice: to ask whether a row is null, and how many before
/// it are not.
struct Levels<'a> {
    bits: Hybrid<'a>,
    counts: Hybrid<'a>,
}

enum Values<'a> {
    Plain(&'a [u8]),
    Dictionary { indices: Hybrid<'a>, dictionary: &'a [u8] },
}

impl<'a> PageValues<'a> {
    /// A data page of values that are `width` bytes each.
    pub fn new(
        page: &'a Page,
        dictionary: Option<&'a Bytes>,
        is_nullable: bool,
        width: usize,
    ) -> ParquetResult<Self> {
        let (levels, values, encoding) = match page {
            Page::DataPage { buf, encoding, def_level_encoding, .. } => {
                let (levels, values) = match is_nullable {
                    false => (&[][..], buf.as_ref()),
                    true if *def_level_encoding == Encoding::RLE => prefixed(buf)?,
                    true => return Err(damaged("levels of an encoding that nobody writes")),
                };
                (levels, values, *encoding)
            }
            Page::DataPageV2 {
                buf, encoding, def_levels_byte_len, rep_levels_byte_len, ..
            } => {
                let start = *rep_levels_byte_len as usize;
                let end = start + *def_levels_byte_len as usize;
                let levels = buf.get(start..end).ok_or_else(|| damaged("too few levels"))?;
                (levels, &buf[end..], *encoding)
            }
            Page::DictionaryPage { .. } => return Err(damaged("a second dictionary")),
        };
        let rows = page.num_values() as usize;
        let values = match encoding {
            Encoding::PLAIN => Values::Plain(values),
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY => {
                let dictionary = dictionary.ok_or_else(|| damaged("indices of no dictionary"))?;
                // A page of nulls may have no values at all.
                let (bits, indices) = values.split_first().unwrap_or((&0, &[]));
                Values::Dictionary { indices: Hybrid::new(indices, *bits)?, dictionary }
            }
            other => return Err(damaged(&format!("values encoded as {other}"))),
        };
        let has_nulls = is_nullable && !Hybrid::new(levels, 1)?.begins_with(1, rows);
        let levels = match has_nulls {
            true => Some(Levels { bits: Hybrid::new(levels, 1)?, counts: Hybrid::new(levels, 1)? }),
            false => None,
        };
        Ok(Self { levels, values, width })
    }

    /// The bytes of a row's value; `None` if it is null. Rows ascend from call to
    /// call.
    pub fn get(&mut self, row: usize) -> ParquetResult<Option<&'a [u8]>> {
        let index = match &mut self.levels {
            None => row,
            Some(levels) => match levels.bits.get(row)? {
                0 => return Ok(None),
                _ => levels.counts.ones_before(row)?,
            },
        };
        let (bytes, index) = match &mut self.values {
            Values::Plain(values) => (*values, index),
            Values::Dictionary { indices, dictionary } => {
                (*dictionary, indices.get(index)? as usize)
            }
        };
        let start = index.checked_mul(self.width).ok_or_else(|| damaged("an index too large"))?;
        let value = bytes.get(start..start + self.width);
        value.map(Some).ok_or_else(|| damaged("fewer values than rows"))
    }
}

/// Levels behind their length, and what follows.
fn prefixed(page: &[u8]) -> ParquetResult<(&[u8], &[u8])> {
    let (length, rest) =
        page.split_first_chunk().ok_or_else(|| damaged("no length of its levels"))?;
    let length = u32::from_le_bytes(*length) as usize;
    rest.split_at_checked(length).ok_or_else(|| damaged("too few levels"))
}

fn damaged(what: &str) -> ParquetError {
    ParquetError::General(format!("a page holds {what}"))
}
