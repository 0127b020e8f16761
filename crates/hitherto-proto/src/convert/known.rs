//! Whether known time counts, as requests say it.

use crate::v1::KnownTime;
use hitherto_core::definition::Known;
use hitherto_core::{Error, Result};

/// Reads what a caller sent; `None` is as each view declares it.
///
/// # Errors
/// `Invalid` when it is none of the contract's values.
pub fn decode(known_time: i32) -> Result<Option<Known>> {
    match KnownTime::try_from(known_time) {
        Ok(KnownTime::AsDeclared) => Ok(None),
        Ok(KnownTime::Honor) => Ok(Some(Known::Honor)),
        Ok(KnownTime::Ignore) => Ok(Some(Known::Ignore)),
        Err(unknown) => Err(Error::invalid(
            "known_time is not one of KnownTime; set one of the contract, hitherto.v1",
        )
        .with_source(unknown)),
    }
}

/// Writes it.
pub fn encode(known: Option<Known>) -> KnownTime {
    match known {
        None => KnownTime::AsDeclared,
        Some(Known::Honor) => KnownTime::Honor,
        Some(Known::Ignore) => KnownTime::Ignore,
    }
}
