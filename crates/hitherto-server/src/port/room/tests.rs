use super::*;

fn room(connections_max: usize) -> Arc<Room> {
    Room::new(connections_max, Budget::new(1 << 30).unwrap())
}

/// Whether somebody has ended a connection.
async fn is_over(place: &Place) -> bool {
    tokio::select! {
        biased;
        () = place.connection.over() => true,
        () = std::future::ready(()) => false,
    }
}

#[tokio::test]
async fn strangers_go_before_who_was_answered_and_the_idle_before_the_busy() {
    let room = room(3);
    let busy = room.enter(None);
    busy.connection.passed();
    let call = busy.connection.begin().unwrap();
    let idle = room.enter(None);
    idle.connection.passed();
    let stranger = room.enter(None);

    let fourth = room.enter(None);
    assert!(is_over(&stranger).await && !is_over(&idle).await && !fourth.connection.is_probe);
    fourth.connection.passed();
    let _asked = fourth.connection.begin().unwrap();
    let fifth = room.enter(None);
    assert!(is_over(&idle).await && !fifth.connection.is_probe);
    fifth.connection.passed();
    let _more = fifth.connection.begin().unwrap();
    assert!(room.enter(None).connection.is_probe);
    assert!(!is_over(&busy).await && !is_over(&fourth).await && !is_over(&fifth).await);
    drop(call);
}

#[tokio::test]
async fn a_probe_always_gets_in_and_the_oldest_of_them_goes() {
    let room = room(1);
    let busy = room.enter(None);
    busy.connection.passed();
    let _call = busy.connection.begin().unwrap();
    let probes: Vec<Place> = (0..=CONNECTIONS_RESERVED).map(|_| room.enter(None)).collect();
    assert!(probes.iter().all(|place| place.connection.is_probe));
    assert!(is_over(&probes[0]).await && !is_over(&probes[1]).await);
    assert_eq!(room.len(), 1 + CONNECTIONS_RESERVED);
    drop(probes);
    assert_eq!(room.len(), 1);
}
