//! The calls that an engine and a client answer alike.

use std::sync::Arc;

use hitherto_api::{
    Clock, Explanation, Grant, Lookup, LookupRequest, PushRequest, Pushed, RolledBack, Selection,
    Spine, TrainingSetRequest, Verification, VerifyRequest, WhoAmI, WhyRequest,
};
use hitherto_client::Client;
use hitherto_core::Result;
use hitherto_core::catalog::Catalog;
use hitherto_core::definition::Field;
use hitherto_core::limits::PUSHES_IN_FLIGHT_MAX;
use hitherto_engine::Engine;
use hitherto_engine::selection::Resolved;
use tokio::task::block_in_place;

use crate::training_set::TrainingSet;

/// Who answers. Clones share it.
///
/// Calls fail as [`Engine`]'s do; `Unavailable` when a server is full or gone.
#[derive(Clone)]
pub enum Store {
    /// The engine in this process.
    Here(Here),
    /// A server, by its own clock, for whom it has let in.
    There(Client),
}

/// An engine, and what a server would know by itself: who asks, and what the time is.
#[derive(Clone)]
pub struct Here {
    /// The engine.
    pub engine: Arc<Engine>,
    /// What the user of this process may.
    pub grant: Arc<Grant>,
    /// By which it answers.
    pub clock: Clock,
}

impl Here {
    /// Looks up features of many entities. Blocks for storage I/O on a cache miss.
    ///
    /// # Errors
    /// Those of [`Engine::lookup`].
    pub fn lookup(&self, request: &LookupRequest) -> Result<Lookup> {
        self.engine.lookup(&self.grant, request, (self.clock)())
    }
}

impl Store {
    /// Who asks, as whoever answers knows it.
    ///
    /// # Errors
    /// Those of [`Client::who_am_i`]; a process knows its user.
    pub async fn who_am_i(&self) -> Result<WhoAmI> {
        match self {
            Store::Here(here) => Ok(here.grant.caller().into()),
            Store::There(client) => client.who_am_i().await,
        }
    }

    /// What is applied and online.
    ///
    /// # Errors
    /// Those of [`Client::catalog`]; an engine has it at hand.
    pub async fn catalog(&self) -> Result<Arc<Catalog>> {
        match self {
            Store::Here(here) => Ok(here.engine.catalog()),
            Store::There(client) => client.catalog().await.map(Arc::new),
        }
    }

    /// Looks up features of many entities, at `request.as_of` or else now.
    ///
    /// # Errors
    /// Those of [`Engine::lookup`] and [`Client::lookup`].
    pub async fn lookup(&self, request: &LookupRequest) -> Result<Lookup> {
        match self {
            Store::Here(here) => here.lookup(request),
            Store::There(client) => client.lookup(request).await,
        }
    }

    /// What lookups of a selection bring beside join keys.
    ///
    /// # Errors
    /// Those of [`Engine::request_fields`] and [`Client::catalog`].
    pub async fn request_fields(&self, selection: &Selection) -> Result<Vec<Field>> {
        match self {
            Store::Here(here) => here.engine.request_fields(&here.grant, selection),
            Store::There(_) => {
                let resolved = Resolved::published(&*self.catalog().await?, selection)?;
                Ok(resolved.request().cloned().collect())
            }
        }
    }

    /// Pushes batches, one after the other; the answers are in their order. A server is sent so
    /// many at once as it takes at once.
    ///
    /// # Errors
    /// Those of [`Engine::push`] and [`Client::push`], of the first batch that is refused; those
    /// before it are pushed.
    ///
    /// # Panics
    /// Where tokio has one thread alone.
    pub async fn push(&self, batches: &[PushRequest]) -> Result<Vec<Pushed>> {
        match self {
            Store::Here(Here { engine, grant, clock }) => {
                let now = clock();
                let push = |batch| engine.push(grant, batch, now);
                block_in_place(|| batches.iter().map(push).collect())
            }
            Store::There(client) => {
                let mut pushed = Vec::with_capacity(batches.len());
                for batches in batches.chunks(PUSHES_IN_FLIGHT_MAX) {
                    pushed.extend(client.push(batches).await?);
                }
                Ok(pushed)
            }
        }
    }

    /// Explains one view's answer for one entity, at `request.at` or else now.
    ///
    /// # Errors
    /// Those of [`Engine::why`] and [`Client::why`].
    pub async fn why(&self, request: &WhyRequest) -> Result<Explanation> {
        match self {
            Store::Here(Here { engine, grant, clock }) => engine.why(grant, request, clock()).await,
            Store::There(client) => client.why(request).await,
        }
    }

    /// Compares both sides of views.
    ///
    /// # Errors
    /// Those of [`Engine::verify`] and [`Client::verify`].
    pub async fn verify(&self, request: &VerifyRequest) -> Result<Verification> {
        match self {
            Store::Here(Here { engine, grant, clock }) => {
                engine.verify(grant, request, clock()).await
            }
            Store::There(client) => client.verify(request).await,
        }
    }

    /// Starts a training set over a spine.
    ///
    /// # Errors
    /// Those of [`Engine::training_set`] and [`Client::training_set`]. Later errors come out of
    /// [`TrainingSet::next`].
    pub async fn training_set(
        &self,
        request: &TrainingSetRequest,
        spine: Spine,
    ) -> Result<TrainingSet> {
        Ok(match self {
            Store::Here(Here { engine, grant, clock }) => {
                let set = engine.training_set(grant, request, spine, clock()).await?;
                TrainingSet::Here(Box::new(set))
            }
            Store::There(client) => {
                TrainingSet::There(Box::new(client.training_set(request, spine).await?))
            }
        })
    }

    /// Goes back to a view's previous generation.
    ///
    /// # Errors
    /// Those of [`Engine::rollback`] and [`Client::rollback`].
    pub async fn rollback(&self, view: &str) -> Result<RolledBack> {
        match self {
            Store::Here(Here { engine, grant, .. }) => engine.rollback(grant, view).await,
            Store::There(client) => client.rollback(view).await,
        }
    }
}
