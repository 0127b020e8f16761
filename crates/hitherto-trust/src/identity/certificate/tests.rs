use hitherto_api::Ended;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, KeyUsagePurpose, SanType,
    date_time_ymd,
};

use super::*;

const ID: &str = "spiffe://hospital.org/ns/serving/sa/icu";

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn uri(name: &str) -> SanType {
    SanType::URI(name.try_into().unwrap())
}

/// Whose a certificate with these alternative names is, made out to CN=caller.
fn with(
    names: impl Into<Vec<SanType>>,
    change: impl FnOnce(&mut CertificateParams),
) -> Result<Caller, Refusal> {
    let mut params = CertificateParams::default();
    params.subject_alt_names = names.into();
    params.distinguished_name.push(DnType::CommonName, "caller");
    params.not_after = date_time_ymd(2045, 6, 1);
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    whose(params.self_signed(&key).unwrap().der())
}

fn named(names: impl Into<Vec<SanType>>) -> Result<String, Refusal> {
    with(names, |_| ()).map(|caller| caller.to_string())
}

#[test]
fn a_certificate_is_known_by_its_spiffe_id_or_else_by_the_dns() {
    assert_eq!(named([uri(ID)]).unwrap(), ID);
    assert_eq!(named([dns("one"), uri(ID), dns("two")]).unwrap(), ID);
    assert_eq!(named([dns("one"), dns("two")]).unwrap(), "certificate/one");
    assert_eq!(named([uri("https://one/x"), dns("two")]).unwrap(), "certificate/two");
    assert_eq!(
        named([dns("*.wards.org"), dns("icu.wards.org")]).unwrap(),
        "certificate/icu.wards.org"
    );
}

#[test]
fn what_nobody_vouches_for_is_nobodys() {
    for names in [vec![], vec![dns("*.wards.org")], vec![uri("https://one/x")]] {
        assert_eq!(named(names).unwrap_err(), Refusal::CertificateOfNobody);
    }
    for id in [
        "spiffe://hospital.org",
        "spiffe://hospital.org/",
        "spiffe:///ns/serving",
        "spiffe://Hospital.org/ns",
        "spiffe://hospital.org/ns/../sa",
        "spiffe://hospital.org/ns//sa",
        "spiffe://hospital.org/ns/sa?x=1",
        "spiffe://user@hospital.org/ns",
        "spiffe://hospital.org:80/ns",
        "SPIFFE://hospital.org/ns",
    ] {
        assert_eq!(named([uri(id)]).unwrap_err(), Refusal::CertificateOfNobody, "{id}");
        assert_eq!(named([uri(id), dns("one")]).unwrap(), "certificate/one", "{id}");
    }
}

#[test]
fn two_uris_would_be_two_callers() {
    for second in ["spiffe://hospital.org/ns/other", "https://one/x"] {
        for names in [[uri(ID), uri(second)], [uri(second), uri(ID)]] {
            assert_eq!(named(names).unwrap_err(), Refusal::CertificateOfSeveral);
        }
    }
}

#[test]
fn whoever_may_sign_others_is_no_caller() {
    let ca = IsCa::Ca(BasicConstraints::Unconstrained);
    assert_eq!(with([uri(ID)], |all| all.is_ca = ca).unwrap_err(), Refusal::CertificateOfCa);
    for purpose in [KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign] {
        let uses = vec![KeyUsagePurpose::DigitalSignature, purpose];
        let refused = with([uri(ID)], |all| all.key_usages = uses).unwrap_err();
        assert_eq!(refused, Refusal::CertificateOfCa, "{purpose:?}");
    }
    for is_ca in [IsCa::NoCa, IsCa::ExplicitNoCa] {
        let uses = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
        let change = |all: &mut CertificateParams| (all.is_ca, all.key_usages) = (is_ca, uses);
        assert_eq!(with([uri(ID)], change).unwrap().to_string(), ID);
    }
}

#[test]
fn a_certificate_counts_until_it_says() {
    for (year, time) in [(2045, "2045-06-01"), (2055, "2055-06-01")] {
        let at = parse_timestamp(time).unwrap();
        let change = |all: &mut CertificateParams| all.not_after = date_time_ymd(year, 6, 1);
        let caller = with([uri(ID)], change).unwrap();
        assert_eq!(caller.ended(at - 1), None);
        assert_eq!(caller.ended(at), Some(Ended::Expired));
        assert_eq!(caller.assurance, Assurance::Key);
    }
    for wrong in [&b""[..], b"2506010000Z", b"250601000000+0100", b"2506010000000Z0", b"\xff"] {
        assert_eq!(not_after((UTC_TIME, wrong)), None, "{wrong:?}");
    }
}

#[test]
fn what_is_no_certificate_is_nobodys() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![uri(ID)];
    let whole = params.self_signed(&key).unwrap().der().to_vec();
    for end in 0..whole.len() {
        assert!(whose(&CertificateDer::from(&whole[..end])).is_err(), "{end}");
    }
    whose(&CertificateDer::from(&whole[..])).unwrap();
}
