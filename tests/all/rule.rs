//! The rule's two forms, a search through sorted facts and slots over facts in
//! any order, against the naive oracle.

use std::cell::Cell;
use std::sync::Arc;

use hitherto_core::column::{Column, Status, Values};
use hitherto_core::definition::Known;
use hitherto_core::key::batch::KeyBatch;
use hitherto_core::key::{Part, encode_part};
use hitherto_core::row::{FLAG_DELETION, RowBlock, RowSchema};
use hitherto_core::rule::{self, Absence, Moment, NEVER, Times};
use hitherto_core::slots::{Contest, Entries, KnownTimes, Places, SpineBuilder, Terms, TimesBatch};
use hitherto_core::types::DataType;
use proptest::prelude::*;

use crate::oracle::{self, Answer, Fact, Question};
use crate::world::{World, worlds};

fn schema() -> RowSchema {
    RowSchema::new(&[DataType::Int64], 1)
}

fn encode(fact: &Fact, times: Times, row: &mut Vec<u8>) {
    let schema = schema();
    if fact.is_deletion {
        schema.write(row, times, FLAG_DELETION);
        return;
    }
    let mut writer = schema.write(row, times, 0);
    if let Some(value) = fact.value {
        writer.set_fixed(0, &value.to_le_bytes());
    }
}

fn key(first: &str, second: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in [first, second] {
        encode_part(&mut bytes, &DataType::String, Part::Bytes(part.as_bytes())).unwrap();
    }
    bytes
}

fn key_batch<'k>(keys: impl Iterator<Item = Option<(&'k str, &'k str)>>) -> KeyBatch {
    let (mut bytes, mut ends, mut is_null) = (Vec::new(), Vec::new(), Vec::new());
    for one in keys {
        bytes.extend(one.map(|(first, second)| key(first, second)).unwrap_or_default());
        ends.push(bytes.len() as u32);
        is_null.push(one.is_none());
    }
    KeyBatch::bytes(bytes, ends, Some(is_null))
}

/// Sends facts through a contest as one batch, by the thread that has these places.
fn offer(contest: &Contest, facts: &[&Fact], places: &mut Places) {
    let event: Vec<i64> = facts.iter().map(|fact| fact.event).collect();
    let known: Vec<i64> = facts.iter().map(|fact| fact.known.unwrap_or(NEVER)).collect();
    let times = TimesBatch { event: &event, known: KnownTimes::Column(&known), is_absent: None };
    let keys = facts.iter().map(|fact| Some((fact.key.0.as_str(), fact.key.1.as_str())));
    let (mut entries, mut block) = (Entries::default(), RowBlock::default());
    contest.enter(&key_batch(keys), times, 0, places, &mut entries);
    contest.compete(&mut entries, |row| facts[row as usize].is_deletion);
    contest.retain_leading(&mut entries);
    let entries = entries.facts();
    let encoded = block.encode_each(entries.len(), |index, row| {
        encode(facts[entries[index].row as usize], entries[index].times, row);
        Ok(())
    });
    encoded.unwrap();
    contest.fill(entries, &block);
}

/// A product answer in the oracle's words.
fn shown(answer: Result<&[u8], Absence>) -> Answer {
    let row = match answer {
        Ok(row) => row,
        Err(absence) if absence.status() == Status::Expired => return Answer::Expired,
        Err(_) => return Answer::NotFound,
    };
    let mut column = Column::with_capacity(String::new(), DataType::Int64, 1);
    column.push_row(&schema().read(row).unwrap(), 0).unwrap();
    match (column.status(0), column.values) {
        (Status::Null, _) => Answer::Null,
        (Status::Present, Values::I64(values)) => Answer::Value(values[0]),
        other => panic!("unexpected column {other:?}"),
    }
}

fn expected(world: &World, row: &(Option<String>, Option<String>, i64)) -> Answer {
    let (Some(first), Some(second), at) = row else { return Answer::NotFound };
    let question =
        Question { at: *at, known_by: world.known_by.unwrap_or(i64::MAX), ttl: world.ttl };
    oracle::answer(&world.facts, &(first.clone(), second.clone()), question)
}

thread_local! {
    /// The places of three threads, which go from one contest to the next.
    static PLACES: Cell<[Places; 3]> = Cell::default();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn slots_answer_like_the_oracle(
        world in worlds(),
        batch_facts in 1_usize..9,
        threads in prop::collection::vec(0..3_usize, 1..9),
    ) {
        let mut builder = SpineBuilder::default();
        let rows = world.spine.iter();
        let keys = rows.map(|(first, second, _)| first.as_deref().zip(second.as_deref()));
        let times: Vec<i64> = world.spine.iter().map(|(_, _, at)| *at).collect();
        builder.push(&key_batch(keys), &times).unwrap();
        let terms = Terms {
            ttl_micros: world.ttl,
            known_by: world.known_by.unwrap_or(i64::MAX),
            known: Known::Honor,
        };
        let contest = Contest::new(Arc::new(builder.build()), terms, schema());
        let facts: Vec<&Fact> = world.facts.iter().collect();
        let mut places = PLACES.with(Cell::take);
        for (batch, thread) in facts.chunks(batch_facts).zip(threads.iter().cycle()) {
            offer(&contest, batch, &mut places[*thread]);
        }
        PLACES.set(places);
        let answers = contest.finish(|_, _| {});
        for (index, row) in world.spine.iter().enumerate() {
            prop_assert_eq!(shown(answers.of_row(index)), expected(&world, row), "row {}", index);
        }
    }

    #[test]
    fn a_search_answers_like_the_oracle(world in worlds()) {
        let mut facts: Vec<(&Fact, Times, Vec<u8>)> = world.facts.iter().filter_map(|fact| {
            let times = Times { event: fact.event, known: fact.known? };
            let mut row = Vec::new();
            encode(fact, times, &mut row);
            Some((fact, times, row))
        }).collect();
        facts.sort_by(|a, b| rule::rank((b.1, &b.2), (a.1, &a.2)));
        for row in &world.spine {
            let (Some(first), Some(second), at) = row else { continue };
            let own = facts.iter().filter(|(fact, ..)| (&fact.key.0, &fact.key.1) == (first, second));
            let own = own.map(|(_, times, row)| (*times, row.as_slice()));
            let moment = Moment {
                at: *at,
                known_by: world.known_by.unwrap_or(i64::MAX),
                known: Known::Honor,
            };
            prop_assert_eq!(shown(rule::answer(own, moment, world.ttl)), expected(&world, row));
        }
    }
}
