use rcgen::{CertificateParams, DnType, KeyPair, SanType};

use super::*;

/// The name of a certificate with these alternative names, made out to CN=caller and more.
fn named(names: Vec<SanType>) -> Option<String> {
    let mut params = CertificateParams::default();
    params.subject_alt_names = names;
    params.distinguished_name.push(DnType::CommonName, "caller, the first");
    params.distinguished_name.push(DnType::OrganizationName, "Ward 7");
    let key = KeyPair::generate().unwrap();
    name(params.self_signed(&key).unwrap().der())
}

#[test]
fn a_certificate_is_known_by_its_first_name() {
    let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
    let uri = SanType::URI("spiffe://hospital/ns/serving/sa/icu".try_into().unwrap());
    assert_eq!(named(vec![dns("one"), dns("two")]).unwrap(), "one");
    assert_eq!(named(vec![dns("one"), uri]).unwrap(), "spiffe://hospital/ns/serving/sa/icu");
}

#[test]
fn one_without_names_is_known_by_its_subject() {
    let words = named(Vec::new()).unwrap();
    assert!(words.contains("CN=caller\\, the first") && words.contains("O=Ward 7"), "{words}");
}

#[test]
fn a_caller_is_written_with_who_vouches_for_it() {
    assert_eq!(of_token(3).to_string(), "token/3");
    assert_eq!(anonymous().to_string(), "anonymous");
    assert_eq!(of_token(3).subject, of_token(3).subject);
    assert_ne!(of_token(3).subject, of_token(4).subject);
}
