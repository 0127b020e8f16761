use hitherto_core::Kind;

use super::*;
use crate::credentials::Token;

#[track_caller]
fn check_refused(url: &str, why: &str) {
    let error = parse(url).unwrap_err();
    assert_eq!(error.kind(), Kind::Invalid);
    assert!(error.to_string().contains(why), "{error}");
    assert!(error.to_string().contains(url), "{error}");
}

#[test]
fn an_address_of_another_form_is_refused_with_the_reason() {
    check_refused("http://no where", "it is no URL");
    check_refused("127.0.0.1:7411", "no scheme");
    check_refused("localhost", "no scheme");
    check_refused("localhost:7411", "no scheme");
    check_refused("grpcs://features:7411", "scheme is neither http nor https");
    check_refused("redis://features:7411", "scheme is neither http nor https");
    check_refused("http://features:7411/v1", "it has a path");
    check_refused("https://features:7411/v1", "it has a path");
    assert!(parse("http://features:7411").is_ok());
    assert!(parse("https://features").is_ok());
    assert!(parse("http://[::1]:7411/").is_ok());
}

#[tokio::test]
async fn a_closed_port_is_unavailable_and_named() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = Connection::open(&url, &Credentials::default()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.chain().contains(&url), "{}", error.chain());
    assert!(error.chain().contains("refused"), "{}", error.chain());
}

#[test]
fn a_token_leaves_the_machine_only_encrypted() {
    let token = || Some("0123456789abcdef".parse().unwrap());
    let credentials = Credentials { token: token(), ..Credentials::default() };
    let check = |url: &str| check_secrecy(url, &url.parse().unwrap(), &credentials);
    for url in ["http://127.0.0.1:1", "http://127.8.9.1:1", "http://[::1]:1", "http://localhost"] {
        check(url).unwrap();
    }
    for url in ["http://features:7411", "http://10.0.0.1:1", "http://localhost.evil.org:1"] {
        assert!(check(url).unwrap_err().to_string().contains("could read the token"), "{url}");
    }
    check("https://features:7411").unwrap();

    let credentials = Credentials { ca: Some("ca.pem".into()), ..Credentials::default() };
    let url = "http://127.0.0.1:1";
    let error = check_secrecy(url, &url.parse().unwrap(), &credentials).unwrap_err();
    assert!(error.to_string().contains("are for https://"), "{error}");
}

#[test]
fn a_token_is_not_shown() {
    let token: Token = "0123456789abcdef".parse().unwrap();
    assert!(!format!("{token:?}").contains("0123"));
    for malformed in ["", "two words", "tök"] {
        assert_eq!(malformed.parse::<Token>().unwrap_err().kind(), Kind::Invalid);
    }
}
