//! Every message of an error, and that each says what to do next.
//!
//! The messages are read from our sources: of each `Error::invalid(...)`, and of the others
//! that are named after a kind, the string literals among its arguments. `fixtures/errors.txt`
//! has them all, `kind | file | message`, so that a change of words is reviewed beside the
//! words of the others. What the code puts in the place of braces is not in it, and problems of
//! definitions have a table of their own (`core/definition/tests/refusals.rs`).
//!
//! What to do comes behind a semicolon, or is what `suggestion` makes. An `internal` error is a
//! bug, and to be reported.
//!
//! `HITHERTO_WRITE_ERRORS=1` writes what was found, to be read before it is committed.

use std::fs;
use std::path::Path;

use hitherto_core::Kind;

use crate::tidy::{files, is_test};

const WRITE: &str = "HITHERTO_WRITE_ERRORS";

/// Fewer than there are: a test that finds no more looks in the wrong places.
const MESSAGES_MIN: usize = 300;

/// Messages that say it in what the code puts into them, and who says it there.
const EXCEPTIONS: &[(&str, &str)] = &[
    (
        "corrupt | crates/hitherto-offline/src/files/content.rs | source file {} {what}",
        "what is wrong with a file and what to do are one text, `DAMAGED` or a footer's",
    ),
    (
        "invalid | crates/hitherto-cli/src/commands/get/keys.rs | join key {name:?}: {}",
        "the end is a whole message, that of `OwnedPart::parse`",
    ),
    (
        r"invalid | crates/hitherto-core/src/definition/check.rs | \n",
        "problems, a line each; the table of refusals looks for advice in every one",
    ),
    (
        "invalid | crates/hitherto-core/src/zone.rs | {name:?} {cause}",
        "the cause names zones as they are to be written",
    ),
    (
        r"invalid | crates/hitherto-engine/src/apply.rs | \n",
        "problems of sources, a line each, whose messages are whole",
    ),
    (
        "invalid | crates/hitherto-trust/src/identity/tokens.rs | {path}:{number}: {error}",
        "what is wrong with a line is a whole message, that of `entry`",
    ),
    (
        "invalid | crates/hitherto-offline/src/files/content.rs | source file {} {why}",
        "in what way a file is written that is not read, and in which to write it",
    ),
    (
        "invalid | crates/hitherto-offline/src/footer/mod.rs |",
        "types that differ from file to file; the text is made where they are compared",
    ),
    (
        "invalid | crates/hitherto-offline/src/pushed/batch.rs | fact {index} for feature view {:?} has \
         {what}",
        "what a fact lacks and what to say instead are one text",
    ),
    (
        "invalid | crates/hitherto-offline/src/pushed/batch.rs | facts for feature view {:?}: {problem}",
        "a problem with columns says how to push them",
    ),
    (
        "invalid | crates/hitherto-offline/src/source/columns.rs | feature view {:?}, {}: {}",
        "the end is a whole message, that of a problem with a source",
    ),
    (
        "invalid | crates/hitherto-server/src/flight/spine.rs | the spine cannot be read as Arrow \
         data: {cause}",
        "what a message claims is refused with what to send instead",
    ),
    (
        "unavailable | crates/hitherto-online/src/rocks/read.rs |",
        "nobody sees it: the lookup is done again, with the disk",
    ),
];

const _: () = assert!(EXCEPTIONS.len() <= 20, "an exception is one");

/// What an error is made with.
struct Message {
    /// `kind | file | message`
    line: String,
    /// The code between the parentheses.
    code: String,
}

impl Message {
    fn says_what_to_do(&self) -> bool {
        self.line.contains("; ") || self.code.contains("suggestion(")
    }

    fn is_of(&self, kind: Kind) -> bool {
        self.line.split(' ').next() == Some(kind.name())
    }
}

/// Every message of every kind in our sources, sorted.
fn messages() -> Vec<Message> {
    let mut found = Vec::new();
    for (file, text) in files(&[".rs"]) {
        if !file.starts_with("crates/") || !file.contains("/src/") || is_test(&file) {
            continue;
        }
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for (at, called) in text.match_indices("Error::") {
            let is_ours = !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
            let Some((name, rest)) = text[at + called.len()..].split_once('(') else { continue };
            if is_ours && Kind::ALL.iter().any(|kind| kind.name() == name) {
                let (code, message) = argument(rest);
                let line = format!("{name} | {file} | {message}").trim_end().to_owned();
                found.push(Message { line, code: code.to_owned() });
            }
        }
    }
    found.sort_by(|a, b| a.line.cmp(&b.line));
    found
}

/// The code up to the parenthesis that closes it, and its string literals behind each other.
fn argument(text: &str) -> (&str, String) {
    let (mut at, mut depth, mut message) = (0, 1, String::new());
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let mut length = first.len_utf8();
        match first {
            '"' => {
                let literal = literal(rest);
                length = literal.len() + 2;
                let space = if message.is_empty() { "" } else { " " };
                message += &format!("{space}{}", joined(literal));
            }
            '\'' => length = character_length(rest),
            '/' if rest.starts_with("//") => length = rest.find('\n').unwrap_or(rest.len()),
            '(' => depth += 1,
            ')' if depth == 1 => break,
            ')' => depth -= 1,
            _ => {}
        }
        at += length;
    }
    (&text[..at], message)
}

/// What is between the quotes with which a text begins.
fn literal(text: &str) -> &str {
    let mut is_escaped = false;
    let end = text[1..].find(|c: char| {
        let ends = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        ends
    });
    &text[1..=end.unwrap()]
}

/// A literal without the ends of its lines, each of which swallows what the next begins with.
fn joined(literal: &str) -> String {
    let mut lines = literal.split("\\\n");
    let first = lines.next().unwrap_or_default();
    lines.fold(first.to_owned(), |before, line| before + line.trim_start())
}

/// Bytes of the character that a text begins with, `'x'` or `'\x'`; of a lifetime its mark.
fn character_length(text: &str) -> usize {
    let close = if text[1..].starts_with('\\') { 3 } else { 2 };
    match text.char_indices().nth(close) {
        Some((at, '\'')) => at + 1,
        _ => 1,
    }
}

#[test]
fn every_error_says_what_to_do_next() {
    let found = messages();
    assert!(found.len() >= MESSAGES_MIN, "only {} messages", found.len());
    let silent = |message: &&Message| !message.is_of(Kind::Internal) && !message.says_what_to_do();
    let silent: Vec<_> = found.iter().filter(silent).map(|message| &*message.line).collect();
    for line in &silent {
        let is_excepted = EXCEPTIONS.iter().any(|(excepted, _)| excepted == line);
        assert!(is_excepted, "what is whoever reads this to do? {line}");
    }
    for (line, reason) in EXCEPTIONS {
        assert!(silent.contains(line), "{line} is no exception any more: {reason}");
    }
}

#[test]
fn every_message_is_as_it_was_reviewed() {
    let found: String = messages().iter().map(|message| format!("{}\n", message.line)).collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/errors.txt");
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, &found).unwrap();
    }
    let reviewed = fs::read_to_string(&path).unwrap();
    let of_one = |one: &str, other: &str| -> Vec<String> {
        one.lines().filter(|line| !other.lines().any(|o| o == *line)).map(str::to_owned).collect()
    };
    let (new, gone) = (of_one(&found, &reviewed), of_one(&reviewed, &found));
    assert!(found == reviewed, "{WRITE}=1 writes what is new: {new:#?} and gone: {gone:#?}");
}

#[test]
fn an_argument_is_read_as_rust_reads_it() {
    for (text, expected) in [
        (r#""a \"b\" (c"))"#, r#"a \"b\" (c"#),
        ("format!(\"a \\\n    b; {}\", f(')', '\\'', '\"'))) + \"no\"", "a b; {}"),
        ("\n    // not \"this\" )\n    \"that\", x: &'static str)", "that"),
        ("if a { \"b\" } else { \"c\" })", "b c"),
        ("message)", ""),
    ] {
        assert_eq!(argument(text).1, expected, "{text}");
    }
}
