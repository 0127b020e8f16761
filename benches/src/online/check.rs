//! Whether answers are right: a benchmark that measures wrong ones is worth
//! nothing.

use hitherto_api::Lookup;
use hitherto_client::Client;
use hitherto_core::column::{Status, Values};

use super::facts::{self, Place};
use super::keys::request;
use super::repository::{EARLIER_MICROS, EARLIER_VERSION, Service, VERSIONS};
use crate::Result;

/// Entities of each service that are checked.
const CHECKED: u64 = 16;

/// Looks a handful of entities up in the server at `url`, at now and earlier,
/// and compares every value with the one that was generated.
///
/// # Errors
/// When the server fails or one value differs.
pub fn check(url: &str, entities: u64) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let client = Client::connect(url).await?;
        let cases = [
            (Service::Narrow, None, 0),
            (Service::Wide, None, 0),
            (Service::History, None, VERSIONS - 1),
            (Service::History, Some(EARLIER_MICROS), EARLIER_VERSION),
        ];
        for (service, as_of, version) in cases {
            let count = service.entities(entities);
            let mut asked: Vec<u64> = (0..CHECKED).map(|n| n * (count - 1) / CHECKED).collect();
            asked.push(count - 1);
            // One that nobody has heard of.
            asked.push(entities);
            let known = asked.len() - 1;
            let keys = asked.iter().map(|entity| *entity as i64);
            let answer = client.lookup(&request(service, keys, as_of)).await?;
            let expected = |view, row: usize, feature| {
                let place = Place { view, entity: asked[row], version };
                (row < known).then(|| facts::value(place, feature))
            };
            compare(service, &answer, expected)?;
        }
        Ok(())
    })
}

/// Compares a whole answer with what is `expected` of a view, row and feature;
/// `None` is no value.
///
/// # Errors
/// When they differ.
pub(super) fn compare(
    service: Service,
    answer: &Lookup,
    expected: impl Fn(u64, usize, usize) -> Option<f64>,
) -> Result<()> {
    let names = service.features();
    if !answer.columns.iter().map(|column| &column.name).eq(&names) {
        return Err(format!("{} answered other features", service.name()).into());
    }
    let views = service.views().flat_map(|view| (0..facts::FEATURES).map(move |f| (view, f)));
    for ((view, feature), column) in views.zip(&answer.columns) {
        let Values::F64(values) = &column.values else {
            return Err(format!("{} is not float64", column.name).into());
        };
        for (row, found) in values.iter().enumerate() {
            let found = (column.status(row) == Status::Present).then_some(*found);
            let expected = expected(view, row, feature);
            if found.map(f64::to_bits) != expected.map(f64::to_bits) {
                let name = &column.name;
                return Err(format!("{name} of row {row}: {found:?}, not {expected:?}").into());
            }
        }
    }
    Ok(())
}
