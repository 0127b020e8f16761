//! What one store alone has, beside rows and log: the files that its generations were made
//! of, how many pushed batches are in files, and what it believes of the clock.
//!
//! None of it means anything to another store. Of the other two states, what is defined
//! can be shared by many servers and what is published is written by one leader
//! ([`Catalog`](hitherto_core::catalog::Catalog)). Where one of those changes with what is
//! kept here, all is one batch: [`Engine::commit`].

use hitherto_core::Result;
use hitherto_online::{Meta, MetaChange, MetaKey};

use crate::Engine;
use crate::clock::Believed;
use crate::materialize::Consumed;

/// What a store alone has. Changes are returned, to be written together.
pub(crate) struct Local<'s> {
    meta: &'s dyn Meta,
}

impl Engine {
    pub(crate) fn local(&self) -> Local<'_> {
        Local::new(self.store.meta.as_ref())
    }
}

impl<'s> Local<'s> {
    pub fn new(meta: &'s dyn Meta) -> Self {
        Self { meta }
    }

    /// The time that is believed.
    pub fn believed(&self) -> Result<Believed> {
        Believed::from_json(self.meta.read_meta(MetaKey::Clock)?)
    }

    /// What a view's generation was made of.
    pub fn consumed(&self, view: u32) -> Result<Consumed> {
        Consumed::from_json(self.meta.read_meta(MetaKey::Consumed { view })?)
    }

    /// How many of a view's pushed batches are in files.
    pub fn landed(&self, view: u32) -> Result<u64> {
        let landed = self.meta.read_meta(MetaKey::Landed { view })?;
        Ok(landed.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes))
    }

    /// Makes what a view has consumed that of the generation before.
    pub fn consumed_before(&self, view: u32) -> Result<MetaChange> {
        Ok((MetaKey::ConsumedBefore { view }, self.meta.read_meta(MetaKey::Consumed { view })?))
    }

    /// Takes what a view has consumed for what the generation before had, and back.
    pub fn exchanged(&self, view: u32) -> Result<[MetaChange; 2]> {
        let consumed = self.meta.read_meta(MetaKey::ConsumedBefore { view })?;
        Ok([(MetaKey::Consumed { view }, consumed), self.consumed_before(view)?])
    }

    /// Writes changes that go with no other.
    pub fn commit(&self, changes: &[MetaChange]) -> Result<()> {
        self.meta.commit_meta(changes)
    }
}

/// Keeps what a view's generation was made of.
pub(crate) fn keep_consumed(view: u32, consumed: &Consumed) -> Result<MetaChange> {
    Ok((MetaKey::Consumed { view }, Some(consumed.to_json()?)))
}

/// Keeps how many of a view's pushed batches are in files.
pub(crate) fn keep_landed(view: u32, landed: u64) -> MetaChange {
    (MetaKey::Landed { view }, Some(landed.to_be_bytes().to_vec()))
}

/// Keeps the time that is believed.
pub(crate) fn keep_believed(believed: Believed) -> Result<MetaChange> {
    Ok((MetaKey::Clock, Some(believed.to_json()?)))
}

/// Forgets what a view's generations were made of.
pub(crate) fn forget_consumed(view: u32) -> [MetaChange; 2] {
    [MetaKey::Consumed { view }, MetaKey::ConsumedBefore { view }].map(|key| (key, None))
}
