//! Who asks.

use crate::v1;
use hitherto_api::{Assurance, SubjectKind, WhoAmI};
use hitherto_core::{Error, Result};

/// Writes what a caller is told of itself.
pub fn encode_answer(answer: WhoAmI) -> v1::WhoAmIResponse {
    v1::WhoAmIResponse {
        subject: answer.subject,
        kind: answer.kind.name().to_owned(),
        assurance: answer.assurance.name().to_owned(),
        roles: answer.roles,
        purposes: answer.purposes.unwrap_or_default(),
        expires_micros: answer.expires,
    }
}

/// Reads what a server says of this client.
///
/// # Errors
/// `Internal` for a kind of subject or a degree of assurance that is none.
pub fn decode_answer(answer: v1::WhoAmIResponse) -> Result<WhoAmI> {
    let v1::WhoAmIResponse { subject, kind, assurance, roles, purposes, expires_micros } = answer;
    let unknown = |what: &str| {
        Error::internal(format!(
            "the server says of this client what means nothing here: {what:?}; use a client of \
             the server's release"
        ))
    };
    let known = SubjectKind::ALL.into_iter().find(|one| one.name() == kind);
    let proven = Assurance::ALL.into_iter().find(|one| one.name() == assurance);
    Ok(WhoAmI {
        subject,
        kind: known.ok_or_else(|| unknown(&kind))?,
        assurance: proven.ok_or_else(|| unknown(&assurance))?,
        roles,
        purposes: (!purposes.is_empty()).then_some(purposes),
        expires: expires_micros,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_told_of_itself_over_the_wire() {
        let nobody = WhoAmI {
            subject: "anonymous".into(),
            kind: SubjectKind::Anonymous,
            assurance: Assurance::None,
            roles: Vec::new(),
            purposes: None,
            expires: None,
        };
        let etl = WhoAmI {
            subject: "token/etl".into(),
            kind: SubjectKind::Workload,
            assurance: Assurance::SharedSecret,
            roles: vec!["steward".into()],
            purposes: Some(vec!["operations".into()]),
            expires: Some(-1),
        };
        for told in [nobody, etl] {
            let wire = encode_answer(told.clone());
            assert_eq!(decode_answer(wire.clone()).unwrap(), told);
            let strange = v1::WhoAmIResponse { kind: "robot".into(), ..wire };
            assert!(decode_answer(strange).unwrap_err().to_string().contains("robot"));
        }
    }
}
