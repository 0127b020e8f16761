//! What several servers share in a folder of an object store, without a server for it.
//!
//! ```text
//! <root>/versions/<sequence>     every version of a state, each an object that never changes
//! <root>/latest                  where to begin to look for the last one
//! <root>/lease                   who leads, and since when nobody has heard of it
//! ```
//!
//! Two conditional writes carry all of it: of an object that is not there yet, and over one that
//! is still as it was read. Nothing compares two clocks.
//!
//! | module       | what it owns                                                     |
//! | ------------ | ---------------------------------------------------------------- |
//! | [`Root`]     | the folder, its two writes, and answers that got lost             |
//! | [`Versions`] | a state that many may change and nobody loses                     |
//! | [`Lease`]    | one leader at a time                                              |

mod lease;
mod root;
mod versions;

pub use self::lease::{Lease, LeaseRecord, Member, Standing};
pub use self::root::{Root, Stored, Token, Written};
pub use self::versions::{Committed, Version, Versions};
