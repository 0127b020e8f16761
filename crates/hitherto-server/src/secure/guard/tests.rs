use hitherto_api::Assurance;
use hitherto_api::pem::File;

use super::*;

const TOKEN: &str = "0123456789abcdef";

fn parsed(text: &str) -> Arc<Tokens> {
    Arc::new(Tokens::parse(&[File { path: "tokens".into(), content: text.into() }]).unwrap())
}

fn judged(guard: &Guard, token: &str, certificate: Option<&Shown>) -> Result<String, Refusal> {
    let request = Request::builder().uri("/metrics");
    let request = request.header(AUTHORIZATION, format!("Bearer {token}")).body(()).unwrap();
    guard.judge(&request, certificate).map(|caller| caller.to_string())
}

fn icu() -> Caller {
    Caller::workload("certificate", "icu", Assurance::Key)
}

#[test]
fn a_caller_is_whose_token_or_else_whose_certificate_was_shown() {
    let certificate = Ok(Arc::new(icu()));
    let open = Guard::default();
    assert_eq!(judged(&open, "of somebody", None).unwrap(), "anonymous");
    assert_eq!(judged(&open, "of somebody", Some(&certificate)).unwrap(), "certificate/icu");

    let (_file, tokens) = watch::channel(parsed(TOKEN));
    let closed = Guard { tokens: Some(tokens), asks_for_certificate: true, ..Guard::default() };
    assert_eq!(judged(&closed, TOKEN, Some(&certificate)).unwrap(), "token/line-1");
    let nobody = Err(Refusal::CertificateOfNobody);
    assert_eq!(judged(&closed, TOKEN, Some(&nobody)).unwrap(), "token/line-1");
    for (token, certificate, why) in [
        (TOKEN, None, Refusal::NoCertificate),
        ("wrong", Some(&certificate), Refusal::UnknownToken),
        ("", Some(&certificate), Refusal::NoToken),
    ] {
        assert_eq!(judged(&closed, token, certificate).unwrap_err(), why);
    }
}

#[test]
fn a_certificate_that_does_not_count_is_not_passed_over() {
    let (_file, tokens) = watch::channel(parsed(TOKEN));
    let alone = Guard { asks_for_certificate: true, ..Guard::default() };
    let both = Guard { tokens: Some(tokens), asks_for_certificate: true, ..Guard::default() };
    for why in [Refusal::CertificateOfCa, Refusal::CertificateOfSeveral] {
        for guard in [&alone, &both] {
            assert_eq!(judged(guard, TOKEN, Some(&Err(why))).unwrap_err(), why);
        }
    }
    let nobody = Refusal::CertificateOfNobody;
    assert_eq!(judged(&alone, TOKEN, Some(&Err(nobody))).unwrap_err(), nobody);
}

#[test]
fn what_expires_does_so_while_its_connection_lasts() {
    let wall = Wall::new(Arc::new(|| 100));
    let certificate = |not_after| {
        let mut caller = icu();
        caller.not_after = Some(not_after);
        Ok(Arc::new(caller))
    };
    let guard = Guard { asks_for_certificate: true, wall, ..Guard::default() };
    let expired = judged(&guard, "", Some(&certificate(100)));
    assert_eq!(expired.unwrap_err(), Refusal::ExpiredCertificate);
    assert_eq!(judged(&guard, "", Some(&certificate(i64::MAX))).unwrap(), "certificate/icu");
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
