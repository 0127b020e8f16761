use futures::FutureExt;
use tonic::Code;

use super::*;

const TOTAL: u64 = 4 * REQUEST_MEMORY_BYTES_MIN;

#[test]
fn one_connection_has_a_part_and_all_have_no_more_than_the_whole() {
    let budget = Budget::new(TOTAL).unwrap();
    let part = TOTAL / SHARES;
    let held: Vec<Held> = (1..SHARES)
        .map(|_| {
            let mut held = budget.share().hold();
            assert_eq!(held.try_grow(part + 1).unwrap_err().code(), Code::ResourceExhausted);
            held.try_grow(part).unwrap();
            held
        })
        .collect();
    // The last part is for work.
    assert_eq!(budget.used(), TOTAL - part);
    assert!(budget.share().hold().try_grow(1).is_err());
    let work = budget.share().work(part).now_or_never().unwrap();
    assert_eq!(budget.used(), TOTAL);
    drop((held, work));
    assert_eq!(budget.used(), 0);
}

#[test]
fn what_is_there_already_counts_without_asking() {
    let budget = Budget::new(TOTAL).unwrap();
    let mut held = budget.share().hold();
    held.grow(2 * TOTAL);
    assert!(budget.share().hold().try_grow(1).is_err());
    held.shrink(3 * TOTAL);
    assert_eq!(budget.used(), 0);
}

#[tokio::test]
async fn work_waits_for_work_alone_and_the_largest_passes() {
    let budget = Budget::new(TOTAL).unwrap();
    let share = budget.share();
    // All that a connection may have is no reason to wait.
    let mut held = share.hold();
    held.try_grow(TOTAL / SHARES).unwrap();
    let first = share.work(u64::MAX).now_or_never().unwrap();
    let other = budget.share();
    let mut second = Box::pin(other.work(1));
    assert!(second.as_mut().now_or_never().is_none());
    drop(first);
    drop((second.await, held));
    assert_eq!(budget.used(), 0);
}

#[test]
fn too_small_a_budget_is_refused() {
    let error = Budget::new(1 << 20).unwrap_err().to_string();
    assert!(error.contains("server.requestMemory"), "{error}");
}
