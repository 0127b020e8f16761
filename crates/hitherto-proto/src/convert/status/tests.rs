use super::*;

#[test]
fn every_kind_survives_with_the_chain_of_causes() {
    for kind in Kind::ALL {
        let error = Error::new(kind, "the store is unwell").with_source("disk on fire");
        let status = to_status(&error);
        assert_eq!(status.code() as i32, kind.grpc_code());
        let read = from_status(&status);
        assert_eq!((read.kind(), read.to_string()), (kind, error.chain()));
    }
}

#[test]
fn a_foreign_status_is_read_by_its_code() {
    let read = from_status(&Status::deadline_exceeded(""));
    assert_eq!(read.kind(), Kind::Unavailable);
    assert!(!read.to_string().is_empty());
    let [unknown, known] = [Status::unauthenticated(""), Status::permission_denied("")];
    assert_eq!(from_status(&unknown).kind(), Kind::Denied);
    assert_eq!(from_status(&known).kind(), Kind::Forbidden);
}

#[test]
fn a_kind_from_the_future_falls_back_to_the_code() {
    let mut status = Status::not_found("no such view");
    status.metadata_mut().insert(KIND_METADATA, MetadataValue::from_static("teapot"));
    assert_eq!(from_status(&status).kind(), Kind::NotFound);
}

#[test]
fn a_refusal_says_to_back_off() {
    let status = refused("full");
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(from_status(&status).kind(), Kind::Unavailable);
}

#[test]
fn a_long_message_is_cut_between_characters() {
    let status = to_status(&Error::invalid("é".repeat(STATUS_MESSAGE_BYTES_MAX)));
    assert_eq!(status.message().len(), STATUS_MESSAGE_BYTES_MAX);
    let odd = to_status(&Error::invalid(format!("x{}", "é".repeat(STATUS_MESSAGE_BYTES_MAX))));
    assert_eq!(odd.message().len(), STATUS_MESSAGE_BYTES_MAX - 1);
}
