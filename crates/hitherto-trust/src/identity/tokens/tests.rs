use hitherto_core::Kind;

use super::super::token;
use super::*;

const NOW: i64 = 1_800_000_000_000_000;
const BARE: &str = "0123456789abcdef0123456789abcdef";

fn file(text: &str) -> File {
    File { path: "tokens".into(), content: text.into() }
}

fn parsed(text: &str) -> Result<Tokens> {
    Tokens::parse(&[file(text)])
}

fn made(name: &str) -> (String, Entry) {
    let token = token::make(name, &[name.len() as u8; token::SECRET_BYTES]);
    let digest = Digest::of(token.as_bytes());
    (token, Entry::new(name, digest))
}

#[test]
fn a_named_line_says_who_has_the_token_and_until_when() {
    let (token, entry) = made("nightly-etl");
    let entry = Entry {
        expires: Some(NOW + 1),
        roles: vec!["steward".into(), "reader".into()],
        purposes: vec!["operations".into()],
        ..entry
    };
    let line = entry.to_string();
    assert!(!line.contains(&token[4..]), "the token is in {line}");
    assert_eq!(entries(&file(&line)).unwrap(), [entry], "{line}");
    let tokens = parsed(&line).unwrap();
    let caller = tokens.find(token.as_bytes(), NOW).unwrap();
    assert_eq!(caller.to_string(), "token/nightly-etl");
    assert_eq!(caller.roles.iter().map(|role| &**role).collect::<Vec<_>>(), ["steward", "reader"]);
    assert_eq!(caller.purposes.as_ref().unwrap()[0].as_ref(), "operations");
    assert_eq!(tokens.find(token.as_bytes(), NOW + 1).unwrap_err(), Refusal::ExpiredToken);
    assert_eq!(tokens.bare(), 0);
}

#[test]
fn what_is_shown_is_refused_for_a_reason() {
    let (token, entry) = made("serving");
    let tokens = parsed(&format!("# of March\n{entry}\r\n\n{BARE}\n")).unwrap();
    assert_eq!(tokens.find(BARE.as_bytes(), NOW).unwrap().to_string(), "token/line-4");
    assert_eq!(tokens.bare(), 1);
    for (shown, why) in [
        ("", Refusal::NoToken),
        (&token[..token.len() - 1], Refusal::MalformedToken),
        (&made("other").0, Refusal::UnknownToken),
        (&BARE.to_uppercase(), Refusal::UnknownToken),
        (&entry.digest.to_hex(), Refusal::UnknownToken),
        (&entry.to_string(), Refusal::UnknownToken),
    ] {
        assert_eq!(tokens.find(shown.as_bytes(), NOW).unwrap_err(), why, "{shown}");
        assert_eq!(why.error().kind(), Kind::Denied);
    }
}

#[test]
fn a_line_that_is_taken_away_or_changed_takes_back_what_it_gave() {
    let [(kept, of_kept), (gone, of_gone), (changed, of_changed)] =
        ["kept", "gone", "changed-x"].map(made);
    let before = parsed(&format!("{of_kept}\n{of_gone}\n{of_changed}\n{BARE}\n")).unwrap();
    let was = |token: &str| Arc::clone(before.find(token.as_bytes(), NOW).unwrap());
    let of_before = [&kept, &gone, &changed, BARE].map(&was);
    let more = Entry { roles: vec!["reader".into()], ..of_changed };
    let after = parsed(&format!("{of_kept}\n{BARE}\n{more}\n")).unwrap().after(&before);
    // A token without a name is on another line, and so another caller.
    assert_eq!(of_before.map(|caller| caller.ended(NOW).is_some()), [false, true, true, true]);
    assert!(Arc::ptr_eq(&was(&kept), after.find(kept.as_bytes(), NOW).unwrap()));
    assert_eq!(after.find(gone.as_bytes(), NOW).unwrap_err(), Refusal::UnknownToken);
    assert_eq!(after.find(changed.as_bytes(), NOW).unwrap().roles.len(), 1);
    assert_eq!(after.find(BARE.as_bytes(), NOW).unwrap().to_string(), "token/line-2");
}

#[test]
fn a_file_that_would_let_nobody_or_anybody_in_is_refused() {
    let digest = "ab".repeat(32);
    let twice = format!("a sha256:{digest}\nb sha256:{digest}\n");
    let named = format!("a sha256:{digest}\na sha256:{}\n", "cd".repeat(32));
    let many = (0..=TOKENS_MAX).map(|n| format!("{n:032}\n")).collect::<String>();
    let too = |roles: usize| {
        let roles: Vec<String> = (0..roles).map(|n| format!("r{n}")).collect();
        format!("a sha256:{digest} roles={}", roles.join(","))
    };
    for (text, why) in [
        ("", "has no token"),
        ("# none yet\n\n", "has no token"),
        ("0123456789abcdef\nsecret\n", "tokens:2: a line is what"),
        ("two words of a token", "tokens:1: a line is what"),
        ("a sha256:abcd", "tokens:1: what stands behind sha256:"),
        (&format!("a/b sha256:{digest}"), "is no name for a token"),
        (&format!("line-3 sha256:{digest}"), "are those of tokens without one"),
        (&format!("a sha256:{digest} expires=soon"), "is not a timestamp"),
        (&format!("a sha256:{digest} roles=Admin"), "name \"Admin\" is not allowed"),
        (&format!("a sha256:{digest} roles="), "is not allowed"),
        (&format!("a sha256:{digest} purposes="), "is no purpose"),
        (&format!("a sha256:{digest} until=2030"), "is nothing that a line can have"),
        (&format!("a sha256:{digest} human"), "is nothing that a line can have"),
        (&too(ROLES_OF_CALLER_MAX + 1), "give it fewer"),
        (&twice, "tokens:2: another line has the same"),
        (&named, "tokens:2: another line has the same"),
        (&many, "more than"),
    ] {
        let error = parsed(text).err().unwrap_or_else(|| panic!("{text} was taken"));
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.to_string().contains(why), "{error}");
    }
    parsed(&too(ROLES_OF_CALLER_MAX)).unwrap();
}
