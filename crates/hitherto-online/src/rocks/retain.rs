//! History that nobody can ask for any more leaves when RocksDB compacts.
//!
//! ```text
//! one entity's facts, newest first     visible after the horizon     kept
//!                                      the first that is not         kept: it answers
//!                                                                    at the horizon
//!                                      all below it                  removed
//! ```
//!
//! A compaction may see some of an entity's facts only; then the first of those that it
//! sees is kept, too. Of facts that are still to be merged it sees none.

use std::collections::HashMap;
use std::ffi::CStr;
use std::sync::Arc;

use hitherto_core::definition::Known;
use parking_lot::RwLock;
use rocksdb::CompactionDecision;
use rocksdb::compaction_filter::CompactionFilter;
use rocksdb::compaction_filter_factory::{CompactionFilterContext, CompactionFilterFactory};

use crate::keys::{self, GENERATION_BYTES};
use crate::store::GenerationId;

/// Where the history of each generation begins that somebody can ask for.
#[derive(Clone, Default)]
pub struct Horizons(Arc<RwLock<HashMap<[u8; GENERATION_BYTES], i64>>>);

impl Horizons {
    /// Sets a generation's horizon.
    pub fn set(&self, generation: GenerationId, horizon: i64) {
        let mut horizons = self.0.write();
        horizons.insert(keys::generation(generation), horizon);
    }
}

impl CompactionFilterFactory for Horizons {
    type Filter = Retain;

    fn create(&mut self, _: CompactionFilterContext) -> Retain {
        let horizons = self.0.read().clone();
        Retain { horizons, entity: Vec::new(), has_answer: false }
    }

    fn name(&self) -> &CStr {
        c"hitherto.retain.1"
    }
}

/// One compaction on its way through the history.
pub struct Retain {
    horizons: HashMap<[u8; GENERATION_BYTES], i64>,
    /// The entity of the last fact, with its generation.
    entity: Vec<u8>,
    /// Whether a fact of it was seen that answers at the horizon.
    has_answer: bool,
}

impl CompactionFilter for Retain {
    fn filter(&mut self, _: u32, key: &[u8], _: &[u8]) -> CompactionDecision {
        let Some((entity, times)) = keys::split_history(key) else {
            return CompactionDecision::Keep;
        };
        let horizon = entity.first_chunk().and_then(|generation| self.horizons.get(generation));
        let Some(horizon) = horizon else { return CompactionDecision::Keep };
        if self.entity != entity {
            self.entity.clear();
            self.entity.extend_from_slice(entity);
            self.has_answer = false;
        }
        // Known time counts also where a view ignores it: what is kept answers both ways.
        if times.visible(Known::Honor) > *horizon {
            return CompactionDecision::Keep;
        }
        match std::mem::replace(&mut self.has_answer, true) {
            true => CompactionDecision::Remove,
            false => CompactionDecision::Keep,
        }
    }

    fn name(&self) -> &CStr {
        c"hitherto.retain.1"
    }
}
