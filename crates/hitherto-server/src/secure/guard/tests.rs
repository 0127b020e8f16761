use hitherto_core::Kind;

use super::*;

fn parsed(text: &str) -> Result<Arc<Tokens>> {
    parse(&[File { path: "tokens".into(), content: text.into() }])
}

#[test]
fn a_file_has_a_token_a_line() {
    let tokens = parsed("# of March\n0123456789abcdef\r\n\n  another-long-enough-one\n").unwrap();
    for known in ["0123456789abcdef", "another-long-enough-one"] {
        assert!(tokens.know(known.as_bytes()), "{known}");
    }
    for unknown in ["", "# of March", "0123456789abcde", "0123456789abcdef0", "0123456789abcdeF"] {
        assert!(!tokens.know(unknown.as_bytes()), "{unknown}");
    }
}

#[test]
fn a_file_that_would_let_nobody_or_anybody_in_is_refused() {
    for (text, why) in [
        ("", "has no token"),
        ("# none yet\n\n", "has no token"),
        ("0123456789abcdef\nsecret\n", "tokens:2: a token is at least 16"),
        ("two words of a token", "tokens:1: a token is at least 16"),
    ] {
        let error = parsed(text).err().unwrap();
        assert_eq!(error.kind(), Kind::Invalid);
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[test]
fn a_token_is_shown_as_a_bearer() {
    for header in ["Bearer abc", "bearer abc", "BEARER  abc "] {
        assert_eq!(bearer(header.as_bytes()), Some(&b"abc"[..]), "{header}");
    }
    for header in ["abc", "Basic abc", "Bearer", ""] {
        assert_eq!(bearer(header.as_bytes()), None, "{header}");
    }
}
