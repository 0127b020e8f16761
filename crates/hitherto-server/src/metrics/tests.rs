use std::path::Path;

use hitherto_core::{Error, Result};
use hitherto_engine::{Access, Config};
use hitherto_proto::convert::status::{refused, to_status};

use super::*;

fn metrics(folder: &Path) -> Arc<Metrics> {
    let engine = Engine::open(folder, &Config::default(), Access::ReadWrite).unwrap();
    Arc::new(Metrics::new(Arc::new(engine)))
}

#[track_caller]
fn check_has(metrics: &Metrics, line: &str) {
    let text = metrics.encode().unwrap();
    assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
}

#[test]
fn every_outcome_has_its_own_place_and_name() {
    for (index, outcome) in Outcome::all().into_iter().enumerate() {
        assert_eq!(outcome.index(), index);
    }
    let mut names = Outcome::all().map(Outcome::name).to_vec();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Outcome::COUNT);
    for (index, method) in Method::ALL.into_iter().enumerate() {
        assert_eq!(method as usize, index);
    }
}

#[test]
fn a_request_is_counted_once_however_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = metrics(folder.path());
    let endings: [Option<Result<(), Status>>; 4] = [
        Some(Ok(())),
        Some(Err(to_status(&Error::not_found("no such view")))),
        Some(Err(refused("full"))),
        None,
    ];
    for ending in &endings {
        let mut call = metrics.begin(Method::Lookup);
        check_has(&metrics, "hitherto_requests_in_flight{method=\"lookup\"} 1");
        match ending {
            Some(Ok(())) => call.answered(),
            Some(Err(status)) => call.failed(status),
            None => {}
        }
    }
    check_has(&metrics, "hitherto_requests_in_flight{method=\"lookup\"} 0");
    check_has(&metrics, "hitherto_request_duration_seconds_count{method=\"lookup\"} 4");
    for outcome in ["ok", "not_found", "refused", "cancelled"] {
        let labels = format!("{{method=\"lookup\",outcome=\"{outcome}\"}}");
        check_has(&metrics, &format!("hitherto_requests_total{labels} 1"));
    }
}

#[test]
fn what_never_happened_is_there_as_zero() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = metrics(folder.path());
    check_has(&metrics, "hitherto_requests_total{method=\"training_set\",outcome=\"corrupt\"} 0");
    check_has(&metrics, "hitherto_lookup_values_total 0");
    check_has(&metrics, "hitherto_catalog_version 0");
}
