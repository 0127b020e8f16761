//! Aggregates against the naive oracle: late, corrected and deleted facts in any order, in any
//! parts, stored and read again, with events that come and go: the same bits.

mod online;
mod oracle;
mod training;
mod world;

use std::borrow::Cow;
use std::collections::BTreeMap;

use hitherto_core::aggregate::function::Nulls::{Keep, Skip};
use hitherto_core::aggregate::{
    Basis, CurrentTime, Function, Input, Moments, Outcome, Place, Removal, State, SumType, Terms,
    Value, Version, Window, identity, versions,
};
use hitherto_core::definition::Known;
use hitherto_core::rule::{NEVER, Says};
use oracle::{Fact, Question};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// A fact of the product's that counts at some moments.
struct Counting<'a> {
    fact: &'a Fact,
    id: Vec<u8>,
    moments: Moments,
}

/// The ranges of all versions, as a training set has them.
fn ranges<'a>(facts: &'a [Fact], question: &Question) -> Vec<Counting<'a>> {
    let mut events: BTreeMap<(i64, Vec<u8>), Vec<&Fact>> = BTreeMap::new();
    for fact in facts {
        let mut id = Vec::new();
        identity::encode_part(&mut id, &Value::UInt(fact.id.into())).unwrap();
        events.entry((fact.event, id)).or_default().push(fact);
    }
    let known = if question.ignores_known { Known::Ignore } else { Known::Honor };
    let terms = Terms { known_by: question.known_by, known };
    let mut counting = Vec::new();
    for ((event, id), facts) in events {
        let mut chain: Vec<_> = facts.iter().map(|fact| version(fact)).collect();
        versions::sort(&mut chain);
        for (index, version) in chain.iter().enumerate().filter(|(_, version)| version.counts()) {
            let current = versions::current(&chain, index, terms);
            let moments = window(question).moments(event).zip(current);
            let Some(moments) = moments.and_then(|(window, current)| window.both(&current)) else {
                continue;
            };
            let is_it = |fact: &&&Fact| version.rank(&self::version(fact)).is_eq();
            let fact = facts.iter().find(is_it).expect("a version is of a fact");
            counting.push(Counting { fact, id: id.clone(), moments });
        }
    }
    counting
}

fn version(fact: &Fact) -> Version<'_> {
    Version {
        known: fact.known.unwrap_or(NEVER),
        says: if fact.is_deletion { Says::Deletion } else { Says::Values },
        passes: fact.passes,
        row: std::slice::from_ref(&fact.row),
    }
}

fn window(question: &Question) -> Window {
    Window {
        length: question.length,
        offset: question.offset,
        current_time: match question.excludes_current_time {
            true => CurrentTime::Excluded,
            false => CurrentTime::Counts,
        },
        ttl: question.ttl,
    }
}

impl Counting<'_> {
    fn show(&self, show: impl FnOnce(&Input<'_>)) {
        let known = self.fact.known.unwrap_or(NEVER);
        let place = Place { event: self.fact.event, known, id: &self.id };
        show(&Input { value: &self.fact.value, by: &Value::Int(self.fact.by), place });
    }
}

fn add(state: &mut State, counting: &Counting<'_>) {
    counting.show(|input| state.add(input).unwrap());
}

fn bytes(state: &State) -> Vec<u8> {
    let mut out = Vec::new();
    state.encode(&mut out);
    out
}

/// Adds the events in one go.
fn straight(function: Function, counting: &[Counting<'_>]) -> State {
    let mut state = State::new(function.form());
    counting.iter().for_each(|counting| add(&mut state, counting));
    state
}

/// Adds the events from behind to parts, some to two of them where that is allowed, and some
/// that do not count, which are taken out again; stores the parts, reads and merges them.
fn roundabout(function: Function, counting: &[Counting<'_>], others: &[Counting<'_>]) -> State {
    let form = function.form();
    let mut parts: Vec<State> = (0..5).map(|_| State::new(form)).collect();
    for (number, counting) in counting.iter().enumerate().rev() {
        add(&mut parts[number * number % 5], counting);
        if !form.is_invertible() {
            add(&mut parts[(number + 1) % 5], counting);
        }
    }
    if form.is_invertible() {
        for (number, other) in others.iter().enumerate() {
            add(&mut parts[number % 5], other);
            // Whoever takes away need not be who added.
            other.show(|input| {
                assert_eq!(parts[number % 3].remove(input).unwrap(), Removal::Done);
            });
        }
    }
    let mut read = parts.iter().map(|part| {
        let bytes = bytes(part);
        let mut rest = &*bytes;
        let again = State::decode(form, &mut rest).unwrap();
        assert!(rest.is_empty(), "a state says where it ends");
        again
    });
    let [a, b, c, d, e] = std::array::from_fn(|_| read.next().unwrap());
    let (mut left, mut right) = (e, b);
    left.merge(&a);
    right.merge(&State::new(form));
    right.merge(&d);
    right.merge(&c);
    left.merge(&right);
    left
}

/// Answers as text with all bits.
fn shown(outcome: &Outcome) -> String {
    let bits = |value: &Value<'_>| match value {
        Value::Float(number) => format!("{number:?} {:016x}", number.to_bits()),
        other => format!("{other:?}"),
    };
    match outcome {
        Outcome::Value(value) => bits(value),
        Outcome::List(values) => format!("{:?}", values.iter().map(bits).collect::<Vec<_>>()),
        Outcome::Absent(reason) => reason.name().into(),
    }
}

fn check(functions: &[Function], facts: &[Fact], question: Question) {
    let expected = oracle::counting(facts, question);
    let is_at = |counting: &Counting<'_>| counting.moments.contains(question.at);
    let (counting, others): (Vec<_>, Vec<_>) =
        ranges(facts, &question).into_iter().partition(is_at);
    assert_eq!(counting.len(), expected.len(), "who counts at {question:?} of {facts:?}");
    for fact in &expected {
        let found = window(&question).events(question.at);
        assert!(found.is_some_and(|times| times.contains(fact.event)), "{fact:?}");
    }
    for function in functions {
        function.check().unwrap();
        let states = [straight(*function, &counting), roundabout(*function, &counting, &others)];
        assert_eq!(bytes(&states[0]), bytes(&states[1]), "{function:?} of {expected:?}");
        let answers = states.map(|state| shown(&state.finish(function, question.at).unwrap()));
        assert_eq!(answers[0], answers[1]);
        let by_oracle = shown(&oracle::answer(&expected, *function, question.at));
        assert_eq!(answers[0], by_oracle, "{function:?} of {expected:?}");
    }
}

/// Functions of values of any type.
fn of_anything() -> Vec<Function> {
    vec![
        Function::Count,
        Function::Min,
        Function::Max,
        Function::MinBy,
        Function::MaxBy,
        Function::First(Skip),
        Function::First(Keep),
        Function::Last(Skip),
        Function::Last(Keep),
        Function::FirstN { n: 3, nulls: Skip },
        Function::LastN { n: 3, nulls: Keep },
        Function::LastN { n: 1_000, nulls: Skip },
        Function::LastNDistinct { n: 2 },
        Function::MinN { n: 3 },
        Function::MaxN { n: 3 },
        Function::CountDistinct { limit: 100 },
        Function::Mode { limit: 100 },
        Function::TopK { k: 2, limit: 100 },
        Function::SecondsSinceFirst,
        Function::SecondsSinceLast,
    ]
}

fn quantiles() -> impl Iterator<Item = Function> {
    let of = |(bits, millionths)| Function::ApproxQuantile { scale: 0, bits, millionths };
    [(7, 500_000), (5, 0), (10, 1_000_000), (7, 70_000)].into_iter().map(of)
}

fn times() -> impl Strategy<Value = i64> {
    let edges = vec![i64::MIN, i64::MIN + 1, i64::MAX - 2, i64::MAX - 1];
    prop_oneof![9 => -6..20_i64, 1 => select(edges)]
}

/// Facts of few identities, so that they correct each other.
fn facts(value: BoxedStrategy<Value<'static>>) -> impl Strategy<Value = Vec<Fact>> {
    let value = prop_oneof![1 => Just(Value::Null), 5 => value];
    let known = prop_oneof![1 => Just(None), 9 => times().prop_map(Some)];
    let flags = (prop::bool::weighted(0.15), prop::bool::weighted(0.9));
    let fact = (times(), 0..3_u8, known, flags, value, -2..3_i64, 0..200_u8);
    let fact = fact.prop_map(|(event, id, known, (is_deletion, passes), value, by, row)| Fact {
        event,
        id,
        known,
        is_deletion,
        passes,
        value,
        by,
        row,
    });
    // Equal facts are one; others of one identity and known time differ in their rows.
    vec(fact, 0..40).prop_map(|mut facts| {
        let mut seen = std::collections::BTreeSet::new();
        facts.retain(|fact| {
            seen.insert((fact.event, fact.id, fact.known, fact.is_deletion, fact.row))
        });
        facts
    })
}

fn questions() -> impl Strategy<Value = Question> {
    let length = prop_oneof![
        Just(None),
        (1..12_i64).prop_map(Some),
        select(vec![i64::MAX, i64::MAX - 3]).prop_map(Some)
    ];
    let ttl = prop_oneof![3 => Just(None), 1 => (0..9_i64).prop_map(Some)];
    let offset = prop_oneof![4 => Just(0), 2 => 1..6_i64, 1 => Just(i64::MAX)];
    let at = prop_oneof![9 => -4..25_i64, 1 => select(vec![i64::MIN, i64::MAX - 1])];
    let known_by = prop_oneof![2 => Just(i64::MAX), 1 => 0..20_i64];
    let flags = (prop::bool::weighted(0.2), prop::bool::weighted(0.2));
    (at, known_by, length, offset, ttl, flags).prop_map(
        |(at, known_by, length, offset, ttl, flags)| {
            let (ignores_known, excludes_current_time) = flags;
            Question { at, known_by, ignores_known, length, offset, excludes_current_time, ttl }
        },
    )
}

fn floats() -> BoxedStrategy<Value<'static>> {
    let odd = vec![
        0.0, -0.0, 1.0, -1.0, 0.1, 1e300, -1e300, 1e-300, 5e-324, -5e-324, 1e-310, 9e15, 1.5e-7,
    ];
    let special = vec![f64::NAN, -f64::NAN, f64::INFINITY, f64::NEG_INFINITY];
    prop_oneof![12 => select(odd), 1 => select(special), 6 => -1e6..1e6_f64]
        .prop_map(Value::Float)
        .boxed()
}

fn texts() -> BoxedStrategy<Value<'static>> {
    let texts = vec!["", "a", "ab", "a\0", "a\0b", "\0", "ÿ", "visa"];
    let to_value = |text: &'static str| Value::Bytes(Cow::Borrowed(text.as_bytes()));
    select(texts).prop_map(to_value).boxed()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn floats_answer_as_the_oracle(facts in facts(floats()), question in questions()) {
        let sum = Function::Sum { scale: 0, output: SumType::Float64 };
        let functions = of_anything().into_iter().chain(quantiles()).chain([sum]);
        check(&functions.collect::<Vec<_>>(), &facts, question);
    }

    #[test]
    fn integers_answer_as_the_oracle(
        facts in facts(prop_oneof![9 => -50..50_i64, 1 => Just(1 << 40)].prop_map(Value::Int).boxed()),
        question in questions(),
    ) {
        let functions = of_anything().into_iter().chain(quantiles()).chain([
            Function::Sum { scale: 0, output: SumType::Int64 },
            Function::Mean { scale: 0 },
        ]);
        check(&functions.collect::<Vec<_>>(), &facts, question);
    }

    #[test]
    fn small_integers_have_the_oracles_variance(
        facts in facts((-50..50_i64).prop_map(Value::Int).boxed()),
        question in questions(),
    ) {
        let of = |of| Function::Variance { scale: 0, of };
        check(&[of(Basis::Sample), of(Basis::Population)], &facts, question);
    }

    #[test]
    fn a_sum_beyond_its_type_is_absent_and_comes_back(
        facts in facts(select(vec![i64::MAX, i64::MIN, 1, -1]).prop_map(Value::Int).boxed()),
        question in questions(),
    ) {
        check(&[Function::Sum { scale: 0, output: SumType::Int64 }], &facts, question);
    }

    #[test]
    fn texts_answer_as_the_oracle(facts in facts(texts()), question in questions()) {
        check(&of_anything(), &facts, question);
    }

    #[test]
    fn bools_answer_as_the_oracle(
        facts in facts(any::<bool>().prop_map(Value::Bool).boxed()),
        question in questions(),
    ) {
        let functions = of_anything().into_iter().chain([Function::Any, Function::All]);
        check(&functions.collect::<Vec<_>>(), &facts, question);
    }

    /// More values than are told apart: the limit, or none, whatever was taken out meanwhile.
    #[test]
    fn more_values_than_the_limit(facts in facts((0..9_i64).prop_map(Value::Int).boxed()),
        question in questions())
    {
        let expected = oracle::counting(&facts, question);
        let mut counting = ranges(&facts, &question);
        counting.retain(|counting| counting.moments.contains(question.at));
        let limit = 3;
        let functions = [
            Function::CountDistinct { limit },
            Function::Mode { limit },
            Function::TopK { k: 2, limit },
        ];
        for function in functions {
            let states = [straight(function, &counting), roundabout(function, &counting, &[])];
            for state in &states {
                let answer = shown(&state.finish(&function, question.at).unwrap());
                prop_assert_eq!(answer, shown(&oracle::answer(&expected, function, question.at)));
            }
            prop_assert_eq!(bytes(&states[0]), bytes(&states[1]));
        }
    }

    /// Whatever their size: bits of states do not depend on order, parts or what came and went.
    #[test]
    fn states_of_any_floats_have_one_form(bits in vec(any::<u64>(), 0..60)) {
        let value = |bits: &u64| Value::Float(f64::from_bits(*bits));
        let facts: Vec<Fact> = bits.iter().enumerate().map(|(number, bits)| Fact {
            event: number as i64,
            id: 0,
            known: Some(0),
            is_deletion: false,
            passes: true,
            value: value(bits),
            by: 0,
            row: 0,
        }).collect();
        let ends = |facts: &[Fact]| facts.len() as i64 - 1;
        let question = Question {
            at: ends(&facts),
            known_by: i64::MAX,
            ignores_known: false,
            length: Some(20),
            offset: 0,
            excludes_current_time: false,
            ttl: None,
        };
        let is_at = |counting: &Counting<'_>| counting.moments.contains(question.at);
        let (counting, others): (Vec<_>, Vec<_>) =
            ranges(&facts, &question).into_iter().partition(is_at);
        let spread = Function::Stddev { scale: 0, of: Basis::Sample };
        let distinct = Function::ApproxCountDistinct { precision: 4 };
        for function in [spread, distinct].into_iter().chain(quantiles()) {
            let straight = straight(function, &counting);
            let roundabout = roundabout(function, &counting, &others);
            prop_assert_eq!(bytes(&straight), bytes(&roundabout));
        }
    }
}
