//! Feast's `ServingService`, so that a client of Feast's servers can point here; its
//! HTTP form in `web` asks through the same messages.
//!
//! A request becomes a lookup like any other: the same places, the same plan,
//! the same rule. Only names and statuses are Feast's. Join keys come first in
//! the answer, sorted by name because Feast's map of them has no order, then
//! the features in the order of the request.

use std::collections::{BTreeMap, HashMap, HashSet};

use hitherto_api::{KeyColumn, Lookup, LookupRequest, Selection, ViewTimes, fields};
use hitherto_core::column::Column;
use hitherto_core::definition::Field;
use hitherto_core::limits::MESSAGE_BYTES_MAX;
use hitherto_core::{Error, Result};
use hitherto_proto::convert::feast as convert;
use hitherto_proto::feast::serving::get_online_features_request::Kind;
use hitherto_proto::feast::serving::get_online_features_response::FeatureVector;
use hitherto_proto::feast::serving::serving_service_server::{
    ServingService, ServingServiceServer,
};
use hitherto_proto::feast::serving::{
    FeatureList, FieldStatus, GetFeastServingInfoRequest, GetFeastServingInfoResponse,
    GetOnlineFeaturesRequest, GetOnlineFeaturesResponse, GetOnlineFeaturesResponseMetadata,
};
use tokio::sync::OwnedSemaphorePermit;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::{Request, Response, Status};

use crate::lookup::{Admitted, Lookups, Written, keeping};
use crate::metrics::Method;
use crate::served::Failed;

/// Answers in Feast's words what [`Lookups`] looks up.
pub struct Feast {
    /// Looks up, with the bound that all lookups share.
    pub lookups: Lookups,
}

impl Feast {
    /// The service, with its limits on messages.
    pub fn service(self) -> ServingServiceServer<Self> {
        ServingServiceServer::new(self)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX)
            .accept_compressed(Gzip)
    }
}

/// Looks up what a message asks for, and hands the message that answers it to
/// `write`.
///
/// # Errors
/// Those of the lookup and of `write`.
pub async fn look_up<T: Send + 'static>(
    lookups: &Lookups,
    admitted: Admitted,
    request: GetOnlineFeaturesRequest,
    write: impl FnOnce(GetOnlineFeaturesResponse) -> Result<T> + Send + 'static,
) -> Result<(T, OwnedSemaphorePermit), Failed> {
    let engine = &lookups.served.engine;
    let grant = &admitted.grant;
    let lookup = decode_request(&request, |selection| engine.request_fields(grant, selection))?;
    let write = move |answer: Lookup| write(encode_answer(request, &answer)?);
    lookups.look_up(admitted, lookup, Written::CellByCell, write).await
}

#[tonic::async_trait]
impl ServingService for Feast {
    async fn get_feast_serving_info(
        &self,
        _: Request<GetFeastServingInfoRequest>,
    ) -> Result<Response<GetFeastServingInfoResponse>, Status> {
        let version = format!("hitherto {}", env!("CARGO_PKG_VERSION"));
        Ok(Response::new(GetFeastServingInfoResponse { version }))
    }

    async fn get_online_features(
        &self,
        request: Request<GetOnlineFeaturesRequest>,
    ) -> Result<Response<GetOnlineFeaturesResponse>, Status> {
        let (_, asked, request) = request.into_parts();
        let Feast { lookups } = self;
        let admit = async { lookups.admit(&asked) };
        let answer =
            |grant, permit, note| look_up(lookups, Admitted::new(grant, permit, note), request, Ok);
        let answered = lookups.served.serve(Method::GetOnlineFeatures, &asked, admit, answer);
        answered.await.map(keeping)
    }
}

/// Fields of the request are among the entities, as Feast's clients send them, or in
/// `request_context`, as its first ones did.
fn decode_request(
    request: &GetOnlineFeaturesRequest,
    fields_of: impl FnOnce(&Selection) -> Result<Vec<Field>>,
) -> Result<LookupRequest> {
    if request.include_feature_view_version_metadata {
        return Err(Error::invalid(
            "versions of views are not part of this answer; ask hitherto.v1.RegistryService",
        ));
    }
    let selection = match &request.kind {
        Some(Kind::FeatureService(name)) => Selection::Service(name.clone()),
        Some(Kind::Features(list)) => Selection::features(&list.val)?,
        None => {
            return Err(Error::invalid(
                "the request asks for nothing; set feature_service or features",
            ));
        }
    };
    let fields = fields_of(&selection)?;
    let is_field = |name: &str| fields.iter().any(|field| field.name == name);
    let keys = request.entities.iter().filter(|(name, _)| !is_field(name));
    let keys = keys.map(|(name, values)| {
        Ok(KeyColumn { name: name.clone(), parts: convert::parts(name, values)? })
    });
    let brought = request.entities.iter().filter(|(name, _)| is_field(name));
    let mut by_name = BTreeMap::new();
    for (name, values) in brought.chain(&request.request_context) {
        if by_name.insert(name.clone(), convert::json(name, values)?).is_some() {
            return Err(Error::invalid(format!(
                "field {name:?} is in entities and in request_context; send it once"
            )));
        }
    }
    Ok(LookupRequest {
        selection,
        keys: keys.collect::<Result<_>>()?,
        request: fields::from_map(&fields, by_name)?,
        as_of: None,
        with_times: true,
    })
}

fn encode_answer(
    request: GetOnlineFeaturesRequest,
    answer: &Lookup,
) -> Result<GetOnlineFeaturesResponse> {
    let mut seen: HashSet<String> = request.entities.keys().cloned().collect();
    let mut names: Vec<String> = Vec::new();
    let mut results = Vec::new();
    for (name, values) in request.entities {
        names.push(name);
        let is_set = values.val.iter().map(|value| match value.val {
            Some(_) => FieldStatus::Present,
            None => FieldStatus::NullValue,
        });
        results.push(FeatureVector {
            statuses: is_set.map(i32::from).collect(),
            event_timestamps: vec![convert::timestamp(0); values.val.len()],
            values: values.val,
        });
    }
    let times: HashMap<&str, &ViewTimes> =
        answer.times.iter().map(|times| (times.view.as_str(), times)).collect();
    for column in &answer.columns {
        let (view, feature) = column.name.split_once(':').unwrap_or(("", &column.name));
        let name = match request.full_feature_names {
            true => format!("{view}__{feature}"),
            false => feature.to_owned(),
        };
        if !seen.insert(name.clone()) {
            return Err(Error::invalid(format!(
                "two columns of the answer are called {name:?}; set full_feature_names"
            )));
        }
        names.push(name);
        results.push(vector(column, times.get(view).copied())?);
    }
    let metadata = GetOnlineFeaturesResponseMetadata {
        feature_names: Some(FeatureList { val: names }),
        feature_view_metadata: Vec::new(),
    };
    Ok(GetOnlineFeaturesResponse { metadata: Some(metadata), results, status: true })
}

/// One feature: values, statuses and event times, each one an entity.
fn vector(column: &Column, times: Option<&ViewTimes>) -> Result<FeatureVector> {
    let event =
        |row: usize| times.and_then(|times| times.times[row]).map_or(0, |times| times.event);
    let rows = 0..column.len();
    Ok(FeatureVector {
        values: convert::values(column)?,
        statuses: rows.clone().map(|row| convert::status(column.status(row)).into()).collect(),
        event_timestamps: rows.map(|row| convert::timestamp(event(row))).collect(),
    })
}
