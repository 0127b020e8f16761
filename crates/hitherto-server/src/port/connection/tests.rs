use super::*;
use crate::budget::Budget;

fn connection() -> Arc<Connection> {
    let budget = Budget::new(1 << 30).unwrap();
    Arc::new(Connection::new(1, None, budget.share(), false, Epoch::begin()))
}

#[test]
fn an_answer_has_a_pause_again_after_nothing_was_to_be_sent() {
    let (now, pause) = (100_000, 30_000);
    for state in [FREE, ANSWERING] {
        assert_eq!(due(state, now, 16 << 10, pause), now + pause);
    }
    // Else it has time for the bytes that were taken, and no more than for a pause ahead.
    assert_eq!(due(now + 10, now, 16 << 10, pause), now + 10 + 251);
    assert_eq!(due(now - 10, now, 16 << 10, pause), now + 251);
    assert_eq!(due(now + pause, now, 16 << 10, pause), now + pause);
    assert_eq!(due(now + 2 * pause, now, 16 << 10, pause), now + 2 * pause);
}

#[test]
fn a_piece_after_a_wait_is_not_late_before_the_pause_is_over() {
    let (connection, pause) = (connection(), Duration::from_secs(30));
    let call = connection.begin().unwrap();
    call.sends(pause);
    call.waits();
    call.sent(10, pause);
    let now = connection.epoch.millis();
    assert!(!connection.is_late(now + 29_000) && connection.is_late(now + 31_000));
}

#[test]
fn who_is_silent_while_their_work_is_done_holds_nothing_up() {
    let connection = connection();
    let call = connection.begin().unwrap();
    call.listening().is_silent(true);
    assert!(connection.holds_up(u64::MAX));
    let (one, other) = (connection.works(), connection.works());
    assert!(!connection.holds_up(u64::MAX));
    drop(one);
    assert!(!connection.holds_up(u64::MAX));
    drop(other);
    // There are answers to send yet, for as long as one may be silent.
    assert!(!connection.holds_up(connection.opened - 1));
    assert!(connection.holds_up(u64::MAX));
}
