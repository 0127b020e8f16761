use super::*;

fn fact(event: i64, known: i64) -> (Vec<u8>, Times) {
    (event.to_le_bytes().to_vec(), Times { event, known })
}

fn draw(facts: impl Iterator<Item = i64>, max: usize, seed: u64) -> Vec<Drawn> {
    let mut sample = Sample::new(max, seed);
    for event in facts {
        let (key, times) = fact(event, event + 5);
        sample.offer(&key, times);
    }
    sample.into_facts().collect()
}

#[test]
fn a_sample_depends_on_the_seed_and_on_nothing_else() {
    let forth = draw(0..1_000, 50, 7);
    assert_eq!(forth.len(), 50);
    assert_eq!(forth, draw((0..1_000).rev().chain(0..1_000), 50, 7));
    assert_ne!(forth, draw(0..1_000, 50, 8));
    assert_eq!(draw(0..10, 50, 7).len(), 10, "all there are");
    assert!(draw(0..10, 0, 7).is_empty());
}

#[test]
fn moments_lie_where_answers_change_and_never_before_the_horizon() {
    let span = Span {
        offset_micros: 0,
        ttl_micros: Some(60),
        known: Known::Honor,
        horizon: 90,
        now: 5_000,
    };
    let times = Times { event: 100, known: 110 };
    let asked = |draw| Drawn { draw, key: Vec::new(), times }.moment(span);
    let around: Vec<i64> = (0..7).map(asked).collect();
    assert_eq!(around, [110, 109, 100, 160, 161, 110, 5_000]);
    assert!((0..1_000).map(|draw| asked(7 * draw + 5)).all(|at| (110..=160).contains(&at)));
    let late = Span { horizon: 130, ..span };
    let drawn = |draw| Drawn { draw, key: Vec::new(), times };
    assert!((0..1_000).all(|draw| drawn(draw).moment(late) >= 130));
    let endless = Span { ttl_micros: None, ..span };
    assert!((0..1_000).all(|draw| drawn(draw).moment(endless) <= 5_001));
}
