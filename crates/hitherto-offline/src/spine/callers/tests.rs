use datafusion::sql::sqlparser::ast::Statement;
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::*;
use crate::spine::shape::{Author, check as check_shape};

fn checked(sql: &str) -> Result<Size> {
    let statements = Parser::parse_sql(&GenericDialect {}, sql).unwrap();
    let [Statement::Query(query)] = &statements[..] else { panic!("{sql}") };
    check(query)
}

#[test]
fn functions_that_are_not_listed_are_refused_by_name() {
    for (sql, name) in [
        ("SELECT repeat('a', 1000000000) FROM v", "repeat"),
        ("SELECT a FROM v WHERE length(LPAD(a, 1000)) > 1", "lpad"),
        ("SELECT * FROM v ORDER BY string_agg(a, ',')", "string_agg"),
        ("SELECT a FROM v WHERE a IN (SELECT \"repeat\"(a, 9) FROM v)", "repeat"),
        ("WITH w AS (SELECT array_agg(a) AS a FROM v) SELECT a FROM w", "array_agg"),
        ("SELECT a FROM v JOIN w ON repeat(v.a, 3) = w.a", "repeat"),
        ("SELECT a FROM v GROUP BY rpad(a, 9)", "rpad"),
        ("SELECT median(a) OVER (PARTITION BY b) FROM v", "median"),
    ] {
        let error = checked(sql).unwrap_err().to_string();
        assert!(error.contains(&format!("calls {name:?}")), "{error}");
    }
}

#[test]
fn what_makes_rows_or_values_of_nothing_is_refused() {
    for (sql, what) in [
        ("SELECT * FROM generate_series(1, 1000000000000)", "generate_series"),
        ("SELECT * FROM v, UNNEST([1, 2])", "UNNEST"),
        (
            "WITH RECURSIVE t AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM t) SELECT a FROM t",
            "RECURSIVE",
        ),
        ("SELECT [a, a, a] FROM v", "[a, a, a]"),
        ("SELECT STRUCT(a, a) FROM v", "STRUCT"),
    ] {
        let error = checked(sql).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    }
}

#[test]
fn doubling_is_found_before_it_is_done() {
    let layers = |count: usize, expression: &str| {
        (0..count).fold(String::from("SELECT a FROM v"), |inner, _| {
            format!("SELECT {expression} AS a FROM ({inner}) t")
        })
    };
    assert!(checked(&layers(15, "a || a")).unwrap_err().to_string().contains("computes columns"));
    assert!(checked(&layers(15, "a")).is_ok());
    let replaced = (0..15).fold(String::from("SELECT a FROM v"), |inner, _| {
        format!("SELECT * REPLACE (a || a AS a) FROM ({inner}) t")
    });
    let text = "x".repeat(60_000);
    for sql in [
        replaced,
        format!("SELECT {} FROM (VALUES ('{text}')) t(a)", ["a || a"; 4].join(",")),
        format!("SELECT {} FROM v", vec![format!("VARCHAR '{text}'"); 5].join(",")),
        format!("{} ORDER BY {}", layers(12, "a || a"), ["a || a"; 4].join(",")),
    ] {
        let error = checked(&sql).unwrap_err().to_string();
        assert!(error.contains("computes columns"), "{error}");
    }
    // What is inside a query of FROM is read once.
    let inside = format!("SELECT a FROM v WHERE {}", ["a IN (SELECT a FROM v)"; 5].join(" AND "));
    let wrapped = (0..3).fold(inside, |inner, _| format!("SELECT * FROM ({inner}) t"));
    checked(&wrapped).unwrap();
    let named = (0..7).fold(String::from("WITH w0 AS (SELECT a FROM v)"), |with, layer| {
        format!(
            "{with}, w{0} AS (SELECT a FROM w{layer} UNION ALL SELECT a FROM w{layer})",
            layer + 1
        )
    });
    let error = checked(&format!("{named} SELECT a FROM w7")).unwrap_err().to_string();
    assert!(error.contains("reads tables"), "{error}");
    let joined = format!("SELECT 1 FROM v{}", " JOIN v USING (a)".repeat(40));
    assert!(checked(&joined).unwrap_err().to_string().contains("joins tables"));
    let inside = format!("SELECT a FROM v WHERE {}", ["a IN (SELECT a FROM v)"; 30].join(" AND "));
    assert!(checked(&inside).unwrap_err().to_string().contains("joins tables"));
    let literal =
        format!("SELECT {} FROM v", vec![format!("'{}'", "x".repeat(4_000)); 100].join(","));
    assert!(checked(&literal).unwrap_err().to_string().contains("computes columns"));
}

#[test]
fn label_queries_of_every_day_pass() {
    for sql in [
        "SELECT stay_id, max(drawn) AS at, count(*) AS n FROM labs WHERE lactate > 2 GROUP BY stay_id",
        "SELECT stay_id, date_trunc('hour', drawn) + INTERVAL '1' HOUR AS at FROM labs",
        "WITH f AS (SELECT stay_id, min(drawn) AS at FROM labs GROUP BY stay_id)
         SELECT f.stay_id, f.at, CASE WHEN l.lactate > 4 THEN 1 ELSE 0 END AS label
         FROM f LEFT JOIN labs l ON l.stay_id = f.stay_id AND l.drawn BETWEEN f.at AND f.at + INTERVAL '1 day'",
        "SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY stay_id ORDER BY drawn DESC) AS r
         FROM labs) t WHERE r = 1 ORDER BY stay_id LIMIT 10",
        "SELECT stay_id, CAST(drawn AS TIMESTAMP) AS at FROM labs WHERE note IN ('a', 'b') AND
         EXISTS (SELECT 1 FROM vitals v WHERE v.stay_id = labs.stay_id)",
        "SELECT id, TIMESTAMP '2024-01-01' AS at FROM (VALUES (1), (2)) AS t(id)",
        "SELECT EXTRACT(year FROM drawn), SUBSTRING(note FROM 1 FOR 3), TRIM(note) FROM labs",
        "SELECT 1 AS stay_id, now() AS at UNION ALL SELECT 2, now()",
    ] {
        checked(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }
}

/// Words of SQL, of which queries are made at random.
#[rustfmt::skip]
const WORDS: &[&str] = &[
    "SELECT", "FROM", "WHERE", "GROUP BY", "ORDER BY", "HAVING", "LIMIT", "JOIN", "ON", "USING",
    "UNION ALL", "EXCEPT", "WITH", "AS", "(", ")", "(", ")", ",", ",", "CASE WHEN", "THEN", "ELSE",
    "END", "AND", "OR", "NOT", "IN", "IS NULL", "BETWEEN", "LIKE", "+", "-", "*", "/", "||", "=",
    "<", "::int", "a", "b", "v", "w", "v.a", "1", "'x'", "count(*)", "repeat(", "max(", "OVER",
    "PARTITION BY", "INTERVAL '1' DAY", "EXISTS", "VALUES", "[1]", "CAST(", "LATERAL", "UNNEST(",
];

#[test]
fn words_in_any_order_are_refused_or_sized() {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut roll = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let mut parsed = 0;
    for _ in 0..10_000 {
        let words: Vec<&str> = (0..1 + roll(40)).map(|_| WORDS[roll(WORDS.len())]).collect();
        let sql = format!("SELECT a FROM v WHERE a {}", words.join(" "));
        if check_shape(&sql, "the query", Author::Caller).is_err() {
            continue;
        }
        let Ok(statements) = Parser::parse_sql(&GenericDialect {}, &sql) else { continue };
        if let [Statement::Query(query)] = &statements[..] {
            parsed += 1;
            // An answer of either kind; the test is that there is one.
            let _ = check(query);
        }
    }
    assert!(parsed > 100, "{parsed}");
}
