use hitherto_core::Kind;
use tonic::Code;

use super::*;

fn two() -> Admission {
    Admission::new("lookups", "server.lookupsInFlightMax", 2).unwrap()
}

#[test]
fn one_beyond_the_bound_is_refused_until_another_ends() {
    let admission = two();
    let (first, _second) = (admission.try_admit().unwrap(), admission.try_admit().unwrap());
    let refusal = admission.clone().try_admit().unwrap_err();
    assert_eq!(refusal.code(), Code::ResourceExhausted);
    assert_eq!(
        refusal.message(),
        "the server is already answering 2 lookups, which is its limit \
         (server.lookupsInFlightMax); back off and retry"
    );
    drop(first);
    assert!(admission.try_admit().is_ok());
}

#[tokio::test]
async fn a_stream_waits_for_its_turn() {
    let admission = two();
    let (first, _second) = (admission.try_admit().unwrap(), admission.try_admit().unwrap());
    let waiting = tokio::spawn({
        let admission = admission.clone();
        async move { admission.admit().await.is_ok() }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop(first);
    assert!(waiting.await.unwrap());
}

#[test]
fn a_setting_that_admits_nobody_is_refused() {
    let error = Admission::new("lookups", "server.lookupsInFlightMax", 0).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("server.lookupsInFlightMax is 0"));
}
