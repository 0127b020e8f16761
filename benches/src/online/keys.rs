//! Who is asked about, and the requests that do.
//!
//! Requests are made before the clock starts and then asked again and again.

use hitherto_api::{KeyColumn, LookupRequest, Selection};
use hitherto_core::key::OwnedPart;
use hitherto_proto::v1;
use hitherto_proto::v1::key_column::Values;
use hitherto_proto::v1::lookup_request;
use rand::SeedableRng;
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};

use super::repository::Service;
use crate::Result;
use crate::pit::entities::Entities;

/// Entities in all prepared requests of one connection.
const PREPARED_ENTITIES: usize = 1 << 17;
/// Prepared requests at least.
const PREPARED_MIN: usize = 256;

/// Draws requests.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Keys {
    /// What is asked for.
    pub service: Service,
    /// Entities of each view.
    pub entities: u64,
    /// Entities of one request.
    pub rows: usize,
    /// How much more often some are asked about; 0 is not at all.
    pub zipf: f64,
    /// Everything random comes from here.
    pub seed: u64,
}

impl Keys {
    /// Entities of each request.
    ///
    /// # Errors
    /// For an exponent below 0.
    pub fn draw(&self) -> Result<Vec<Vec<i64>>> {
        let count = self.service.entities(self.entities);
        let entities = Entities::new(count, self.zipf)?;
        let mut random = Pcg64Mcg::seed_from_u64(self.seed);
        let requests = (PREPARED_ENTITIES / self.rows).max(PREPARED_MIN);
        let mut draw = || scattered(entities.draw(&mut random), count);
        Ok((0..requests).map(|_| (0..self.rows).map(|_| draw()).collect()).collect())
    }

    /// As messages.
    ///
    /// # Errors
    /// As [`Keys::draw`].
    pub fn messages(&self) -> Result<Vec<v1::LookupRequest>> {
        let requests = self.draw()?.into_iter().map(|values| v1::LookupRequest {
            selection: Some(lookup_request::Selection::Service(self.service.name().to_owned())),
            keys: vec![v1::KeyColumn {
                name: String::from("entity_id"),
                null_rows: Vec::new(),
                values: Some(Values::Ints(v1::IntValues { values })),
            }],
            request: Vec::new(),
            as_of_micros: None,
            with_times: false,
            as_arrow: false,
        });
        Ok(requests.collect())
    }

    /// As the engine takes them.
    ///
    /// # Errors
    /// As [`Keys::draw`].
    pub fn requests(&self, as_of: Option<i64>) -> Result<Vec<LookupRequest>> {
        let requests = self.draw()?.into_iter();
        Ok(requests.map(|entities| request(self.service, entities, as_of)).collect())
    }
}

/// One request to the engine.
pub fn request(
    service: Service,
    entities: impl IntoIterator<Item = i64>,
    as_of: Option<i64>,
) -> LookupRequest {
    let parts = entities.into_iter().map(|entity| Some(OwnedPart::Int(entity))).collect();
    LookupRequest {
        selection: Selection::Service(service.name().to_owned()),
        keys: vec![KeyColumn { name: String::from("entity_id"), parts }],
        request: Vec::new(),
        as_of,
        with_times: false,
    }
}

/// Moves the most wanted entities apart: neighbours would share blocks of the
/// store. A prime that does not divide `count` makes it a permutation.
pub fn scattered(entity: i64, count: u64) -> i64 {
    const PRIME: u128 = 2_654_435_761;
    (entity as u128 * PRIME % u128::from(count)) as i64
}
