//! By when all that answers now can be seen: for each generation the latest moment at
//! which one of its latest rows becomes visible.
//!
//! A load that knows of no row from the future above its own need not write history for
//! the moments before that row. The moment is in the `meta` family, written with rows
//! that are put and before those that are loaded; it never goes back while the
//! generation is there. A generation of an earlier release has none.

use hitherto_core::Result;
use hitherto_core::definition::Known;
use hitherto_core::rule::Times;
use rocksdb::WriteBatch;

use super::{META, RocksStore, failed};
use crate::keys::MetaKey;
use crate::store::{Beneath, GenerationId};

fn key(generation: GenerationId) -> String {
    MetaKey::VisibleBy(generation).to_string()
}

/// The moment by which rows with these times can be seen, known time counted.
pub fn visible_by(times: impl Iterator<Item = Times>) -> i64 {
    times.map(|times| times.visible(Known::Honor)).max().unwrap_or(i64::MIN)
}

impl RocksStore {
    pub(super) fn read_visible_by(&self, generation: GenerationId) -> Result<Option<i64>> {
        let stored = self.db.get_pinned_cf(self.family(META), key(generation)).map_err(failed)?;
        let moment = stored.as_deref().and_then(|bytes| bytes.try_into().ok());
        Ok(moment.map(i64::from_le_bytes))
    }

    /// Adds to a batch that rows are put which can be seen by `moment`. The caller holds
    /// `putting`.
    pub(super) fn put_visible_by(
        &self,
        batch: &mut WriteBatch,
        generation: GenerationId,
        moment: i64,
    ) -> Result<()> {
        if self.read_visible_by(generation)?.is_some_and(|before| moment > before) {
            batch.put_cf(self.family(META), key(generation), moment.to_le_bytes());
        }
        Ok(())
    }

    /// Says, durably, that rows are loaded which can be seen by `moment`.
    pub(super) fn load_visible_by(
        &self,
        generation: GenerationId,
        beneath: Beneath,
        moment: i64,
    ) -> Result<()> {
        let _one_at_a_time = self.putting.lock();
        let mut batch = WriteBatch::default();
        match beneath {
            Beneath::Nothing => {
                batch.put_cf(self.family(META), key(generation), moment.to_le_bytes());
            }
            Beneath::Rows => self.put_visible_by(&mut batch, generation, moment)?,
        }
        if batch.is_empty() {
            return Ok(());
        }
        self.write_durably(batch)
    }

    pub(super) fn drop_visible_by(&self, generation: GenerationId) -> Result<()> {
        self.db.delete_cf(self.family(META), key(generation)).map_err(failed)
    }
}
