//! What lookups bring for on-demand views: JSON, read as the types of the selection say.

use std::collections::{BTreeMap, HashMap};

use hitherto_api::{Lookup, LookupRequest, fields};
use hitherto_core::definition::Field;
use hitherto_core::{Error, Kind, Result};
use hitherto_store::{Here, Store as Answering};
use parking_lot::Mutex;
use serde_json::Value;

/// Values by field.
pub type Brought = BTreeMap<String, Vec<Value>>;

/// Reads an object of arrays.
///
/// # Errors
/// `Internal` when it is none: the package wrote it.
pub fn read(json: &str) -> Result<Brought> {
    serde_json::from_str(json).map_err(|cause| {
        Error::internal("what a lookup brings is no object of arrays; report it").with_source(cause)
    })
}

/// The request with what it brings, read by an engine.
///
/// # Errors
/// `Invalid` for a value that is none of its field's type; those of the selection.
pub fn here(
    here: &Here,
    request: LookupRequest,
    brought: Option<Brought>,
) -> Result<LookupRequest> {
    let Some(brought) = brought else { return Ok(request) };
    let fields = here.engine.request_fields(&here.grant, &request.selection)?;
    Ok(LookupRequest { request: fields::from_map(&fields, brought)?, ..request })
}

/// Fields by selection, as a server's catalog had them: it is not asked at every lookup.
#[derive(Default)]
pub struct Fields(Mutex<HashMap<String, Vec<Field>>>);

impl Fields {
    /// Looks up at a server. What does not fit by fields that were known before is asked for
    /// once more, by those that there are now.
    ///
    /// # Errors
    /// Those of the lookup, and of what it brings.
    pub async fn look_up(
        &self,
        there: &Answering,
        request: LookupRequest,
        brought: Brought,
    ) -> Result<Lookup> {
        let name = format!("{:?}", request.selection);
        let known = self.0.lock().get(&name).cloned();
        if let Some(known) = known {
            match ask(there, &request, &known, brought.clone()).await {
                Err(error) if error.kind() == Kind::Invalid => {}
                answered => return answered,
            }
        }
        let fields = there.request_fields(&request.selection).await?;
        self.0.lock().insert(name, fields.clone());
        ask(there, &request, &fields, brought).await
    }
}

async fn ask(
    there: &Answering,
    request: &LookupRequest,
    fields: &[Field],
    brought: Brought,
) -> Result<Lookup> {
    let request = LookupRequest { request: fields::from_map(fields, brought)?, ..request.clone() };
    there.lookup(&request).await
}
