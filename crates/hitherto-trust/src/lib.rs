//! Who asks, and what they may.
//!
//! | module       | what it owns                                              |
//! | ------------ | --------------------------------------------------------- |
//! | [`identity`] | whose a token or a certificate is                         |
//!
//! Nothing here stores facts, serves or joins. Time and randomness are arguments.

pub mod identity;
