//! Why what was shown does not count: counted by reason, and told so that it helps whoever
//! may and nobody else.

use hitherto_api::Ended;
use hitherto_core::Error;

/// Why what was shown does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No token was.
    NoToken,
    /// A token that was cut off or mistyped.
    MalformedToken,
    /// A token of nobody who is known.
    UnknownToken,
    /// A token whose time is over.
    ExpiredToken,
    /// No certificate was.
    NoCertificate,
    /// A certificate of one who gives out certificates.
    CertificateOfCa,
    /// A certificate with several names of which each would be a subject.
    CertificateOfSeveral,
    /// A certificate without a name that a CA vouches for.
    CertificateOfNobody,
    /// A certificate whose time is over.
    ExpiredCertificate,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Refusal; 9] = [
        Refusal::NoToken,
        Refusal::MalformedToken,
        Refusal::UnknownToken,
        Refusal::ExpiredToken,
        Refusal::NoCertificate,
        Refusal::CertificateOfCa,
        Refusal::CertificateOfSeveral,
        Refusal::CertificateOfNobody,
        Refusal::ExpiredCertificate,
    ];

    /// The stable name by which it is counted.
    pub const fn name(self) -> &'static str {
        match self {
            Refusal::NoToken => "no_token",
            Refusal::MalformedToken => "malformed_token",
            Refusal::UnknownToken => "unknown_token",
            Refusal::ExpiredToken => "expired_token",
            Refusal::NoCertificate => "no_certificate",
            Refusal::CertificateOfCa => "certificate_of_ca",
            Refusal::CertificateOfSeveral => "certificate_of_several",
            Refusal::CertificateOfNobody => "certificate_of_nobody",
            Refusal::ExpiredCertificate => "expired_certificate",
        }
    }

    /// What the caller is told. Whoever has no token that is known is told the same, whatever
    /// they showed; one that has expired was known to whoever shows it.
    pub fn error(self) -> Error {
        match self {
            Refusal::NoToken | Refusal::MalformedToken | Refusal::UnknownToken => Error::denied(
                "the server asks for a token, and none that it knows was shown; name one: token= \
                 in Python, --token on the command line, else the header Authorization: Bearer \
                 TOKEN",
            ),
            Refusal::ExpiredToken => Error::denied(
                "the token that was shown has expired; ask whoever runs the server for another, \
                 which `hitherto token make` makes",
            ),
            Refusal::NoCertificate => Error::denied(
                "the server asks for a certificate of the caller, and none was shown; name one: \
                 cert= in Python, --cert and --key on the command line",
            ),
            Refusal::CertificateOfCa => Error::denied(
                "the certificate that was shown may sign others; show one of a caller, without \
                 CA:TRUE, keyCertSign and cRLSign",
            ),
            Refusal::CertificateOfSeveral => Error::denied(
                "the certificate that was shown has more than one URI among its alternative \
                 names, of which each would be a caller; show one that has one",
            ),
            Refusal::CertificateOfNobody => Error::denied(
                "the certificate that was shown names nobody; show one whose subjectAltName has \
                 a SPIFFE id (URI:spiffe://...) or a name (DNS:...): a common name does not count",
            ),
            Refusal::ExpiredCertificate => Error::denied(
                "the certificate that was shown has expired since the connection began; renew \
                 it, and connect again",
            ),
        }
    }

    /// Why a token counts no longer.
    pub(crate) fn of_token(ended: Ended) -> Self {
        match ended {
            Ended::Expired => Refusal::ExpiredToken,
            Ended::Revoked => Refusal::UnknownToken,
        }
    }
}
