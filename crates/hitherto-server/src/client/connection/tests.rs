use hitherto_core::Kind;

use super::*;

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
    check_refused("https://features:7411", "TLS is not supported yet");
    check_refused("grpcs://features:7411", "TLS is not supported yet");
    check_refused("redis://features:7411", "scheme is not http");
    check_refused("http://features:7411/v1", "it has a path");
    assert!(parse("http://features:7411").is_ok());
    assert!(parse("http://[::1]:7411/").is_ok());
}

#[tokio::test]
async fn a_closed_port_is_unavailable_and_named() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = Connection::open(&url).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.chain().contains(&url), "{}", error.chain());
    assert!(error.chain().contains("refused"), "{}", error.chain());
}
