//! Who asks, what they may, and what is recorded of it.
//!
//! | module       | what it owns                                              |
//! | ------------ | --------------------------------------------------------- |
//! | [`identity`] | whose a token or a certificate is                         |
//! | [`audit`]    | the record of every call, and the proof that it is whole  |
//!
//! Nothing here stores facts, serves or joins, so that whoever checks a log needs nothing of
//! what wrote it. Time is an argument; what is random are keys, where a log is begun.

pub mod audit;
pub mod identity;
