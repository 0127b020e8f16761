use hitherto_core::Kind;

use super::*;

fn parsed(text: &str) -> Result<Arc<Tokens>> {
    parse(&[File { path: "tokens".into(), content: text.into() }])
}

#[test]
fn a_file_has_a_token_a_line() {
    let tokens = parsed("# of March\n0123456789abcdef\r\n\n  another-long-enough-one\n").unwrap();
    for known in ["0123456789abcdef", "another-long-enough-one"] {
        assert!(tokens.find(known.as_bytes()).is_some(), "{known}");
    }
    for unknown in ["", "# of March", "0123456789abcde", "0123456789abcdef0", "0123456789abcdeF"] {
        assert!(tokens.find(unknown.as_bytes()).is_none(), "{unknown}");
    }
    let whose = |token: &str| tokens.find(token.as_bytes()).unwrap().to_string();
    assert_eq!(whose("0123456789abcdef"), "token/2");
    assert_eq!(whose("another-long-enough-one"), "token/4");
}

#[test]
fn a_caller_is_whose_token_or_else_whose_certificate_was_shown() {
    let request = |token: &str| {
        let request = Request::builder().uri("/metrics");
        request.header(AUTHORIZATION, format!("Bearer {token}")).body(()).unwrap()
    };
    let certificate = Arc::new(Caller::workload("certificate", "icu"));
    let whose = |guard: &Guard, token: &str, certificate| {
        guard.judge(&request(token), certificate).map(|caller| caller.to_string())
    };
    let open = Guard::default();
    assert_eq!(whose(&open, "of somebody", None).unwrap(), "anonymous");
    assert_eq!(whose(&open, "of somebody", Some(&certificate)).unwrap(), "certificate/icu");

    let (_file, tokens) = watch::channel(parsed("0123456789abcdef").unwrap());
    let closed = Guard { tokens: Some(tokens), asks_for_certificate: true, ..Guard::default() };
    let both = whose(&closed, "0123456789abcdef", Some(&certificate));
    assert_eq!(both.unwrap(), "token/1");
    for (token, certificate) in [("0123456789abcdef", None), ("wrong", Some(&certificate))] {
        assert_eq!(whose(&closed, token, certificate).unwrap_err().kind(), Kind::Denied);
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
