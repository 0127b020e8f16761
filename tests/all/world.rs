//! Random worlds: facts with ties, late knowledge, deletions and colliding keys, and the
//! questions to ask of them.

use proptest::prelude::*;

use crate::oracle::Fact;

/// Facts of one view and a spine.
#[derive(Clone, Debug)]
pub struct World {
    pub facts: Vec<Fact>,
    /// Entity key, any part null, and time.
    pub spine: Vec<(Option<String>, Option<String>, i64)>,
    pub ttl: Option<i64>,
    pub known_by: Option<i64>,
}

/// Times lie close together, so that bounds and ties are hit all the time.
const LAST_TIME: i64 = 40;

/// Key parts that collide when concatenated, and one with a zero byte.
const PARTS: [&str; 6] = ["", "a", "b", "ab", "a\0b", "ä"];

/// Any world.
pub fn worlds() -> impl Strategy<Value = World> {
    let facts = prop::collection::vec(facts(), 0..60);
    let spine = prop::collection::vec(spine_rows(), 0..40);
    let ttl = prop::option::of(1..20_i64);
    let known_by = prop::option::weighted(0.3, 0..LAST_TIME);
    (facts, spine, ttl, known_by).prop_map(|(facts, spine, ttl, known_by)| World {
        facts,
        spine,
        ttl,
        known_by,
    })
}

fn part() -> impl Strategy<Value = String> {
    prop::sample::select(&PARTS[..]).prop_map(str::to_owned)
}

fn facts() -> impl Strategy<Value = Fact> {
    let known = prop_oneof![
        4 => Just(Some(0)),
        4 => (0..15_i64).prop_map(Some),
        1 => (-10..0_i64).prop_map(Some),
        1 => Just(None),
    ];
    let value = prop::option::weighted(0.85, 0..4_i64);
    let deletion = prop::bool::weighted(0.1);
    ((part(), part()), 0..LAST_TIME, known, value, deletion).prop_map(
        |(key, event, lag, value, is_deletion)| Fact {
            key,
            event,
            known: lag.map(|lag| event + lag),
            value,
            is_deletion,
        },
    )
}

fn spine_rows() -> impl Strategy<Value = (Option<String>, Option<String>, i64)> {
    let part = || prop::option::weighted(0.95, part());
    (part(), part(), -2..LAST_TIME + 20)
}
