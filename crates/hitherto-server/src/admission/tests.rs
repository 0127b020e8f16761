use hitherto_api::Assurance;
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

#[test]
fn one_caller_has_half_and_another_the_rest() {
    let fair = Fair::new("training sets", "server.trainingSetsInFlightMax", 4).unwrap();
    let known = Asker::Known(Caller::workload("token", "1", Assurance::SharedSecret).subject);
    let (one, other) = (Asker::Connection(1), known);
    let admit = |asker: &Asker| fair.try_admit(asker.clone());
    let own = [admit(&one).unwrap(), admit(&one).unwrap()];
    let refusal = admit(&one).unwrap_err();
    assert!(refusal.message().contains("2 training sets of this caller"), "{refusal}");
    let theirs = [admit(&other).unwrap(), admit(&other).unwrap()];
    assert!(admit(&Asker::Nobody).unwrap_err().message().contains("already answering 4"));
    drop((own, theirs));
    assert!(fair.begun().is_empty());
    let single = Fair::new("training sets", "server.trainingSetsInFlightMax", 1).unwrap();
    assert!(single.try_admit(one).is_ok());
}

#[tokio::test]
async fn large_lookups_take_more_places_and_some_may_wait() {
    let weighed = Weighed::new(4, 2);
    let large = weighed.admit(usize::MAX).await.unwrap();
    let small = [weighed.admit(1).await.unwrap(), weighed.admit(1).await.unwrap()];
    let mut waiting = Box::pin(weighed.admit(LOOKUP_VALUES_OF_PLACE * 2));
    assert!(futures::poll!(waiting.as_mut()).is_pending());
    // No room is left, which is said at once.
    let refusal = weighed.admit(1).await.unwrap_err();
    assert_eq!(refusal.code(), Code::ResourceExhausted);
    drop(large);
    waiting.await.unwrap();
    drop(small);
}

#[test]
fn a_burst_passes_and_a_queue_that_stands_is_cut() {
    let behind = Behind::new(Duration::from_millis(10));
    assert!(!behind.refuses(1) && !behind.refuses(LOOKUP_BURST_MILLIS));
    assert!(behind.refuses(1 + LOOKUP_BURST_MILLIS));
    // One that did not wait ends the burst, and not the memory of it.
    behind.check(Duration::ZERO).unwrap();
    assert!(behind.refuses(2 + LOOKUP_BURST_MILLIS));
    behind.check(Duration::ZERO).unwrap();
    assert!(!behind.refuses(3 + LOOKUP_BURST_MILLIS + LOOKUP_BEHIND_MILLIS));
}

#[test]
fn two_that_wait_long_far_from_each_other_are_no_queue() {
    let behind = Behind::new(Duration::from_millis(10));
    for at in [1, 5_000, 5_002 + LOOKUP_BURST_MILLIS] {
        assert!(!behind.refuses(at));
    }
    // Those that follow each other are.
    let begun = 10_000;
    assert!(!behind.refuses(begun) && !behind.refuses(begun + LOOKUP_BURST_MILLIS / 2));
    assert!(behind.refuses(begun + LOOKUP_BURST_MILLIS));
    // Nor does it forget that it was behind, for its while.
    let last = begun + LOOKUP_BURST_MILLIS + LOOKUP_BEHIND_MILLIS;
    assert!(behind.refuses(last - 1));
    assert!(!behind.refuses(last + LOOKUP_BEHIND_MILLIS));
}
