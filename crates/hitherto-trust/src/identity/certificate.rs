//! Whose a certificate is, which was verified in the handshake.
//!
//! | alternative names            | caller                    | or refused                     |
//! | ---------------------------- | ------------------------- | ------------------------------ |
//! | one URI, a SPIFFE id         | that                      |                                |
//! | several URIs                 |                           | each would be a caller         |
//! | names of the DNS             | the first, `certificate/` | one with a `*` is nobody's     |
//! | none of these                |                           | a common name is nobody's word |
//!
//! A certificate whose owner may sign others is no caller's (X509-SVID, 4.3 and 5.2): whoever
//! has one can make any other.

use hitherto_api::caller::SPIFFE;
use hitherto_api::{Assurance, Caller};
use hitherto_core::time::parse_timestamp;
use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;

use super::Refusal;
use super::der::{BIT_STRING, BOOLEAN, Certificate, SEQUENCE, UTC_TIME, take};

/// Who vouches for names of the DNS.
const ISSUER: &str = "certificate";

/// Bytes of a SPIFFE id.
const SPIFFE_BYTES_MAX: usize = 2_048;

/// The contents of OIDs.
const KEY_USAGE: [u8; 3] = [0x55, 0x1d, 0x0f];
const BASIC_CONSTRAINTS: [u8; 3] = [0x55, 0x1d, 0x13];

/// `keyCertSign` and `cRLSign` in the first byte of a key's uses.
const SIGNS_OTHERS: u8 = 0b0000_0110;

/// Whose a certificate is.
///
/// # Errors
/// Why it is nobody's.
pub fn whose(shown: &CertificateDer<'_>) -> Result<Caller, Refusal> {
    let nobody = Refusal::CertificateOfNobody;
    let certificate = Certificate::read(shown).ok_or(nobody)?;
    if may_sign(&certificate) {
        return Err(Refusal::CertificateOfCa);
    }
    let names = EndEntityCert::try_from(shown).map_err(|_| nobody)?;
    let mut uris = names.valid_uri_names();
    let mut caller = match (uris.next(), uris.next()) {
        (Some(_), Some(_)) => return Err(Refusal::CertificateOfSeveral),
        (Some(uri), None) if let Some(name) = spiffe(uri) => {
            Caller::workload(SPIFFE, name, Assurance::Key)
        }
        _ => {
            let name = names.valid_dns_names().find(|name| !name.contains('*')).ok_or(nobody)?;
            Caller::workload(ISSUER, name, Assurance::Key)
        }
    };
    caller.not_after = Some(not_after(certificate.not_after).ok_or(nobody)?);
    Ok(caller)
}

/// The trust domain and path of a SPIFFE id.
fn spiffe(uri: &str) -> Option<&str> {
    let name = uri.strip_prefix(SPIFFE)?.strip_prefix("://")?;
    let (domain, path) = name.split_once('/')?;
    let of_domain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || is_mark(byte);
    let of_path = |byte: u8| byte.is_ascii_alphanumeric() || is_mark(byte);
    let is_segment =
        |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(of_path);
    let is_one = uri.len() <= SPIFFE_BYTES_MAX
        && (1..=255).contains(&domain.len())
        && domain.bytes().all(of_domain)
        && path.split('/').all(is_segment);
    is_one.then_some(name)
}

fn is_mark(byte: u8) -> bool {
    matches!(byte, b'.' | b'-' | b'_')
}

/// Whether whoever has the key may sign certificates or lists of revoked ones.
fn may_sign(certificate: &Certificate<'_>) -> bool {
    let constraints = certificate.extension(&BASIC_CONSTRAINTS);
    let is_ca = constraints
        .and_then(|constraints| take(BOOLEAN, take(SEQUENCE, constraints)?.0))
        .is_some_and(|(is_ca, _)| is_ca.iter().any(|byte| *byte != 0));
    let uses = certificate.extension(&KEY_USAGE).and_then(|uses| take(BIT_STRING, uses));
    is_ca || uses.is_some_and(|(bits, _)| bits.get(1).is_some_and(|bits| bits & SIGNS_OTHERS != 0))
}

/// Until when it counts, in microseconds UTC: `YYMMDDHHMMSSZ`, or `YYYYMMDDHHMMSSZ`.
fn not_after((tag, text): (u8, &[u8])) -> Option<i64> {
    let text = str::from_utf8(text).ok().filter(|text| text.is_ascii())?;
    let text = match tag {
        UTC_TIME => format!("{}{text}", if text < "50" { "20" } else { "19" }),
        _ => text.to_owned(),
    };
    let part = |from: usize, to: usize| text.get(from..to);
    let (date, time) = (
        [part(0, 4)?, part(4, 6)?, part(6, 8)?].join("-"),
        [part(8, 10)?, part(10, 12)?, part(12, 14)?].join(":"),
    );
    parse_timestamp(&format!("{date}T{time}Z")).ok().filter(|_| part(14, 16).is_none())
}

#[cfg(test)]
mod tests;
