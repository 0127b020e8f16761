//! What is asked of Hitherto, without who answers it: no engine, no store, no connection.
//!
//! | module     | what it owns                       |
//! | ---------- | ---------------------------------- |
//! | [`caller`] | who asks                           |
//! | [`grant`]  | what a caller may, for one request |

pub mod caller;
pub mod grant;

pub use caller::{Caller, Subject, SubjectKind};
pub use grant::Grant;
