//! Expressions over a few rows, with all their values, and what is refused.

use std::sync::Arc;

use ::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float32Array, Float64Array,
    Int32Array, Int64Array, ListArray, StringArray, TimestampMicrosecondArray, UInt64Array,
};
use ::arrow::datatypes::{Float32Type, Int64Type};
use ::arrow::util::display::{ArrayFormatter, FormatOptions};
use hitherto_api::arrow::from_arrow;
use hitherto_core::definition::{Metadata, OnDemandFeature, OnDemandView};
use hitherto_core::expression::{Reason, Reasons};
use proptest::prelude::*;

use super::*;

/// Four rows of everything, of which the last is null.
fn columns() -> Vec<(Option<&'static str>, &'static str, ArrayRef)> {
    let lists = [Some(vec![Some(3.0), Some(4.0)]), Some(vec![Some(1.0)]), Some(vec![]), None];
    let lists = ListArray::from_iter_primitive::<Float32Type, _, _>(lists);
    let other = [Some(vec![Some(4.0), Some(3.0)]), Some(vec![None]), Some(vec![]), None];
    let other = ListArray::from_iter_primitive::<Float32Type, _, _>(other);
    let times = [0, 90_061_000_000, -1, 0].map(Some);
    let times = TimestampMicrosecondArray::from(times.to_vec()).with_timezone("UTC");
    let decimals = Decimal128Array::from(vec![Some(150), Some(-5), Some(0), None]);
    let decimals = decimals.with_precision_and_scale(10, 2).unwrap();
    let text = StringArray::from(vec![Some("Ab c"), Some(""), Some("12"), None]);
    vec![
        (Some("v"), "i", Arc::new(Int64Array::from(vec![Some(7), Some(-3), Some(i64::MAX), None]))),
        (Some("v"), "j", Arc::new(Int64Array::from(vec![Some(2), Some(0), Some(1), Some(5)]))),
        (Some("v"), "n", Arc::new(Int32Array::from(vec![Some(1), Some(i32::MIN), Some(3), None]))),
        (Some("v"), "u", Arc::new(UInt64Array::from(vec![Some(1), Some(u64::MAX), Some(3), None]))),
        (
            Some("v"),
            "f",
            Arc::new(Float64Array::from(vec![Some(2.5), Some(-0.0), Some(f64::NAN), None])),
        ),
        (Some("v"), "g", Arc::new(Float32Array::from(vec![Some(0.1), Some(2.0), Some(3.0), None]))),
        (
            Some("v"),
            "b",
            Arc::new(BooleanArray::from(vec![Some(true), Some(false), Some(true), None])),
        ),
        (Some("v"), "s", Arc::new(text)),
        (Some("v"), "t", Arc::new(times)),
        (Some("v"), "d", Arc::new(decimals)),
        (Some("v"), "l", Arc::new(lists)),
        (Some("w"), "l", Arc::new(other)),
        (Some("w"), "total", Arc::new(Float64Array::from(vec![1.0, 2.0, 3.0, 4.0]))),
        (
            None,
            "amount",
            Arc::new(Float64Array::from(vec![Some(10.0), Some(0.0), Some(-1.0), None])),
        ),
    ]
}

fn readable() -> Vec<Readable> {
    let readable = columns().into_iter().map(|(view, name, array)| Readable {
        view: view.map(str::to_owned),
        name: name.to_owned(),
        data_type: from_arrow(array.data_type()).unwrap(),
    });
    readable.collect()
}

fn compiled(expr: &str, data_type: &str) -> std::result::Result<Expressions, String> {
    compiled_over(expr, data_type, &readable())
}

fn compiled_over(
    expr: &str,
    data_type: &str,
    readable: &[Readable],
) -> std::result::Result<Expressions, String> {
    let feature = OnDemandFeature {
        name: String::from("x"),
        data_type: data_type.parse().unwrap(),
        expr: expr.to_owned(),
        description: String::new(),
        default: None,
    };
    let view = OnDemandView {
        metadata: Metadata { name: String::from("test"), ..Metadata::default() },
        entities: Vec::new(),
        request: Vec::new(),
        inputs: Vec::new(),
        features: vec![feature],
    };
    Expressions::compile(&view, readable).map_err(|refused| refused[0].1.chain())
}

/// Rows `rows` of what an expression gives.
fn computed(expressions: &Expressions, rows: std::ops::Range<usize>) -> Computed {
    let moments = TimestampMicrosecondArray::from(vec![3_600_000_000; 4]).with_timezone("UTC");
    let moments: ArrayRef = Arc::new(moments);
    let all = columns();
    let columns = expressions.reads(0).iter().map(|read| match read {
        Read::Column(index) => all[*index].2.slice(rows.start, rows.len()),
        Read::Time => moments.slice(rows.start, rows.len()),
    });
    expressions.compute(0, columns.collect(), rows.len()).unwrap()
}

fn shown(values: &ArrayRef) -> Vec<String> {
    let options = FormatOptions::default().with_null("-");
    let formatter = ArrayFormatter::try_new(values, &options).unwrap();
    (0..values.len()).map(|row| formatter.value(row).to_string()).collect()
}

/// Expressions with their type and values of the four rows.
const VALUES: &[(&str, &str, &str)] = &[
    // Integers that overflow and division by zero are null.
    ("i + j", "int64", "9 -3 - -"),
    ("i - 1", "int64", "6 -4 9223372036854775806 -"),
    ("i * j", "int64", "14 0 9223372036854775807 -"),
    ("i / j", "int64", "3 - 9223372036854775807 -"),
    ("i % j", "int64", "1 - 0 -"),
    ("-n", "int32", "-1 - -3 -"),
    ("n * 2", "int64", "2 -4294967296 6 -"),
    ("CAST(n * 2 AS INT)", "int32", "2 - 6 -"),
    ("u + u", "uint64", "2 - 6 -"),
    ("d * d", "decimal128(21, 4)", "2.2500 0.0025 0.0000 -"),
    ("CAST(d / d AS DOUBLE)", "float64", "1.0 1.0 - -"),
    ("CAST(d AS DECIMAL(3, 2))", "decimal128(3, 2)", "1.50 -0.05 0.00 -"),
    // Floating point is IEEE's.
    ("amount / v.f", "float64", "4.0 NaN NaN -"),
    ("v.i / v.f", "float64", "2.8 inf NaN -"),
    ("amount / 0", "float64", "inf NaN -inf -"),
    ("g + g", "float32", "0.2 4.0 6.0 -"),
    ("sqrt(amount)", "float64", "3.1622776601683795 0.0 NaN -"),
    ("amount", "float64", "10.0 0.0 -1.0 -"),
    ("request.amount + w.total", "float64", "11.0 2.0 2.0 -"),
    // Casts.
    ("CAST(s AS BIGINT)", "int64", "- - 12 -"),
    ("TRY_CAST(s AS BIGINT)", "int64", "- - 12 -"),
    ("CAST(f AS BIGINT)", "int64", "2 0 - -"),
    ("CAST(i AS DOUBLE)", "float64", "7.0 -3.0 9.223372036854776e18 -"),
    // Nulls and cases.
    ("coalesce(i, 0)", "int64", "7 -3 9223372036854775807 0"),
    ("coalesce(i / j, -1)", "int64", "3 -1 9223372036854775807 -1"),
    ("coalesce(amount, v.i, 1)", "float64", "10.0 0.0 -1.0 1.0"),
    ("nullif(j, 5)", "int64", "2 0 1 -"),
    ("greatest(i, j)", "int64", "7 0 9223372036854775807 5"),
    ("CASE WHEN j = 0 THEN 0 ELSE i / j END", "int64", "3 0 9223372036854775807 -"),
    ("CASE WHEN b THEN 'yes' END", "string", "yes - yes -"),
    ("i IS NULL", "bool", "false false false true"),
    ("i IN (7, 8)", "bool", "true false false -"),
    ("j BETWEEN 1 AND 2", "bool", "true false true false"),
    ("b AND i > 0", "bool", "true false true -"),
    ("NOT b OR i IS DISTINCT FROM j", "bool", "true true true true"),
    // Functions.
    ("abs(-j)", "int64", "2 0 1 5"),
    ("round(f)", "float64", "3.0 -0.0 NaN -"),
    ("sign(amount)", "float64", "1.0 0.0 -1.0 -"),
    ("ln(j)", "float64", "0.6931471805599453 -inf 0.0 1.6094379124341003"),
    ("pow(2, j)", "float64", "4.0 1.0 2.0 32.0"),
    (
        "haversine_km(52.52, 13.405, 48.8566, 2.3522)",
        "float64",
        "877.4645 877.4645 877.4645 877.4645",
    ),
    ("date_diff('hour', t, request_time())", "int64", "1 -24 1 1"),
    ("date_diff('day', request_time(), t)", "int64", "0 1 0 0"),
    ("to_unix(t)", "int64", "0 90061 -1 0"),
    ("date_part('hour', t)", "int32", "0 1 23 0"),
    ("EXTRACT(year FROM t)", "int32", "1970 1970 1969 1970"),
    ("lower(s) || '!'", "string", "ab c! ! 12! -"),
    ("length(trim(s))", "int32", "4 0 2 -"),
    ("split_part(s, ' ', 2)", "string", "c   -"),
    ("s LIKE 'A%'", "bool", "true false false -"),
    ("regexp_like(s, '(?i)^AB')", "bool", "true false false -"),
    ("hash_bucket(s, 1000)", "int64", "HASH"),
    ("bucketize(amount, 0, 5, 10)", "int64", "3 1 0 -"),
    ("bucketize(f, 0, 5)", "int64", "1 1 2 -"),
    ("list_length(v.l)", "int64", "2 1 0 -"),
    ("list_get(v.l, 2)", "float32", "4.0 - - -"),
    ("dot(v.l, w.l)", "float64", "24.0 - 0.0 -"),
    ("cosine(v.l, w.l)", "float64", "0.96 - NaN -"),
    ("1 + 1", "int64", "2 2 2 2"),
];

#[test]
fn every_expression_has_the_values_that_are_written_here() {
    for (expr, data_type, expected) in VALUES {
        let expressions = compiled(expr, data_type).unwrap_or_else(|why| panic!("{expr}: {why}"));
        let values = computed(&expressions, 0..4).values;
        let found = shown(&values).join(" ");
        match *expected {
            "HASH" => {
                let of =
                    |text: &str| (xxhash_rust::xxh64::xxh64(text.as_bytes(), 0) % 1000).to_string();
                assert_eq!(found, [of("Ab c"), of(""), of("12"), String::from("-")].join(" "));
            }
            expected if expr.starts_with("haversine") => {
                let rounded: Vec<String> = found
                    .split(' ')
                    .map(|number| format!("{:.4}", number.parse::<f64>().unwrap()))
                    .collect();
                assert_eq!(rounded.join(" "), expected);
            }
            expected => assert_eq!(found, expected, "{expr}"),
        }
    }
}

#[test]
fn rows_are_the_same_however_they_are_cut() {
    for (expr, data_type, _) in VALUES {
        let expressions = compiled(expr, data_type).unwrap();
        let whole = computed(&expressions, 0..4);
        for cuts in [[0, 1, 2, 3, 4], [0, 2, 2, 3, 4], [0, 0, 1, 1, 4]] {
            let parts = cuts.windows(2).map(|cut| computed(&expressions, cut[0]..cut[1]));
            let (mut values, mut reasons) = (Vec::new(), Reasons::default());
            for part in parts {
                values.extend(shown(&part.values));
                reasons.extend(&part.reasons);
            }
            assert_eq!((values, reasons), (shown(&whole.values), whole.reasons), "{expr}");
        }
    }
}

#[test]
fn a_null_has_its_reason() {
    let reasons = |expr: &str, data_type: &str| {
        let found = computed(&compiled(expr, data_type).unwrap(), 0..4).reasons;
        let found = found.iter().filter(|(_, rows)| *rows > 0);
        found
            .map(|(reason, rows)| format!("{}: {rows}", reason.name()))
            .collect::<Vec<_>>()
            .join(", ")
    };
    assert_eq!(reasons("i + j", "int64"), "null_input: 1, overflow: 1");
    assert_eq!(reasons("i / j", "int64"), "null_input: 1, division_by_zero: 1");
    assert_eq!(
        reasons("i * 2 + 1 / j", "int64"),
        "null_input: 1, division_by_zero: 1, overflow: 1"
    );
    assert_eq!(reasons("CAST(s AS BIGINT)", "int64"), "null_input: 1, cast: 2");
    assert_eq!(reasons("d / d", "decimal128(16, 6)"), "null_input: 1, division_by_zero: 1");
    assert_eq!(reasons("list_get(v.l, j)", "float32"), "null_input: 1, failed: 2");
    assert_eq!(reasons("nullif(j, 5)", "int64"), "null: 1");
    assert_eq!(
        reasons("CASE WHEN j = 2 THEN 1 / (j - 2) END", "int64"),
        "division_by_zero: 1, null: 3"
    );
    assert_eq!(reasons("coalesce(i / j, -1)", "int64"), "");
    assert_eq!(Reason::ALL.map(|reason| reason as usize), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn what_cannot_be_is_refused_in_words() {
    let refused = |expr: &str, data_type: &str| compiled(expr, data_type).unwrap_err();
    let check = |expr: &str, data_type: &str, expected: &str| {
        let found = refused(expr, data_type);
        assert!(found.contains(expected), "{expr}: {found}");
    };
    check(
        "i",
        "float64",
        "it is declared float64, and its expression is int64; write CAST(... AS DOUBLE), or \
         type: int64",
    );
    check(
        "t",
        "string",
        "it is declared string, and its expression is timestamp(us, UTC); write CAST(... AS \
         VARCHAR), or type: timestamp(us, UTC)",
    );
    check(
        "v.k",
        "int64",
        "reads \"v.k\", which is neither an input nor a field of the request; add it to",
    );
    check(
        "amuont",
        "float64",
        "reads \"amuont\", which is neither an input nor a field of the request; add it to \
         one of them, or write another name; did you mean \"amount\"?",
    );
    check("q.amount", "float64", "view \"q\" is not among the inputs; add \"q:amount\" to inputs");
    check("l", "int64", "reads \"l\", and several are called so; write v.l or w.l");
    check("random()", "float64", "calls random(), which is none of its functions");
    check("now() > t", "bool", "write request_time() for the moment that is asked about");
    check("lnn(f)", "float64", "did you mean ln()?");
    check("sum(i)", "int64", "the aggregate sum(), and sees one row alone");
    check("i + (SELECT 1)", "int64", "the expression");
    check("t - t", "int64", "of times write date_diff('second', from, to)");
    check("i & 1", "int64", "the operator &, which is none of its own");
    check("regexp_like(s, s)", "bool", "the pattern of regexp_like() is written as it is");
    check("regexp_like(s, '(')", "bool", "the pattern of regexp_like() is none");
    check("date_diff('fortnight', t, t)", "int64", "the first argument of date_diff() is one of");
    check(
        "date_diff('day', i, j)",
        "int64",
        "takes timestamps and dates, and is given int64, int64",
    );
    check("list_length(i)", "int64", "takes a list, and is given int64");
    check("i +", "int64", "the expression cannot be read");
    check("i, j", "int64", "the expression");
    check("NULL", "int64", "the expression is always null");
    check("i = 'x' || f", "int64", "");
}

/// The answer of 128 bits, if 64 hold it.
fn exact(sign: &str, left: i64, right: i64) -> Option<i64> {
    let (left, right) = (i128::from(left), i128::from(right));
    let exact = match sign {
        "+" => Some(left + right),
        "-" => Some(left - right),
        "*" => Some(left * right),
        "/" => left.checked_div(right),
        _ => left.checked_rem(right),
    };
    exact.and_then(|exact| i64::try_from(exact).ok())
}

fn integers(name: &str) -> Readable {
    Readable { view: None, name: name.to_owned(), data_type: DataType::Int64 }
}

proptest! {
    /// Any integers give what 128 bits say, or null, whatever their neighbours give.
    #[test]
    fn integers_are_exact_or_null(
        left in prop_oneof![any::<i64>(), Just(i64::MIN)],
        right in prop_oneof![-3_i64..3, any::<i64>()],
    ) {
        let none = [(i64::MAX, 1), (i64::MIN, 1), (i64::MAX, 2), (1, 0), (1, 0)];
        for (sign, none) in ["+", "-", "*", "/", "%"].into_iter().zip(none) {
            let readable = [integers("a"), integers("b")];
            let expr = format!("a {sign} b");
            let expressions = compiled_over(&expr, "int64", &readable).unwrap();
            for rows in [1, 2] {
                let columns: [ArrayRef; 2] = [
                    Arc::new(Int64Array::from(vec![left, none.0])),
                    Arc::new(Int64Array::from(vec![right, none.1])),
                ];
                let columns = columns.map(|column| column.slice(0, rows)).to_vec();
                let found = expressions.compute(0, columns, rows).unwrap().values;
                let found: Vec<Option<i64>> = found.as_primitive::<Int64Type>().iter().collect();
                let expected = [exact(sign, left, right), None];
                prop_assert_eq!(&found[..], &expected[..rows], "{} {} {}", left, sign, right);
            }
        }
    }
}
