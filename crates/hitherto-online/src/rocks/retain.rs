//! History and events that nobody can ask for any more leave when RocksDB compacts.
//!
//! ```text
//! one entity's facts, newest first     visible after the horizon     kept
//!                                      the first that is not         kept: it answers
//!                                                                    at the horizon
//!                                      all below it                  removed
//! ```
//!
//! The versions of one event are kept alike, if it can be in a window of any moment from the
//! horizon on; if not, all of them go.
//!
//! A compaction may see some of these facts only; then the first of those that it
//! sees is kept, too. Of facts that are still to be merged it sees none.

use std::collections::HashMap;
use std::ffi::CStr;
use std::sync::Arc;

use hitherto_core::definition::Known;
use parking_lot::RwLock;
use rocksdb::CompactionDecision;
use rocksdb::compaction_filter::CompactionFilter;
use rocksdb::compaction_filter_factory::{CompactionFilterContext, CompactionFilterFactory};

use super::kind::Kind;
use crate::keys::{self, GENERATION_BYTES};
use crate::store::{GenerationId, Horizon};

/// Where what can be asked for of each generation begins.
#[derive(Clone, Default)]
pub struct Horizons(Arc<RwLock<HashMap<[u8; GENERATION_BYTES], Horizon>>>);

impl Horizons {
    /// Sets a generation's horizon.
    pub fn set(&self, generation: GenerationId, horizon: Horizon) {
        let mut horizons = self.0.write();
        horizons.insert(keys::generation(generation), horizon);
    }
}

/// Makes a filter for each compaction.
pub struct RetainFactory {
    kind: Kind,
    horizons: Horizons,
}

impl RetainFactory {
    /// For facts of a kind.
    pub fn new(kind: Kind, horizons: Horizons) -> Self {
        Self { kind, horizons }
    }
}

impl CompactionFilterFactory for RetainFactory {
    type Filter = Retain;

    fn create(&mut self, _: CompactionFilterContext) -> Retain {
        let horizons = self.horizons.0.read().clone();
        Retain { kind: self.kind, horizons, of: Vec::new(), has_answer: false }
    }

    fn name(&self) -> &CStr {
        c"hitherto.retain.1"
    }
}

/// One compaction on its way through facts.
pub struct Retain {
    kind: Kind,
    horizons: HashMap<[u8; GENERATION_BYTES], Horizon>,
    /// The entity or event of the last fact, with its generation.
    of: Vec<u8>,
    /// Whether a fact of it was seen that answers at the horizon.
    has_answer: bool,
}

impl CompactionFilter for Retain {
    fn filter(&mut self, _: u32, key: &[u8], _: &[u8]) -> CompactionDecision {
        let Some((of, times)) = self.kind.one_answers(key) else { return CompactionDecision::Keep };
        let horizon = of.first_chunk().and_then(|generation| self.horizons.get(generation));
        let Some(horizon) = horizon else { return CompactionDecision::Keep };
        if self.kind == Kind::Events && times.event < horizon.event {
            return CompactionDecision::Remove;
        }
        if self.of != of {
            self.of.clear();
            self.of.extend_from_slice(of);
            self.has_answer = false;
        }
        // Known time counts also where a view ignores it: what is kept answers both ways.
        if times.visible(Known::Honor) > horizon.moment {
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
