//! The two families of many facts an entity, and what their keys have in common.

use hitherto_core::error::ROWS_ANEW;
use hitherto_core::key::EventKey;
use hitherto_core::rule::Times;
use hitherto_core::{Error, Result};
use rocksdb::SliceTransform;

use super::{EVENTS, HISTORY};
use crate::keys::{self, GENERATION_BYTES, TIMES_BYTES, VersionKey};
use crate::store::GenerationId;

/// What an entity has many facts of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Facts of which the newest answers.
    History,
    /// Events, each with its versions.
    Events,
}

impl Kind {
    /// The family that has them.
    pub fn family(self) -> &'static str {
        match self {
            Kind::History => HISTORY,
            Kind::Events => EVENTS,
        }
    }

    /// What the keys of one entity begin with, and the times of this one.
    ///
    /// # Errors
    /// `Corrupt` when it is no key of this family.
    pub fn entity(self, key: &[u8]) -> Result<(&[u8], Times)> {
        let split = match self {
            Kind::History => keys::split_history(key),
            Kind::Events => VersionKey::split(key).map(|key| (key.entity, key.times)),
        };
        split.ok_or_else(|| {
            Error::corrupt(format!("the online store has a damaged key of a fact; {ROWS_ANEW}"))
        })
    }

    /// What the keys of those facts begin with of which one answers, and the times of this one.
    pub fn one_answers(self, key: &[u8]) -> Option<(&[u8], Times)> {
        match self {
            Kind::History => keys::split_history(key),
            Kind::Events => VersionKey::split(key).map(|key| (key.event, key.times)),
        }
    }

    /// The first key that an entity's fact of an event time can have.
    pub fn first(self, generation: GenerationId, entity: &[u8], event: i64) -> Vec<u8> {
        match self {
            Kind::History => keys::history(generation, entity, Times { event, known: i64::MAX }),
            Kind::Events => keys::event(generation, EventKey { entity, event, id: &[] }, i64::MAX),
        }
    }

    /// What files are filtered by, and seeks stay within: the entity.
    pub fn prefix(self) -> SliceTransform {
        match self {
            Kind::History => SliceTransform::create(
                "hitherto.history.entity.1",
                |key| &key[..key.len() - TIMES_BYTES],
                Some(|key| key.len() >= GENERATION_BYTES + TIMES_BYTES),
            ),
            Kind::Events => SliceTransform::create(
                "hitherto.events.entity.1",
                |key| VersionKey::split(key).map_or(key, |key| key.entity),
                Some(|key| VersionKey::split(key).is_some()),
            ),
        }
    }
}
