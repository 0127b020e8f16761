use std::borrow::Cow;

use super::function::Nulls::{Keep, Skip};
use super::*;
use crate::Kind;
use crate::definition::Known;
use crate::rule::{NEVER, Says};

fn float(number: f64) -> Value<'static> {
    Value::Float(number)
}

fn text(text: &'static str) -> Value<'static> {
    Value::Bytes(Cow::Borrowed(text.as_bytes()))
}

/// Event `number` happened at `number`, was known one later, and has its number as id.
fn show(number: i64, value: &Value<'_>, show: impl FnOnce(&Input<'_>)) {
    let id = [number as u8];
    let place = Place { event: number, known: number + 1, id: &id };
    show(&Input { value, by: &Value::Int(-number), place });
}

fn state_of(function: Function, values: &[Value<'_>]) -> State {
    let mut state = State::new(function.form());
    for (number, value) in values.iter().enumerate() {
        show(number as i64, value, |input| state.add(input).unwrap());
    }
    state
}

fn bytes(state: &State) -> Vec<u8> {
    let mut out = Vec::new();
    state.encode(&mut out);
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// States of every form, each with events and one null.
fn states() -> Vec<(Function, State, &'static str)> {
    let floats = || [float(1.5), Value::Null, float(-0.25), float(1e300), float(f64::NAN)];
    let texts = || [text("b"), Value::Null, text("a\0"), text("b")];
    let many: Vec<Value<'static>> = (0..40).map(Value::Int).collect();
    let count = 1_000;
    let of =
        |function, values: &[Value<'_>], golden| (function, state_of(function, values), golden);
    vec![
        of(Function::Count, &floats(), GOLDEN[0]),
        of(Function::Mean { scale: 0 }, &floats(), GOLDEN[1]),
        of(Function::Stddev { scale: 0, of: Basis::Sample }, &many, GOLDEN[2]),
        of(Function::Any, &[Value::Bool(true), Value::Null, Value::Bool(false)], GOLDEN[3]),
        of(Function::Mode { limit: count }, &texts(), GOLDEN[4]),
        of(Function::Mode { limit: 1 }, &texts(), GOLDEN[5]),
        of(Function::ApproxQuantile { scale: 0, bits: 7, millionths: 1 }, &floats(), GOLDEN[6]),
        of(Function::ApproxCountDistinct { precision: 11 }, &texts(), GOLDEN[7]),
        of(Function::ApproxCountDistinct { precision: 4 }, &many, GOLDEN[8]),
        of(Function::Min, &floats(), GOLDEN[9]),
        of(Function::MaxBy, &texts(), GOLDEN[10]),
        of(Function::Last(Keep), &floats(), GOLDEN[11]),
        of(Function::LastNDistinct { n: 2 }, &texts(), GOLDEN[12]),
        of(Function::MaxN { n: 2 }, &texts(), GOLDEN[13]),
    ]
}

/// What is stored stays what it was: a change here is another format.
const GOLDEN: [&str; 14] = [
    // tag, nulls, count
    "010208",
    // tag, nulls, count, one NaN; 17 limbs from 2^-64 up to where 1e300 is
    "02020802000011ff000000000000004001000000000000000000000000000000000000000000000000000000\
     0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000\
     0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000\
     00009c7500883ce417000000",
    // tag, nulls, count, no specials; 780 in one limb; 20,540 in one limb
    "03005000000001000c0300000000000001003c50000000000000",
    // tag, nulls, false, true
    "04020202",
    // tag, nulls, held; two values: once, twice
    "05020002066100ff0000020662000004",
    // tag, nulls, cut
    "050201",
    // tag, nulls, four buckets: step, once
    "060204ff820802c1fc0f02ffe30702811c02",
    // tag, nulls, few: two of them
    "070200025e01f30e01",
    // tag, nulls, all: sixteen of them
    "07000104020106030503010204010202010006",
    // tag, nulls, one; value
    "0802010905402fffffffffffff00",
    // tag, nulls, one; other column | place; value
    "0802011a02800000000000000080000000000000008000000000000001000406620000",
    // tag, none passed over, one; place; value
    "0800011180000000000000048000000000000005040905fff8000000000000",
    // tag, nulls, two; place; value; place; value
    "0802021180000000000000038000000000000004030406620000118000000000000002800000000000000302\
     06066100ff0000",
    // tag, nulls, two; value | place; value | place
    "0802021506620000800000000000000380000000000000040300150662000080000000000000008000000000\
     0000010000",
];

#[test]
fn bytes_of_states_are_pinned() {
    let mine: Vec<String> = states().iter().map(|(_, state, _)| hex(&bytes(state))).collect();
    assert_eq!(mine, GOLDEN, "{mine:#?}");
}

#[test]
fn a_state_comes_back_and_says_where_it_ends() {
    for (function, state, _) in states() {
        let mut stored = bytes(&state);
        let length = stored.len();
        stored.extend_from_slice(b"more");
        let mut rest = &*stored;
        let again = State::decode(function.form(), &mut rest).unwrap();
        assert_eq!(rest, b"more", "{function:?}");
        assert_eq!(bytes(&again), stored[..length], "{function:?}");
        let answer = |state: &State| format!("{:?}", state.finish(&function, 7));
        assert_eq!(answer(&again), answer(&state));
        let mut both = State::new(function.form());
        both.merge(&again);
        assert_eq!(bytes(&both), stored[..length], "merged with nothing");
    }
}

/// Every bit turned, every length cut, and every pair of forms.
#[test]
fn damaged_bytes_are_corrupt_or_another_state() {
    for (function, state, _) in states() {
        let sound = bytes(&state);
        for length in 0..sound.len() {
            let error = State::decode(function.form(), &mut &sound[..length]).unwrap_err();
            assert_eq!(error.kind(), Kind::Corrupt);
        }
        for bit in 0..8 * sound.len() {
            let mut damaged = sound.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let mut rest = &*damaged;
            // It may be the bytes of another state. Then it is one: canonical, and usable.
            let Ok(mut other) = State::decode(function.form(), &mut rest) else { continue };
            let read = &damaged[..damaged.len() - rest.len()];
            assert_eq!(bytes(&other), read, "{function:?}, bit {bit}");
            let _ = other.finish(&function, i64::MIN);
            other.merge(&state);
            let _ = other.finish(&function, i64::MAX);
        }
        for (foreign, _, _) in states() {
            if bytes(&State::new(foreign.form()))[0] != sound[0] {
                assert!(State::decode(foreign.form(), &mut &*sound).is_err());
            }
        }
    }
}

#[test]
fn what_bytes_claim_is_not_allocated() {
    let huge = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01];
    for (tag, function) in [
        (5, Function::Mode { limit: 65_536 }),
        (6, Function::ApproxQuantile { scale: 0, bits: 7, millionths: 0 }),
        (7, Function::ApproxCountDistinct { precision: 16 }),
        (8, Function::LastN { n: 1_000, nulls: Skip }),
    ] {
        let claims = [&[tag, 0][..], &huge, &huge].concat();
        assert!(State::decode(function.form(), &mut &*claims).is_err());
        let claims = [&[tag, 0, 0][..], &huge, &huge].concat();
        // An empty list, and the rest is somebody else's, or refused.
        let _ = State::decode(function.form(), &mut &*claims);
    }
}

const MINUTE: i64 = 60_000_000;

/// The example of the design: a purchase known late, one corrected, one reversed.
#[test]
fn an_hour_of_purchases() {
    // Minutes after 09:00: event, known, amount; a reversal has none.
    let facts = [
        ("a", 0, 0, Some(10.0)),
        ("b", 20, 50, Some(20.0)),
        ("b", 20, 70, Some(2.0)),
        ("c", 40, 40, Some(40.0)),
        ("c", 40, 65, None),
        ("d", 60, 60, Some(5.0)),
    ];
    let expected = [
        (0, i64::MAX, "10.0 1 10.0"),
        (45, i64::MAX, "50.0 2 40.0"),
        (50, i64::MAX, "70.0 3 40.0"),
        (60, i64::MAX, "65.0 3 40.0"),
        (65, i64::MAX, "25.0 2 20.0"),
        (70, i64::MAX, "7.0 2 5.0"),
        (80, i64::MAX, "5.0 1 5.0"),
        (120, i64::MAX, "empty_window 0 empty_window"),
        (80, 60, "45.0 2 40.0"),
        (65, 60, "65.0 3 40.0"),
    ];
    let window = Window {
        length: Some(60 * MINUTE),
        offset: 0,
        current_time: CurrentTime::Counts,
        ttl: None,
    };
    let functions =
        [Function::Sum { scale: 0, output: SumType::Float64 }, Function::Count, Function::Max];
    for (at, known_by, answers) in expected {
        let terms = Terms { known_by: MINUTE.saturating_mul(known_by), known: Known::Honor };
        let mut states = functions.map(|function| State::new(function.form()));
        for id in ["a", "b", "c", "d"] {
            let amounts = facts.map(|(_, _, _, amount)| amount.map_or(Value::Null, Value::Float));
            let versions_of = facts.iter().zip(&amounts).filter(|((name, ..), _)| *name == id);
            let mut chain = Vec::new();
            for ((_, event, known, amount), value) in versions_of {
                let says = if amount.is_some() { Says::Values } else { Says::Deletion };
                chain.push((
                    event * MINUTE,
                    value,
                    Version { known: known * MINUTE, says, passes: true, row: &[] },
                ));
            }
            let mut sorted: Vec<_> = chain.iter().map(|(_, _, version)| *version).collect();
            versions::sort(&mut sorted);
            for (event, value, version) in chain {
                let index = sorted.iter().position(|other| *other == version).unwrap();
                let current = versions::current(&sorted, index, terms);
                let moments = window.moments(event).unwrap();
                let is_now = current
                    .and_then(|current| current.both(&moments))
                    .is_some_and(|both| both.contains(at * MINUTE));
                if version.counts() && is_now {
                    let place = Place { event, known: version.known, id: id.as_bytes() };
                    let input = Input { value, by: &Value::Null, place };
                    states.iter_mut().for_each(|state| state.add(&input).unwrap());
                }
            }
        }
        let mut shown = Vec::new();
        for (state, function) in states.iter().zip(&functions) {
            shown.push(match state.finish(function, at * MINUTE).unwrap() {
                Outcome::Value(Value::Float(number)) => format!("{number:?}"),
                Outcome::Value(Value::Int(number)) => format!("{number}"),
                Outcome::Absent(reason) => reason.name().into(),
                other => panic!("{other:?}"),
            });
        }
        assert_eq!(shown.join(" "), answers, "at {at}, K = {known_by}");
    }
}

#[test]
fn windows_end_where_they_should_at_the_ends_of_time() {
    let window =
        |length, offset| Window { length, offset, current_time: CurrentTime::Counts, ttl: None };
    let range = |first, last| Some(Moments { first, last });
    assert_eq!(window(Some(10), 0).moments(5), range(5, 14));
    assert_eq!(window(Some(10), 3).moments(5), range(8, 17));
    assert_eq!(window(Some(1), 0).moments(i64::MAX), range(i64::MAX, i64::MAX));
    assert_eq!(window(Some(10), 1).moments(i64::MAX), None, "after every moment");
    assert_eq!(window(Some(i64::MAX), 0).moments(i64::MIN), range(i64::MIN, -2));
    assert_eq!(window(None, 0).moments(i64::MIN), Some(Moments::ALL));
    assert_eq!(window(None, i64::MAX).moments(i64::MIN), range(-1, i64::MAX));
    assert_eq!(window(Some(10), 0).events(i64::MIN), range(i64::MIN, i64::MIN));
    assert_eq!(window(Some(10), 1).events(i64::MIN), None, "before every event");
    let excluded = Window { current_time: CurrentTime::Excluded, ..window(Some(1), 0) };
    assert_eq!(excluded.moments(5), None, "one microsecond, and not that one");
    let bounded = Window { ttl: Some(4), ..window(None, 0) };
    assert_eq!(bounded.moments(5), range(5, 9));
}

#[test]
fn versions_divide_the_moments_among_them() {
    let version = |known, says, row| Version { known, says, passes: true, row };
    let (values, deletion) = (Says::Values, Says::Deletion);
    let mut chain = vec![
        version(NEVER, values, b"z"),
        version(20, values, b"c"),
        version(10, values, b"b"),
        version(10, values, b"a"),
        version(20, values, b"c"),
        version(20, deletion, b""),
    ];
    versions::sort(&mut chain);
    let current = |terms| -> Vec<Option<Moments>> {
        (0..chain.len()).map(|index| versions::current(&chain, index, terms)).collect()
    };
    let range = |first, last| Some(Moments { first, last });
    let known = |known_by| current(Terms { known_by, known: Known::Honor });
    assert_eq!(known(i64::MAX), [None, range(10, 19), None, range(20, i64::MAX), None]);
    assert_eq!(known(19), [None, range(10, i64::MAX), None, None, None]);
    assert_eq!(known(9), [None; 5]);
    let ignored = current(Terms { known_by: 9, known: Known::Ignore });
    assert_eq!(ignored, [None, None, None, None, Some(Moments::ALL)]);
}

#[test]
fn an_id_is_its_values_in_their_order() {
    let id = |values: &[Value<'_>]| {
        let mut out = Vec::new();
        values.iter().for_each(|value| identity::encode_part(&mut out, value).unwrap());
        out
    };
    assert_ne!(id(&[text("a"), text("bc")]), id(&[text("ab"), text("c")]));
    assert_ne!(id(&[Value::Null, text("")]), id(&[text(""), Value::Null]));
    assert_eq!(id(&[float(0.0), float(f64::NAN)]), id(&[float(-0.0), float(-f64::NAN)]));
    let ascending = [
        Value::Null,
        Value::Bool(false),
        Value::Bool(true),
        Value::Int(i64::MIN),
        Value::Int(-1),
        Value::Int(0),
        Value::UInt(0),
        Value::UInt(u64::MAX),
        Value::Decimal(i128::MIN),
        Value::Decimal(1),
        float(f64::NEG_INFINITY),
        float(-1.0),
        float(-5e-324),
        float(0.0),
        float(1e-300),
        float(f64::INFINITY),
        float(f64::NAN),
        text(""),
        text("\0"),
        text("\0\0"),
        text("a"),
        text("a\0"),
        text("ab"),
    ];
    let ids: Vec<_> = ascending.iter().map(|value| id(std::slice::from_ref(value))).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    let long = Value::Bytes(Cow::Owned(vec![1; crate::limits::EVENT_ID_BYTES_MAX]));
    let error = identity::encode_part(&mut Vec::new(), &long).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains("source.id"), "{error}");
}

#[test]
fn a_state_that_was_cut_answers_until_something_is_taken_out() {
    let function = Function::CountDistinct { limit: 2 };
    let mut state = state_of(function, &[Value::Int(1), Value::Int(2), Value::Int(3)]);
    assert_eq!(state.finish(&function, 0), Ok(Outcome::Value(Value::Int(2))));
    let mut minus = State::new(function.form());
    show(0, &Value::Int(1), |input| {
        assert_eq!(minus.remove(input).unwrap(), Removal::Done, "somebody else added it");
        assert_eq!(state.clone().remove(input).unwrap(), Removal::Rebuild);
    });
    let mut other = minus.clone();
    other.merge(&state);
    state.merge(&minus);
    assert_eq!(state.finish(&function, 0), Err(Lost));
    assert_eq!(other.finish(&function, 0), Err(Lost));
    assert_eq!(state.finish(&Function::Mode { limit: 2 }, 0), Err(Lost));
}

#[test]
fn one_state_answers_all_functions_that_it_has_what_for() {
    let values = [float(1.0), float(2.0), Value::Null, float(4.0)];
    let state = state_of(Function::Stddev { scale: 0, of: Basis::Sample }, &values);
    let read = |function| state.finish(&function, 0).unwrap();
    assert_eq!(read(Function::Count), Outcome::Value(Value::Int(3)));
    let sum = Function::Sum { scale: 0, output: SumType::Float64 };
    assert_eq!(read(sum), Outcome::Value(float(7.0)));
    assert_eq!(read(Function::Mean { scale: 0 }), Outcome::Value(float(7.0 / 3.0)));
    let nothing = State::new(Function::Count.form());
    assert_eq!(nothing.finish(&Function::Count, 0), Ok(Outcome::Value(Value::Int(0))));
}

#[test]
fn a_value_that_does_not_belong_is_refused() {
    let mut sum = State::new(Function::Mean { scale: 0 }.form());
    show(0, &text("1"), |input| assert_eq!(sum.add(input).unwrap_err().kind(), Kind::Internal));
    assert_eq!(bytes(&sum), bytes(&State::new(sum.form())), "and leaves nothing behind");
    let long = Value::Bytes(Cow::Owned(vec![b'x'; 1_025]));
    for function in [Function::Mode { limit: 9 }, Function::LastN { n: 2, nulls: Skip }] {
        let mut state = State::new(function.form());
        show(0, &long, |input| assert_eq!(state.add(input).unwrap_err().kind(), Kind::Invalid));
    }
    let mut last = State::new(Function::Last(Skip).form());
    show(0, &long, |input| last.add(input).unwrap());
    assert_eq!(last.finish(&Function::Last(Skip), 0), Ok(Outcome::Value(long.clone())));
}

#[test]
fn numbers_of_functions_have_a_range() {
    let refused = [
        Function::LastN { n: 0, nulls: Skip },
        Function::MaxN { n: 1_001 },
        Function::TopK { k: 101, limit: 1_000 },
        Function::TopK { k: 1, limit: 65_537 },
        Function::CountDistinct { limit: 0 },
        Function::ApproxCountDistinct { precision: 3 },
        Function::ApproxQuantile { scale: 0, bits: 11, millionths: 0 },
        Function::ApproxQuantile { scale: 0, bits: 7, millionths: 1_000_001 },
    ];
    for function in refused {
        assert_eq!(function.check().unwrap_err().kind(), Kind::Invalid, "{function:?}");
    }
}

/// 1.04 / sqrt(2^11) is a standard deviation of 2.3 %.
#[test]
fn an_approximate_count_is_within_its_error() {
    let function = Function::ApproxCountDistinct { precision: 11 };
    let (mut worst, mut squares) = (0_f64, 0.0);
    for stream in 0..100_i64 {
        let count = 10 + 500 * stream;
        let mut state = State::new(function.form());
        for number in 0..count {
            let value = Value::Int(stream << 32 | number);
            show(0, &value, |input| state.add(input).unwrap());
        }
        let Ok(Outcome::Value(Value::Int(estimate))) = state.finish(&function, 0) else {
            panic!("an estimate is a whole number");
        };
        let error = (estimate - count) as f64 / count as f64;
        worst = worst.max(error.abs());
        squares += error * error;
    }
    assert!(worst < 3.5 * 0.023 && (squares / 100.0).sqrt() < 0.028, "{worst} {squares}");
}

#[test]
fn a_quantile_is_the_middle_of_its_bucket() {
    let quantile = |values: &[f64], millionths| {
        let function = Function::ApproxQuantile { scale: 0, bits: 7, millionths };
        let values: Vec<_> = values.iter().copied().map(float).collect();
        match state_of(function, &values).finish(&function, 0).unwrap() {
            Outcome::Value(Value::Float(number)) => number,
            other => panic!("{other:?}"),
        }
    };
    let (middle, specials) = (1.00390625, [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0]);
    assert_eq!(quantile(&[1.0], 500_000), middle);
    assert_eq!(quantile(&[-1.0], 500_000), -middle);
    assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 500_000), 2.0 * middle);
    assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 500_001), 3.0078125, "rank 3");
    assert_eq!(quantile(&specials, 250_000), f64::NEG_INFINITY);
    assert_eq!(quantile(&specials, 500_000), 0.0);
    assert_eq!(quantile(&specials, 750_000), f64::INFINITY);
    assert!(quantile(&specials, 1_000_000).is_nan());
    assert_eq!(quantile(&[-5e-324], 0), 0.0);
}
