//! How long and how deep a text of SQL may be, found from its tokens.
//!
//! Whoever parses, plans, computes or forgets an expression goes as deep as it is, each on
//! the stack of a thread, and a stack that is full ends the process. So this is found out
//! first, by a walk over tokens that recurses nowhere:
//!
//! ```text
//! a + b + f(c, d OR e OR g)      what is open:  {2 operators} f( {1 operator}
//! 1   2   3    4    5            how deep:      2 + 1 + 2
//! ```
//!
//! Operators of one chain count as if each lay in the one before, because `a + b + c` is
//! parsed as that. A comma or a clause begins a new chain; set operations are a chain
//! that goes through the whole query.

use std::fmt;

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use hitherto_core::limits::{SQL_BYTES_MAX, SQL_DEPTH_MAX, SQL_TOKENS_MAX};
use hitherto_core::{Error, Result};

/// What is open at a token, from a parenthesis or a CASE to its end.
#[derive(Default)]
struct Open {
    /// Operators since the last comma or clause.
    operators: usize,
    /// Set operations and joins since it was opened.
    queries: usize,
}

/// What a token does to how deep its text is.
#[derive(Clone, Copy)]
enum Step {
    Opens,
    Closes,
    Separates,
    Combines,
    Operates,
    Stays,
}

/// Whose text it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Author {
    /// Whoever runs the machine: as long as they like.
    Owner,
    /// Somebody over the wire.
    Caller,
}

/// Checks that a text is not deeper than can be planned, and a caller's not too long; `what`
/// it is is for the message.
///
/// # Errors
/// `Invalid` when it is, or when it is made of no tokens.
pub(crate) fn check(sql: &str, what: &str, author: Author) -> Result<()> {
    let refuse = |found: fmt::Arguments<'_>, limit: usize, advice: &str| {
        Err(Error::invalid(format!("{what} {found}, and {limit} is the limit; {advice}")))
    };
    let is_callers = author == Author::Caller;
    if is_callers && sql.len() > SQL_BYTES_MAX {
        let found = format_args!("has {} bytes", sql.len());
        return refuse(found, SQL_BYTES_MAX, "write a shorter query");
    }
    let dialect = GenericDialect {};
    let tokens = Tokenizer::new(&dialect, sql).tokenize();
    let tokens = tokens.map_err(|cause| {
        Error::invalid(format!("{what} cannot be read; mend it as its cause says"))
            .with_source(cause)
    })?;
    let tokens: Vec<Token> =
        tokens.into_iter().filter(|token| !matches!(token, Token::Whitespace(_))).collect();
    if is_callers && tokens.len() > SQL_TOKENS_MAX {
        let found = format_args!("has {} words and signs", tokens.len());
        return refuse(found, SQL_TOKENS_MAX, "join a list of values as a table instead");
    }
    match depth(&tokens) {
        depth if depth > SQL_DEPTH_MAX => refuse(
            format_args!("nests {depth} deep, operators in a row among it"),
            SQL_DEPTH_MAX,
            "write IN (...) for a row of OR, or fewer parts",
        ),
        _ => Ok(()),
    }
}

/// How deep it can get at most.
fn depth(tokens: &[Token]) -> usize {
    let (mut open, mut deepest, mut now) = (vec![Open::default()], 0, 0_usize);
    for (index, token) in tokens.iter().enumerate() {
        let top = open.len() - 1;
        let before = &tokens[..index];
        match step(token, before) {
            Step::Opens => {
                // A query of WITH lies as deep as those before it, which it may name.
                let is_named =
                    matches!(before, [.., Token::Word(word)] if word.keyword == Keyword::AS);
                open[top].queries += usize::from(is_named);
                // What is taken out of a list lies around it.
                let is_index = *token == Token::LBracket;
                open[top].operators += usize::from(is_index);
                now += usize::from(is_named) + usize::from(is_index) + 1;
                open.push(Open::default());
            }
            Step::Closes => {
                // A text that closes more than it opens is refused by the parser.
                if let Some(closed) = open.pop_if(|_| top > 0) {
                    now -= closed.operators + closed.queries + 1;
                }
            }
            Step::Separates => now -= std::mem::take(&mut open[top].operators),
            Step::Combines => {
                now -= std::mem::take(&mut open[top].operators);
                open[top].queries += 1;
                now += 1;
            }
            Step::Operates => {
                open[top].operators += 1;
                now += 1;
            }
            Step::Stays => {}
        }
        deepest = deepest.max(now);
    }
    deepest
}

fn step(token: &Token, before: &[Token]) -> Step {
    match token {
        Token::LParen | Token::LBracket | Token::LBrace => Step::Opens,
        Token::RParen | Token::RBracket | Token::RBrace => Step::Closes,
        Token::Comma | Token::SemiColon | Token::EOF => Step::Separates,
        Token::Word(word) if word.quote_style.is_none() => keyword(word.keyword),
        // `view.column` is one name; what is taken out of an expression nests.
        Token::Period => match before {
            [.., Token::Period, Token::Word(_)] | [.., Token::RParen | Token::RBracket] => {
                Step::Operates
            }
            _ => Step::Stays,
        },
        Token::Word(_) | Token::Number(..) => Step::Stays,
        token if is_text(token) => Step::Stays,
        _ => Step::Operates,
    }
}

fn is_text(token: &Token) -> bool {
    matches!(
        token,
        Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::NationalStringLiteral(_)
            | Token::EscapedStringLiteral(_)
            | Token::UnicodeStringLiteral(_)
            | Token::HexStringLiteral(_)
            | Token::DollarQuotedString(_)
    )
}

fn keyword(keyword: Keyword) -> Step {
    match keyword {
        Keyword::CASE => Step::Opens,
        Keyword::END => Step::Closes,
        Keyword::UNION
        | Keyword::EXCEPT
        | Keyword::INTERSECT
        | Keyword::MINUS
        | Keyword::JOIN
        | Keyword::APPLY => Step::Combines,
        Keyword::SELECT
        | Keyword::FROM
        | Keyword::WHERE
        | Keyword::GROUP
        | Keyword::HAVING
        | Keyword::ORDER
        | Keyword::LIMIT
        | Keyword::ON
        | Keyword::WHEN
        | Keyword::THEN
        | Keyword::ELSE
        | Keyword::VALUES => Step::Separates,
        Keyword::AND
        | Keyword::OR
        | Keyword::XOR
        | Keyword::NOT
        | Keyword::IS
        | Keyword::NOTNULL
        | Keyword::IN
        | Keyword::BETWEEN
        | Keyword::LIKE
        | Keyword::ILIKE
        | Keyword::RLIKE
        | Keyword::MATCH
        | Keyword::REGEXP
        | Keyword::SIMILAR
        | Keyword::ESCAPE
        | Keyword::COLLATE
        | Keyword::ZONE
        | Keyword::DIV
        | Keyword::INTERVAL
        | Keyword::OVERLAPS
        | Keyword::OPERATOR
        | Keyword::PRIOR
        | Keyword::EXPLAIN
        | Keyword::ANY
        | Keyword::ALL => Step::Operates,
        _ => Step::Stays,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(sql: &str) -> String {
        check(sql, "the query", Author::Caller).expect_err(sql).to_string()
    }

    #[test]
    fn chains_and_nests_beyond_the_limit_are_refused_by_their_depth() {
        let many = 2 * SQL_DEPTH_MAX;
        for sql in [
            format!("SELECT 1{}", "+1".repeat(many)),
            format!("SELECT 1{}", "*1".repeat(many)),
            format!("SELECT a FROM v WHERE a{}", " OR a".repeat(many)),
            format!("WITH w AS (SELECT 1){} SELECT 1", ", w AS (SELECT * FROM w)".repeat(many)),
            format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(many)),
            format!("SELECT {}1{}", "(".repeat(many), ")".repeat(many)),
            format!("SELECT {}1{}", "CASE WHEN a THEN ".repeat(many), " END".repeat(many)),
            format!("SELECT {} 1", "NOT ".repeat(many)),
            format!("SELECT {} 1", "- ".repeat(many)),
            format!("SELECT a{}", " IS NULL".repeat(many)),
            format!("SELECT a{}", "::int".repeat(many)),
            format!("SELECT a{}", "[1]".repeat(many)),
            format!("SELECT (a){}", ".b".repeat(many)),
            format!("SELECT a FROM v{}", " JOIN v ON TRUE".repeat(many)),
            format!("{}SELECT 1{}", "SELECT * FROM (".repeat(many), ")".repeat(many)),
            format!("SELECT CAST(1 AS {}INT{})", "ARRAY<".repeat(many), ">".repeat(many)),
            format!("{}SELECT 1", "EXPLAIN ".repeat(many)),
        ] {
            assert!(refusal(&sql).contains(" deep"), "{}", refusal(&sql));
        }
    }

    #[test]
    fn what_is_wide_is_not_deep() {
        let values: Vec<String> = (0..400).map(|value| value.to_string()).collect();
        let columns: Vec<String> =
            (0..300).map(|column| format!("v.a + {column} AS a{column}")).collect();
        for sql in [
            format!("SELECT a FROM v WHERE a IN ({})", values.join(", ")),
            format!("SELECT {} FROM v", columns.join(", ")),
            format!("SELECT a FROM v WHERE a{}", " OR a".repeat(SQL_DEPTH_MAX / 2)),
        ] {
            check(&sql, "the query", Author::Caller).unwrap();
        }
    }

    #[test]
    fn long_texts_are_refused_before_they_are_taken_apart() {
        assert!(refusal(&"x".repeat(SQL_BYTES_MAX + 1)).contains(" bytes"));
        assert!(refusal(&"1,".repeat(SQL_TOKENS_MAX)).contains("words and signs"));
        assert!(refusal("SELECT 'a").contains("cannot be read"));
        let list = format!("SELECT a FROM v WHERE a IN (1{})", ",1".repeat(SQL_TOKENS_MAX));
        check(&list, "the view's SQL", Author::Owner).unwrap();
    }
}
